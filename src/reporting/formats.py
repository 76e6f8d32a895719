"""How figures are written, everywhere alike."""

UNDEFINED = "–"


def percent(value: float | None, sign: bool = False, digits: int = 1) -> str:
    """Format a fraction as percent, with its sign also when positive if asked."""
    if value is None:
        return UNDEFINED
    return ("+" if sign and value > 0 else "") + number(100.0 * value, digits) + "\N{NO-BREAK SPACE}%"


def number(value: float | None, digits: int = 2) -> str:
    """Format a number with thousands separators; what rounds to zero has no sign."""
    return UNDEFINED if value is None else f"{value:z,.{digits}f}".replace("-", "−")
