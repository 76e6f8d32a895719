"""When bars opened: zones, sessions, weeks, months; and that no bar counts as closed before it was."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

import supertrader as st
from src.config.data import Adjust, DataConfig
from src.errors import ConfigError, DataError
from src.market.bars import BarSeries
from src.market.reading.price_file import understand_table
from src.market.sources import read_table

DAYS = pd.bdate_range("2024-01-02", periods=90)  # over both changes of clocks in spring
EVERY_DAY = pd.date_range("2024-01-02", periods=120)


def table(times: Iterable[object], name: str = "time") -> pd.DataFrame:
    times = list(times)
    close = 100.0 + np.arange(len(times)) % 7
    return pd.DataFrame(
        {
            name: times,
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": 5.0 + np.arange(len(times)),
        }
    )


def dates(bars: BarSeries) -> list[str]:
    return [str(day) for day in bars.open_time.astype("datetime64[ms]").astype("datetime64[D]")]


def in_zone(days: pd.DatetimeIndex, zone: str, at: str = "00:00") -> pd.DatetimeIndex:
    return (days + pd.Timedelta(f"{at}:00")).tz_localize(zone)


def seconds(moments: pd.DatetimeIndex) -> list[int]:
    return [int(moment.timestamp()) for moment in moments]


def iso(moments: pd.DatetimeIndex) -> list[str]:
    return [moment.isoformat() for moment in moments]


SESSIONS = {
    "New York, midnight": ("America/New_York", "00:00", "16:00"),
    "New York, open": ("America/New_York", "09:30", "16:00"),
    "London": ("Europe/London", "08:00", "16:30"),
    "Frankfurt": ("Europe/Berlin", "00:00", "17:30"),
    "Tokyo, midnight": ("Asia/Tokyo", "00:00", "15:30"),
    "Hong Kong, open": ("Asia/Hong_Kong", "09:30", "16:00"),
    "Sydney, midnight": ("Australia/Sydney", "00:00", "16:00"),
    "Sydney, open": ("Australia/Sydney", "10:00", "16:00"),
}


@pytest.mark.parametrize("write", [seconds, iso], ids=["seconds since 1970", "ISO with offset"])
@pytest.mark.parametrize(("zone", "stamp", "closes"), SESSIONS.values(), ids=SESSIONS)
def test_daily_bars_have_the_date_of_their_session_and_close_after_it(
    zone: str, stamp: str, closes: str, write: object
) -> None:
    bars = read_table(table(write(in_zone(DAYS, zone, stamp))), "X")  # type: ignore[operator]
    assert (bars.timeframe, dates(bars)) == ("1d", [str(day.date()) for day in DAYS])
    assert not (bars.open_time % 86_400_000).any()
    really_closed = np.array(seconds(in_zone(DAYS, zone, closes))) * 1000
    assert (bars.close_time >= really_closed).all()


def test_a_day_from_the_close_in_new_york_belongs_to_the_date_on_which_it_ends() -> None:
    evenings = in_zone(DAYS - pd.Timedelta(days=1), "America/New_York", "17:00")
    bars = read_table(table(seconds(evenings)), "EUR/USD")
    assert dates(bars) == [str(day.date()) for day in DAYS]
    assert (bars.close_time >= np.array(seconds(evenings + pd.Timedelta(hours=23))) * 1000).all()


def test_days_of_a_market_around_the_clock_keep_their_moments() -> None:
    moments = in_zone(EVERY_DAY, "UTC", "16:00")
    assert read_table(table(seconds(moments)), "X").open_time.tolist() == [1000 * time for time in seconds(moments)]


@pytest.mark.parametrize("data", [DataConfig(timeframe="24h"), DataConfig(session="24x7")])
def test_moments_of_daily_bars_are_kept_where_settings_say_so(data: DataConfig) -> None:
    moments = in_zone(DAYS, "Asia/Tokyo", "00:00")
    bars = read_table(table(seconds(moments)), "X", data)
    assert bars.open_time.tolist() == [1000 * time for time in seconds(moments)]


@pytest.mark.parametrize("end", ["23:59:59.999", "23:59:59"])
def test_closing_times_are_told_by_their_last_second(end: str) -> None:
    bars = read_table(table([f"{day.date()}T{end}Z" for day in EVERY_DAY]), "X")
    assert dates(bars) == [str(day.date()) for day in EVERY_DAY]
    hours = pd.date_range("2024-01-02", periods=50, freq="h")
    bars = read_table(table(hours + pd.Timedelta("59min 59s")), "X")
    assert pd.DatetimeIndex(bars.open_time.astype("datetime64[ms]")).equals(hours.as_unit("ms"))


def test_a_column_of_closing_times_is_named_as_such_or_by_data_columns() -> None:
    hours = pd.date_range("2024-01-02", periods=50, freq="h", tz="UTC")
    for name, data in (("close_time", DataConfig()), ("until", DataConfig(columns={"close_time": "until"}))):
        bars = read_table(table(hours + pd.Timedelta(hours=1), name), "X", data)
        assert bars.open_time.tolist() == [1000 * time for time in seconds(hours)]


@pytest.mark.parametrize("count", [3, 40])
@pytest.mark.parametrize(("zone", "closes"), [("Asia/Tokyo", "15:00"), ("America/New_York", "16:00"), ("UTC", "24:00")])
def test_days_and_weeks_of_closing_times_have_the_dates_on_which_they_close(zone: str, closes: str, count: int) -> None:
    days = DAYS[:count]
    bars = read_table(table(seconds(in_zone(days, zone, closes)), "close_time"), "X")
    assert dates(bars) == [str(day.date()) for day in days]
    fridays = pd.date_range("2024-01-05", periods=count, freq="W-FRI")
    weeks = read_table(table(seconds(in_zone(fridays, zone, closes)), "close_time"), "X")
    assert dates(weeks) == [str((day - pd.Timedelta(days=4)).date()) for day in fridays]
    assert (weeks.close_time >= 1000 * np.array(seconds(in_zone(fridays, zone, closes)))).all()


def test_an_opening_time_is_taken_rather_than_a_closing_one() -> None:
    hours = pd.date_range("2024-01-02", periods=50, freq="h", tz="UTC")
    both = table(hours + pd.Timedelta(hours=1), "timestamp").assign(timeOpen=hours)
    assert read_table(both, "X").open_time.tolist() == [1000 * time for time in seconds(hours)]


# Weeks and months.


@pytest.mark.parametrize("weekday", ["FRI", "MON"])
def test_weeks_stamped_with_a_trading_day_open_on_their_monday(weekday: str) -> None:
    stamps = pd.date_range("2024-01-03", periods=30, freq=f"W-{weekday}")
    holiday = stamps.to_series().where(
        stamps != stamps[12], stamps[12] + pd.Timedelta(days=-1 if weekday == "FRI" else 1)
    )
    bars = read_table(table(holiday), "X")
    mondays = [str((day - pd.Timedelta(days=day.weekday())).date()) for day in stamps]
    assert (bars.timeframe, dates(bars)) == ("1w", mondays)


def test_weeks_from_another_day_keep_it() -> None:
    thursdays = pd.date_range("2024-01-04", periods=30, freq="W-THU")
    assert dates(read_table(table(thursdays), "X")) == [str(day.date()) for day in thursdays]
    fridays = pd.date_range("2024-01-05", periods=30, freq="W-FRI")
    assert dates(read_table(table(fridays), "X", DataConfig(timeframe="7d"))) == [str(day.date()) for day in fridays]


@pytest.mark.parametrize("stamps", ["MS", "ME", "BMS", "BME"])
def test_months_open_on_their_first_day_and_close_on_the_next(stamps: str) -> None:
    bars = read_table(table(pd.date_range("2015-01-01", periods=60, freq=stamps)), "X")
    first = pd.date_range("2015-01-01", periods=61, freq="MS").as_unit("ms")
    assert (bars.timeframe, bars.bars_per_year) == ("1mo", pytest.approx(12, abs=0.01))
    assert bars.open_time.tolist() == first[:-1].astype(np.int64).tolist()
    assert bars.close_time.tolist() == first[1:].astype(np.int64).tolist()
    assert bars.bar(1).close_time == bars.close_time[1]


def test_closing_times_of_months_are_those_of_the_month_that_ends() -> None:
    first = pd.date_range("2015-01-01", periods=25, freq="MS").as_unit("ms")
    bars = read_table(table(first[1:], "close_time"), "X")
    assert bars.close_time.tolist() == first[1:].astype(np.int64).tolist()


def test_a_month_that_is_missing_is_a_gap_and_quarters_are_three_months() -> None:
    stamps = pd.date_range("2015-01-31", periods=60, freq="ME").delete(30)
    assert read_table(table(stamps), "X").timeframe == "1mo"
    quarters = read_table(table(pd.date_range("2015-03-31", periods=20, freq="QE")), "X")
    assert (quarters.timeframe, dates(quarters)[0]) == ("3mo", "2015-01-01")


# Zones.


def eastern(minutes: int = 30) -> pd.DatetimeIndex:
    hours = pd.date_range("2024-02-26 09:30", periods=390 // minutes, freq=f"{minutes}min") - pd.Timestamp("2024-02-26")
    return pd.DatetimeIndex([day + hour for day in DAYS[40:60] for hour in hours])


def test_hours_of_new_york_are_taken_as_such_unless_a_zone_is_named() -> None:
    local = eastern()
    there = local.tz_localize("America/New_York")
    assert read_table(table(local), "X").open_time.tolist() == [1000 * time for time in seconds(there)]
    named = read_table(table(local), "X", DataConfig(timezone="UTC"))
    assert named.open_time.tolist() == [1000 * time for time in seconds(local.tz_localize("UTC"))]


def test_an_exchange_decides_whether_times_are_its_own_or_utc() -> None:
    local = pd.DatetimeIndex([day + pd.Timedelta(minutes=540 + 30 * bar) for day in DAYS for bar in range(12)])
    tokyo = local.tz_localize("Asia/Tokyo")
    for times in (local, tokyo.tz_convert("UTC").tz_localize(None)):
        bars = read_table(table(times), "X", DataConfig(session="XTKS"))
        assert bars.open_time.tolist() == [1000 * time for time in seconds(tokyo)]


def test_times_without_a_zone_are_utc_and_it_is_said_with_a_doubt_where_days_begin_alike_all_year() -> None:
    days = pd.bdate_range("2024-01-02", periods=250)
    local = pd.DatetimeIndex([day + pd.Timedelta(hours=9 + hour) for day in days for hour in range(8)])
    reading = understand_table(table(local), "x", DataConfig())
    assert reading.frame["open_time"].tolist() == [1000 * time for time in seconds(local.tz_localize("UTC"))]
    assert "every day of the file begins at 09:00" in reading.understood.remarks[0]
    around = understand_table(table(pd.date_range("2024-01-02", periods=999, freq="h")), "x", DataConfig())
    assert around.understood.remarks[0].startswith(
        "times without a zone are taken as UTC; data.timezone says otherwise"
    )
    assert "begins at" not in around.understood.remarks[0]


def test_an_hour_that_exists_twice_is_read_twice_and_one_that_does_not_exist_is_refused() -> None:
    zone = ZoneInfo("America/New_York")
    moments = pd.date_range("2024-11-02", periods=60, freq="h", tz="UTC")
    local = moments.tz_convert(zone).tz_localize(None)
    for order in (slice(None), slice(None, None, -1)):
        bars = read_table(table(local[order]), "X", DataConfig(timezone=str(zone)))
        assert bars.open_time.tolist() == [1000 * time for time in seconds(moments)]
    spring = pd.date_range("2024-03-10", periods=30, freq="h")
    with pytest.raises(DataError, match="2024-03-10 02:00:00 does not exist in America/New_York"):
        read_table(table(spring), "X", DataConfig(timezone="America/New_York"))


def test_a_zone_that_times_name_wins_over_the_setting_and_it_is_said() -> None:
    moments = pd.date_range("2024-01-02", periods=50, freq="h", tz="Asia/Kolkata")
    reading = understand_table(table(iso(moments)), "x", DataConfig(timezone="Europe/Paris"))
    assert reading.frame["open_time"].tolist() == [1000 * time for time in seconds(moments)]
    assert any("data.timezone is not used" in remark for remark in reading.understood.remarks)


def test_digits_are_a_count_since_1970_where_it_is_said_and_days_of_a_spreadsheet_where_they_are_such() -> None:
    digits = [202401010000 + 60_000 * place for place in range(40)]  # milliseconds of 1976, and no times of a clock
    assert read_table(table(digits), "X", DataConfig(time_format="ms")).open_time.tolist() == digits
    hours = pd.date_range("2024-03-01", periods=48, freq="h")
    serial = (hours - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    assert read_table(table(serial), "X").open_time.tolist() == [
        1000 * time for time in seconds(hours.tz_localize("UTC"))
    ]


def test_a_table_without_rows_is_refused_with_a_zone_named_as_well() -> None:
    with pytest.raises(DataError, match=r"0 bar\(s\) found"):
        read_table(table(EVERY_DAY).iloc[:0], "X", DataConfig(timezone="Europe/Paris"))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            {"timezone": "Amerika/New_York"},
            "data.timezone 'Amerika/New_York' is unknown; did you mean 'America/New_York'?",
        ),
        ({"session": "NYSEE"}, "data.session 'NYSEE' is unknown; did you mean 'NYSE'?"),
        ({"decimal": ";"}, "data.decimal must be '.' or ',', was ';'"),
        ({"columns": {"opentime": "t"}}, "data.columns key 'opentime' is unknown; did you mean 'open_time'?"),
    ],
)
def test_settings_that_do_not_exist_are_refused_with_the_nearest(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        DataConfig(**setting)  # type: ignore[arg-type]
    assert said in str(refused.value)


def test_every_reason_is_told_at_once() -> None:
    strange = table(["01/02/2024", "02/02/2024", "03/02/2024"]).assign(open=["a", "b", "c"]).drop(columns="low")
    with pytest.raises(st.DataError) as refused:
        st.load_bars("X", strange)
    for reason in (
        "no column found for low",
        "may be %d/%m/%Y or %m/%d/%Y",
        "column 'open' holds 'a', which is no number",
    ):
        assert reason in str(refused.value)


def test_bars_of_the_future_do_not_move_the_bars_before_them() -> None:
    moments = iso(in_zone(DAYS, "America/New_York", "09:30"))
    whole, part = (read_table(table(moments).iloc[:rows], "X") for rows in (90, 60))
    assert whole.open_time[:60].tolist() == part.open_time.tolist()


@pytest.mark.parametrize("minutes", [1, 5, 15])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_days_that_end_at_the_close_of_new_york_sharp_hold_closing_times(minutes: int, order: slice) -> None:
    opened = eastern(minutes)
    closed = (opened + pd.Timedelta(minutes=minutes))[order]
    expected = [1000 * time for time in seconds(opened.tz_localize("America/New_York"))]
    assert read_table(table(closed), "X").open_time.tolist() == expected
    assert read_table(table(closed), "X", DataConfig(timezone="America/New_York")).open_time.tolist() == expected
    said = " ".join(understand_table(table(closed), "x", DataConfig()).understood.remarks)
    assert "begins one bar after 09:30 and ends at 16:00" in said
    assert f"each bar opens {minutes}m before" in said


def test_closing_times_told_by_the_hours_are_opening_times_where_settings_say_so() -> None:
    closed = eastern(5) + pd.Timedelta(minutes=5)
    as_named = DataConfig(columns={"open_time": "time"})
    kept = [1000 * time for time in seconds(closed.tz_localize("America/New_York"))]
    assert read_table(table(closed), "X", as_named).open_time.tolist() == kept
    remarks = understand_table(table(closed), "x", as_named).understood.remarks
    assert any("name them in data.columns.close_time" in remark for remark in remarks)
    as_closing = read_table(table(closed), "X", DataConfig(columns={"close_time": "time"}))
    assert as_closing.open_time.tolist() == [time - 5 * 60_000 for time in kept]
    in_utc = read_table(table(closed), "X", DataConfig(timezone="UTC"))
    assert in_utc.open_time.tolist() == [1000 * time for time in seconds(closed.tz_localize("UTC"))]


def test_days_from_ten_to_four_are_not_taken_for_closing_times() -> None:
    sydney = eastern(30) + pd.Timedelta(minutes=30)  # 10:00 to 16:00, the hours of Sydney too
    assert read_table(table(sydney), "X").open_time.tolist() == [
        1000 * time for time in seconds(sydney.tz_localize("UTC"))
    ]


@pytest.mark.parametrize("day", ["SUN", "THU"])
def test_weeks_stamped_by_their_first_day_close_after_their_last_though_the_last_row_is_of_the_download(
    day: str,
) -> None:
    stamps = list(pd.date_range("2022-01-01", periods=80, freq=f"W-{day}"))
    stamps[-1] += pd.Timedelta(days=2)
    bars = read_table(table([f"{stamp:%Y-%m-%d}" for stamp in stamps]), "X")
    closes = bars.close_time.astype("datetime64[ms]")
    week = np.timedelta64(7, "D")
    assert all(close >= stamp.to_datetime64() + week for close, stamp in zip(closes[:-1], stamps[:-1], strict=True))


def test_weeks_of_a_market_around_the_clock_keep_their_moments() -> None:
    stamps = pd.date_range("2023-01-02", periods=60, freq="W-MON", tz="UTC") + pd.Timedelta(hours=5)
    bars = read_table(table(seconds(stamps)), "X", DataConfig(session="24x7"))
    assert (bars.open_time // 1000).tolist() == seconds(stamps)


def test_a_split_after_the_end_adjusts_nothing_before_it() -> None:
    days = pd.bdate_range("2023-01-02", periods=120)
    frame = table([f"{day:%Y-%m-%d}" for day in days])
    frame["split_coefficient"] = np.where(days == pd.Timestamp("2023-04-03"), 2.0, 1.0)
    frame.loc[days >= "2023-04-03", ["open", "high", "low", "close"]] /= 2
    cut = DataConfig(adjust=Adjust.all, end="2023-03-15")
    later, alone = read_table(frame, "X", cut), read_table(frame[days < "2023-03-15"], "X", cut)
    assert (later.close[0], later.close[-1]) == (alone.close[0], alone.close[-1])
    whole = read_table(frame, "X", DataConfig(adjust=Adjust.all))
    assert whole.close[0] == alone.close[0] / 2
