"""Lifts: an agent of one symbol as a member that trades a part of a portfolio, and several of them side by side."""

from collections.abc import Mapping, Sequence

import numpy as np

from src.errors import ConfigError
from src.market.panel import Panel
from src.trading.agent import Agent
from src.trading.member import member_id
from src.trading.records import Decision, MarketState


class OneSymbol:
    """An agent that trades one symbol of a portfolio with a share of its equity.

    Where the symbol has no bar, and before the agent has the history it needs, it has no opinion.

    Args:
        agent: decides.
        symbol: of the panel.
        share: of the account's equity, above 0; its exposure is this times the agent's.
        spec: what tells agents of this kind apart, as plain data.
        shown: names of the account inputs of the portfolio.
        needs: those the agent was trained with, in its order; all that are shown unless given.

    Raises:
        ConfigError: the agent needs an account input that is not shown.
    """

    def __init__(
        self,
        agent: Agent,
        symbol: str,
        share: float,
        spec: Mapping[str, object] | None = None,
        shown: Sequence[str] = (),
        needs: Sequence[str] | None = None,
    ) -> None:
        needs = shown if needs is None else needs
        if missing := [name for name in needs if name not in shown]:
            raise ConfigError(
                f"{agent.name} needs the account inputs {', '.join(missing)}; add them to environment.account_inputs"
            )
        self._inputs = [list(shown).index(name) for name in needs]
        self._scale = np.array([1 / share if name == "exposure" else 1.0 for name in needs], np.float32)
        self.name = f"{agent.name} on {symbol}"
        self.member_id = member_id(
            "one symbol", {"agent": agent.name, "symbol": symbol, "share": share, **(spec or {})}
        )
        self.symbol, self._agent, self._share = symbol, agent, share

    @property
    def warmup_bars(self) -> int:
        """None: before the agent has its history, there is no opinion."""
        return 0

    def prepare(self, panel: Panel) -> None:
        """Show the agent the bars of its symbol, if there are as many as it needs.

        Raises:
            DataError: the panel does not hold it.
        """
        self._column = panel.column(self.symbol)
        self._has_bar = panel.has_bar[:, self._column]
        self._row_of = np.cumsum(self._has_bar) - 1
        if self._row_of[-1] >= self._agent.warmup_bars:
            self._agent.prepare(panel.series(self.symbol))

    def act(self, market_state: MarketState) -> Decision:
        """Decide about the one symbol, (N, S); the others are left flat, without an opinion."""
        account = market_state.account  # (N, S, C)
        target, confidence = np.zeros(account.shape[:2]), np.zeros(account.shape[:2])
        row = int(self._row_of[market_state.row])
        if self._has_bar[market_state.row] and row >= self._agent.warmup_bars:
            seen = np.clip(account[:, self._column, self._inputs] * self._scale, -1.0, 1.0)
            decision = self._agent.act(market_state._replace(row=row, account=seen))
            target[:, self._column] = decision.target * self._share
            confidence[:, self._column] = decision.confidence
        return Decision(target, confidence)


class Sleeves:
    """Members of one symbol each, in one account.

    Args:
        members: of different symbols.

    Raises:
        ConfigError: there is none, or two trade the same symbol.
    """

    def __init__(self, members: Sequence[OneSymbol]) -> None:
        symbols = [member.symbol for member in members]
        if not members or len(set(symbols)) < len(symbols):
            raise ConfigError(f"sleeves need members of different symbols, got {', '.join(symbols) or 'none'}")
        self.name = " + ".join(member.name for member in members)
        self.member_id = member_id("sleeves", {"members": [member.member_id for member in members]})
        self._members = tuple(members)

    @property
    def warmup_bars(self) -> int:
        """None: each member has no opinion before it has its history."""
        return 0

    def prepare(self, panel: Panel) -> None:
        """Show each member the panel."""
        for member in self._members:
            member.prepare(panel)

    def act(self, market_state: MarketState) -> Decision:
        """Put the decisions of all side by side, (N, S)."""
        each = [member.act(market_state) for member in self._members]
        return Decision(
            np.sum([decision.target for decision in each], axis=0),
            np.sum([decision.confidence for decision in each], axis=0),
        )
