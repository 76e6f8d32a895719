"""Log messages as a person at a terminal sees them, in colour; plain lines where nobody watches. Quick to import."""

import logging
from functools import cache

from rich.console import Console
from rich.logging import RichHandler

_PLAIN = "%(asctime)s %(levelname)-7s %(message)s"


@cache
def terminal() -> Console:
    """Return the one console of this process, on standard error, shared by logging and progress so lines do not mix."""
    return Console(stderr=True)


def set_up_logging(level: int = logging.INFO) -> None:
    """Send log messages to standard error, in colour on a terminal; replaces the handlers of the root logger."""
    handler: logging.Handler
    if terminal().is_terminal:
        handler = RichHandler(console=terminal(), show_path=False, log_time_format="%H:%M:%S", rich_tracebacks=True)
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_PLAIN, datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for library in ("faiss.loader", "torch"):  # which build it takes, and how its caches did, is nobody's concern
        logging.getLogger(library).setLevel(logging.WARNING)
