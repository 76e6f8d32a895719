"""`TransformerWorldModel`: one trunk that both decides and predicts.

The trunk of a PPO policy also feeds densities of the cumulative log-return over several horizons, the shape of the next
candle, and the regime ahead. The heads of policy and value read the predictions as the imagined utility of each target,
so that the policy learns how far to trust them. The end of a bar's embedding holds the numbers that describe its
densities; losses and reports read them there.

Without imagination policy and value are exactly those of a `PPOModel` with the same weights.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from src.config.agent.world import WorldConfig
from src.config.model import ModelConfig
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError, DataError
from src.market.bars import FloatArray
from src.market.synthetic.regime_market import REGIMES
from src.models.ppo_model import MarketPart, PPOModel, build_model, read_description
from src.models.world.action_outlook import LEVELS, ActionOutlook, action_outlook, strata
from src.models.world.candle_head import ShapeHead
from src.models.world.density_head import DensityHead, MixtureDensity
from src.models.world.inputs import WorldInputs
from src.models.world.scenarios import (
    STILL,
    PathDynamics,
    Scenarios,
    draw_returns,
    horizon_quantiles,
    quantile_fan,
    to_candles,
)
from src.models.world.targets import WorldLoss, WorldTargets, known_mean, return_nll

WORLD = "world"  # its part of a description
_HEADS = ("policy_head.", "value_head.")
_PRIVATE = ("body.", "density_head.", "shape_head.", "regime_head.", "path_dynamics")
_UTILITY_UNIT, _UTILITY_CLIP = 0.5, 4.0  # in base volatilities of the middle horizon


class Outlook(NamedTuple):
    """What a model sees in the last bar of B windows."""

    embedding: Tensor  # (B, embedding_dim + prediction_dim)
    density: MixtureDensity  # (B, H)
    regime_logits: Tensor  # (B, 4), at the middle horizon
    hidden: Tensor  # (B, hidden_dim), what all predictions are read from
    log_base: Tensor  # (B,) log base volatility of the next bar


class TransformerWorldModel(PPOModel):
    """Policy, value function and densities of the returns ahead.

    It can start from a `PPOModel` of the same architecture: it then acts exactly as that one, because nothing reads
    the imagined utilities yet.

    Args:
        config, ...: as in `PPOModel`.
        world: what is predicted.
        inputs: base volatility's column, and the action grid.

    Raises:
        ConfigError: the column does not exist, or there are no targets.

    Attributes:
        embedding_dim: width of what the heads read: [trunk, features, imagined utilities].
        prediction_dim: width of what the embedding carries behind that, for `prediction_of`.
        path_dynamics: (5,) buffer of `PathDynamics`, `STILL` until `set_dynamics`.
    """

    path_dynamics: Tensor
    action_targets: Tensor

    def __init__(
        self,
        config: ModelConfig,
        num_features: int,
        num_account_inputs: int,
        num_outputs: int,
        continuous: bool = False,
        *,
        world: WorldConfig,
        inputs: WorldInputs,
    ) -> None:
        inputs.require(num_features)
        self.world, self.inputs = world, inputs
        super().__init__(config, num_features, num_account_inputs, num_outputs, continuous)
        self.body = nn.Sequential(
            nn.Linear(self.trunk_dim + num_features, world.hidden_dim), nn.SiLU(), nn.Dropout(world.dropout)
        )
        self.density_head = DensityHead(world.hidden_dim, world.horizons, world.components, world.degrees)
        self.shape_head = ShapeHead(world.hidden_dim)
        self.regime_head = nn.Linear(world.hidden_dim, len(REGIMES))
        self.prediction_dim = self.density_head.output_dim + 1 + world.hidden_dim
        self.register_buffer("path_dynamics", torch.tensor(STILL))
        self.register_buffer("action_targets", torch.tensor(inputs.targets), persistent=False)

    def _heads_read(self) -> int:
        return super()._heads_read() + (len(self.inputs.targets) if self.world.imagination else 0)

    @property
    def middle(self) -> int:
        """Index of the horizon that imagination and the regime ahead refer to."""
        return len(self.world.horizons) // 2

    # As a policy.

    def encode_market(self, features: Tensor, mask: Tensor | None = None, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, embedding_dim + prediction_dim).

        The mask acts on what the heads read of the trunk, not on the predictions.
        """
        return self.embed(self.trunk.encode(features, context), features[:, context:], mask)

    def embed(self, trunk: Tensor, seen: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what `encode_market` does, of bars (B, T, F) and the trunk's embedding of them, (B, T, d_model)."""
        return self._embedding(trunk, seen, self._hidden(trunk, seen), mask)

    def _embedding(self, trunk: Tensor, seen: Tensor, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        described, log_base = self.density_head(hidden), self._log_base(seen)
        parts = [self._with_features(trunk, seen, mask)]
        if self.world.imagination:
            parts.append(self.utilities(self.density_head.density(described, log_base).detach(), log_base))
        return torch.cat([*parts, described, log_base[..., None], hidden], -1)

    def market_part(self, embedding: Tensor) -> MarketPart:
        """Return the heads' share of the bars: (..., embedding_dim + prediction_dim) -> (..., head_dim) twice."""
        return super().market_part(embedding[..., : self.embedding_dim])

    def prediction_of(self, embedding: Tensor) -> MixtureDensity:
        """Return the densities (..., H) that an embedding carries, with their graph."""
        described, log_base, _ = self._carried(embedding)
        return self.density_head.density(described, log_base)

    def _carried(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Described densities, log base volatility (...), and what all predictions are read from (..., hidden_dim).
        sizes = [self.density_head.output_dim, 1, self.world.hidden_dim]
        described, log_base, hidden = torch.split(embedding[..., self.embedding_dim :], sizes, -1)
        return described, log_base[..., 0], hidden

    def utilities(self, density: MixtureDensity, log_base: Tensor) -> Tensor:
        """Return a * mean - a² / 2 * variance of each target a at the middle horizon, (..., A).

        The growth that a constant exposure expects, to second order, over half the base volatility of that horizon;
        clipped to ±4.

        Args:
            density: (..., H).
            log_base: (...).
        """
        middle = density.horizon(self.middle)
        a = self.action_targets
        growth = a * middle.mean[..., None] - 0.5 * a.square() * middle.variance[..., None]
        unit = _UTILITY_UNIT * log_base.exp() * math.sqrt(self.world.horizons[self.middle])
        return (growth / unit[..., None]).clamp(-_UTILITY_CLIP, _UTILITY_CLIP)

    def losses(self, embedding: Tensor, targets: WorldTargets) -> WorldLoss:
        """Return the loss of the predictions that an embedding carries.

        Args:
            embedding: (..., embedding_dim + prediction_dim), of a batch (B, T) of bars at least.
            targets: of the same bars.
        """
        described, log_base, hidden = self._carried(embedding)
        nll = return_nll(self.density_head.density(described, log_base), targets)
        sigma = log_base.exp()
        likelihood = self.shape_head.log_prob(hidden, targets.next_return / sigma, targets.shape, sigma)
        shape = -known_mean(likelihood, targets.shape_known)
        regime = -known_mean((targets.regime * self.regime_head(hidden).log_softmax(-1)).sum(-1), targets.regime_known)
        total = nll.mean() + self.world.shape_weight * shape + self.world.regime_weight * regime
        return WorldLoss(total, nll, shape, regime)

    # As a world model.

    def loss(self, x: Tensor, targets: WorldTargets, context: int = 0) -> WorldLoss:
        """Return the loss of self-supervised training.

        Args:
            x: (B, T, F).
            targets: of the bars after the first `context`, (B, T - context, ...).

        Raises:
            DataError: x is not finite.
        """
        _require_finite(x)
        return self.losses(self.encode_market(x, context=context), targets)

    @torch.no_grad()
    def observe(self, window: Tensor) -> Outlook:
        """Look at the last bar of windows (B, T, F), or of one (T, F), in the mode the model is in.

        A window shorter than `context_bars` + 1 shows a shorter past; what is older than that is not looked at.

        Raises:
            DataError: the window is not finite, or has no bars.
        """
        windows = window[None] if window.dim() == 2 else window
        _require_finite(windows)
        trunk, seen = self.trunk(windows), windows[:, -1]
        hidden = self._hidden(trunk, seen)
        embedding = self._embedding(trunk, seen, hidden)
        density = self.prediction_of(embedding)
        return Outlook(embedding, density, self.regime_head(hidden), hidden, self._log_base(seen))

    @torch.no_grad()
    def imagine(
        self,
        window: Tensor,
        horizon: int,
        n_paths: int,
        generator: torch.Generator,
        last_close: float = 1.0,
        last_volume: float = 1.0,
    ) -> Scenarios:
        """Draw candles of the bars after a window; the model is on the CPU.

        All horizons come from one pass: see `scenarios.py`. At the modelled horizons cumulative returns have the
        densities of `observe`; beyond the last, paths go on with the volatility they have. A candle's gap, wicks and
        volume are drawn given its own return and volatility, under the embedding of the last known bar.

        Args:
            window: (T, F).
            horizon: candles per path.
            n_paths: P, all of equal weight.
            generator: of all draws.
            last_close: of the window's last bar.
            last_volume: of the window's last bar; 0 stays 0.

        Raises:
            DataError: the window is not finite.
        """
        assert window.dim() == 2, f"expected (T, F), got {tuple(window.shape)}"
        assert min(horizon, n_paths) >= 1, f"expected a bar and a path at least, got {horizon} and {n_paths}"
        outlook = self.observe(window)
        log_volatility = float(outlook.log_base[0]) - math.log(self.inputs.typical_sigma)
        paths = draw_returns(
            outlook.density.at(0),
            self.world.horizons,
            horizon,
            log_volatility,
            self.inputs.typical_sigma,
            PathDynamics(*self.path_dynamics.tolist()),
            n_paths,
            generator,
        )
        hidden = outlook.hidden.expand(n_paths, horizon, -1)
        returns, sigma = (part.to(hidden.dtype) for part in paths)
        return to_candles(self.shape_head.sample(hidden, returns, sigma, generator), last_close, last_volume)

    def what_if(
        self,
        window: Tensor,
        position: float,
        horizon: int,
        cost_frac: float = 0.001,
        levels: Sequence[float] = LEVELS,
    ) -> ActionOutlook:
        """Return the distribution of profit after costs for each target of the grid.

        Args:
            window: (T, F).
            position: exposure held now.
            horizon: bars each target is held, up to the last modelled horizon.
            cost_frac: per unit of exposure changed now.
            levels: of the quantiles.

        Raises:
            DataError: the window is not finite.
            ConfigError: the horizon is beyond the last modelled one.
        """
        return self.outlook_from_density(self._density_after(window), position, horizon, cost_frac, levels)

    def outlook_from_density(
        self,
        density: MixtureDensity,
        position: float,
        horizon: int,
        cost_frac: float,
        levels: Sequence[float] = LEVELS,
    ) -> ActionOutlook:
        """Return what `what_if` does, from the predicted densities (H,) of the window's last bar."""
        probabilities = np.array(levels, dtype=np.float64)
        level = torch.as_tensor(strata(probabilities), device=density.location.device)
        log_returns = horizon_quantiles(density, self.world.horizons, horizon, level).cpu().numpy()
        targets = np.array(self.inputs.targets, dtype=np.float64)
        return action_outlook(horizon, position, targets, probabilities, log_returns, cost_frac)

    def fan(self, window: Tensor, horizon: int, levels: Sequence[float] | FloatArray = LEVELS) -> FloatArray:
        """Return quantiles of the cumulative log-return after 1 to `horizon` bars, (horizon, Q), for a fan plot.

        Raises:
            DataError: the window is not finite.
            ConfigError: the horizon is beyond the last modelled one.
        """
        density = self._density_after(window)
        probabilities = torch.as_tensor(np.asarray(levels, dtype=np.float64), device=density.location.device)
        quantiles: FloatArray = quantile_fan(density, self.world.horizons, horizon, probabilities).cpu().numpy()
        return quantiles

    def _density_after(self, window: Tensor) -> MixtureDensity:
        assert window.dim() == 2, f"expected (T, F), got {tuple(window.shape)}"
        return self.observe(window).density.at(0)

    def set_dynamics(self, dynamics: PathDynamics) -> None:
        """Set how volatility moves along an imagined path; it is saved with the weights."""
        self.path_dynamics.copy_(torch.tensor(dynamics))

    def _hidden(self, trunk: Tensor, features: Tensor) -> Tensor:
        hidden: Tensor = self.body(torch.cat([trunk, features], -1))
        return hidden

    def _log_base(self, features: Tensor) -> Tensor:
        typical = math.log(self.inputs.typical_sigma)
        if self.inputs.scale_column is None:
            return torch.full_like(features[..., 0], typical)
        return features[..., self.inputs.scale_column] + typical

    # Initial weights from another model.

    def _private_state(self) -> set[str]:
        return {name for name in self.state_dict() if name.startswith(_PRIVATE)}

    def _spread(
        self, description: Mapping[str, Any], weights: Mapping[str, Tensor], generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        given = dict(weights)
        if WORLD in description:
            if description[WORLD] != self._describe_world():
                raise ConfigError("that world model predicts something else; give both stages the same settings")
            return given
        for head in _HEADS:
            # Nothing reads the imagined utilities yet.
            name = f"{head}market_half.weight"
            if name in given:
                given[name] = functional.pad(given[name], (0, self.embedding_dim - PPOModel._heads_read(self)))
        return given

    def _describe_world(self) -> dict[str, Any]:
        return to_plain(self.world) | {"inputs": self.inputs.to_plain()}

    def describe(self) -> dict[str, Any]:
        """Return plain data from which `from_description` builds the same architecture."""
        return super().describe() | {WORLD: self._describe_world()}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], seed: int = 0) -> "TransformerWorldModel":
        """Rebuild from `describe`, with fresh weights drawn from `seed`.

        Raises:
            ConfigError: the description does not fit this version of the program.
        """
        own, config, sizes = read_description(description, WORLD, "a world model")
        described = dict(own)
        inputs = WorldInputs.from_plain(described.pop("inputs"))
        world = from_plain(WorldConfig, described)
        return build_model(TransformerWorldModel, seed, config, **sizes, world=world, inputs=inputs)


def _require_finite(x: Tensor) -> None:
    if x.shape[-2] == 0 or not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).sum())
        raise DataError(
            f"a world model needs at least one bar of finite features, got {x.shape[-2]} bars with {bad} values that"
            " are not finite; check the features of these bars"
        )
