"""`PolicyAgent`: a trained policy as an agent. Greedy: the likeliest target, or the mean exposure.

The market half of the network runs once over all bars in `prepare`; `act` is the small head that adds the account, in
NumPy, where single decisions cost a fraction of torch's call overhead.

With `mirror`, the policy also sees the market upside down, holding the opposite position, and the two outputs are
averaged (logits; mean and log standard deviation). Decisions are then symmetric in up and down by construction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from src.agents.model_file import ModelFile
from src.agents.row_cache import RowCache
from src.config.trading import ActionConfig, ActionKind
from src.errors import ConfigError
from src.market.bars import BarSeries, FloatArray
from src.models.heads import AccountHead
from src.models.last_bar import LastBar
from src.models.ppo_model import PPOModel, encode_series
from src.trading.prepared_market import FittedPipeline
from src.trading.records import Decision, MarketState
from src.trading.rules import TradingRules

Float32Array = NDArray[np.float32]


class Side(NamedTuple):
    """A direction in which a bar is seen: as it is, or upside down."""

    signs: Float32Array  # (C,) factors on the account inputs
    to_original: Callable[[Float32Array], Float32Array]  # outputs (..., O) as those for the bar as it is


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
        pipeline: FittedPipeline,
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
        self._action, self._targets, self._bounds = rules.action, rules.action.targets, rules.action.bounds
        self._some_account = np.full((1, len(rules.account_inputs)), 0.5, np.float32)
        self._sides = [_as_it_is(rules), _mirrored(rules)] if mirror else [_as_it_is(rules)]
        self._last_bar = LastBar(model)
        self._remembered = RowCache(self._latest, pipeline.history_bars)

    @property
    def warmup_bars(self) -> int:
        """Bars before the first whose whole context holds valid features."""
        return self._pipeline.warmup_bars + self._model.context_bars

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that determine a decision, up to rounding."""
        return self._pipeline.history_bars + self._model.context_bars

    @property
    def parts(self) -> Mapping[str, Callable[[BarSeries], FloatArray]]:
        """What it reads of a bar, by name; each returns its own columns, (T, k)."""
        return self._pipeline.parts

    def prepare(self, bars: BarSeries) -> None:
        """Encode every bar of the series, and of its mirror image where asked."""
        features = [self._pipeline.transform(side) for side in self._directions(bars)]
        self._features = features[0]  # (T, F)
        embeddings = [self._embedded(side) for side in features]
        self._keep(embeddings[0])
        self._market = self._read(embeddings)

    def prepare_last(self, bars: BarSeries) -> None:
        """Encode the last bar of the series, and of its mirror image where asked, for decisions on it alone.

        What the encoder reads of each bar comes from that bar's own trailing window, so decisions are a function of the
        last `history_bars`, whatever was prepared for before. A shorter series is prepared whole.
        """
        if len(bars) < self.history_bars:
            self.prepare(bars)
            return
        rows = self._remembered.last(bars, self._model.context_bars + 1)  # (context + 1, S, F)
        self._features = _at_end(rows[:, 0], len(bars))
        embeddings = [self._last_bar.embedding(side) for side in rows.transpose(1, 0, 2)]
        self._keep(embeddings[0])
        self._market = _at_end(self._read(embeddings), len(bars))

    def _latest(self, window: BarSeries) -> Float32Array:
        return np.stack([self._pipeline.latest(side) for side in self._directions(window)])  # (S, F)

    def _directions(self, bars: BarSeries) -> list[BarSeries]:
        return [bars, bars.mirrored()] if self._mirror else [bars]

    def _read(self, embeddings: Sequence[torch.Tensor]) -> Float32Array:
        # Takes the head's weights, and returns its share of each bar, (T, 1, S·H).
        self._head = NumpyHead(head_parameters(self._model.policy_head), self._sides)
        return np.concatenate([self._policy_part(each) for each in embeddings], axis=1)[:, None]

    def act(self, market_state: MarketState) -> Decision:
        """Decide greedily for each account."""
        choose = self._mean_exposure if self._action.kind is ActionKind.continuous else self._likeliest
        # Accounts are few, one as a rule, and then Python's numbers are quicker than arrays.
        chosen = [choose(*own) for own in self.outputs(market_state).tolist()]
        return Decision(*np.array(chosen).T)

    def outputs(self, market_state: MarketState) -> Float32Array:
        """Return the outputs of the head, (N, O): logits over the targets, or mean and log standard deviation."""
        return self._head(self._market[market_state.row], market_state.account)

    def prepared(self, row: int) -> NDArray[np.float64]:
        """Return what the head makes of a bar for one made-up account, (O,)."""
        outputs = self.outputs(MarketState(row, 0, self._some_account))[0]
        return np.asarray(outputs, dtype=np.float64)

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        """Return the features of the bar and the outputs of the head by target."""
        outputs = self.outputs(market_state)[0].tolist()
        names = ["mean", "log_std"] if self._action.kind is ActionKind.continuous else map(str, self._targets)
        features = dict(zip(self._pipeline.columns, self._features[market_state.row].tolist(), strict=True))
        return {"features": features, "outputs": dict(zip(names, outputs, strict=True))}

    def diagnose(self, bars: BarSeries, rows: range) -> dict[str, float]:
        """Return figures for a tracker about the policy on rows of the prepared bars."""
        return {}

    def _keep(self, embedding: torch.Tensor) -> None:
        """Take what is needed of the embedding (T, D) of the bars as they are; nothing here."""

    def _embedded(self, features: Float32Array) -> torch.Tensor:
        device = next(self._model.parameters()).device
        return encode_series(self._model, torch.from_numpy(features).to(device))

    @torch.no_grad()
    def _policy_part(self, embedding: torch.Tensor) -> Float32Array:
        part: Float32Array = self._model.market_part(embedding).policy.cpu().numpy()
        return part

    def _likeliest(self, *logits: float) -> tuple[float, float]:
        # Confidence: the probability of the choice.
        best = max(logits)
        sure = 1.0 / sum([math.exp(logit - best) for logit in logits])
        return self._targets[logits.index(best)], sure

    def _mean_exposure(self, mean: float, log_std: float) -> tuple[float, float]:
        # Confidence: the probability that a draw from the policy has the sign of its mean.
        low, high = self._bounds
        sure = 0.5 + 0.5 * math.erf(abs(mean) / (math.sqrt(2.0) * math.exp(log_std)))
        return min(max(mean, low), high), sure


