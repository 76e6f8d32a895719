"""`FeaturePipeline`: chosen features, scaled by what the training rows showed, as one float32 matrix.

The fitted scaler is plain data and travels inside the model file; a model never meets a scaler fitted elsewhere.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.config.base import require, require_known
from src.config.data import FeaturesConfig
from src.errors import ConfigError, DataError, ModelFileError
from src.features.base import Feature
from src.features.indicators import FEATURES
from src.market.bars import BarSeries, FloatArray
from src.plugins import plugged_in, with_plugins

# Raise it whenever a formula changes: models fitted on the old one then refuse to load.
VERSION = 1
# A column that moves less than this is rounding noise around a constant; it must not be blown up to unit size.
CONSTANT_STD = 1e-10
CHECKED_BARS = 2048  # on which the project's own features are shown to see no later bar, each time they are fitted


def known_features(plugins: Iterable[str]) -> Mapping[str, Feature]:
    """Return the features there are, by name: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    return with_plugins(FEATURES, Feature, plugins)


class Scaler(NamedTuple):
    """Per-column location and size, (F,) float64; `scale` is > 0."""

    mean: FloatArray
    scale: FloatArray


@dataclass(frozen=True, eq=False)
class FeaturePipeline:
    """Features by name, standardised per column and clipped to `[-clip, clip]`.

    Attributes:
        names: in the order of the columns.
        clip: bound on scaled values, in standard deviations of the training rows.
        scaler: None until `fit`.
        plugins: modules that may hold features; those that hold none of the chosen ones are left out.

    Raises:
        ConfigError: a name is unknown (with the nearest valid one) or appears twice, two features have a column of the
            same name, `clip` is below 1, or a plug-in cannot be used.
    """

    names: Sequence[str]
    clip: float
    scaler: Scaler | None = None
    plugins: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        FeaturesConfig(names=list(self.names), clip=self.clip)  # checks both
        require_known("features.names", self.names, known_features(self.plugins))
        column, count = Counter(self.columns).most_common(1)[0]
        require(count == 1, f"features.names: {count} of {', '.join(self.names)} have a column called '{column}'")
        object.__setattr__(self, "plugins", tuple(dict.fromkeys(self._holders.values())))

    @property
    def features(self) -> tuple[Feature, ...]:
        """The chosen features."""
        known = known_features(self.plugins)
        return tuple(known[name] for name in self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the F columns."""
        return tuple(column for feature in self.features for column in feature.columns)

    @property
    def warmup_bars(self) -> int:
        """Rows at the start of a series that hold no usable features."""
        return max(feature.warmup_bars for feature in self.features)

    @property
    def lookback_bars(self) -> int:
        """Trailing bars, the current one included, that decide a row."""
        return max(feature.lookback_bars for feature in self.features)

    @property
    def history_bars(self) -> int:
        """Trailing bars a live caller must hold so that `latest` equals the last row of the full `transform`.

        Equal means within 1e-6; recursive averages have forgotten all but 1e-15 of what is older.
        """
        return max(self.lookback_bars, self.warmup_bars + 1)

    @property
    def spec_id(self) -> str:
        """Short hash of what the columns mean: equal for pipelines whose models fit each other, scaler aside."""
        spec = json.dumps([VERSION, list(self.names), list(self.columns), float(self.clip)])
        return hashlib.sha256(spec.encode()).hexdigest()[:16]

    def fit(self, samples: Sequence[tuple[BarSeries, range]]) -> "FeaturePipeline":
        """Return a copy scaled by the given rows of all samples, pooled; bars after them are never looked at.

        Pass training rows only. Warm-up rows among them are left out. Given a series and its mirror, odd columns get
        mean 0 by symmetry. A column that does not vary gets scale 1.

        Raises:
            DataError: rows outside their series, or none left after warm-up; or a plugged-in feature is not finite, or
                needs more bars than it declares.
            LookaheadError: a feature sees the future.
        """
        for bars, rows in samples:
            self._check(bars[: rows.stop])
        parts = [self._usable(bars, rows) for bars, rows in samples]
        if sum(map(len, parts)) == 0:
            raise DataError(
                f"no row is left to scale features on after {self.warmup_bars} warm-up bars; give more training bars"
            )
        values = np.concatenate(parts)  # (rows of all samples, F)
        std = values.std(axis=0)
        return replace(self, scaler=Scaler(values.mean(axis=0), np.where(std > CONSTANT_STD, std, 1.0)))

    def transform(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return scaled features, (T, F) float32, finite everywhere; warm-up rows hold 0.

        Raises:
            ConfigError: the pipeline has not been fitted.
        """
        scaled = self._scaled(self._compute(bars))
        scaled[: self.warmup_bars] = 0.0
        return scaled.astype(np.float32)

    def latest(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the last row of `transform`, (F,), from the trailing `history_bars` alone, each feature from its own.

        Raises:
            DataError: `bars` does not reach past the warm-up.
            ConfigError: the pipeline has not been fitted.
        """
        if len(bars) <= self.warmup_bars:
            raise DataError(
                f"{bars.symbol}: features need at least {self.warmup_bars + 1} bars of history, got {len(bars)}"
            )
        return self._scaled(np.concatenate([feature.latest(bars) for feature in self.features])).astype(np.float32)

    @property
    def parts(self) -> dict[str, Callable[[BarSeries], FloatArray]]:
        """What a row is made of, by name; each returns its own columns, (T, k), unscaled."""
        return {str(feature): feature.compute for feature in self.features}

    def to_plain(self) -> dict[str, Any]:
        """Return spec and fitted scaler as numbers, strings, lists and dicts only."""
        scaler = self._fitted()
        return {
            "version": VERSION,
            "names": list(self.names),
            "columns": list(self.columns),
            "plugins": list(self.plugins),
            "clip": float(self.clip),
            "mean": scaler.mean.tolist(),
            "scale": scaler.scale.tolist(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "FeaturePipeline":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: another version, features this code does not know, other columns, or a broken scaler.
        """
        for complaint in _complaints(plain):
            raise ModelFileError(f"the feature spec of the model {complaint}; train it again with this code")
        scaler = Scaler(np.array(plain["mean"], dtype=np.float64), np.array(plain["scale"], dtype=np.float64))
        try:
            return cls(plain["names"], plain["clip"], scaler, plain["plugins"])
        except ConfigError as error:
            raise ModelFileError(f"the feature spec of the model is impossible: {error}") from error

    def _check(self, bars: BarSeries) -> None:
        # Plugged-in features on all bars; the project's own, which are tested, on the last of them.
        last = bars[max(0, len(bars) - CHECKED_BARS) :]
        for feature in self.features:
            if feature.name in self._holders:
                feature.check(bars)
            else:
                feature.check_causal(last)

    @property
    def _holders(self) -> dict[str, str]:
        # The chosen features that are plugged in, with their modules.
        return {name: module for name, module in plugged_in("feature", self.plugins).items() if name in self.names}

    def _scaled(self, values: FloatArray) -> FloatArray:
        scaler = self._fitted()
        scaled: FloatArray = np.clip((values - scaler.mean) / scaler.scale, -self.clip, self.clip)
        assert np.isfinite(scaled).all()
        return scaled

    def _fitted(self) -> Scaler:
        if self.scaler is None:
            raise ConfigError("the feature pipeline has no scaler; call fit with the training rows first")
        return self.scaler

    def _compute(self, bars: BarSeries) -> FloatArray:
        return np.concatenate([feature.compute(bars) for feature in self.features], axis=1)  # (T, F)

    def _usable(self, bars: BarSeries, rows: range) -> FloatArray:
        if rows.step != 1 or not 0 <= rows.start < rows.stop <= len(bars):
            raise DataError(f"{bars.symbol}: {rows} is not a stretch of rows of its {len(bars)} bars")
        return self._compute(bars[: rows.stop])[max(rows.start, self.warmup_bars) :]


def _complaints(plain: Mapping[str, Any]) -> Iterator[str]:
    # What is wrong with a stored spec, the first reason first; later checks rely on earlier ones.
    missing = {"version", "names", "columns", "plugins", "clip", "mean", "scale"} - set(plain)
    if missing:
        yield f"lacks {sorted(missing)}"
    if plain["version"] != VERSION:
        yield f"has version {plain['version']}, this code has {VERSION}"
    known = known_features(plain["plugins"])
    unknown = [name for name in plain["names"] if name not in known]
    if unknown:
        yield f"names features this code does not have: {unknown}"
    columns = [column for name in plain["names"] for column in known[name].columns]
    if list(plain["columns"]) != columns:
        yield f"has columns {list(plain['columns'])}, this code computes {columns}"
    if not len(plain["mean"]) == len(plain["scale"]) == len(columns):
        yield f"scales {len(plain['mean'])} and {len(plain['scale'])} columns, not {len(columns)}"
    if not (np.isfinite([*plain["mean"], *plain["scale"]]).all() and min(plain["scale"]) > 0):
        yield "holds a scaler that is not finite and positive"
