"""Markets that might have been, generated anew for each generation to be learned from beside the real ones.

They are made from training rows alone (`src/market/stress.py`), and the mind looks at them as at any other series.
"""

from src.market.stress import StressedMarket
from src.seeding import generator
from src.training.shared_market import Series, SharedMarket


def stressed_series(shared: SharedMarket, seed: int, generation: int) -> list[Series]:
    """Return the generated series of a generation, a function of it and the seed.

    Raises:
        DataError: the training rows are too few to learn from.
    """
    stage, rows = shared.stage, shared.training
    if stage.stressed == 0:
        return []
    market = StressedMarket(shared.bars[: rows.stop])
    found = []
    for place in range(stage.stressed):
        bars = market.draw(stage.stress, generator(seed, "stress", generation, place))
        found.append(Series(bars, range(rows.start, len(bars)), False, shared.mind.everything(bars)))
    return found
