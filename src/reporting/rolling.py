"""What a rolling retrain says in words and figures: its steps, the stitched record, and what to hold it against.

The page, the console and `rolling.json` all speak from here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.evaluation.returns import simple_returns
from src.evaluation.variation import why_no_sharpe
from src.evaluation.walk_forward import Stitched
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.summary import Report, luck_sentence, summary_plain

STEP_HEADINGS = ("step", "from", "to", "bars", "return", "Sharpe ratio", "buy and hold", "verdict on its model")


@dataclass(frozen=True)
class RollingRecord:
    """Steps in order of time, each traded by a model that was chosen on bars before it.

    Attributes:
        verdicts: of the promotion gate on each step's model; None for one that no gate judged.
        stitched: the steps laid end to end.
        market: holding the market without a break over the same bars, without costs.
        baselines: simple strategies over the same bars, after costs, by name.
        looks: how many runs have been judged on these bars, or some of them, so far, this one included.
    """

    steps: tuple[Report, ...]
    verdicts: tuple[str | None, ...]
    stitched: Stitched
    market: Stitched
    baselines: Mapping[str, Stitched]
    looks: int

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Last millisecond of each bar, (T,)."""
        return np.concatenate([step.times for step in self.steps])

    @property
    def period(self) -> tuple[str, str]:
        """First and last day, as ISO dates in UTC."""
        return self.steps[0].period[0], self.steps[-1].period[1]

    @property
    def beats_market(self) -> bool:
        """Whether it ends above the market by more than rounding."""
        return self.stitched.metrics.total_return > self.market.metrics.total_return + 1e-9

    @property
    def verdict(self) -> str:
        """Whether it beat the market, whether luck could explain it, and how often these bars were looked at."""
        beat = "Beat buy and hold" if self.beats_market else "Did not beat buy and hold"
        earned, held = (percent(one.metrics.total_return, sign=True) for one in (self.stitched, self.market))
        luck = luck_sentence(self.stitched.sharpe_interval, why_no_sharpe(simple_returns(self.stitched.equity, 1.0)))
        words = f"{beat}: {earned} after costs against {held}. {luck}"
        if self.looks == 1:
            return words
        return f"{words} {self.looks} runs were judged on these bars; choosing among them makes the best look better."


class CurveRow(NamedTuple):
    """One line of the table of records, formatted."""

    name: str
    total_return: str
    sharpe: str
    sharpe_interval: str
    max_drawdown: str


CURVE_HEADINGS = CurveRow("", "return", "Sharpe ratio", "its 95 % interval", "deepest drawdown")


def step_rows(record: RollingRecord) -> list[tuple[str, ...]]:
    """Return the table of steps, formatted."""
    return [
        (
            str(place),
            *step.period,
            f"{len(step.closes):,}",
            percent(step.performance.total_return, sign=True),
            number(step.performance.sharpe),
            percent(step.performance.buy_and_hold.total_return, sign=True),
            verdict or "not judged",
        )
        for place, (step, verdict) in enumerate(zip(record.steps, record.verdicts, strict=True), start=1)
    ]


def curve_rows(record: RollingRecord) -> list[CurveRow]:
    """Return the stitched record, the market and the baselines, formatted."""
    curves = {"stitched out-of-sample record": record.stitched, "buy and hold, without costs": record.market}
    return [_curve_row(name, curve) for name, curve in (curves | dict(record.baselines)).items()]


def rolling_plain(record: RollingRecord) -> dict[str, Any]:
    """Return the content of `rolling.json`: plain data, stable keys, null where undefined."""
    about, (first_day, last_day) = record.steps[0].description, record.period
    return {
        "symbol": about.symbol,
        "timeframe": about.timeframe,
        "first_day": first_day,
        "last_day": last_day,
        "bars": len(record.stitched.equity),
        "looks": record.looks,
        "verdict": record.verdict,
        "stitched": _curve_plain(record.stitched),
        "buy_and_hold": _curve_plain(record.market),
        "baselines": {name: _curve_plain(curve) for name, curve in record.baselines.items()},
        "steps": [
            summary_plain(step) | {"promotion_verdict": verdict}
            for step, verdict in zip(record.steps, record.verdicts, strict=True)
        ],
    }


def _curve_row(name: str, curve: Stitched) -> CurveRow:
    metrics, interval = curve.metrics, curve.sharpe_interval
    return CurveRow(
        name=name,
        total_return=percent(metrics.total_return, sign=True),
        sharpe=number(metrics.sharpe),
        sharpe_interval=UNDEFINED if interval is None else f"{number(interval.low)} to {number(interval.high)}",
        max_drawdown=percent(metrics.max_drawdown),
    )


def _curve_plain(curve: Stitched) -> dict[str, Any]:
    interval = None if curve.sharpe_interval is None else asdict(curve.sharpe_interval)
    return asdict(curve.metrics) | {"sharpe_interval": interval}
