"""Every defect is counted where it was put, led to what the policy says, and never mended by inventing a price."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.market.bars import BarSeries
from src.market.quality import findings, verdict
from src.market.quality.findings import Defect
from src.market.quality.inspection import inspect
from src.market.quality.verdict import DROP, STRICT, Reaction, Usability, assess, clean, repair

HOUR = 3_600_000
DAY_BARS = 24 * HOUR
START = 1_583_020_800_000  # 2020-03-01 00:00 UTC, a Sunday
PRICES = ["open", "high", "low", "close"]
FEW_EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None)


def market(bars: int = 60, step: int = HOUR, seed: int = 0) -> pd.DataFrame:
    """A sound frame whose closes move by about 1 % a bar."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
    opened = np.append(100.0, close[:-1])
    return pd.DataFrame(
        {
            "open_time": START + step * np.arange(bars, dtype=np.int64),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": rng.uniform(1, 2, bars),
        }
    )


def counts(frame: pd.DataFrame, timeframe_ms: int | None = HOUR) -> dict[Defect, int]:
    return {finding.defect: finding.count for finding in inspect(frame, timeframe_ms).findings}


def as_bars(frame: pd.DataFrame) -> BarSeries:
    return BarSeries("X", "1h", *(frame[name].to_numpy() for name in ("open_time", *PRICES, "volume")))


def test_sound_bars_are_usable_and_returned_as_they_are() -> None:
    frame = market()
    report = inspect(frame)
    assert report.findings == ()
    assert report.timeframe_ms == HOUR
    assert assess(report).outcome is Usability.usable
    pd.testing.assert_frame_equal(repair(frame, report), frame)


def test_gaps_count_missing_bars_and_name_the_longest() -> None:
    frame = market().drop(index=[10, 20, 21, 22]).reset_index(drop=True)
    finding = inspect(frame).finding(Defect.gap)
    assert finding is not None
    assert finding.count == 4
    assert finding.examples[0].row == 10  # the row after the first hole, which was row 11
    assert "2 gaps, longest 4 h before 2020-03-01 23:00" in finding.detail
    assert assess(inspect(frame)).outcome is Usability.usable


def test_order_and_exact_duplicates_are_repaired() -> None:
    frame = market()
    shuffled = pd.concat([frame, frame.iloc[[3, 3, 7]]]).sample(frac=1, random_state=1).reset_index(drop=True)
    backwards = int((np.diff(shuffled["open_time"]) < 0).sum())
    assert counts(shuffled) == {Defect.out_of_order: backwards, Defect.exact_duplicate: 3}
    report = inspect(shuffled)
    assert assess(report).outcome is Usability.repaired
    pd.testing.assert_frame_equal(repair(shuffled, report), frame)


def test_newest_first_is_told_from_disorder() -> None:
    frame = market()
    turned = frame.iloc[::-1].reset_index(drop=True)
    assert counts(turned) == {Defect.newest_first: 59}
    pd.testing.assert_frame_equal(repair(turned, inspect(turned)), frame)


def test_rows_that_contradict_each_other_are_refused_even_when_dropping_is_allowed() -> None:
    frame = market()
    other = frame.iloc[[5]].assign(volume=9.0)
    frame = pd.concat([frame.iloc[:6], other, frame.iloc[6:]], ignore_index=True)
    assert counts(frame) == {Defect.conflicting_duplicate: 1}
    with pytest.raises(DataError, match=r"conflicting duplicate: 1, first row 6 \(2020-03-01 05:00\); keep one row"):
        clean("prices.csv", frame, HOUR, DROP)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0])
@pytest.mark.parametrize("column", [*PRICES, "volume"])
def test_values_that_are_no_price_or_volume_are_refused_or_dropped(column: str, value: float) -> None:
    frame = market()
    frame.loc[5, column] = value
    if column == "volume" and value == 0.0:
        assert counts(frame) == {Defect.zero_volume: 1}
        return
    assert counts(frame)[Defect.bad_volume if column == "volume" else Defect.bad_price] == 1
    with pytest.raises(DataError, match=r"prices\.csv"):
        clean("prices.csv", frame, HOUR)
    kept = clean("prices.csv", frame, HOUR, DROP)
    pd.testing.assert_frame_equal(kept, market().drop(index=5).reset_index(drop=True))


