"""Every setting, its type, its default and its bounds; no other module has any but `stages.py` and `memory.py`.

Dataclasses are sealed once built (`Schema`): code below the runners reads settings and never changes them.
`config/training_sequence.yaml` spells out each field with a comment; a test compares it with this file.
Plain Python only: importing this module loads no torch, ray, hydra or pandas.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from src.errors import ConfigError


@dataclass
class Schema:
    """Base of all settings: validates in `check`, then refuses assignment.

    Sealing is done by hand because frozen dataclasses break omegaconf as soon as YAML overrides one of their fields.
    """

    def __post_init__(self) -> None:
        self.check()
        object.__setattr__(self, "_sealed", True)

    def check(self) -> None:
        """Raise `ConfigError` if a value is out of bounds."""

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_sealed", False):
            raise ConfigError(f"{type(self).__name__}.{name} is sealed; build a new one with dataclasses.replace")
        object.__setattr__(self, name, value)


def require(claim: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless `claim` holds."""
    if not claim:
        raise ConfigError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse values outside [low, high], NaN included."""
    require(low <= value <= high, f"{name} must lie in [{low:g}, {high:g}], was {value:g}")


def require_at_least(name: str, value: float, low: float) -> None:
    """Refuse values below `low`, NaN included."""
    require(value >= low, f"{name} must be >= {low:g}, was {value:g}")


def require_known(name: str, values: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are not in `known`, with the nearest valid one."""
    from difflib import get_close_matches

    valid = sorted(known)
    for value in values:
        if value not in valid:
            near = get_close_matches(value, valid, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"{name} '{value}' is unknown{hint} Valid: {', '.join(valid)}")


class Source(Enum):
    """Where bars come from."""

    embedded = "embedded"
    files = "files"
    synthetic = "synthetic"
    ccxt = "ccxt"


class ActionKind(Enum):
    """Shape of the action space."""

    discrete = "discrete"
    continuous = "continuous"


class RewardKind(Enum):
    """What one step is worth."""

    log_growth = "log_growth"
    linear = "linear"


class Trunk(Enum):
    """Sequence encoder under the policy. `lstm` and `gru` exist as controls of the transformer."""

    transformer = "transformer"
    lstm = "lstm"
    gru = "gru"


class Activation(Enum):
    """Non-linearity of the feed-forward layers."""

    gelu = "gelu"
    relu = "relu"
    silu = "silu"


class Norm(Enum):
    """Normalisation before each sub-layer."""

    layernorm = "layernorm"
    rmsnorm = "rmsnorm"


class Gating(Enum):
    """How a sub-layer's output joins the residual stream."""

    none = "none"
    gru = "gru"


class Position(Enum):
    """How attention knows distance."""

    rope = "rope"
    alibi = "alibi"
    none = "none"


class Attention(Enum):
    """Attention score: scaled dot product, or cosine with a learned temperature."""

    dot = "dot"
    cosine = "cosine"