class NumpyHead:
    """The forward pass of an `AccountHead` with its weights copied out; equal to torch's within 1e-6.

    It can see a bar from S sides and average the outputs. Sides are concatenated in the last axis, and the average is
    part of the last layer, so two sides take as many calls as one.

    Args:
        head: parameters of the network by name, as `head_parameters` returns them.
        sides: the S sides.
    """

    def __init__(self, head: Mapping[str, Float32Array], sides: Sequence[Side]) -> None:
        def copied(name: str) -> Float32Array:
            return np.array(head[name].T, order="C")

        account, output = copied("account_half.weight"), copied("output.weight")  # (C, H), (H, O)
        bias, share = copied("output.bias")[None], np.float32(1.0 / len(sides))
        self._hidden = copied("hidden.weight")  # (H, H), the same for each side
        self._width = len(self._hidden)
        self._account = np.concatenate([side.signs[:, None] * account for side in sides], axis=1)  # (C, S·H)
        self._hidden_bias = np.tile(copied("hidden.bias"), (1, len(sides)))  # (1, S·H)
        self._output = np.concatenate([side.to_original(output) * share for side in sides])  # (S·H, O)
        self._output_bias = np.sum([side.to_original(bias) * share for side in sides], axis=0)  # (1, O)

    def __call__(self, market_half: Float32Array, account: Float32Array) -> Float32Array:
        """Return outputs (N, O).

        Args:
            market_half: `AccountHead.market_half` of the embedding, for each side, (N, S·H); (1, S·H) where accounts
                share a bar.
            account: (N, C).
        """
        # `dot` takes half the time of `@` on arrays this small, and a sum of equal shapes less than broadcasting.
        hidden = np.tanh(account.dot(self._account) + market_half)
        hidden = hidden.reshape(-1, self._width).dot(self._hidden).reshape(len(account), -1)
        outputs: Float32Array = np.tanh(hidden + self._hidden_bias).dot(self._output) + self._output_bias
        return outputs


def head_parameters(head: AccountHead) -> dict[str, Float32Array]:
    """Return the parameters (...) of a head by name, on the CPU; views where they are there already."""
    return {name: value.detach().cpu().numpy() for name, value in head.named_parameters()}


def is_symmetric(action: ActionConfig) -> bool:
    """Say whether every target has its opposite."""
    if action.kind is ActionKind.continuous:
        return action.allow_short
    return list(action.targets) == [-target for target in reversed(action.targets)]


def trained_with_mirror(file: ModelFile) -> bool:
    """Say whether the stage that wrote the file trained on the mirrored market too."""
    stage: Mapping[str, Any] = file.config.get("sequence", {}).get(file.stage, {})
    return bool(stage.get("mirror", False) or file.dossier.get("mirror", False))


def _at_end(rows: Float32Array, length: int) -> Float32Array:
    # `length` rows that end with the given ones; 0 before, where nothing is asked.
    padded = np.zeros((length, *rows.shape[1:]), rows.dtype)
    padded[length - len(rows) :] = rows
    return padded


def _as_it_is(rules: TradingRules) -> Side:
    return Side(np.ones(len(rules.account_inputs), np.float32), lambda outputs: outputs)


def _mirrored(rules: TradingRules) -> Side:
    # The account with its position turned; what a trade earned stays.
    signs = np.ones(len(rules.account_inputs), np.float32)
    signs[rules.account_inputs.index("exposure")] = -1.0
    if rules.action.kind is ActionKind.discrete:
        return Side(signs, lambda logits: logits[..., ::-1])
    return Side(signs, lambda outputs: outputs * np.array([-1.0, 1.0], np.float32))


def _require_fit(model: PPOModel, pipeline: FittedPipeline, rules: TradingRules) -> None:
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
