"""What a rollout trades on: the training stretches of one or several series, laid end to end in flat arrays.

Env runners and learners in other processes read the same files through a memory map, so a market is stored once per
run, however many processes use it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.execution.tape import Tape
from src.trading.prepared_market import PreparedMarket
from src.trading.rules import TradingRules


class Span(NamedTuple):
    """Flat rows of one series: context [context, first), then rows [first, stop) on which decisions may be taken."""

    context: int
    first: int
    stop: int


@dataclass(frozen=True)
class TrainingMarket:
    """Flat arrays over R rows.

    Attributes:
        features: (R, F) float32.
        tape: columns of shape (R,) float64.
        spans: one per series; rows of different series never share a span.
        rules: how targets become equity and reward.
    """

    features: NDArray[np.float32]
    tape: Tape
    spans: tuple[Span, ...]
    rules: TradingRules

    @classmethod
    def from_markets(
        cls, markets: Sequence[PreparedMarket], rules: TradingRules, context_bars: int
    ) -> "TrainingMarket":
        """Lay markets end to end, each cut to its decision rows and the context before them.

        Raises:
            DataError: a market has fewer than `context_bars` rows before its first decision row.
        """
        features, tapes, spans, offset = [], [], [], 0
        for market in markets:
            begin = market.rows.start - context_bars
            if begin < 0:
                raise DataError(
                    f"{market.bars.symbol}: the first training row {market.rows.start} has less than the "
                    f"{context_bars} bars of context the model reads; use a smaller model.core.window or more data"
                )
            cut = slice(begin, market.rows.stop)
            features.append(market.features[cut])
            tapes.append(market.tape.at(cut))
            first = offset + context_bars
            spans.append(Span(offset, first, first + len(market.rows)))
            offset += context_bars + len(market.rows)
        tape = Tape(*(np.concatenate(columns) for columns in zip(*tapes, strict=True)))
        return cls(np.concatenate(features), tape, tuple(spans), rules)

    def save(self, folder: Path) -> None:
        """Write the arrays and the plain data `load` needs."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "features.npy", self.features)
        np.save(folder / "tape.npy", np.stack(self.tape))
        plain = {"spans": self.spans, "rules": self.rules.to_plain()}
        (folder / "market.json").write_text(json.dumps(plain))


@lru_cache(maxsize=4)
def load_training_market(folder: str) -> TrainingMarket:
    """Read what `TrainingMarket.save` wrote; one copy per process."""
    root = Path(folder)
    plain = json.loads((root / "market.json").read_text())
    return TrainingMarket(
        features=np.load(root / "features.npy", mmap_mode="r"),
        tape=Tape(*np.load(root / "tape.npy")),
        spans=tuple(Span(*span) for span in plain["spans"]),
        rules=TradingRules.from_plain(plain["rules"]),
    )


def episode_chunks(rows: int, episode_bars: int, horizon: int) -> int:
    """Return how many rollouts of `horizon` bars make an episode on a stretch of `rows` decision rows.

    Raises:
        DataError: not even one fits.
    """
    longest = min(episode_bars, rows - 1)
    if longest < horizon:
        raise DataError(
            f"an episode of {longest} bars is shorter than one rollout of horizon={horizon}; lower the "
            "stage's horizon, raise environment.episode_bars or give more training data"
        )
    return longest // horizon