def test_impossible_candles_are_refused_or_dropped() -> None:
    frame = market()
    frame.loc[5, "high"] = frame.loc[5, "low"] * 0.9
    frame.loc[9, "close"] = frame.loc[9, "high"] * 1.0001
    assert counts(frame)[Defect.impossible_candle] == 2
    assert assess(inspect(frame)).outcome is Usability.refused
    assert len(clean("prices.csv", frame, HOUR, DROP)) == 58


def test_columns_in_another_order_are_recognised_and_never_dropped_row_by_row() -> None:
    frame = market()
    frame[["open", "high", "low", "close"]] = frame[["open", "close", "high", "low"]].to_numpy()
    for policy in (STRICT, DROP):
        with pytest.raises(DataError, match="'low' always holds the highest price and 'close' the lowest; name them"):
            clean("prices.csv", frame, HOUR, policy)


def test_times_off_the_grid_are_refused_with_their_phases() -> None:
    frame = market()
    frame.loc[40:, "open_time"] += HOUR // 2
    finding = inspect(frame, HOUR).finding(Defect.off_grid)
    assert finding is not None
    assert (finding.count, finding.examples[0].row) == (20, 40)
    assert finding.detail == "minutes past the grid: 0 in 40 rows, 30 in 20 rows"
    assert assess(inspect(frame, HOUR)).outcome is Usability.refused


def test_a_stretch_of_long_bars_shifted_by_an_hour_is_off_the_grid() -> None:
    frame = market(step=4 * HOUR)
    frame.loc[45:, "open_time"] += HOUR
    assert counts(frame, None)[Defect.off_grid] == 15


def test_the_bar_that_has_not_closed_is_dropped_only_if_the_time_is_known() -> None:
    frame = market()
    now = int(frame["open_time"].iloc[-1]) + HOUR - 1
    assert inspect(frame, HOUR).count(Defect.forming) == 0
    assert len(clean("live", frame, HOUR, now_ms=now)) == 59
    assert len(clean("live", frame, HOUR, now_ms=now + 1)) == 60


def test_zero_volume_and_stale_prices_are_noted() -> None:
    frame = market()
    frame.loc[10:15, PRICES] = frame.loc[10, PRICES].to_numpy()  # six equal bars: five repeats
    frame.loc[30:33, PRICES] = frame.loc[30, PRICES].to_numpy()  # four are not yet suspicious
    frame.loc[10:15, "volume"] = 0.0
    found = counts(frame)
    assert (found[Defect.stale], found[Defect.zero_volume]) == (5, 6)
    assert assess(inspect(frame)).outcome is Usability.usable


def test_a_reverting_spike_is_told_from_a_lasting_jump() -> None:
    frame = market(400)
    frame.loc[100, ["high", "close"]] = frame.loc[100, "close"] * 3
    frame.loc[200:, PRICES] *= 3
    report = inspect(frame)
    outliers, spikes = report.finding(Defect.outlier), report.finding(Defect.spike)
    assert outliers is not None
    assert spikes is not None
    assert [example.row for example in outliers.examples] == [100, 101, 200]
    assert [example.row for example in spikes.examples] == [100]


def test_a_return_over_a_gap_is_judged_by_the_time_it_took() -> None:
    jump = market(400)
    jump.loc[200:, PRICES] *= 1.8
    after_closure = jump.copy()
    after_closure.loc[200:, "open_time"] += 100 * HOUR
    assert counts(jump)[Defect.outlier] == 1
    assert Defect.outlier not in counts(after_closure)


def test_a_clock_with_daylight_saving_shows_by_its_repeated_hour() -> None:
    utc = pd.date_range("2020-09-01", "2021-04-15", freq="1h", tz="UTC")
    frame = market(len(utc))
    local = utc.tz_convert("Europe/Berlin").tz_localize(None)
    frame["open_time"] = local.to_numpy().astype("datetime64[ms]").astype(np.int64)
    finding = inspect(frame).finding(Defect.clock_change)
    assert finding is not None
    assert finding.count == 2  # 2020-10-25 and 2021-03-28
    assert findings.utc(finding.examples[0].open_time).startswith("2020-10-25")
    with pytest.raises(DataError, match=r"conflicting duplicate: 1, .* clock with daylight saving: 2, .* to UTC"):
        clean("prices.csv", frame)
    autumn_mended = frame.drop_duplicates("open_time")
    assert assess(inspect(autumn_mended)).outcome is Usability.usable  # one missing hour may be an outage


