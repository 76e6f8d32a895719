"""The environment of the reference path: accounts on a training market, one `TradingVectorEnv` per series.

Encode-once rollouts draw from all series of a training market (a mirrored market is two); a vector environment of ours
lives on one. So environment i trades series i modulo their number, and each series is cut to the rows that rollouts may
play: both paths see the same bars.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from src.backtesting.environment import Observation, TradingVectorEnv
from src.market.bars import BarSeries, timeframe_ms
from src.trading.prepared_market import PreparedMarket
from src.training.rollout.training_market import Span, TrainingMarket, load_training_market

_TIMEFRAME = "1d"


class SeriesVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """`TradingVectorEnv`s side by side, one per series; observations, actions and episodes are theirs.

    Infos are left out: RLlib would store them with every step.

    Args:
        config: RLlib's environment context; holds `market_folder`, `environment` (EnvironmentConfig), `window` (bars
            per observation) and `num_envs`.
    """

    metadata = TradingVectorEnv.metadata

    def __init__(self, config: Mapping[str, Any]) -> None:
        market, environment = load_training_market(config["market_folder"]), config["environment"]
        self.num_envs: int = config["num_envs"]
        spans = market.spans[: self.num_envs]
        self._own = [np.arange(index, self.num_envs, len(spans)) for index in range(len(spans))]
        self._parts = [
            TradingVectorEnv(
                series_market(market, span),
                market.rules,
                config["window"],
                environment.episode_bars,
                len(own),
                environment.random_start,
            )
            for span, own in zip(spans, self._own, strict=True)
        ]
        self.single_observation_space = self._parts[0].single_observation_space
        self.single_action_space = self._parts[0].single_action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment; environment i draws from a generator seeded with `seed + i`.

        Returns:
            Market (N, window, F) and account (N, C), and no infos.
        """
        if isinstance(seed, int):
            seed = [seed + index for index in range(self.num_envs)]
        observations = [
            part.reset(seed=None if seed is None else [seed[index] for index in own], options=options)[0]
            for part, own in zip(self._parts, self._own, strict=True)
        ]
        return self._joined_observations(observations), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Advance every environment by one bar, or reset it if its episode has ended.

        Args:
            actions: (N,) indices of targets, or (N, 1) exposures.

        Returns:
            Market (N, window, F) and account (N, C); reward, terminated and truncated, (N,) each; and info.
        """
        actions = np.asarray(actions)
        results = [part.step(actions[own]) for part, own in zip(self._parts, self._own, strict=True)]
        observations, rewards, terminated, truncated, _ = zip(*results, strict=True)
        return (
            self._joined_observations(observations),
            self._joined(rewards),
            self._joined(terminated),
            self._joined(truncated),
            {},
        )

    def _joined_observations(self, observations: Sequence[Observation]) -> Observation:
        return {name: self._joined([part[name] for part in observations]) for name in observations[0]}

    def _joined(self, columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
        joined = np.empty((self.num_envs, *columns[0].shape[1:]), columns[0].dtype)
        for own, column in zip(self._own, columns, strict=True):
            joined[own] = column
        return joined


def series_market(market: TrainingMarket, span: Span) -> PreparedMarket:
    """Return one series of a training market with the rows that may be decided on and have a bar after them.

    A training market keeps no times and no volume: bars are a day apart from 1970 on, without volume. Nothing but the
    `close_time` of an environment's info depends on either; the passing of time is in the tape.
    """
    cut = slice(span.context, span.stop)
    tape = market.tape.at(cut)
    opened = np.arange(span.stop - span.context) * timeframe_ms(_TIMEFRAME)
    prices = (tape.open, tape.high, tape.low, tape.close)
    bars = BarSeries("training market", _TIMEFRAME, opened, *prices, np.zeros(len(opened)))
    return PreparedMarket(bars, market.features[cut], tape, range(span.first - span.context, len(opened) - 1))
