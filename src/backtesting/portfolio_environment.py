"""`PortfolioEnv` and `PortfolioVectorEnv`: a panel as gymnasium environments, on the `Session` of the backtest.

One step: the action at the close of row t are orders that fill at the open of row t + 1; the account is marked at that
row's close, and reward and observation are those of row t + 1.

An observation holds `market`, the features of each symbol's last `window` rows (S, window, F), `account`, what a policy
may see of each holding (S, C), and `can_trade` (S,), 1 where a symbol's features are valid and it has a bar.

An action is, on a grid, an index for each symbol (S,), whose exposure is spread evenly: an S-th of the equity each;
else an exposure for each, (S,), and all are scaled alike where their sizes add up to more than `max_leverage`.

`info` holds `row`, `close_time`, `decision` (S,), the exposures in force, and what the row did, as in a step record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.spaces import Dict as DictSpace
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from src.backtesting.environment import FEATURE_BOUND, Observation, seeds_of_each
from src.config.trading import ActionConfig, ActionKind
from src.errors import ConfigError, DataError
from src.execution.assets import AssetAxis, total
from src.execution.ledger import open_accounts
from src.market.bars import FloatArray
from src.trading.portfolio_session import PortfolioSession
from src.trading.prepared_panel import PreparedPanel
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, opening


def portfolio_targets(action: ActionConfig, chosen: NDArray[Any], symbols: int) -> FloatArray:
    """Return exposures (..., S) of an action: indices into the grid, or exposures, (..., S).

    Raises:
        ConfigError: an index is outside the grid, or an exposure is not finite.
    """
    if action.kind is ActionKind.discrete:
        grid = np.array(action.targets) / symbols
        if chosen.min() < 0 or chosen.max() >= len(grid):
            raise ConfigError(f"actions must lie in [0, {len(grid) - 1}], were {chosen}")
        return np.take(grid, chosen)
    if not np.isfinite(chosen).all():
        raise ConfigError(f"actions must be finite, were {chosen}")
    target = np.clip(chosen.astype(np.float64), *action.bounds)
    gross = total(AssetAxis(np), np.abs(target))[..., None]  # with the same bits for one account and many
    return np.where(gross > action.max_leverage, target * (action.max_leverage / np.maximum(gross, 1e-300)), target)


class _World:
    # What single and vector environments share: spaces, where episodes begin and end, and observations.
    def __init__(
        self, prepared: PreparedPanel, rules: TradingRules, window: int, episode_bars: int, random_start: bool
    ) -> None:
        if window < 1 or prepared.rows.start < window - 1:
            raise DataError(
                f"{prepared.panel.name}: an observation of {window} rows does not fit before row "
                f"{prepared.rows.start}, the first that may be decided on; use a smaller window or later rows"
            )
        if episode_bars < 1:
            raise ConfigError(f"episode_bars must be >= 1, was {episode_bars}")
        self.prepared, self.rules, self._window = prepared, rules, window
        self._episode_bars, self._random_start = episode_bars, random_start
        self.symbols = len(prepared.panel.symbols)
        self._known = prepared.is_known.astype(np.float32)

    def observation_space(self) -> DictSpace:
        features = self.prepared.features.shape[2]
        market = Box(-FEATURE_BOUND, FEATURE_BOUND, (self.symbols, self._window, features), np.float32)
        account = Box(-1.0, 1.0, (self.symbols, len(self.rules.account_inputs)), np.float32)
        return DictSpace(
            {"market": market, "account": account, "can_trade": Box(0.0, 1.0, (self.symbols,), np.float32)}
        )

    def action_space(self) -> MultiDiscrete | Box:
        action = self.rules.action
        if action.kind is ActionKind.discrete:
            return MultiDiscrete(np.full(self.symbols, len(action.targets)))
        return Box(*action.bounds, (self.symbols,), np.float32)

    def first_row(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> int:
        rows = self.prepared.rows
        if options is not None and "start" in options:
            if options["start"] not in rows:
                raise ConfigError(f"options['start'] must lie in {rows}, was {options['start']}")
            return int(options["start"])
        return rows.start + int(rng.random() * max(1, len(rows) - self._episode_bars + 1)) * self._random_start

    def last_row(self, first: Any) -> Any:
        return np.minimum(first + self._episode_bars, self.prepared.rows.stop)

    def observed(self, rows: Any, inputs: NDArray[np.float32]) -> Observation:
        # `rows` () or (N,).
        each = np.asarray(rows)[..., None] + np.arange(1 - self._window, 1)
        market = np.moveaxis(self.prepared.features[each], -3, -2)
        return {"market": np.ascontiguousarray(market), "account": inputs, "can_trade": self._known[rows]}

    def info(self, row: Any, decision: FloatArray, outcome: BarOutcome) -> dict[str, Any]:
        times = self.prepared.panel.close_time
        return {"row": row, "close_time": times[row], "decision": decision, **outcome._asdict()}


class PortfolioEnv(gymnasium.Env[Observation, Any]):
    """One account on a panel; see the module for observations, actions and info.

    Args:
        prepared: panel, features and the rows that may be decided on.
        rules: actions, costs, risk and reward.
        window: rows per observation.
        episode_bars: longest episode, in steps.
        random_start: draw the first row; the account always begins flat.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - declared so by gymnasium

    def __init__(
        self, prepared: PreparedPanel, rules: TradingRules, window: int, episode_bars: int, random_start: bool = True
    ) -> None:
        self._world = _World(prepared, rules, window, episode_bars, random_start)
        self.observation_space, self.action_space = self._world.observation_space(), self._world.action_space()
        self._session = PortfolioSession(rules)
        self._tape = prepared.tape

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; `options={"start": row}` chooses where. Observations: see the module, (S, ...)."""
        super().reset(seed=seed)
        self._row = self._world.first_row(self.np_random, options)
        self._stop = int(self._world.last_row(self._row))
        equity, close = self._world.rules.initial_equity, self._tape.close[self._row]
        self._session.open(open_accounts(AssetAxis(np), (), equity, close))
        accounts = self._session.accounts
        return self._observed(), self._world.info(self._row, accounts.target, opening(accounts))

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Order the targets (S,), process the next row and observe its close, (S, ...)."""
        target = portfolio_targets(self._world.rules.action, np.asarray(action), self._world.symbols)
        decision = self._session.decide(target)
        self._row += 1
        outcome = self._session.advance(self._tape.at(self._row))
        info = self._world.info(self._row, decision, outcome)
        return self._observed(), float(outcome.reward), bool(outcome.terminated), self._row >= self._stop, info

    def _observed(self) -> Observation:
        return self._world.observed(self._row, self._session.account_inputs())


class PortfolioVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """N accounts on a panel, each on a row of its own; equals N `PortfolioEnv`s bit for bit.

    Environment i draws from a generator of its own, seeded with `seed + i`. A finished environment is reset by the next
    step, whose action it ignores (`AutoresetMode.NEXT_STEP`).
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        prepared: PreparedPanel,
        rules: TradingRules,
        window: int,
        episode_bars: int,
        num_envs: int,
        random_start: bool = True,
    ) -> None:
        self.num_envs = num_envs
        self._world = _World(prepared, rules, window, episode_bars, random_start)
        self.single_observation_space, self.single_action_space = (
            self._world.observation_space(),
            self._world.action_space(),
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._session = PortfolioSession(rules)
        self._tape, self._last = prepared.tape, len(prepared.panel) - 1
        self._rngs = [seeding.np_random(None)[0] for _ in range(num_envs)]
        self._all = np.ones(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment. Observations: see the module, (N, S, ...)."""
        for index, own in enumerate(seeds_of_each(seed, self.num_envs)):
            if own is not None:
                self._rngs[index] = seeding.np_random(own)[0]
        self._rows = np.array([self._world.first_row(rng, options) for rng in self._rngs])
        self._stops = self._world.last_row(self._rows)
        self._session.open(self._fresh())
        self._finished = np.zeros(self.num_envs, dtype=np.bool_)
        accounts = self._session.accounts
        return self._observed(), self._info(accounts.target, opening(accounts))

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every environment by one row, or reset it if its episode has ended.

        Args:
            actions: (N, S).

        Returns:
            Observations (N, S, ...); reward, terminated and truncated, (N,) each; and info.
        """
        targets = portfolio_targets(self._world.rules.action, np.asarray(actions), self._world.symbols)
        decision = self._session.decide(targets)
        self._rows = np.minimum(self._rows + 1, self._last)
        outcome = self._session.advance(self._tape.at(self._rows))
        if self._finished.any():
            outcome, decision = self._restarted(outcome, decision)
        truncated = self._rows >= self._stops
        self._finished = truncated | outcome.terminated
        return self._observed(), outcome.reward, outcome.terminated, truncated, self._info(decision, outcome)

    def _restarted(self, outcome: BarOutcome, decision: FloatArray) -> tuple[BarOutcome, FloatArray]:
        # The last row of finished accounts is discarded along with them.
        finished = self._finished
        for index in np.flatnonzero(finished):
            self._rows[index] = self._world.first_row(self._rngs[index], None)
        self._stops = np.where(finished, self._world.last_row(self._rows), self._stops)
        self._session.reopen(finished, self._fresh())
        accounts = self._session.accounts
        merged = [
            np.where(finished if np.ndim(now) == 1 else finished[:, None], fresh, now)
            for fresh, now in zip(opening(accounts), outcome, strict=True)
        ]
        return BarOutcome(*merged), np.where(finished[:, None], accounts.target, decision)

    def _fresh(self) -> Any:
        rules = self._world.rules
        return open_accounts(AssetAxis(np), (self.num_envs,), rules.initial_equity, self._tape.close[self._rows])

    def _observed(self) -> Observation:
        return self._world.observed(self._rows, self._session.account_inputs())

    def _info(self, decision: FloatArray, outcome: BarOutcome) -> dict[str, Any]:
        values = self._world.info(self._rows, decision, outcome)
        return values | {f"_{name}": self._all for name in values}
