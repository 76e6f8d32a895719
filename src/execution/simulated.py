"""`SimulatedBroker`: fills every order whole, at the market price moved against it by spread, slippage and impact."""

from types import ModuleType
from typing import Any

from src.config.trading import CostsConfig
from src.execution.costs import BPS, MAX_IMPACT_FRAC
from src.execution.orders import Fills, Orders
from src.execution.tape import Tape

TINY = 1e-300  # divides zero to zero


class SimulatedBroker:
    """Execution price = price * (1 ± (half-spread + slippage + impact)); commission on units * execution price."""

    def __init__(self, costs: CostsConfig, xp: ModuleType) -> None:
        self._xp = xp
        self._commission = costs.commission_bps * BPS
        self._has_impact = costs.impact > 0

    def fill(self, orders: Orders, price: Any, bar: Tape) -> Fills:
        """Fill all units at once."""
        xp = self._xp
        value = orders.units * price
        notional = xp.abs(value)
        spread = notional * bar.half_spread
        slippage = notional * self._slippage_frac(notional, bar)
        paid = value + (spread + slippage)
        turnover = xp.abs(paid)
        average = turnover / xp.maximum(xp.abs(orders.units), TINY)
        return Fills(orders.units, average, paid, turnover * self._commission, spread, slippage)

    def _slippage_frac(self, notional: Any, bar: Tape) -> Any:
        if not self._has_impact:
            return bar.slippage
        impact = self._xp.minimum(bar.impact * self._xp.sqrt(notional), MAX_IMPACT_FRAC)
        return bar.slippage + impact
