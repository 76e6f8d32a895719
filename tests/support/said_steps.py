"""What a run said of its progress, without counts and times."""

import re
from itertools import groupby

import pytest


def steps_said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the steps in the order in which they were said, each once."""
    said = (record for record in caplog.records if record.name == "src.reporting.terminal.progress")
    names = (re.split(r" \d+/\d+|, \d+ s so far|, stage \d|, about ", record.getMessage())[0] for record in said)
    return [name for name, _ in groupby(names)]
