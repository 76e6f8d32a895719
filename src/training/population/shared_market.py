"""What every member of a population is trained and evaluated on: computed once, sent once to Ray's object store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.agents.cost_feature import CostFeature
from src.agents.mind import Mind
from src.config.agent.mind import PARTS
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.trading import CostsConfig
from src.config.training import TrainingConfig
from src.execution.tape import build_tape
from src.market.bars import BarSeries
from src.market.splits import fold_rows
from src.models.world.scenarios import PathDynamics, fit_dynamics
from src.trading.prepared_market import PreparedMarket
from src.trading.rules import TradingRules
from src.training.training_data import TrainingData


@dataclass(frozen=True)
class MarketSeries:
    """Bars with all columns of the mind, and the rows to learn from.

    Attributes:
        matrix: (T, F), every part on.
        cost_factor: on all that trading costs there.
    """

    bars: BarSeries
    rows: range
    is_mirror: bool
    matrix: NDArray[np.float32]
    cost_factor: float = 1.0

    def market(self, mind: Mind, rules: TradingRules) -> PreparedMarket:
        """Return what an agent with this mind may learn from."""
        tape = build_tape(self.bars, self.costs(rules.costs))
        return PreparedMarket(self.bars, mind_features(self, mind), tape, self.rows, self.is_mirror)

    def costs(self, costs: CostsConfig) -> CostsConfig:
        """Return what trading costs there, where it costs this much in the run."""
        return with_higher_costs(costs, self.cost_factor)


@dataclass(frozen=True)
class SharedMarket:
    """The same for all members and generations.

    Attributes:
        mind: fitted on the training rows, with every part.
        learned: training rows of each symbol and of mirror images.
        traded: the whole series that is traded, and its mirror image where the stage mirrors.
        folds: parts of the validation split.
        dynamics: how volatility moves from bar to bar, on the training rows; for imagined paths.
    """

    config: TrainingConfig
    stage: AutonomousStageConfig
    rules: TradingRules
    mind: Mind
    learned: tuple[MarketSeries, ...]
    traded: tuple[MarketSeries, ...]
    training: range
    folds: tuple[range, ...]
    dynamics: PathDynamics

    @property
    def bars(self) -> BarSeries:
        """The series that is traded."""
        return self.traded[0].bars

    def known(self) -> dict[str, MarketSeries]:
        """Return the traded series by fingerprint."""
        return {series.bars.fingerprint: series for series in self.traded}


def build_shared_market(config: TrainingConfig, stage: AutonomousStageConfig, data: TrainingData) -> SharedMarket:
    """Fit the mind and compute its columns of every series; trading costs are a column where they will vary.

    Raises:
        DataError: too few rows for a part of the mind or for the folds.
    """
    own = [market for market in data.training_markets if not market.is_mirror]
    samples = [(market.bars, market.rows) for market in own]
    mind = Mind.fit(stage.mind, data.pipeline, samples, possible_parts(stage), config.plugins)
    mind = replace(mind, costs=CostFeature.from_costs(data.rules.costs) if stage.varies_costs else None)
    matrices: dict[str, NDArray[np.float32]] = {}

    def transform_all(bars: BarSeries) -> NDArray[np.float32]:
        if bars.fingerprint not in matrices:
            matrices[bars.fingerprint] = mind.transform_all(bars)
        return matrices[bars.fingerprint]

    learned = tuple(
        MarketSeries(market.bars, market.rows, market.is_mirror, transform_all(market.bars))
        for market in data.training_markets
        if stage.mirror or not market.is_mirror
    )
    sides = [data.bars, data.bars.mirrored()] if stage.mirror else [data.bars]
    splits = data.splits
    return SharedMarket(
        config=config,
        stage=stage,
        rules=data.rules,
        mind=mind,
        learned=learned,
        traded=tuple(
            MarketSeries(side, splits.all, place > 0, transform_all(side)) for place, side in enumerate(sides)
        ),
        training=splits.train,
        folds=fold_rows(splits.validation, stage.folds),
        dynamics=_dynamics([series for series in learned if not series.is_mirror], mind),
    )


def _dynamics(learned: Sequence[MarketSeries], mind: Mind) -> PathDynamics:
    volatility = [series.matrix[series.rows.start : series.rows.stop, mind.scale_column] for series in learned]
    returns = [series.bars.log_returns[series.rows.start : series.rows.stop] for series in learned]
    return fit_dynamics([column.astype(np.float64) for column in volatility], returns, mind.typical_volatility)


def with_higher_costs(costs: CostsConfig, factor: float) -> CostsConfig:
    """Return costs at which the same trade costs `factor` times as much.

    The commission is a rule, one for all series that are learned from together; the rest of it is charged with the
    spread, which each bar has of its own.
    """
    found: CostsConfig = replace(
        costs,
        half_spread_bps=costs.half_spread_bps * factor + costs.commission_bps * (factor - 1),
        slippage_bps=costs.slippage_bps * factor,
        slippage_volatility=costs.slippage_volatility * factor,
        impact=costs.impact * factor,
    )
    return found


def possible_parts(stage: AutonomousStageConfig) -> set[str]:
    """Return the parts of the mind that some agent of the stage may have."""
    parts = {*stage.mind.parts, *stage.search.modules} & set(PARTS)
    return parts | {"memory"} if any(stage.search.memory_size) else parts


class CachedMind:
    """A mind with the columns of some series computed before; those of other series are computed when asked for."""

    def __init__(self, mind: Mind, known: Mapping[str, MarketSeries]) -> None:
        self._mind, self._known = mind, known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mind, name)

    def transform(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the columns of the bars, (T, F) float32."""
        series = self._known.get(bars.fingerprint)
        return self._mind.transform(bars) if series is None else mind_features(series, self._mind)


def mind_features(series: MarketSeries, mind: Mind) -> NDArray[np.float32]:
    """Return the columns (T, F) of a mind that differs from the series' in active parts and memory only."""
    matrix = mind.mask_inactive(series.matrix)
    if "memory" in mind.active:
        matrix[:, mind.slice_of("memory")] = mind.memory_columns(series.bars)
    return matrix
