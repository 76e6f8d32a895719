"""`PolicyAgent`: a trained policy as an agent. Greedy: the likeliest target, or the mean exposure.

The market half of the network runs once over all bars in `prepare`; `act` is the small head that adds the account, in
NumPy, where single decisions cost a fraction of torch's call overhead.

With `mirror`, the policy also looks at the market upside down, holding the opposite position, and the two opinions are
averaged (logits; mean and log standard deviation). What it decides then is symmetric in up and down by construction.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from src.agents.champion import ModelFile
from src.config.schema import ActionConfig, ActionKind
from src.errors import ConfigError, ModelFileError, TraderError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries, symbol_id
from src.models.heads import AccountHead
from src.models.ppo_model import PPOModel, encode_series
from src.trading.records import Decision, Observation
from src.trading.rules import TradingRules

FloatArray = NDArray[np.float32]

# How the network of each kind of model file is built from its description.
BUILDERS: dict[str, Callable[[dict[str, Any]], PPOModel]] = {"ppo": PPOModel.from_description}


class PolicyAgent:
    """Trades a `PPOModel`.

    Args:
        model: policy; its weights are read in `prepare`.
        pipeline: fitted features, as in training.
        rules: action space and account inputs, as in training.
        name: what reports call it.
        mirror: average over both directions of the market; needs an action space that is symmetric around flat.

    Raises:
        ConfigError: the three do not fit each other, or the action space is not symmetric.
    """

    def __init__(
        self,
        model: PPOModel,
        pipeline: FeaturePipeline,
        rules: TradingRules,
        name: str = "policy",
        mirror: bool = False,
    ) -> None:
        _require_fit(model, pipeline, rules)
        if mirror and not is_symmetric(rules.action):
            raise ConfigError(
                f"mirror needs targets symmetric around flat, were {list(rules.action.targets)} with "
                f"allow_short={rules.action.allow_short}; switch mirror off or allow both sides"
            )
        self.name = name
        self._model, self._pipeline, self._mirror = model, pipeline, mirror
        self._action, self._targets = rules.action, np.array(rules.action.targets)
        self._signs = _mirror_signs(rules.account_inputs)[: 2 if mirror else 1]

    @classmethod
    def from_file(cls, file: ModelFile) -> "PolicyAgent":
        """Rebuild the policy of a model file; it mirrors if its training did.

        Raises:
            ModelFileError: its parts do not fit each other or this program.
        """
        name = f"{symbol_id(file.symbol)}_{file.stage}"
        if file.kind not in BUILDERS:
            raise ModelFileError(f"{name}: kind '{file.kind}' is unknown; this program trades {', '.join(BUILDERS)}")
        try:
            model = BUILDERS[file.kind](file.model)
            model.load_state_dict(file.weights, strict=True)
            rules = TradingRules.from_plain(file.rules)
            mirror = trained_with_mirror(file) and is_symmetric(rules.action)
            return cls(model, FeaturePipeline.from_plain(file.features), rules, name, mirror)
        except (TraderError, RuntimeError, KeyError, TypeError, ValueError, AssertionError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelFileError(f"{name}: its parts do not fit this program ({reason}); train anew") from error

    @property
    def warmup_bars(self) -> int:
        """Bars before the first whose whole context holds valid features."""
        return self._pipeline.warmup_bars + self._model.context_bars

    def prepare(self, bars: BarSeries) -> None:
        """Encode every bar of the series, and of its mirror image where asked."""
        sides = [bars, bars.mirrored()] if self._mirror else [bars]
        self._market = np.stack([self._encoded(side) for side in sides])  # (S, T, H)
        self._head = NumpyHead(self._model.policy_head)

    def act(self, observation: Observation) -> Decision:
        """Decide greedily for each account."""
        outputs = self.outputs(observation)
        if self._action.kind is ActionKind.continuous:
            return self._mean_exposure(outputs)
        choice = outputs.argmax(axis=1)
        weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return Decision(self._targets[choice], weights.max(axis=1) / weights.sum(axis=1, dtype=np.float64))

    def outputs(self, observation: Observation) -> FloatArray:
        """Return what the head says, (N, O): logits over the targets, or mean and log standard deviation."""
        accounts = observation.account * self._signs  # (S, N, C)
        sides: FloatArray = self._head(self._market[:, observation.row, None], accounts)  # (S, N, O)
        outputs: FloatArray = 0.5 * (sides[0] + self._turned(sides[1])) if self._mirror else sides[0]
        return outputs

    def _encoded(self, bars: BarSeries) -> FloatArray:
        device = next(self._model.parameters()).device
        features = torch.from_numpy(self._pipeline.transform(bars)).to(device)
        with torch.no_grad():
            part = self._model.market_part(encode_series(self._model, features)).policy
        encoded: FloatArray = part.cpu().numpy()
        return encoded

    def _turned(self, outputs: FloatArray) -> FloatArray:
        # Opinions about the mirrored market in terms of the real one.
        if self._action.kind is ActionKind.discrete:
            return outputs[:, ::-1]
        return outputs * np.array([-1.0, 1.0], np.float32)

    def _mean_exposure(self, outputs: FloatArray) -> Decision:
        # Confidence: the probability that a draw from the policy has the sign of its mean.
        mean, log_std = outputs.astype(np.float64).T
        limit = self._action.max_leverage
        sure = [
            0.5 + 0.5 * math.erf(abs(m) / (math.sqrt(2.0) * math.exp(s))) for m, s in zip(mean, log_std, strict=True)
        ]
        return Decision(np.clip(mean, -limit if self._action.allow_short else 0.0, limit), np.array(sure))


class NumpyHead:
    """The forward pass of an `AccountHead` with its weights copied out; equal to torch's within 1e-6."""

    def __init__(self, head: AccountHead) -> None:
        def matrix(layer: torch.nn.Linear) -> FloatArray:
            return np.ascontiguousarray(layer.weight.detach().cpu().numpy().T)

        self._account, self._hidden, self._output = map(matrix, (head.account_half, head.hidden, head.output))
        self._hidden_bias = head.hidden.bias.detach().cpu().numpy().copy()
        self._output_bias = head.output.bias.detach().cpu().numpy().copy()

    def __call__(self, market: FloatArray, account: FloatArray) -> FloatArray:
        """Return outputs (..., O) from `market_half(embedding)` (..., H) and accounts (..., C)."""
        hidden = np.tanh(market + account @ self._account)
        hidden = np.tanh(hidden @ self._hidden + self._hidden_bias)
        outputs: FloatArray = hidden @ self._output + self._output_bias
        return outputs


