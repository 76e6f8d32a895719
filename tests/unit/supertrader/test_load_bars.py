"""`load_bars`: markets that come along, files, tables, generated markets; and refusals."""

from pathlib import Path

import pandas as pd
import pytest

import supertrader as st
from src.config.data import DataConfig
from src.market import sources

TABLE = pd.DataFrame(
    {
        "Date": pd.date_range("2024-01-01", periods=5, freq="1h"),
        "Open": [10.0, 11.0, 12.0, 11.0, 10.0],
        "High": [11.0, 12.0, 13.0, 12.0, 11.0],
        "Low": [9.0, 10.0, 11.0, 10.0, 9.0],
        "Close": [11.0, 12.0, 11.0, 10.0, 10.5],
        "Volume": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


def test_without_arguments_the_bars_are_those_of_the_commands() -> None:
    assert st.load_bars().fingerprint == sources.load_bars("SP500", DataConfig()).fingerprint


def test_a_table_and_a_file_of_it_hold_the_same_bars(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "mine.csv", index=False)
    from_table = st.load_bars("MINE", TABLE)
    assert (from_table.symbol, from_table.timeframe, len(from_table)) == ("MINE", "1h", 5)
    assert from_table.close.tolist() == TABLE["Close"].tolist()
    assert st.load_bars("MINE", tmp_path / "mine.csv").fingerprint == from_table.fingerprint
    assert st.load_bars("MINE", str(tmp_path / "mine.csv")).fingerprint == from_table.fingerprint


def test_dates_cut_every_source_alike(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "mine.csv", index=False)
    for data in (TABLE, tmp_path / "mine.csv"):
        bars = st.load_bars("MINE", data, start="2024-01-01T01:00", end="2024-01-01T04:00")
        assert bars.open.tolist() == [11.0, 12.0, 11.0]


def test_columns_of_other_names_are_mapped() -> None:
    table = TABLE.rename(columns={"Close": "settled"})
    assert st.load_bars("MINE", table, columns={"close": "settled"}).close[0] == 11.0


def test_a_table_is_read_by_the_same_guesses_and_settings_as_a_file(tmp_path: Path) -> None:
    dates = (TABLE["Date"] + pd.Timedelta(days=31)).dt.strftime("%m/%d/%Y %H:%M")
    german = {name: TABLE[name].map("{:.1f}".format).str.replace(".", ",") for name in ("Open", "High", "Low", "Close")}
    table = TABLE.assign(Date=dates, **german)
    table.to_csv(tmp_path / "mine.csv", index=False, sep=";")
    for data in (table, tmp_path / "mine.csv"):
        with pytest.raises(st.DataError, match="may be %d/%m/%Y or %m/%d/%Y"):
            st.load_bars("MINE", data)
        bars = st.load_bars("MINE", data, time_format="%m/%d/%Y %H:%M", timezone="+02:00")
        assert bars.open_time[0] == pd.Timestamp("2024-01-31T22:00Z").value // 10**6
        assert bars.open.tolist() == [10.0, 11.0, 12.0, 11.0, 10.0]
    with pytest.raises(st.ConfigError, match="adjust 'al' is unknown; did you mean 'all'"):
        st.load_bars("MINE", TABLE, adjust="al")


def test_rows_without_a_price_are_refused_or_left_out() -> None:
    table = TABLE.assign(Close=[11.0, None, 11.0, 10.0, 10.5])
    with pytest.raises(st.DataError, match="price missing"):
        st.load_bars("MINE", table)
    assert len(st.load_bars("MINE", table, drop_defective=True)) == 4


def test_generated_markets_have_a_length_and_a_seed() -> None:
    one, same, other = (st.load_bars("A4", source="synthetic", length=200, seed=seed) for seed in (1, 1, 2))
    assert len(one) == 200
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"symbol": "SP50"}, st.DataError, "did you mean 'SP500'"),
        ({"symbol": "A4", "source": "synthetik"}, st.ConfigError, "did you mean 'synthetic'"),
        ({"data": TABLE, "source": "embedded"}, st.ConfigError, "give one of them"),
        ({"data": "nowhere.csv"}, st.DataError, "nowhere.csv is not an existing file"),
        ({"start": "yesterday"}, st.ConfigError, "ISO date"),
        ({"symbol": "BTC/USDT", "source": "ccxt"}, st.ConfigError, "data.timeframe"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(
    arguments: dict[str, object], error: type[st.TraderError], named: str
) -> None:
    with pytest.raises(error, match=named) as caught:
        st.load_bars(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