def test_one_missing_hour_on_a_spring_sunday_is_only_a_gap() -> None:
    frame = market(31 * 24)
    hole = START + 28 * 24 * HOUR + HOUR  # 2020-03-29 01:00
    assert counts(frame[frame["open_time"] != hole]) == {Defect.gap: 1}


def test_volume_that_changes_its_unit_is_found_at_the_row() -> None:
    frame = market(4000).assign(volume=np.random.default_rng(2).lognormal(3.0, 1.0, 4000))
    assert Defect.volume_switch not in counts(frame)
    frame.loc[:2345, "volume"] *= frame.loc[:2345, "close"]
    finding = inspect(frame).finding(Defect.volume_switch)
    assert finding is not None
    assert [example.row for example in finding.examples] == [2346]
    assert assess(inspect(frame)).outcome is Usability.usable


def test_the_report_reads_as_text_and_as_plain_data() -> None:
    frame = market().drop(index=[10]).reset_index(drop=True)
    report = inspect(frame)
    assert report.text().splitlines() == [
        "59 rows of 1h bars, 2020-03-01 00:00 to 2020-03-03 11:00",
        "  missing bar: 1, first row 10 (2020-03-01 11:00); 1 gaps, longest 2 h before 2020-03-01 11:00",
    ]
    assert report.to_plain()["findings"]["gap"]["examples"] == [{"row": 10, "open_time": START + 11 * HOUR}]


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match=r"0 bar\(s\) found"):
        inspect(market().iloc[:0])
    with pytest.raises(DataError, match=r"\['volume'\] are missing"):
        inspect(market().drop(columns="volume"))
    with pytest.raises(DataError, match=r"1 bar\(s\) found, at least 2"):
        inspect(market(1))
    assert assess(inspect(market(3).assign(close=np.nan))).outcome is Usability.refused


def test_each_defect_has_a_reaction_and_each_refusal_a_remedy() -> None:
    assert set(STRICT) == set(DROP) == set(Defect)
    assert {defect for defect in Defect if STRICT[defect] is Reaction.refuse} == set(verdict.REMEDY)


def test_the_documented_table_is_the_policy() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "data_quality.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.count("|") == 5
    ]
    documented = {name: (by_default, dropping) for name, _, by_default, dropping in cells}
    for defect in Defect:
        assert documented[defect.value] == (STRICT[defect].value, DROP[defect].value)


@st.composite
def damaged(draw: st.DrawFn) -> pd.DataFrame:
    """A sound frame after a few random acts of damage."""
    frame = market(draw(st.integers(2, 30)), seed=draw(st.integers(0, 9)))
    rows = st.integers(0, len(frame) - 1)
    for _ in range(draw(st.integers(0, 4))):
        value = draw(st.sampled_from([np.nan, np.inf, 0.0, -1.0, 50.0, 1e9]))
        frame.loc[draw(rows), draw(st.sampled_from([*PRICES, "volume"]))] = value
    repeated = draw(st.lists(rows, max_size=3))
    removed = draw(st.lists(rows, max_size=2, unique=True))
    frame = pd.concat([frame.drop(index=removed), frame.iloc[repeated]], ignore_index=True)
    return frame.sample(frac=1, random_state=draw(st.integers(0, 9))).reset_index(drop=True)


@FEW_EXAMPLES
@given(damaged(), st.sampled_from([STRICT, DROP]))
def test_whatever_the_damage_the_outcome_is_valid_bars_or_a_refusal(
    frame: pd.DataFrame, policy: verdict.Policy
) -> None:
    before = frame.copy()
    try:
        cleaned = clean("damaged", frame, HOUR, policy)
    except DataError:
        return
    pd.testing.assert_frame_equal(frame, before)
    if len(cleaned):
        as_bars(cleaned)
        pd.testing.assert_frame_equal(clean("again", cleaned, HOUR, policy), cleaned)
    rows_before = set(before.itertuples(index=False, name=None))
    assert set(cleaned.itertuples(index=False, name=None)) <= rows_before


@FEW_EXAMPLES
@given(damaged())
def test_strict_repair_keeps_every_distinct_row(frame: pd.DataFrame) -> None:
    repaired = repair(frame, inspect(frame, HOUR))
    expected = frame.drop_duplicates().sort_values("open_time", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(repaired, expected)