def is_symmetric(action: ActionConfig) -> bool:
    """Say whether every target has its opposite."""
    if action.kind is ActionKind.continuous:
        return action.allow_short
    return list(action.targets) == [-target for target in reversed(action.targets)]


def trained_with_mirror(file: ModelFile) -> bool:
    """Say whether the stage that wrote the file trained on the mirrored market too."""
    stage: Mapping[str, Any] = file.config.get("sequence", {}).get(file.stage, {})
    return bool(stage.get("mirror", False))


def _mirror_signs(account_inputs: tuple[str, ...]) -> FloatArray:
    # (2, 1, C): the account as it is, and with its position turned; what a trade earned stays.
    signs = np.ones((2, 1, len(account_inputs)), np.float32)
    signs[1, 0, account_inputs.index("position")] = -1.0
    return signs


def _require_fit(model: PPOModel, pipeline: FeaturePipeline, rules: TradingRules) -> None:
    continuous = rules.action.kind is ActionKind.continuous
    pairs = {
        "features": (model.num_features, len(pipeline.columns)),
        "account inputs": (model.num_account_inputs, len(rules.account_inputs)),
        "policy outputs": (model.num_outputs, 2 if continuous else len(rules.action.targets)),
    }
    for what, (have, need) in pairs.items():
        if have != need:
            raise ConfigError(
                f"the model has {have} {what}, its settings ask for {need}; use those it was trained with"
            )
    if model.continuous != continuous:
        raise ConfigError(f"environment.action.kind={rules.action.kind.value} is not what the model was trained with")
