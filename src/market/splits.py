"""Chronological train, validation and test rows, with embargoed rows between them; folds of a part.

Not here: walk-forward folds, and the fitting of scalers (they see `train` only).
"""

from dataclasses import dataclass

from src.config.base import require_known
from src.config.data import SplitConfig
from src.errors import DataError

SPLIT_NAMES = ("train", "validation", "test", "all")
MIN_PART_ROWS = 2  # a decision and the bar that pays it


@dataclass(frozen=True)
class Splits:
    """Rows [start, stop) of a series on which decisions may be taken, part by part in order of time.

    `validation` is empty when its fraction is 0; `all` spans every part and the embargoed rows between them.
    """

    train: range
    validation: range
    test: range
    all: range

    def named(self, name: str) -> range:
        """Return the rows of a part by name: train, validation, test or all.

        Raises:
            ConfigError: the name is none of these.
        """
        require_known("split", [name], SPLIT_NAMES)
        rows: range = getattr(self, name)
        return rows


def chronological_splits(rows: range, split: SplitConfig) -> Splits:
    """Cut rows into train, validation and test in order of time.

    `embargo_bars` rows before the validation part and before the test part belong to neither neighbour, so that no
    return or label that starts in one part ends in the next. Fractions are of the rows left after the embargoes; test
    takes what the other two leave.

    Args:
        rows: consecutive rows that are usable, that is, after the warm-up of the features.

    Raises:
        DataError: a part would hold fewer than two rows.
    """
    assert rows.step == 1, f"rows must be consecutive, step was {rows.step}"
    has_validation = split.validation_frac > 0
    usable = len(rows) - split.embargo_bars * (2 if has_validation else 1)
    train_count = round(split.train_frac * usable)
    validation_count = round(split.validation_frac * usable)
    test_count = usable - train_count - validation_count
    counts = [train_count, validation_count, test_count] if has_validation else [train_count, test_count]
    if min(counts) < MIN_PART_ROWS:
        raise DataError(
            f"{len(rows)} usable bars are too few to split: with embargo_bars={split.embargo_bars}, train,"
            f" validation and test would get {train_count}, {validation_count} and {test_count};"
            " load more bars or change data.split"
        )
    train = range(rows.start, rows.start + train_count)
    validation_start = train.stop + (split.embargo_bars if has_validation else 0)
    validation = range(validation_start, validation_start + validation_count)
    return Splits(train, validation, range(validation.stop + split.embargo_bars, rows.stop), rows)


def fold_rows(rows: range, folds: int) -> tuple[range, ...]:
    """Cut rows into folds of equal length, in order of time; rows left over come first and are not used.

    Raises:
        DataError: a fold would hold fewer than two rows.
    """
    size = len(rows) // folds
    if size < 2:
        raise DataError(
            f"the validation split holds {len(rows)} bars, too few for folds={folds}; lower folds, raise "
            "data.split.validation_frac or use more data"
        )
    first = rows.stop - size * folds
    return tuple(range(start, start + size) for start in range(first, rows.stop, size))
