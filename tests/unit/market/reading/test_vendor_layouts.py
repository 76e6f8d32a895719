"""Answers of exchanges and vendors as they are saved: which of their fields are the bars, and which are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.config.data import Adjust, DataConfig
from src.errors import DataError
from src.market.reading.price_file import understand_file
from src.market.sources import read_file, read_table

HOURS = pd.date_range("2024-03-01", periods=48, freq="h", tz="UTC")
SECONDS = [int(hour.timestamp()) for hour in HOURS]
CLOSE = [100.0 + place % 9 for place in range(48)]
OPEN, HIGH, LOW, VOLUME = CLOSE, [c + 1 for c in CLOSE], [c - 1 for c in CLOSE], [7000 + place for place in range(48)]
BARS = list(zip(SECONDS, OPEN, HIGH, LOW, CLOSE, VOLUME, strict=True))

KRAKEN = {
    "error": [],
    "result": {"XXBTZUSD": [[t, o, h, lo, c, c + 0.25, v, 9] for t, o, h, lo, c, v in BARS], "last": 1},
}
ANSWERS: dict[str, Any] = {
    "Alpha Vantage": {
        "Meta Data": {"1. Information": "Intraday", "6. Time Zone": "UTC"},
        "Time Series (60min)": {
            str(hour)[:19]: {
                "1. open": str(o), "2. high": str(h), "3. low": str(lo), "4. close": str(c), "5. volume": str(v)
            }
            for hour, (_, o, h, lo, c, v) in reversed(list(zip(HOURS, BARS, strict=True)))
        },
    },
    "CryptoCompare": {
        "Response": "Success",
        "Data": {
            "TimeFrom": 1,
            "Data": [
                {"time": t, "high": h, "low": lo, "open": o, "volumefrom": v, "volumeto": 100 * v, "close": c}
                for t, o, h, lo, c, v in BARS
            ],
        },
    },
    "Kraken": KRAKEN,
    "Finnhub": {"c": CLOSE, "h": HIGH, "l": LOW, "o": OPEN, "s": "ok", "t": SECONDS, "v": VOLUME},
    "Yahoo": {
        "chart": {
            "result": [
                {
                    "meta": {"currency": "USD", "validRanges": ["1d", "5d"]},
                    "timestamp": SECONDS,
                    "indicators": {
                        "quote": [{"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE, "volume": VOLUME}]
                    },
                }
            ],
            "error": None,
        }
    },
    "OANDA": {
        "instrument": "EUR_USD",
        "candles": [
            {"complete": True, "volume": v, "time": f"{hour:%Y-%m-%dT%H:%M:%S}.000000000Z",
             "mid": {"o": str(o), "h": str(h), "l": str(lo), "c": str(c)}}
            for hour, (_, o, h, lo, c, v) in zip(HOURS, BARS, strict=True)
        ],
    },
    "Bybit": {
        "retCode": 0,
        "result": {"category": "spot", "list": [[str(1000 * t), *map(str, row)] for t, *row in BARS[::-1]]},
    },
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_bars_are_found_in_the_answer_of_a_vendor(tmp_path: Path, answer: object) -> None:
    (tmp_path / "x.json").write_text(json.dumps(answer))
    bars = read_file(tmp_path / "x.json", "X")
    columns = (bars.open_time // 1000, bars.open, bars.high, bars.low, bars.close, bars.volume)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == BARS


def test_bars_one_a_line_are_a_list_of_bars(tmp_path: Path) -> None:
    names = ("t", "o", "h", "l", "c", "v")
    (tmp_path / "x.json").write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in BARS))
    assert read_file(tmp_path / "x.json", "X").close.tolist() == CLOSE


def test_an_average_price_is_not_taken_for_volume_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(KRAKEN))
    said = understand_file(tmp_path / "x.json", DataConfig()).understood.remarks
    assert "'5' holds an average price: volume is taken from '6'; data.columns.volume names another" in said


def test_several_lists_of_bars_in_one_answer_are_refused_by_their_names(tmp_path: Path) -> None:
    names = ("t", "o", "h", "l", "c", "v")
    rows = [dict(zip(names, row, strict=True)) for row in BARS]
    (tmp_path / "x.json").write_text(json.dumps({"bars": {"AAPL": rows, "MSFT": rows}}))
    with pytest.raises(DataError, match=r"2 lists of bars, bars\.AAPL, bars\.MSFT; keep one"):
        read_file(tmp_path / "x.json", "X")


def daily(**columns: object) -> pd.DataFrame:
    days = pd.bdate_range("2024-01-02", periods=40)
    return pd.DataFrame(
        {"Date": days, "Open": OPEN[:40], "High": HIGH[:40], "Low": LOW[:40], "Close": CLOSE[:40]}
    ).assign(
        Volume=VOLUME[:40],
        **columns,  # type: ignore[arg-type]
    )


def test_two_tickers_of_one_download_are_told_apart_by_position_or_by_name(tmp_path: Path) -> None:
    table = daily().set_index("Date")
    both = pd.concat({"AAA": table, "BBB": table * 2}, axis=1).swaplevel(axis=1).sort_index(axis=1)
    with pytest.raises(DataError, match="its columns are Date, Close AAA, Close BBB, "):
        read_table(both, "X")
    mapped = {name.lower(): f"{name} BBB" for name in ("Open", "High", "Low", "Close", "Volume")}
    both.to_csv(tmp_path / "x.csv")
    for bars in (
        read_table(both, "X", DataConfig(columns=mapped)),
        read_file(tmp_path / "x.csv", "X", DataConfig(columns=mapped)),
    ):
        assert bars.close.tolist() == [2 * close for close in CLOSE[:40]]


def test_splits_that_prices_do_not_contain_are_adjusted_with_volume_where_it_is_asked_for() -> None:
    ratio = np.zeros(40)
    ratio[20] = 2.0
    before = np.arange(40) < 20
    raw = daily(**{"Stock Splits": ratio})
    raw.loc[before, ["Open", "High", "Low", "Close"]] *= 2
    raw.loc[before, "Volume"] //= 2
    assert read_table(raw, "X", DataConfig(adjust=Adjust.all)).close.tolist() == CLOSE[:40]
    assert read_table(raw, "X", DataConfig(adjust=Adjust.all)).volume[:20].tolist() == [
        volume // 2 * 2 for volume in VOLUME[:20]
    ]
    assert read_table(raw, "X").close[0] == 2 * CLOSE[0]


def test_splits_that_prices_contain_are_not_adjusted_again() -> None:
    ratio = np.zeros(40)
    ratio[20] = 2.0
    assert read_table(daily(**{"Stock Splits": ratio}), "X", DataConfig(adjust=Adjust.all)).close.tolist() == CLOSE[:40]


def test_all_prices_adjusted_is_refused_where_nothing_adjusts() -> None:
    with pytest.raises(DataError, match=r"data\.adjust=all finds neither adjusted prices nor ratios of splits"):
        read_table(daily(), "X", DataConfig(adjust=Adjust.all))


def turnover(price: float = 1.0, decimal: str = ".") -> pd.DataFrame:
    # Open, high, low, close between which the money of each bar was paid for its pieces.
    table = daily().drop(columns="Volume")
    prices = ["Open", "High", "Low", "Close"]
    table[prices] = table[prices] * price
    average = (table["High"] + table["Low"] + table["Close"]) / 3
    table["Date"] = table["Date"].dt.strftime("%Y-%m-%d")
    return table.assign(Volumen=(average * VOLUME[:40]).round(2), Stuecke=VOLUME[:40])


def as_german(table: pd.DataFrame, path: Path) -> Path:
    def cell(value: object) -> str:
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,")) if isinstance(value, float) else str(value)

    rows = [";".join(map(cell, row)) for row in table.itertuples(index=False)]
    path.write_text("\n".join([";".join(table.columns), *rows]))
    return path


def test_volume_in_money_gives_way_to_volume_in_pieces_and_it_is_said(tmp_path: Path) -> None:
    path = as_german(turnover(price=15.0), tmp_path / "x.csv")
    assert read_file(path, "X").volume.tolist() == VOLUME[:40]
    said = understand_file(path, DataConfig()).understood.remarks
    told = "'Volumen' is money, 'Stuecke' times the price: volume is taken from 'Stuecke'; data.columns.volume names"
    assert any(remark.startswith(told) for remark in said)
    money = turnover(price=15.0)["Volumen"].tolist()
    assert read_file(path, "X", DataConfig(columns={"volume": "Volumen"})).volume.tolist() == money


def test_volume_stays_where_nothing_tells_money_from_pieces() -> None:
    near_one = turnover(price=0.01).assign(**dict.fromkeys(("Open", "Close"), 1.0), High=1.01, Low=0.99)
    near_one["Volumen"] = near_one["Stuecke"] * 1.001
    counted = turnover().assign(Stuecke=[place % 5 + 1 for place in range(40)])  # trades, not pieces
    for table in (near_one, counted):
        assert read_table(table, "X").volume.tolist() == table["Volumen"].tolist()


@pytest.mark.parametrize("data", [DataConfig(), DataConfig(columns={"volume": "Up+Down"})])
def test_volume_of_rising_and_falling_trades_is_summed(data: DataConfig) -> None:
    up = [volume // 3 for volume in VOLUME[:40]]
    parts = daily(Up=up, Down=[volume - rising for volume, rising in zip(VOLUME, up, strict=False)])
    table = parts.drop(columns="Volume")
    assert read_table(table, "X", data).volume.tolist() == VOLUME[:40]
