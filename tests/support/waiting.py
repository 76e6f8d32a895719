"""Waiting for what is sure to come: for a condition, never for some seconds; the machine may be busy with much else."""

import time
from collections.abc import Callable

PATIENCE_S = 900.0  # after which something is wrong for certain


def wait_until(claim: Callable[[], object], otherwise: str = "what was waited for did not happen") -> None:
    """Return once `claim` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
