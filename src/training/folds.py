"""The stretches of the validation split that a population is judged on."""

from src.errors import DataError


def fold_rows(rows: range, folds: int) -> tuple[range, ...]:
    """Cut rows into stretches of equal length, in order of time; what is left over comes first and is not used.

    Raises:
        DataError: a stretch would hold fewer than two rows.
    """
    size = len(rows) // folds
    if size < 2:
        raise DataError(
            f"the validation split holds {len(rows)} bars, too few for folds={folds}; lower folds, raise "
            "data.split.validation_frac or use more data"
        )
    first = rows.stop - size * folds
    return tuple(range(start, start + size) for start in range(first, rows.stop, size))
