"""The store gives back what was put in, knows what it lacks, and survives a kill between any two of its writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.market.history import bar_store as store_module
from src.market.history.bar_store import BarStore, Coverage, TimeRange

HOUR = 3_600_000


def frame(first: int, stop: int) -> pd.DataFrame:
    """Bars number `first` to `stop` - 1 counted in hours since 1970."""
    hours = np.arange(first, stop, dtype=np.int64)
    price = 100.0 + hours % 7
    return pd.DataFrame(
        {
            "open_time": hours * HOUR,
            "open": price,
            "high": price + 1,
            "low": price - 1,
            "close": price + 0.5,
            "volume": hours.astype(float),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path, "binance", "BTC/USDT", "1h")


def hours(*bounds: int) -> TimeRange:
    return TimeRange(*(bound * HOUR for bound in bounds))


def test_bars_come_back_as_they_were_in_whatever_order_pages_arrive(store: BarStore) -> None:
    for first, stop in [(500, 900), (0, 300), (300, 500)]:
        store.add(frame(first, stop))
    bars = store.read()
    assert (bars.symbol, bars.timeframe) == ("BTC/USDT", "1h")
    for name, column in frame(0, 900).items():
        np.testing.assert_array_equal(getattr(bars, str(name)), column)


def test_parts_stay_small_and_hold_the_bars_of_their_time(store: BarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PART_BARS", 24)
    store.add(frame(20, 60))
    assert [path.name for path in sorted(store.folder.glob("*.parquet"))] == [
        "part-1970-01-01T0000.parquet",
        "part-1970-01-02T0000.parquet",
        "part-1970-01-03T0000.parquet",
    ]
    assert len(store.read()) == 40


def test_a_page_stored_twice_is_stored_once(store: BarStore) -> None:
    store.add(frame(0, 50))
    store.add(frame(40, 60))
    np.testing.assert_array_equal(store.read().open_time, np.arange(60) * HOUR)


def test_a_page_without_bars_creates_nothing(store: BarStore) -> None:
    store.add(frame(0, 0))
    with pytest.raises(DataError, match="holds no bars yet; download them first"):
        store.read()
    assert not store.folder.exists()


def test_coverage_survives_the_disk(store: BarStore) -> None:
    assert store.coverage() == Coverage()
    coverage = Coverage().with_complete(hours(0, 10)).with_hole_requests({hours(3, 4): 2, hours(1, 2): 1})
    store.save_coverage(coverage)
    again = BarStore(store.folder.parents[1], "binance", "BTC-USDT", "1h").coverage()
    assert again == Coverage((hours(0, 10),), ((hours(1, 2), 1), (hours(3, 4), 2)))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"complete": [[1]], "asked": []}', '{"complete": 3, "asked": []}'])
def test_a_damaged_sidecar_is_refused_with_the_remedy(store: BarStore, content: str) -> None:
    store.save_coverage(Coverage())
    (store.folder / "coverage.json").write_text(content)
    with pytest.raises(DataError, match=r"is damaged .*; delete .* and download again"):
        store.coverage()


def test_a_damaged_part_is_refused_with_the_remedy(store: BarStore) -> None:
    store.add(frame(0, 10))
    part = next(store.folder.glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    for read in (store.read, lambda: store.add(frame(10, 20)), lambda: store.times(hours(0, 5))):
        with pytest.raises(DataError, match=r"cannot be read .*; delete .* and download again"):
            read()


def test_holes_are_what_the_grid_lacks(store: BarStore) -> None:
    store.add(frame(5, 20).drop(index=[3, 4, 9]))  # without hours 8, 9 and 14
    assert store.holes(hours(5, 20)) == [hours(8, 10), hours(14, 15)]
    assert store.holes(hours(2, 22)) == [hours(2, 5), hours(8, 10), hours(14, 15), hours(20, 22)]
    assert store.holes(hours(10, 14)) == []
    assert store.holes(hours(30, 32)) == [hours(30, 32)]


def test_markets_do_not_share_a_folder(tmp_path: Path) -> None:
    def folder(symbol: str, timeframe: str = "1h", exchange: str = "binance") -> Path:
        return BarStore(tmp_path, exchange, symbol, timeframe).folder

    assert folder("BTC/USDT") == folder("btc-usdt") == tmp_path / "binance" / "BTCUSDT_1h"
    assert folder("BTC/USDT:USDT") == folder("btcusdt:usdt") == tmp_path / "binance" / "BTCUSDT--USDT_1h"
    others = {folder("BTC/USDT:USDT"), folder("BTC/USDT", "1m"), folder("BTC/USDT", exchange="kraken")}
    assert len(others | {folder("BTC/USDT")}) == 4
    with pytest.raises(DataError, match="holds no letter or digit"):
        folder("../..")


@pytest.mark.parametrize("write", ["add", "save_coverage"])
def test_a_kill_while_writing_leaves_the_old_file(store: BarStore, monkeypatch: pytest.MonkeyPatch, write: str) -> None:
    store.add(frame(0, 10))
    store.save_coverage(Coverage((hours(0, 10),)))

    def dies(_handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("src.storage.os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        store.add(frame(10, 20)) if write == "add" else store.save_coverage(Coverage((hours(0, 20),)))
    assert len(store.read()) == 10
    assert store.coverage() == Coverage((hours(0, 10),))


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=8), st.integers(0, 20), st.integers(1, 20))
def test_missing_and_complete_divide_what_is_wanted(done: list[tuple[int, int]], first: int, length: int) -> None:
    coverage = Coverage()
    for start, size in done:
        coverage = coverage.with_complete(TimeRange(start, start + size))
    wanted = TimeRange(first, first + length)
    missing = coverage.missing(wanted)
    there = {t for start, size in done for t in range(start, start + size)}
    expected = [t for t in range(*wanted) if t not in there]
    assert [t for time_range in missing for t in range(*time_range)] == expected
    assert all(a.stop < b.start for a, b in zip(coverage.complete, coverage.complete[1:], strict=False))
