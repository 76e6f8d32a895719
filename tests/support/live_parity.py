"""A recorded stretch of bars as the bot lives it, and the comparison with the streaming backtest of the same bars."""

from pathlib import Path

import numpy as np

from src.backtesting.engine import run_backtest
from src.config.risk import RiskLimits
from src.journal.schema import JournaledStep
from src.live.live_model import LiveModel
from src.live.trader import TAPE_BARS
from src.market.bars import BarSeries, timeframe_ms, timeframe_name
from src.trading.records import StepRecord
from tests.support.live_setup import SYMBOL, Recording, bars_of, model_of, paper_trader

FIRST = TAPE_BARS - 1  # the bot waits until costs are known as in a long series


def timeframe_of(rows: list) -> str:
    return timeframe_name(int(rows[1][0] - rows[0][0]))


def lived(
    folder: Path, limits: RiskLimits, rows: list, restart_every: int = 0, model: LiveModel | None = None
) -> list[JournaledStep]:
    folder.mkdir(exist_ok=True)
    source = Recording(rows, timeframe=timeframe_of(rows))
    trader = None
    for index in range(FIRST, len(rows)):
        source.now_ms = int(rows[index][0]) + source.step_ms + 1000
        if trader is None or (restart_every and index % restart_every == 0):
            trader = paper_trader(folder, source, model, limits=limits)
            trader.start()
        trader.tick()
    assert trader is not None
    return trader._services.journal.steps(SYMBOL, 0, source.now_ms)


def assert_equal_to_backtest(
    steps: list[JournaledStep], limits: RiskLimits, rows: list, model: LiveModel | None = None
) -> set[str]:
    """Compare every column and every reason; return the stations that acted."""
    model = model or model_of(limits=limits)
    timeframe = timeframe_of(rows)
    bars = BarSeries.of(SYMBOL, timeframe, bars_of(rows, timeframe_ms(timeframe)))
    expected = run_backtest(model.agent, bars, model.rules, range(FIRST, len(rows)), limits)
    for name in StepRecord._fields:
        got = np.array([step.record[name] for step in steps])
        np.testing.assert_array_equal(got, getattr(expected.records, name), err_msg=name)
    assert expected.reviews is not None
    assert [float(step.saw["wanted"]) for step in steps] == expected.reviews.wanted.tolist()
    told = [[change.sentence for change in changes] for changes in expected.reviews.changes]
    assert [step.changed for step in steps] == told
    return {change.station for changes in expected.reviews.changes for change in changes}
