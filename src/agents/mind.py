"""`Mind`: all that an autonomous agent knows of a bar, its account aside, as one matrix.

Features first, then the columns of each part: `volatility` (always), `regime`, `pattern`, `memory`; last, in a run
whose members learn under several costs, what trading costs (`cost_feature.py`). Every part is computed from closed bars
ahead of time, so a policy on top of it is trained, tested and traded exactly as one on features alone. A part that is
switched off leaves its columns at 0: agents with and without it have the same shapes, so one can inherit from the
other, and an ablation changes nothing else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.agents.cost_feature import CostFeature
from src.config.agent.mind import PARTS, MindConfig
from src.config.trading import CostsConfig
from src.errors import ConfigError, DataError, ModelFileError
from src.features.pipeline import CONSTANT_STD, FeaturePipeline, Scaler
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import REGIMES
from src.memory.memory_module import MemoryModule
from src.plugins import plugged_in
from src.reasoning.har_volatility import HarVolatility
from src.reasoning.market_classifier import classifier_from_plain, fit_classifier
from src.reasoning.market_module import MarketModule, latest
from src.reasoning.pattern_recognizer import PatternRecognizer, pattern_recognizer
from src.reasoning.patterns.shapes import PATTERNS

VERSION = 1
VOLATILITY, COSTS = "volatility", "costs/level"
ORDER = (VOLATILITY, *PARTS)

Samples = Sequence[tuple[BarSeries, range]]


@dataclass(frozen=True)
class MissingPart:
    """A part that no agent of a run has: its columns are all 0."""

    columns: tuple[str, ...]

    name = "absent"
    history_bars = 1

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return zeros, (T, k)."""
        return self.last_rows(bars, len(bars))

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return zeros, (rows, k)."""
        return np.zeros((rows, len(self.columns)))

    def to_plain(self) -> dict[str, Any]:
        """Return the names of the columns."""
        return {"name": self.name, "columns": list(self.columns)}


@dataclass(frozen=True, eq=False)
class Mind:
    """A fitted feature pipeline and the fitted parts beside it; used wherever a pipeline can be.

    Attributes:
        base: features.
        modules: the parts by name, all of `ORDER`.
        scaler: location and size of the parts' columns on training rows; those of the volatility are left as they are,
            so that column `scale_column` is the logarithm of the volatility over `typical_volatility`.
        clip: bound on the parts' scaled columns.
        active: parts that are on, of `PARTS`.
        costs: what trading costs; None where that is no column.
        part_plugins: the module that holds its regime classifier, where that is plugged in.
    """

    base: FeaturePipeline
    modules: Mapping[str, MarketModule]
    scaler: Scaler
    clip: float
    active: frozenset[str]
    costs: CostFeature | None = None
    part_plugins: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        config: MindConfig,
        base: FeaturePipeline,
        samples: Samples,
        parts: Collection[str] = PARTS,
        plugins: Sequence[str] = (),
    ) -> "Mind":
        """Fit the given parts on the given rows of all samples; bars after them are never looked at.

        Args:
            base: fitted.
            samples: series and training rows, those of the traded symbol first.
            parts: those that any agent of the run may use; the others are not fitted.
            plugins: modules that may hold the regime classifier.

        Raises:
            DataError: too few rows for a part, or prices that stand still.
        """
        traded = samples[:1]
        modules: dict[str, MarketModule] = {part: MissingPart(columns) for part, columns in _COLUMNS.items()}
        modules[VOLATILITY] = HarVolatility.fit(traded)
        if "regime" in parts:
            modules["regime"] = fit_classifier(config.regime, traded, plugins)
        if "pattern" in parts:
            modules["pattern"] = pattern_recognizer(config.pattern)
        if "memory" in parts:
            modules["memory"] = MemoryModule.fit(config.memory, with_regimes(modules["regime"], samples))
        unscaled = [_outputs_of(modules, bars[: rows.stop])[rows.start :] for bars, rows in samples]
        scaler = _scaler(np.concatenate(unscaled), len(modules[VOLATILITY].columns))
        active = frozenset(config.parts) & frozenset(parts)
        holder = plugged_in("regime module", plugins).get(modules["regime"].name)
        return cls(base, modules, scaler, config.clip, active, part_plugins=() if holder is None else (holder,))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self.base.names)

    @property
    def plugins(self) -> tuple[str, ...]:
        """The modules that hold its plugged-in parts."""
        return (*self.base.plugins, *self.part_plugins)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, the parts' with their part in front."""
        outputs = (f"{part}/{column}" for part in ORDER for column in self.modules[part].columns)
        return (*self.base.columns, *outputs, *(() if self.costs is None else (COSTS,)))

    @property
    def parts(self) -> dict[str, Callable[[BarSeries], FloatArray]]:
        """The features and the parts that are on, by name; each returns its own columns, (T, k), unscaled."""
        return self.base.parts | {f"part '{part}'": self.modules[part].transform for part in ORDER if part in self._on}

    @property
    def scale_column(self) -> int:
        """Which column holds log volatility over `typical_volatility`."""
        return len(self.base.columns)

    @property
    def typical_volatility(self) -> float:
        """Volatility of a bar where that column is 0."""
        volatility = self.modules[VOLATILITY]
        assert isinstance(volatility, HarVolatility)
        return volatility.typical_sigma

    @property
    def warmup_bars(self) -> int:
        """Rows at the start that hold no usable features; the parts are neutral there, and usable from the start."""
        return self.base.warmup_bars

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that decide a row."""
        return max(self.base.history_bars, *(self.modules[part].history_bars for part in self._on))

    def slice_of(self, part: str) -> slice:
        """Return where the columns of a part are."""
        return self._slices[part]

    def transform(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return all columns, (T, F) float32, finite everywhere."""
        return self._matrix(bars, self._on)

    def latest(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the last row of `transform` within 1e-6, (F,), each part of it from its own trailing bars alone.

        Raises:
            DataError: `bars` does not reach past the warm-up.
        """
        outputs = [latest(self.modules[part], bars) if part in self._on else self._neutral(part) for part in ORDER]
        return self._joined(self.base.latest(bars), outputs, bars)

    def transform_all(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return all columns as if every part were on, (T, F) float32, for `mask_inactive`."""
        return self._matrix(bars, frozenset(ORDER))

    def mask_inactive(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a copy of a matrix (T, F) in which the columns of parts that are off are 0."""
        seen = matrix.copy()
        for part in PARTS:
            if part not in self.active:
                seen[:, self.slice_of(part)] = 0.0
        return seen

    def outputs(self, matrix: NDArray[np.float32], part: str) -> FloatArray:
        """Return a part's columns (T, k) of a matrix (T, F), in its own units; clipped values stay clipped."""
        own = self._slice_among_parts(part)
        values: FloatArray = (
            matrix[:, self.slice_of(part)].astype(np.float64) * self.scaler.scale[own] + self.scaler.mean[own]
        )
        return values

    def has(self, part: str) -> bool:
        """Whether a part was fitted, be it on or off."""
        return not isinstance(self.modules[part], MissingPart)

    def probabilities(self, matrix: NDArray[np.float32], part: str) -> FloatArray:
        """Return the columns (T, k) of a part that gives probabilities, of a matrix (T, F); rows sum to 1.

        They are normalised again: scaling and clipping left them off by a last digit.
        """
        positive = self.outputs(matrix, part).clip(0.0, 1.0)
        found: FloatArray = positive / positive.sum(axis=1, keepdims=True)
        return found

    def memory_columns(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the columns of the memory alone, (T, k)."""
        return self._scaled(self.modules["memory"].transform(bars), "memory").astype(np.float32)

    def with_parts(self, active: Sequence[str], memory_size: int | None = None) -> "Mind":
        """Return a mind in which these parts are on, with a memory of another size where one is given; 0 is off."""
        there = {part for part in active if self.has(part)}
        on = frozenset(there - ({"memory"} if memory_size == 0 else set()))
        if not memory_size or self.memory is None:
            return replace(self, active=on)
        return replace(self, active=on).with_memory(self.memory.with_capacity(memory_size))

    def with_costs(self, costs: CostsConfig) -> "Mind":
        """Return the mind for other trading costs; the same mind if costs are no column of it."""
        return self if self.costs is None else replace(self, costs=self.costs.with_costs(costs))

    def with_memory(self, memory: MemoryModule) -> "Mind":
        """Return the mind with another memory."""
        return replace(self, modules={**self.modules, "memory": memory})

    @property
    def memory(self) -> MemoryModule | None:
        """The memory; None where no agent of the run has one."""
        found = self.modules["memory"]
        return found if isinstance(found, MemoryModule) else None

    def to_plain(self) -> dict[str, Any]:
        """Return the fitted mind as tensors and plain data."""
        return {
            **self.base.to_plain(),
            "mind": {
                "version": VERSION,
                "parts": {part: self.modules[part].to_plain() for part in ORDER},
                "mean": self.scaler.mean.tolist(),
                "scale": self.scaler.scale.tolist(),
                "clip": float(self.clip),
                "active": sorted(self.active),
                "plugins": list(self.part_plugins),
                "costs": None if self.costs is None else self.costs.to_plain(),
            },
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Mind":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: a part is missing, broken or of another version.
        """
        base = FeaturePipeline.from_plain({key: value for key, value in plain.items() if key != "mind"})
        try:
            own = plain["mind"]
            if own["version"] != VERSION:
                raise ModelFileError(f"the mind of the model has version {own['version']}, this code has {VERSION}")
            plugins = tuple(own["plugins"])
            modules = {part: _read(part, own["parts"][part], plugins) for part in ORDER}
            scaler = Scaler(np.array(own["mean"], dtype=np.float64), np.array(own["scale"], dtype=np.float64))
            costs = None if own.get("costs") is None else CostFeature.from_plain(own["costs"])
            return cls(base, modules, scaler, own["clip"], frozenset(own["active"]), costs, plugins)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ModelFileError(f"the mind of the model does not fit this code ({error}); train it again") from error

    @cached_property
    def _slices(self) -> dict[str, slice]:
        found, first = {}, len(self.base.columns)
        for part in ORDER:
            found[part] = slice(first, first + len(self.modules[part].columns))
            first = found[part].stop
        return found

    @property
    def _on(self) -> frozenset[str]:
        return self.active | {VOLATILITY}

    def _neutral(self, part: str) -> FloatArray:
        # The values of a part that is off: those that become 0 when scaled.
        return self.scaler.mean[self._slice_among_parts(part)]

    def _matrix(self, bars: BarSeries, on: frozenset[str]) -> NDArray[np.float32]:
        outputs = [
            self.modules[part].transform(bars) if part in on else np.tile(self._neutral(part), (len(bars), 1))
            for part in ORDER
        ]
        return self._joined(self.base.transform(bars), outputs, bars)

    def _joined(
        self, features: NDArray[np.float32], outputs: Sequence[FloatArray], bars: BarSeries
    ) -> NDArray[np.float32]:
        scaled = _clipped((np.concatenate(outputs, axis=-1) - self.scaler.mean) / self.scaler.scale, self.clip)
        level = [] if self.costs is None else [np.full((*features.shape[:-1], 1), self.costs.value)]
        joined = np.concatenate([features, scaled, *level], axis=-1).astype(np.float32)
        if not np.isfinite(joined).all():
            raise DataError(f"{bars.symbol}: one of {', '.join(ORDER)} gave a value that is not finite")
        return joined

    def _scaled(self, outputs: FloatArray, part: str) -> FloatArray:
        where = self._slice_among_parts(part)
        return _clipped((outputs - self.scaler.mean[where]) / self.scaler.scale[where], self.clip)

    def _slice_among_parts(self, part: str) -> slice:
        # Of its columns among those of the parts.
        own, first = self.slice_of(part), len(self.base.columns)
        return slice(own.start - first, own.stop - first)


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    VOLATILITY: HarVolatility.columns,
    "regime": REGIMES,
    "pattern": PATTERNS,
    "memory": MemoryModule.columns,
}
_READERS: Mapping[str, Callable[[Mapping[str, Any]], MarketModule]] = {
    VOLATILITY: HarVolatility.from_plain,
    "pattern": PatternRecognizer.from_plain,
    "memory": MemoryModule.from_plain,
}


def _read(part: str, plain: Mapping[str, Any], plugins: Sequence[str]) -> MarketModule:
    if plain["name"] == MissingPart.name:
        return MissingPart(tuple(plain["columns"]))
    return classifier_from_plain(plain, plugins) if part == "regime" else _READERS[part](plain)


def with_regimes(regime: MarketModule, samples: Samples) -> list[tuple[BarSeries, range, NDArray[np.int64] | None]]:
    """Add to each sample the regime of each bar up to the end of its rows, (rows.stop,); None without a classifier."""
    return [
        (bars, rows, None if isinstance(regime, MissingPart) else regime.transform(bars[: rows.stop]).argmax(-1))
        for bars, rows in samples
    ]


def _outputs_of(modules: Mapping[str, MarketModule], bars: BarSeries) -> FloatArray:
    outputs: FloatArray = np.concatenate([modules[part].transform(bars) for part in ORDER], axis=1)
    return outputs


def _clipped(values: FloatArray, bound: float) -> FloatArray:
    return np.minimum(np.maximum(values, -bound), bound)


def _scaler(outputs: FloatArray, unscaled: int) -> Scaler:
    # The first columns, of the volatility, stay as they are.
    mean, std = outputs.mean(axis=0), outputs.std(axis=0)
    scale = np.where(std > CONSTANT_STD, std, 1.0)
    mean[:unscaled], scale[:unscaled] = 0.0, 1.0
    return Scaler(mean, scale)
