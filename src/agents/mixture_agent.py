"""`MixtureAgent`: a mixture of experts as an agent, which reports the weights of its gate."""

import numpy as np
import torch
from numpy.typing import NDArray

from src.agents.policy_agent import PolicyAgent
from src.evaluation.specialists import specialists
from src.market.bars import BarSeries
from src.models.moe_model import MoEModel
from src.trading.prepared_market import FittedPipeline
from src.trading.rules import TradingRules


class MixtureAgent(PolicyAgent):
    """Trades a `MoEModel`.

    With `mirror`, the gate weighs the mirrored market anew; the weights reported are those of the bars as they are.

    Args:
        model, ...: as in `PolicyAgent`.

    Attributes:
        gates: (T, E) weights of the experts at each bar prepared for.
    """

    gates: NDArray[np.float32]

    def __init__(
        self,
        model: MoEModel,
        pipeline: FittedPipeline,
        rules: TradingRules,
        name: str = "policy",
        mirror: bool = False,
    ) -> None:
        super().__init__(model, pipeline, rules, name, mirror)
        self._mixture = model

    def diagnose(self, bars: BarSeries, rows: range) -> dict[str, float]:
        """Return load and market of each expert on decided rows: `moe/expert_0/load` and so on."""
        decided = slice(rows.start, rows.stop - 1)
        found = specialists(self.gates[decided], bars.log_returns[rows.start : rows.stop])
        return {
            f"moe/expert_{index}/{name}": value
            for index, expert in enumerate(found)
            for name, value in expert._asdict().items()
        }

    def _keep(self, embedding: torch.Tensor) -> None:
        self.gates = self._mixture.gates(embedding).cpu().numpy()
