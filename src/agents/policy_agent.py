"""`PolicyAgent`: a trained policy as an agent. All that depends on the bars is computed once per series; acting is a
small head on (bar, account).

The head is evaluated in NumPy: at one account a torch call costs more than the arithmetic. A test holds it to torch.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from src.agents.champion import ModelFile
from src.config.schema import ActionKind
from src.errors import ModelFileError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.models.heads import AccountHead
from src.models.ppo_model import PPOModel, encode_series
from src.trading.records import Decision, Observation
from src.trading.rules import TradingRules

FloatArray = NDArray[np.float32]


class PolicyAgent:
    """Greedy decisions of a `PPOModel`.

    Args:
        model: trained policy.
        pipeline: the fitted features it was trained on.
        rules: actions and account inputs it was trained with.
        mirror: average the policy over the market and its mirror image, for policies trained on both.
        name: how reports call it.
    """

    def __init__(
        self,
        model: PPOModel,
        pipeline: FeaturePipeline,
        rules: TradingRules,
        mirror: bool = False,
        name: str = "policy",
    ) -> None:
        self.name = name
        self._model, self._pipeline, self._rules = model, pipeline, rules
        self._discrete = rules.action.kind is ActionKind.discrete
        self._targets = np.array(rules.action.targets)
        self._mirror = mirror and bool(np.array_equal(self._targets, -self._targets[::-1]))
        self._position = rules.account_inputs.index("position")
        self._head = _NumpyHead.of(model.policy_head)
        self._sides: list[FloatArray] = []

    @classmethod
    def from_file(cls, file: ModelFile, name: str | None = None) -> "PolicyAgent":
        """Rebuild the agent a model file holds.

        Raises:
            ModelFileError: its parts do not fit together.
        """
        pipeline = FeaturePipeline.from_plain(file.features)
        try:
            model = PPOModel.from_description(file.model["policy"])
            model.load_state_dict(file.weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelFileError(
                f"model {file.symbol}_{file.stage} cannot be rebuilt ({reason}); train anew"
            ) from error
        rules = TradingRules.from_plain(file.rules)
        return cls(model, pipeline, rules, mirror=bool(file.model["mirror"]), name=name or file.stage)

    @property
    def warmup_bars(self) -> int:
        """Bars before the first whose whole window of features is valid."""
        return self._pipeline.warmup_bars + self._model.context_bars

    def prepare(self, bars: BarSeries) -> None:
        """Encode the series, and its mirror image where the policy averages both."""
        series = [bars, bars.mirrored()] if self._mirror else [bars]
        self._sides = [self._market_half(side) for side in series]

    def act(self, observation: Observation) -> Decision:
        """Decide for each account."""
        outputs = self.outputs(observation)
        if not self._discrete:
            low = -self._rules.action.max_leverage if self._rules.action.allow_short else 0.0
            target = np.clip(outputs[:, 0].astype(np.float64), low, self._rules.action.max_leverage)
            return Decision(target, np.ones(len(target)))
        likelihood = np.exp(outputs - outputs.max(1, keepdims=True))
        chosen = outputs.argmax(1)
        confidence = likelihood.max(1) / likelihood.sum(1)
        return Decision(self._targets[chosen], confidence.astype(np.float64))

    def outputs(self, observation: Observation) -> FloatArray:
        """Return the policy head's outputs, (N, A)."""
        account = observation.account
        outputs = self._head(self._sides[0][observation.row], account)
        if not self._mirror:
            return outputs
        reflected = account.copy()
        reflected[:, self._position] *= -1.0
        image = self._head(self._sides[1][observation.row], reflected)
        if self._discrete:
            return np.asarray(0.5 * (outputs + image[:, ::-1]))
        return np.asarray(0.5 * (outputs - image))

    @torch.no_grad()
    def _market_half(self, bars: BarSeries) -> FloatArray:
        features = torch.from_numpy(self._pipeline.transform(bars))
        embedding = encode_series(self._model, features)
        return np.asarray(self._model.policy_head.market_half(embedding).numpy())


class _NumpyHead(NamedTuple):
    account: FloatArray  # (C, hidden)
    hidden: FloatArray  # (hidden, hidden)
    hidden_bias: FloatArray
    output: FloatArray  # (hidden, A)
    output_bias: FloatArray

    @classmethod
    def of(cls, head: AccountHead) -> "_NumpyHead":
        matrices = (head.account_half.weight.T, head.hidden.weight.T, head.hidden.bias)
        outputs = (head.output.weight.T, head.output.bias)
        return cls(*(np.ascontiguousarray(x.detach().cpu().numpy()) for x in (*matrices, *outputs)))

    def __call__(self, market: FloatArray, account: FloatArray) -> FloatArray:
        hidden = np.tanh(market + account @ self.account)
        return np.asarray(np.tanh(hidden @ self.hidden + self.hidden_bias) @ self.output + self.output_bias)
