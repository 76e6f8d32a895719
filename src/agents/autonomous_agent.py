"""`AutonomousAgent`: a world model, a memory, a regime classifier and a pattern recognizer that decide together.

Their columns of each bar are computed ahead of time (`Mind`); the world model's trunk reads all of them, and its policy
head adds the account and, where imagination is on, the imagined utility of each target.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from src.agents.mind import Mind
from src.agents.policy_agent import PolicyAgent
from src.config.trading import CostsConfig
from src.execution.costs import trading_cost_frac
from src.market.bars import BarSeries
from src.market.synthetic.regime_market import REGIMES
from src.models.world.density_head import MixtureDensity
from src.models.world.targets import world_targets
from src.models.world_model import TransformerWorldModel
from src.reasoning.pattern_recognizer import PatternRecognizer
from src.reasoning.patterns.shapes import NONE, PATTERNS
from src.reporting.insights import Insights, Pattern
from src.trading.records import MarketState
from src.trading.rules import TradingRules


class AutonomousAgent(PolicyAgent):
    """Trades a `TransformerWorldModel`.

    Args:
        model: network with prediction and policy heads.
        mind: fitted parts; holds the memory.
        rules, name, mirror: as in `PolicyAgent`.

    Attributes:
        world_model: predicts and decides.
        mind: what is known of a bar.
    """

    def __init__(
        self,
        model: TransformerWorldModel,
        mind: Mind,
        rules: TradingRules,
        name: str = "policy",
        mirror: bool = False,
    ) -> None:
        super().__init__(model, mind, rules, name, mirror)
        self.world_model, self.mind, self._rules = model, mind, rules

    def with_costs(self, costs: CostsConfig) -> "AutonomousAgent":
        """Return the same agent under other trading costs, which it sees if costs are a column of its mind."""
        rules = replace(self._rules, costs=costs)
        return AutonomousAgent(self.world_model, self.mind.with_costs(costs), rules, self.name, self._mirror)

    def prepare(self, bars: BarSeries) -> None:
        """Encode every bar of the series, and of its mirror image where asked."""
        self._bars = bars
        super().prepare(bars)

    def prepare_last(self, bars: BarSeries) -> None:
        """Encode the last bar of the series from the bars it rests on, for decisions on it and their explanation."""
        self._bars = bars
        super().prepare_last(bars)

    def insights(self, rows: range) -> Insights:
        """Return what it knew at rows of the prepared bars; parts that are off are left out."""
        seen, active = self._features[rows.start : rows.stop], self.mind.active
        regimes = self.mind.probabilities(seen, "regime") if "regime" in active else np.zeros((len(rows), 0))
        return Insights(
            regimes=regimes,
            regime_names=REGIMES if "regime" in active else (),
            patterns=self._patterns(seen) if "pattern" in active else (),
            trust=self.mind.outputs(seen, "memory")[:, 1].clip(0.0, 1.0) if "memory" in active else None,
        )

    def _patterns(self, seen: NDArray[np.float32]) -> list[Pattern]:
        # Each once, at the bar at which it was seen first.
        recognizer = self.mind.modules["pattern"]
        assert isinstance(recognizer, PatternRecognizer)
        probabilities = self.mind.probabilities(seen, "pattern")
        named = recognizer.detected(probabilities)
        begins = np.flatnonzero((np.diff(named, prepend=NONE) != 0) & (named != NONE))
        return [Pattern(int(row), PATTERNS[named[row]], float(probabilities[row, named[row]])) for row in begins]

    def prediction_nll(self, bars: BarSeries, parts: Sequence[range]) -> float:
        """Return the mean negative log-likelihood, nats, of the next log-return on rows of the prepared bars.

        The last row of each range is left out: its next bar lies beyond.
        """
        density, returns = self._predicted(bars, parts)
        return float(-density.log_prob(returns).mean())

    def calibration_error(self, bars: BarSeries, parts: Sequence[range]) -> float:
        """Return the Kolmogorov-Smirnov distance between predicted and actual distribution of the next log-return.

        Of the probability integral transform to a uniform distribution, over the rows of `prediction_nll`; 0 is best.
        """
        density, returns = self._predicted(bars, parts)
        transformed = density.cdf(returns).clamp(0.0, 1.0).double().numpy()
        return float(kstest(transformed, "uniform").statistic)

    def _predicted(self, bars: BarSeries, parts: Sequence[range]) -> tuple[MixtureDensity, torch.Tensor]:
        horizons = self.world_model.world.horizons[:1]
        rows = torch.cat([torch.arange(part.start, part.stop - horizons[0]) for part in parts])
        return self._prediction.horizon(0).at(rows), world_targets(bars, horizons).returns[rows, 0]

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        """Return features, outputs, regime, patterns, memories, and what each target is imagined to earn."""
        row = market_state.row
        outputs = {part: self._of_part(part, row) for part in ("regime", "pattern") if part in self.mind.active}
        memory = self.mind.memory if "memory" in self.mind.active else None
        memories = [] if memory is None else memory.recalled(self._bars, row)
        return (
            super().explain(market_state) | outputs | {"memories": memories, "imagined": self._imagined(market_state)}
        )

    def _keep(self, embedding: torch.Tensor) -> None:
        # Of all bars of the series, or of the last.
        self._embedding = embedding.cpu()
        self._predicted_rows = range(len(self._bars) - len(embedding), len(self._bars))

    @property
    @torch.no_grad()
    def _prediction(self) -> MixtureDensity:
        # No decision needs it, so it is worked out when it is asked for.
        return self.world_model.prediction_of(self._embedding)

    def _of_part(self, part: str, row: int) -> dict[str, float]:
        values = self.mind.outputs(self._features[row : row + 1], part)[0].tolist()
        return dict(zip(self.mind.modules[part].columns, values, strict=True))

    def _imagined(self, market_state: MarketState) -> list[dict[str, float]]:
        # At the middle horizon, from the position held, after the costs of getting to each target.
        row, world, cost_frac = market_state.row, self.world_model.world, trading_cost_frac(self._rules.costs)
        held = float(market_state.account[0, self._rules.account_inputs.index("exposure")])
        outlook = self.world_model.outlook_from_density(
            self._prediction.at(self._predicted_rows.index(row)),
            held * self._action.max_leverage,
            world.horizons[self.world_model.middle],
            cost_frac,
        )
        columns = (outlook.targets, outlook.mean, outlook.loss_probability, outlook.quantiles[:, 0])
        names = ("target", "mean", "loss_probability", "bad_case")
        return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns, strict=True)]
