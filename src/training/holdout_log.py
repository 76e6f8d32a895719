"""How often sealed bars have been looked at, across all runs: each look is one more chance to be lucky.

    {"<fingerprint of the sealed bars>": ["<run>", ...]}

A run that looks again, because it was resumed, counts as one look. The count is of exactly these bars: with one more
bar it begins anew, and earlier looks are not counted.
"""

import json
from pathlib import Path

from src.errors import DataError
from src.storage import locked_in_turn, write_atomic

Looks = dict[str, list[str]]


def record_look(ledger: Path, fingerprint: str, run: str) -> int:
    """Enter the look of a run and return the looks at this stretch so far, this one included.

    Processes that record at once wait for each other.

    Raises:
        DataError: the ledger cannot be read.
    """
    with locked_in_turn(ledger.parent / f".{ledger.name}.lock"):
        looks = _read(ledger)
        runs = looks.setdefault(fingerprint, [])
        if run not in runs:
            runs.append(run)
            write_atomic(ledger, f"{json.dumps(looks, indent=2, sort_keys=True)}\n".encode())
        return len(runs)


def count_looks(ledger: Path, fingerprint: str) -> int:
    """Return the looks at a stretch so far.

    Raises:
        DataError: the ledger cannot be read.
    """
    return len(_read(ledger).get(fingerprint, []))


def _read(ledger: Path) -> Looks:
    if not ledger.exists():
        return {}
    try:
        looks = json.loads(ledger.read_bytes())
    except ValueError:
        looks = None
    if not isinstance(looks, dict) or not all(isinstance(runs, list) for runs in looks.values()):
        raise DataError(f"{ledger} is not a ledger of looks; restore it, or delete it and lose the count of looks")
    return looks
