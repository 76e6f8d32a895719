"""`TradingEnv` and `TradingVectorEnv`: the market as gymnasium environments, on the same `Session` as the backtest.

One step: the action at the close of bar t is an order that fills at the open of bar t + 1; the account is marked at
that bar's close, and reward and observation are those of bar t + 1.

An observation holds `market`, the features of the last `window` bars (window, F), and `account`, the account inputs
(C,). `info` holds the values of a step record for the bar observed, as plain numbers, except that in place of `target`,
which this bar's decision will set, it holds `decision`: the exposure decided at the bar before, after the guard. What a
margin call filled stands in the info of the bar that has one.

An episode is `truncated` after `episode_bars` steps or when the market's rows run out, `terminated` by a margin call.
With `random_start` it begins at a random row with the account of a random past trade; otherwise, and with
`reset(options={"start": row})`, flat.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.spaces import Dict as DictSpace
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from src.config.trading import ActionConfig, ActionKind
from src.errors import ConfigError, DataError
from src.execution.ledger import Accounts, open_accounts
from src.trading.initial_accounts import DRAWS_PER_ACCOUNT, drawn_accounts
from src.trading.prepared_market import PreparedMarket
from src.trading.records import CALL_FIELDS
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session, opening
from src.trading.single_session import SingleSession

Observation = dict[str, NDArray[np.float32]]
FEATURE_BOUND = float(np.finfo(np.float32).max)  # features are finite; how far they reach is the pipeline's business


def observation_space(market: PreparedMarket, rules: TradingRules, window: int) -> DictSpace:
    """Return the space of one account's observations."""
    shape = (window, market.features.shape[1])
    return DictSpace(
        {
            "market": Box(-FEATURE_BOUND, FEATURE_BOUND, shape, np.float32),
            "account": Box(-1.0, 1.0, (len(rules.account_inputs),), np.float32),
        }
    )


def action_space(action: ActionConfig) -> Discrete[np.int64] | Box:
    """Return an index into the target grid, or a target exposure (1,)."""
    if action.kind is ActionKind.discrete:
        return Discrete(len(action.targets))
    return Box(*action.bounds, (1,), np.float32)


