"""`MemoryModule`: an episodic memory read ahead of an agent, as columns of each bar.

The memory is frozen: it holds what was committed when it was fitted, and a look-up at bar t sees the events that had
ended by then. So looking up a whole series at once equals looking up bar by bar, and a backtest equals a live bot that
loaded the same file.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.config.agent.memory import MemoryConfig
from src.errors import ConfigError, ModelFileError
from src.features.indicators import CUTOFF_SPANS
from src.market.bars import BarSeries, FloatArray
from src.memory.episodic_memory import ExternalMemory
from src.memory.event_detection import Events, regime_shifts, sharp_moves
from src.memory.key_encoder import KeyEncoder, exponential_volatility

_START_OF_TIME = int(np.iinfo(np.int64).min)
_CLIP = 5.0  # forecasts, in volatilities of a bar

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class MemoryModule:
    """What the memory says of a bar.

    `forecast` is the weighted mean of what came of the recalled events, in volatilities of a bar; `trust` grows from 0
    to 1 with their total weight; `nearest` is the similarity of the nearest; `agreement` is 1 where all recalled values
    have the same sign and 0 where they cancel. All are 0 where nothing can be recalled: in the warm-up of the keys, in
    a market that stands still, or from an empty memory.

    Attributes:
        memory: with nothing staged.
    """

    memory: ExternalMemory

    name = "memory"
    columns = ("forecast", "trust", "nearest", "agreement")

    @classmethod
    def fit(cls, config: MemoryConfig, samples: Sequence[tuple[BarSeries, range, Labels | None]]) -> "MemoryModule":
        """Remember the significant events of some series that had ended within the given rows.

        Args:
            samples: series, rows, and the regime of each bar up to the end of the rows, (rows.stop,); None where
                regime shifts are no events.
        """
        encoder = KeyEncoder(config.key)
        found = cls(ExternalMemory(encoder.width, config))
        for bars, rows, labels in samples:
            found._store(bars[: rows.stop], None if labels is None else labels[: rows.stop])
        found.memory.commit(looked_up_from=_START_OF_TIME)
        return found

    def with_events(self, bars: BarSeries, events: Iterable[Events]) -> "MemoryModule":
        """Return one that also remembers these events of a series, such as an agent's own large wins and losses."""
        grown = MemoryModule(ExternalMemory.from_plain(self.memory.to_plain()))
        keys, encoder = None, grown._encoder
        for each in events:
            known = each.since(encoder.warmup_bars)
            if len(known.row):
                keys = encoder.encode(bars) if keys is None else keys
                grown.memory.store_many(keys[known.row], known.outcomes)
        grown.memory.commit(looked_up_from=_START_OF_TIME)
        return grown

    def with_capacity(self, capacity: int) -> "MemoryModule":
        """Return one whose look-ups see at most so many events, the last that had ended."""
        plain = self.memory.to_plain()
        plain["config"] = {**plain["config"], "capacity": capacity}
        return replace(self, memory=ExternalMemory.from_plain(plain))

    @property
    def history_bars(self) -> int:
        """Trailing bars that decide a row; what is older weighs 1e-15."""
        key = self.memory.config.key
        return max(CUTOFF_SPANS * key.volatility_span_bars, key.window_bars) + 1

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the columns, (T, 4)."""
        return self.last_rows(bars, len(bars))

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 4), without looking up the others."""
        table = np.zeros((len(bars), len(self.columns)))
        encoder = self._encoder
        if len(bars) <= encoder.warmup_bars or len(self.memory) == 0:
            return table[len(bars) - rows :]
        volatility = exponential_volatility(bars, encoder.config.volatility_span_bars)
        asked = np.flatnonzero(volatility > 0)
        asked = asked[asked >= max(encoder.warmup_bars, len(bars) - rows)]
        recall = self.memory.retrieve_series(encoder.keys(bars, volatility, asked), bars.close_time[asked])
        weight, values = recall.weight, recall.outcome.value
        total = weight.sum(-1)
        signed = np.abs((weight * np.sign(values)).sum(-1))
        table[asked, 0] = np.clip(recall.forecast / volatility[asked], -_CLIP, _CLIP)
        table[asked, 1] = total / (1.0 + total)
        table[asked, 2] = np.where(recall.is_event, recall.similarity, 0.0).max(-1)
        table[asked, 3] = np.divide(signed, total, out=np.zeros_like(total), where=total > 0)
        return table[len(bars) - rows :]

    def recalled(self, bars: BarSeries, row: int) -> list[dict[str, Any]]:
        """Return, as plain data, the events recalled at a bar, nearest first."""
        encoder = self._encoder
        if row < encoder.warmup_bars or len(self.memory) == 0:
            return []
        seen = bars[max(0, row + 1 - self.history_bars) : row + 1]
        recall = self.memory.retrieve(encoder.encode(seen)[-1], at=int(bars.close_time[row]))
        return [
            {"similarity": float(similarity), "value": float(value), "ended_at": int(ended)}
            for similarity, value, ended, there in zip(
                recall.similarity, recall.outcome.value, recall.outcome.ended_at, recall.is_event, strict=True
            )
            if there
        ]

    def to_plain(self) -> dict[str, Any]:
        """Return the memory as tensors and plain data."""
        return {"name": self.name, "memory": self.memory.to_plain()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "MemoryModule":
        """Rebuild from `to_plain`.

        Raises:
            ModelFileError: the memory is of another version, incomplete, or impossible.
        """
        try:
            return cls(ExternalMemory.from_plain(plain["memory"]))
        except (KeyError, TypeError, ConfigError) as error:
            raise ModelFileError(f"the memory of the model is broken ({error}); train anew") from error

    @property
    def _encoder(self) -> KeyEncoder:
        return KeyEncoder(self.memory.config.key)

    def _store(self, bars: BarSeries, labels: Labels | None) -> None:
        config, encoder = self.memory.config, self._encoder
        if len(bars) <= encoder.warmup_bars:
            return
        keys = encoder.encode(bars)
        volatility = exponential_volatility(bars, config.key.volatility_span_bars)
        found = [sharp_moves(bars, volatility, config.significance)]
        if labels is not None:
            found.append(regime_shifts(bars, labels, config.significance))
        for events in found:
            known = events.since(encoder.warmup_bars)
            self.memory.store_many(keys[known.row], known.outcomes)
