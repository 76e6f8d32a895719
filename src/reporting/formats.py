"""How figures are written, everywhere alike."""

import math

UNDEFINED = "–"
LONGEST = 1e12  # from here on, powers of ten are written


def percent(value: float | None, sign: bool = False, digits: int = 1) -> str:
    """Format a fraction as percent, with its sign also when positive if asked."""
    if value is None:
        return UNDEFINED
    return ("+" if sign and value > 0 else "") + number(100.0 * value, digits) + "\N{NO-BREAK SPACE}%"


def number(value: float | None, digits: int = 2) -> str:
    """Format a number with thousands separators; what rounds to zero has no sign."""
    if value is None:
        return UNDEFINED
    if abs(value) >= LONGEST:
        return _power(value)
    return f"{value:z,.{digits}f}".replace("-", "−")


def price(value: float) -> str:
    """Format a price, or a figure of any size, to six significant digits."""
    size = abs(value)
    if size >= LONGEST or 0 < size < 1e-6:
        return _power(value, 5)
    decimals = 5 - math.floor(math.log10(size)) if size else 0
    return _without_zeros(f"{value:,.{max(decimals, 0)}f}").replace("-", "−")


def _power(value: float, digits: int = 2) -> str:
    mantissa, power = f"{value:.{digits}e}".split("e")
    return f"{_without_zeros(mantissa)}e{int(power)}".replace("-", "−")


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
