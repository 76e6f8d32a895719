"""Rules, candles and plays for tests of the ledger and the session."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from src.config.trading import ActionConfig, CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.execution.ledger import Accounts, open_accounts
from src.execution.tape import Tape, build_tape
from src.market.bars import BarSeries
from src.trading.rules import TradingRules, make_rules
from src.trading.session import BarOutcome, Session

DAY_MS = 86_400_000
FREE = CostsConfig(
    commission_bps=0.0, half_spread_bps=0.0, slippage_bps=0.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0
)
DEAR = CostsConfig(
    commission_bps=10.0,
    half_spread_bps=6.0,
    slippage_bps=4.0,
    slippage_volatility=0.1,
    impact=0.5,
    borrow_bps_per_year=900.0,
    financing_bps_per_year=700.0,
)

Candle = tuple[float, float, float, float]  # open, high, low, close


def daily(candles: Sequence[Candle], days: Sequence[int] | None = None) -> BarSeries:
    """Return daily bars; `days` since 1970 of each open, consecutive unless given."""
    opened = np.arange(len(candles)) if days is None else np.array(days)
    prices = np.array(candles, dtype=np.float64).T
    return BarSeries("TEST", "1d", opened * DAY_MS, *prices, volume=np.full(len(candles), 1e6))


def flat_candles(*prices: float) -> list[Candle]:
    """Return candles that open, trade and close at one price."""
    return [(price, price, price, price) for price in prices]


def rules_of(
    costs: CostsConfig = FREE,
    risk: RiskConfig | None = None,
    kind: str = "log_growth",
    equity: float = 1000.0,
    reward: RewardConfig | None = None,
    **action: Any,
) -> TradingRules:
    """Return rules with unscaled rewards and 1 % bar volatility; keywords are fields of `ActionConfig`."""
    environment = EnvironmentConfig(
        action=ActionConfig(**action), reward=reward or RewardConfig(kind, scale=1.0), initial_equity=equity
    )
    return make_rules(environment, costs, risk or RiskConfig(), bar_volatility=0.01)


def play(
    session: Session, tape: Tape, targets: Any, convert: Callable[[Any], Any] = np.asarray, start: int = 0
) -> tuple[list[BarOutcome], list[Accounts]]:
    """Decide targets[i] at the close of row start + i and process the next row; return what happened and was."""
    outcomes, states = [], []
    for step, target in enumerate(targets):
        session.decide(convert(target))
        outcomes.append(session.advance(Tape(*map(convert, tape.at(start + step + 1)))))
        states.append(session.accounts)
    return outcomes, states


def play_one(
    rules: TradingRules, bars: BarSeries, targets: Sequence[float], xp: ModuleType = np
) -> tuple[list[BarOutcome], list[Accounts], Session]:
    """Play one account, shape (), flat at the close of row 0."""
    session, tape = Session(rules, xp), build_tape(bars, rules.costs)
    session.open(open_accounts(xp, (), rules.initial_equity, tape.close.item(0)))
    convert = np.asarray if xp is np else float
    return *play(session, tape, targets, convert), session


def stacked(values: Sequence[Any]) -> dict[str, Any]:
    """Return the columns of a list of named tuples, by name."""
    return {name: np.array([getattr(value, name) for value in values]) for name in values[0]._fields}