class _Episodes:
    """Where episodes begin and end, and with which account. Draws come from the caller's generator."""

    def __init__(
        self, market: PreparedMarket, rules: TradingRules, window: int, episode_bars: int, random_start: bool
    ) -> None:
        rows = market.rows
        if window < 1 or rows.start < window - 1:
            raise DataError(
                f"{market.bars.symbol}: an observation of {window} bars does not fit before row {rows.start}, the "
                "first that may be decided on; use a smaller window or later rows"
            )
        if episode_bars < 1:
            raise ConfigError(f"episode_bars must be >= 1, was {episode_bars}")
        self._rows, self._rules, self._random_start = rows, rules, random_start
        self._close, self._episode_bars = market.bars.close, episode_bars
        self._start_rows = max(1, len(rows) - episode_bars + 1)

    def begin(
        self, rngs: Sequence[np.random.Generator], options: Mapping[str, Any] | None
    ) -> tuple[NDArray[np.int64], Accounts]:
        """Return the rows and the accounts with which one episode per generator begins, both of shape (N,)."""
        if options is not None and "start" in options:
            return self._flat(self._allowed(options["start"]), len(rngs))
        if not self._random_start:
            return self._flat(self._rows.start, len(rngs))
        draws = np.array([rng.random(1 + DRAWS_PER_ACCOUNT) for rng in rngs])
        rows = self._rows.start + (draws[:, 0] * self._start_rows).astype(np.int64)
        return rows, drawn_accounts(draws[:, 1:], self._rules, self._close, rows)

    def stops(self, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows at which episodes are truncated."""
        return np.minimum(starts + self._episode_bars, self._rows.stop)

    def _flat(self, row: int, count: int) -> tuple[NDArray[np.int64], Accounts]:
        rows = np.full(count, row)
        return rows, open_accounts(np, (count,), self._rules.initial_equity, self._close[rows])

    def _allowed(self, start: Any) -> int:
        if start not in self._rows:
            raise ConfigError(f"options['start'] must lie in {self._rows}, was {start}")
        return int(start)


class TradingEnv(gymnasium.Env[Observation, Any]):
    """One account on one market; see the module for observations, actions and episodes.

    Args:
        market: bars, features and the rows that may be decided on.
        rules: actions, costs, risk and reward.
        window: bars per observation.
        episode_bars: longest episode, in steps.
        random_start: draw the first row and account.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - declared so by gymnasium

    def __init__(
        self, market: PreparedMarket, rules: TradingRules, window: int, episode_bars: int, random_start: bool = True
    ) -> None:
        self.observation_space = observation_space(market, rules, window)
        self.action_space = action_space(rules.action)
        self._episodes = _Episodes(market, rules, window, episode_bars, random_start)
        self._features, self._tape, self._window = market.features, market.tape, window
        self._times = market.bars.close_time.data  # indexed as quickly as a list, without a copy
        self._account = SingleSession(rules, market.tape)
        self._targets = rules.action.targets if rules.action.kind is ActionKind.discrete else None
        self._bounds = rules.action.bounds

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; `options={"start": row}` chooses where. Observations: market (window, F), account (C,)."""
        super().reset(seed=seed)
        rows, accounts = self._episodes.begin([self.np_random], options)
        self._row, self._stop = rows.item(), self._episodes.stops(rows).item()
        account = Accounts(*[value.item() for value in accounts])
        self._account.open(account)
        values = {"decision": account.target, **opening(account)._asdict()}
        values = {name: value for name, value in values.items() if name not in CALL_FIELDS}
        return self._observed(self._account.account_inputs()), self._dated(values)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Order the target, process the next bar and observe its close: market (window, F), account (C,)."""
        target = self._target(action)
        self._row += 1
        values, inputs = self._account.step(target, self._row)
        if self._account.calls:
            values |= self._account.calls.get(self._row, {})
        truncated = self._row >= self._stop
        return self._observed(inputs), values["reward"], values["terminated"], truncated, self._dated(values)

    def _target(self, action: Any) -> float:
        if self._targets is None:
            low, high = self._bounds
            exposure = float(action[0])
            if not math.isfinite(exposure):
                raise ConfigError(f"action must be finite, was {exposure}")
            return min(max(exposure, low), high)
        index = operator.index(action)
        if not 0 <= index < len(self._targets):
            raise ConfigError(f"action must lie in [0, {len(self._targets) - 1}], was {action}")
        target: float = self._targets[index]
        return target

    def _observed(self, account: NDArray[np.float32]) -> Observation:
        end = self._row + 1
        return {"market": self._features[end - self._window : end].copy(), "account": account}

    def _dated(self, values: dict[str, Any]) -> dict[str, Any]:
        values["row"], values["close_time"] = self._row, self._times[self._row]
        return values


class TradingVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """N accounts on one market, each on a bar of its own; equals N `TradingEnv`s bit for bit.

    Environment i draws from a generator of its own, seeded with `seed + i`. A finished environment is reset by the next
    step, whose action it ignores (`AutoresetMode.NEXT_STEP`).
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        market: PreparedMarket,
        rules: TradingRules,
        window: int,
        episode_bars: int,
        num_envs: int,
        random_start: bool = True,
    ) -> None:
        self.num_envs = num_envs
        self.single_observation_space = observation_space(market, rules, window)
        self.single_action_space = action_space(rules.action)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._episodes = _Episodes(market, rules, window, episode_bars, random_start)
        self._windows = _Windows(market.features, window)
        self._tape, self._times, self._last = market.tape, market.bars.close_time, len(market.bars) - 1
        self._session = Session(rules, np)
        self._targets = np.array(rules.action.targets) if rules.action.kind is ActionKind.discrete else None
        self._bounds = rules.action.bounds
        self._rngs = [seeding.np_random(None)[0] for _ in range(num_envs)]
        self._all = np.ones(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment. Observations: market (N, window, F), account (N, C)."""
        for index, own in enumerate(seeds_of_each(seed, self.num_envs)):
            if own is not None:
                self._rngs[index] = seeding.np_random(own)[0]
        self._rows = np.zeros(self.num_envs, dtype=np.int64)
        self._stops = np.zeros(self.num_envs, dtype=np.int64)
        self._session.open(self._begin(self._all, options))
        self._finished = np.zeros(self.num_envs, dtype=np.bool_)
        accounts = self._session.accounts
        return self._observe(), self._info(opening(accounts), accounts.target)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every environment by one bar, or reset it if its episode has ended.

        Args:
            actions: (N,) indices of targets, or (N, 1) exposures.

        Returns:
            Market (N, window, F) and account (N, C); reward, terminated and truncated, (N,) each; and info.
        """
        decision = self._session.decide(self._to_targets(np.asarray(actions)))
        self._rows = np.minimum(self._rows + 1, self._last)
        outcome = self._session.advance(self._tape.at(self._rows))
        if self._finished.any():
            outcome, decision = self._restart(self._finished, outcome, decision)
        truncated = self._rows >= self._stops
        self._finished = truncated | outcome.terminated
        return self._observe(), outcome.reward, outcome.terminated, truncated, self._info(outcome, decision)

    def _restart(
        self, finished: NDArray[np.bool_], outcome: BarOutcome, decision: NDArray[np.float64]
    ) -> tuple[BarOutcome, NDArray[np.float64]]:
        # The last bar of finished accounts is discarded along with them.
        self._session.reopen(finished, self._begin(finished, None))
        accounts = self._session.accounts
        pairs = zip(opening(accounts), outcome, strict=True)
        merged = BarOutcome(*[np.where(finished, fresh, before) for fresh, before in pairs])
        return merged, np.where(finished, accounts.target, decision)

    def _begin(self, which: NDArray[np.bool_], options: Mapping[str, Any] | None) -> Accounts:
        # Returns accounts of shape (N,); only those of `which` mean anything.
        chosen = np.flatnonzero(which)
        rows, fresh = self._episodes.begin([self._rngs[index] for index in chosen], options)
        self._rows[chosen], self._stops[chosen] = rows, self._episodes.stops(rows)
        columns = [np.zeros(self.num_envs, dtype=column.dtype) for column in fresh]
        for column, values in zip(columns, fresh, strict=True):
            column[chosen] = values
        return Accounts(*columns)

    def _to_targets(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        if self._targets is None:
            if not np.isfinite(actions).all():
                raise ConfigError(f"actions must be finite, were {actions}")
            return np.clip(actions[:, 0].astype(np.float64), *self._bounds)
        if actions.min() < 0 or actions.max() >= len(self._targets):
            raise ConfigError(f"actions must lie in [0, {len(self._targets) - 1}], were {actions}")
        return np.take(self._targets, actions)

    def _observe(self) -> Observation:
        return {"market": self._windows.ending_at(self._rows), "account": self._session.account_inputs()}

    def _info(self, outcome: BarOutcome, decision: NDArray[np.float64]) -> dict[str, Any]:
        values = {
            "row": self._rows,
            "close_time": self._times[self._rows],
            "decision": decision,
            **outcome._asdict(),
        }
        return values | {f"_{name}": self._all for name in values}


class _Windows:
    """Copies windows of features out of one array, each window as one item: a plain block copy."""

    def __init__(self, features: NDArray[np.float32], window: int) -> None:
        features = np.ascontiguousarray(features, dtype=np.float32)
        self._shape = (window, features.shape[1])
        block = np.dtype((np.void, window * features.strides[0]))
        count = features.shape[0] - window + 1
        self._blocks = np.ndarray((count,), block, buffer=features, strides=(features.strides[0],))
        self._before = window - 1

    def ending_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the windows whose last bars are `rows`, (N, window, F)."""
        blocks: NDArray[np.void] = self._blocks[rows - self._before]
        return blocks.view(np.float32).reshape(len(rows), *self._shape)


def seeds_of_each(seed: int | Sequence[int | None] | None, count: int) -> Sequence[int | None]:
    """Return the seed of each environment of a vector: `seed + index`, those that were given, or none."""
    if seed is None:
        return [None] * count
    return [seed + index for index in range(count)] if isinstance(seed, int) else seed
