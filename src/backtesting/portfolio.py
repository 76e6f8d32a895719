"""`run_portfolio`: an account traded by a member over a stretch of a panel, in the session all else uses, too."""

from dataclasses import dataclass, replace

import numpy as np

from src.config.portfolio.preferences import Preferences
from src.config.trading import RiskConfig
from src.errors import DataError
from src.execution.assets import AssetAxis
from src.execution.ledger import open_accounts
from src.execution.panel_tape import build_panel_tape
from src.market.bars import FloatArray
from src.market.panel import Panel
from src.risk.portfolio.chain import portfolio_chain
from src.risk.portfolio.symbols import SymbolViews
from src.risk.stations.chain import Change
from src.risk.stations.station import ReviewContext
from src.trading.member import Member, require_sound
from src.trading.portfolio_session import DELISTING_HAIRCUT_FRAC, PortfolioSession
from src.trading.records import Decision, MarketState, StepRecord
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, opening


@dataclass(frozen=True)
class PortfolioResult:
    """What happened to an account of S symbols over T rows.

    Attributes:
        records: columns of shape (T, S), those of the account (T,): `financing`, `equity`, `reward`, `terminated`. The
            first bar is where the account opens, flat. The last decision is recorded and never fills.
        wanted: (T, S) targets of the member, before stations.
        confidence: (T, S), in [0, 1].
        changes: what stations made of each decision, T.
    """

    member: str
    member_id: str
    panel: Panel
    rows: range
    records: StepRecord
    wanted: FloatArray
    confidence: FloatArray
    changes: tuple[tuple[Change, ...], ...]
    initial_equity: float

    @property
    def traded(self) -> Panel:
        """The recorded rows of the panel."""
        return self.panel[self.rows.start : self.rows.stop]


def run_portfolio(
    member: Member,
    panel: Panel,
    rules: TradingRules,
    rows: range,
    preferences: Preferences | None = None,
    delisting_haircut_frac: float = DELISTING_HAIRCUT_FRAC,
) -> PortfolioResult:
    """Trade `rows`, starting flat with the initial equity; the first decision is taken at the close of `rows.start`.

    Args:
        member: decides; must be causal, which `backtesting.panel_causality` proves.
        panel: the symbols.
        rules: actions, costs, risk and reward.
        rows: of the panel, at least two.
        preferences: limits whose stations every decision passes.
        delisting_haircut_frac: see `PortfolioSession`.

    Raises:
        DataError: rows outside the panel, fewer than two, or before the member's warm-up is over; the symbols are
            paid in different currencies; or what the member decides is no number.
    """
    _check(member, panel, rows)
    member.prepare(panel)
    if preferences is not None:
        rules = replace(rules, risk=_stricter(rules, preferences))
    return _Run(member, panel, rules, rows, preferences, delisting_haircut_frac).result()


class _Run:
    # One pass over the rows.
    def __init__(
        self,
        member: Member,
        panel: Panel,
        rules: TradingRules,
        rows: range,
        preferences: Preferences | None,
        haircut_frac: float,
    ) -> None:
        self._member, self._panel, self._rules, self._rows = member, panel, rules, rows
        self._tape = build_panel_tape(panel, rules.costs)
        self._session = PortfolioSession(rules, np, haircut_frac)
        self._chain = None if preferences is None else portfolio_chain(preferences, rules.risk)
        self._views = None if preferences is None else SymbolViews(panel, preferences.correlation_bars)
        self._changes: list[tuple[Change, ...]] = []

    def result(self) -> PortfolioResult:
        session, rows, rules = self._session, self._rows, self._rules
        session.open(open_accounts(AssetAxis(np), (), rules.initial_equity, self._tape.close[rows.start]))
        outcomes, targets, decisions = [opening(session.accounts)], [], []
        for row in rows:
            if row > rows.start:
                outcomes.append(session.advance(self._tape.at(row)))
            decision = self._member.act(self._seen(row))
            require_sound(self._member.name, decision, self._panel, row)
            decisions.append(decision)
            targets.append(self._decided(decision, row))
        outcome = BarOutcome(*[np.array(column) for column in zip(*outcomes, strict=True)])
        return PortfolioResult(
            self._member.name,
            self._member.member_id,
            self._panel,
            rows,
            StepRecord(self._panel.close_time[rows.start : rows.stop], np.array(targets), *outcome),
            np.array([decision.target[0] for decision in decisions]),
            np.array([decision.confidence[0] for decision in decisions]),
            tuple(self._changes),
            rules.initial_equity,
        )

    def _seen(self, row: int) -> MarketState:
        return MarketState(row, int(self._panel.close_time[row]), self._session.account_inputs()[None])

    def _decided(self, decision: Decision, row: int) -> FloatArray:
        target, confidence = decision.target[0], decision.confidence[0]
        hold = confidence == 0
        target = np.where(hold, self._session.accounts.target, target)
        if self._chain is not None and self._views is not None:
            reviewed = self._chain.review(target, self._context(confidence, row))
            hold = (hold & (reviewed.target == target)) | reviewed.hold
            target = reviewed.target
            self._changes.append(reviewed.changes)
        restore = None if decision.restore is None else decision.restore[0]
        in_force: FloatArray = self._session.decide(target, hold, restore)
        return in_force

    def _context(self, confidence: FloatArray, row: int) -> ReviewContext:
        assert self._views is not None, "stations are given a view of the symbols"
        prior, band = self._tape.close[max(row - 1, 0)], self._rules.action.rebalance_band
        return ReviewContext(AssetAxis(np), self._session.accounts, confidence, prior, 0, band, self._views.at(row))


def _stricter(rules: TradingRules, preferences: Preferences) -> RiskConfig:
    def of(name: str) -> float | None:
        limits = (getattr(rules.risk, name), getattr(preferences, name))
        return min((limit for limit in limits if limit is not None), default=None)

    return replace(rules.risk, max_daily_loss_frac=of("max_daily_loss_frac"), max_drawdown_frac=of("max_drawdown_frac"))


def _check(member: Member, panel: Panel, rows: range) -> None:
    if len(rows) < 2 or rows.step != 1 or not 0 <= rows.start < rows.stop <= len(panel):
        raise DataError(f"{panel.name}: {rows} is not a stretch of at least two of its {len(panel)} rows")
    if rows.start < member.warmup_bars:
        raise DataError(
            f"{panel.name}: {member.name} needs {member.warmup_bars} rows of history and row {rows.start} has fewer; "
            "start later or load more bars"
        )
    currencies = sorted({fact.currency for fact in panel.facts if fact.currency})
    if len(currencies) > 1:
        raise DataError(
            f"{panel.name} holds symbols paid in {', '.join(currencies)}, and an account has one currency; "
            "convert the prices, or trade them in portfolios of their own"
        )
