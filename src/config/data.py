"""Settings of data and features: where bars come from, how they are split, what is computed from them."""

from dataclasses import dataclass, field
from enum import Enum

from src.config.base import Schema, require, require_at_least, require_between, require_known
from src.config.time_zone import require_session, time_zone

COLUMN_KEYS = ("open_time", "close_time", "open", "high", "low", "close", "volume", "symbol")


class DataSource(Enum):
    """Where bars come from."""

    embedded = "embedded"
    files = "files"
    synthetic = "synthetic"
    ccxt = "ccxt"


class Adjust(Enum):
    """Which prices are taken where a file tells of splits or dividends."""

    auto = "auto"
    none = "none"
    all = "all"


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
    """Which bars. `path` may hold `{symbol}`; null timeframe is inferred.

    How a file is read is guessed, and each guess is overridden by a setting: `columns` maps our names to the file's (a
    name, a position, or several joined by `+`; `close_time` is a column of closing times, `symbol` the one that tells
    several markets apart), `timezone` is the zone of times that name none, `time_format` how they are written,
    `session` the exchange, `adjust` which prices, `decimal` the sign between whole and fraction.
    `drop_defective` leaves out rows without a usable price or volume instead of refusing the file; nothing is filled.
    """

    source: DataSource = DataSource.embedded
    path: str | None = None
    timeframe: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    timezone: str | None = None
    time_format: str | None = None
    session: str | None = None
    adjust: Adjust = Adjust.auto
    decimal: str | None = None
    drop_defective: bool = False
    exchange: str = "binance"
    start: str | None = None
    end: str | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)

    def check(self) -> None:
        require_known("data.columns key", self.columns, COLUMN_KEYS)
        require(self.decimal in (None, ".", ","), f"data.decimal must be '.' or ',', was '{self.decimal}'")
        if self.timezone is not None:
            time_zone(self.timezone)
        if self.session is not None:
            require_session(self.session)
        if self.source is DataSource.ccxt:
            require(self.timeframe is not None, "data.source=ccxt needs data.timeframe, for example 1h")
        if self.source is DataSource.files:
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