class Device(Enum):
    """Where torch computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@dataclass
class SplitConfig(Schema):
    """Chronological split; what is left after train and validation is the test split."""

    train_frac: float = 0.6
    validation_frac: float = 0.2
    embargo_bars: int = 5

    def check(self) -> None:
        require_between("data.split.train_frac", self.train_frac, 0.05, 0.95)
        require_between("data.split.validation_frac", self.validation_frac, 0.0, 0.9)
        require(
            self.train_frac + self.validation_frac < 1.0,
            f"data.split.train_frac + validation_frac must be < 1, was {self.train_frac + self.validation_frac:g}",
        )
        require_at_least("data.split.embargo_bars", self.embargo_bars, 0)


@dataclass
class SyntheticConfig(Schema):
    """A generated market whose optimal policy is known; `symbol` names it (A, A4, B, B2, C, D, F)."""

    bars: int = 12000

    def check(self) -> None:
        require_at_least("data.synthetic.bars", self.bars, 100)


@dataclass
class DataConfig(Schema):
    """Which bars. `path` may hold `{symbol}`; `columns` maps our names to the file's; null timeframe is inferred.

    `drop_defective` leaves out rows without a usable price or volume instead of refusing the file; nothing is filled.
    """

    source: Source = Source.embedded
    path: str | None = None
    timeframe: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    drop_defective: bool = False
    exchange: str = "binance"
    start: str | None = None
    end: str | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    def check(self) -> None:
        require_known("data.columns key", self.columns, ["open_time", "open", "high", "low", "close", "volume"])
        if self.source is Source.ccxt:
            require(self.timeframe is not None, "data.source=ccxt needs data.timeframe, for example 1h")
        if self.source is Source.files:
            require(self.path is not None, "data.source=files needs data.path, for example 'data/{symbol}_1h.parquet'")


@dataclass
class FeaturesConfig(Schema):
    """Which features by name, and where scaled values are clipped."""

    names: list[str] = field(
        default_factory=lambda: ["returns", "deviations", "volatility", "rsi", "bollinger", "range", "volume"]
    )
    clip: float = 6.0

    def check(self) -> None:
        require(len(self.names) > 0, "features.names must name at least one feature")
        require(len(set(self.names)) == len(self.names), f"features.names holds a name twice: {self.names}")
        require_at_least("features.clip", self.clip, 1.0)


@dataclass
class ActionConfig(Schema):
    """Target exposure as a fraction of equity."""

    kind: ActionKind = ActionKind.discrete
    grid: list[float] = field(default_factory=lambda: [-1.0, -0.5, 0.0, 0.5, 1.0])
    allow_short: bool = True
    max_leverage: float = 1.0
    rebalance_band: float | None = None

    def check(self) -> None:
        require_between("environment.action.max_leverage", self.max_leverage, 0.01, 100.0)
        require(len(self.grid) >= 2, f"environment.action.grid needs at least two targets, was {self.grid}")
        require(
            list(self.grid) == sorted(set(self.grid)),
            f"environment.action.grid must be strictly increasing, was {self.grid}",
        )
        require(0.0 in self.grid, f"environment.action.grid must hold 0 (flat), was {self.grid}")
        for target in self.grid:
            require_between("environment.action.grid", target, -self.max_leverage, self.max_leverage)
        if self.rebalance_band is not None:
            require_between("environment.action.rebalance_band", self.rebalance_band, 0.0, 10.0)

    @property
    def targets(self) -> tuple[float, ...]:
        """The grid in force: without shorting, its negative half is dropped."""
        return tuple(t for t in self.grid if self.allow_short or t >= 0.0)


@dataclass
class RewardConfig(Schema):
    """Reward of one step. A null scale becomes 1 / (standard deviation of the training split's log-returns)."""

    kind: RewardKind = RewardKind.log_growth
    scale: float | None = None
    drawdown_penalty: float = 0.0
    variance_penalty: float = 0.0

    def check(self) -> None:
        if self.scale is not None:
            require(self.scale > 0, f"environment.reward.scale must be > 0, was {self.scale:g}")
        require_at_least("environment.reward.drawdown_penalty", self.drawdown_penalty, 0.0)
        require_at_least("environment.reward.variance_penalty", self.variance_penalty, 0.0)


ACCOUNT_INPUTS = ("position", "trade_return", "drawdown", "bars_in_trade")


@dataclass
class EnvironmentConfig(Schema):
    """Episodes, actions and rewards."""

    action: ActionConfig = field(default_factory=ActionConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    initial_equity: float = 10_000.0
    episode_bars: int = 256
    random_start: bool = True
    account_inputs: list[str] = field(default_factory=lambda: list(ACCOUNT_INPUTS))

    def check(self) -> None:
        require(self.initial_equity > 0, f"environment.initial_equity must be > 0, was {self.initial_equity:g}")
        require_at_least("environment.episode_bars", self.episode_bars, 2)
        require_known("environment.account_inputs", self.account_inputs, ACCOUNT_INPUTS)
        require("position" in self.account_inputs, "environment.account_inputs must hold 'position'")


@dataclass
class CostsConfig(Schema):
    """What trading costs. Basis points of traded notional; rates per year of held notional."""

    commission_bps: float = 2.0
    half_spread_bps: float = 1.0
    slippage_bps: float = 1.0
    slippage_volatility: float = 0.0
    impact: float = 0.0
    borrow_bps_per_year: float = 50.0
    financing_bps_per_year: float = 300.0

    def check(self) -> None:
        for name in ("commission_bps", "half_spread_bps", "slippage_bps"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 5_000.0)
        for name in ("slippage_volatility", "impact"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 100.0)
        for name in ("borrow_bps_per_year", "financing_bps_per_year"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 100_000.0)


@dataclass
class RiskConfig(Schema):
    """Margin, guard and sizing. Null switches a rule off; by default nothing but the margin call is on."""

    maintenance_margin_frac: float = 0.05
    max_exposure: float | None = None
    max_drawdown_frac: float | None = None
    max_daily_loss_frac: float | None = None

    def check(self) -> None:
        require_between("risk.maintenance_margin_frac", self.maintenance_margin_frac, 0.0, 0.99)
        for name in ("max_exposure", "max_drawdown_frac", "max_daily_loss_frac"):
            value = getattr(self, name)
            require(value is None or value > 0, f"risk.{name} must be > 0 or null, was {value}")


@dataclass
class CoreTransformerConfig(Schema):
    """The encoder under every agent; also the genome architecture search mutates."""

    d_model: int = 32
    num_heads: int = 4
    num_layers: int = 2
    ff_dim: int = 128
    window: int = 64
    dropout: float = 0.0
    activation: Activation = Activation.gelu
    norm: Norm = Norm.layernorm
    gating: Gating = Gating.none
    position: Position = Position.rope
    attention: Attention = Attention.dot

    def check(self) -> None:
        for name in ("d_model", "num_heads", "num_layers", "ff_dim", "window"):
            require_at_least(f"model.core.{name}", getattr(self, name), 1)
        require(
            self.d_model % (2 * self.num_heads) == 0,
            f"model.core.d_model must be a multiple of 2 * num_heads, was {self.d_model} with {self.num_heads} heads",
        )
        require_between("model.core.dropout", self.dropout, 0.0, 0.9)
        require(
            self.window >= self.num_layers + 1,
            f"model.core.window must be >= num_layers + 1 = {self.num_layers + 1}, was {self.window}",
        )


@dataclass
class ModelConfig(Schema):
    """Trunk, heads, and what joins them."""

    trunk: Trunk = Trunk.transformer
    core: CoreTransformerConfig = field(default_factory=CoreTransformerConfig)
    head_dim: int = 64
    embedding_scale: float = 0.3
    feature_skip: bool = True

    def check(self) -> None:
        require_at_least("model.head_dim", self.head_dim, 1)
        require(self.embedding_scale > 0, f"model.embedding_scale must be > 0, was {self.embedding_scale:g}")


@dataclass
class TrackingConfig(Schema):
    """Where metrics go."""

    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "supertrader"
    wandb_mode: str = "online"
    progress: bool = True

    def check(self) -> None:
        require_known("tracking.wandb_mode", [self.wandb_mode], ["online", "offline", "disabled"])


@dataclass
class RuntimeConfig(Schema):
    """Hardware and processes. Zero env runners means sampling in the driver, the bit-reproducible way."""

    device: Device = Device.auto
    num_env_runners: int = 0
    torch_threads: int = 2
    ray_address: str | None = None

    def check(self) -> None:
        require_between("runtime.num_env_runners", self.num_env_runners, 0, 1024)
        require_between("runtime.torch_threads", self.torch_threads, 1, 1024)


@dataclass
class RunConfig(Schema):
    """Where results live and whether an existing run is continued."""

    fresh: bool = False
    runs_dir: str = "runs"
    checkpoints_dir: str = "checkpoints"


@dataclass
class TrainingConfig(Schema):
    """Root of `config/training_sequence.yaml`. `sequence` maps stage names to stage settings, in order of execution."""

    symbol: str = "SP500"
    symbols: list[str] = field(default_factory=list)
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    costs: CostsConfig = field(default_factory=CostsConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    run: RunConfig = field(default_factory=RunConfig)
    sequence: dict[str, Any] = field(default_factory=dict)

    @property
    def history_bars(self) -> int:
        """Bars before a bar that the models of all stages read, so that all have the same rows to decide on."""
        window = self.model.core.window
        longest: int = max((stage.history_bars(window) for stage in self.sequence.values()), default=window - 1)
        return longest

    def check(self) -> None:
        require(self.symbol.strip() != "", "symbol must not be empty")
        require(all(symbol.strip() for symbol in self.symbols), f"symbols holds an empty name: {self.symbols}")
        if self.symbols and self.data.source is Source.files:
            require(
                "{symbol}" in str(self.data.path),
                f"symbols={self.symbols} have to differ in data.path, such as 'data/{{symbol}}_1h.parquet', "
                f"was '{self.data.path}'",
            )
        require_at_least("seed", self.seed, 0)
