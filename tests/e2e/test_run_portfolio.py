"""`run_backtest.py --member`: portfolios from the command line, what they write, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run_backtest
from src.market.embedded import SECTORS
from tests.support.html_pages import refuse_network_and_nan

ROOT = Path(run_backtest.__file__).parent
PREFERENCES = ("--preferences", str(ROOT / "config/preferences.yaml"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return run_backtest.main([*arguments, *PREFERENCES])


def test_a_portfolio_is_traded_reported_and_its_positions_add_up(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--symbol", "US5", "--member", "equal_weight", "--report", "out", "--json", "out.json") == 0
    said = capsys.readouterr().out
    assert "member equal_weight, test split of US5" in said
    assert "stop-loss changed" in said
    refuse_network_and_nan((folder / "out/report.html").read_text())
    summary = json.loads((folder / "out/summary.json").read_text())
    assert summary == json.loads((folder / "out.json").read_text())
    assert set(summary["performance"]["by_symbol"]) == set(SECTORS)
    assert len(summary["description"]["preferences_sha256"]) == 64
    steps, held = pd.read_parquet("out/steps.parquet"), pd.read_parquet("out/positions.parquet")
    value = (held["units"] * held["mark"]).groupby(held["close_time"]).sum()
    equity = steps.set_index("close_time")["equity"]
    assert np.allclose(value / equity, steps.set_index("close_time")["net_exposure"])
    changed = held[(held["target"] != held["wanted"])]
    assert len(changed) > 0
    assert (changed["reason"].astype(str) != "").mean() > 0.9
    assert held.loc[held["symbol"] == "FB", "close_time"].min() > pd.Timestamp("2012-05-18", tz="UTC")


def test_members_come_from_files_and_symbols_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("sleeves", "momentum"):
        member = str(ROOT / f"config/members/{name}.yaml")
        assert run("--symbol", "AAPL", "MSFT", "costs.commission_bps=5", "--member", member) == 0
    assert "ma_cross on AAPL + ma_cross on MSFT" in capsys.readouterr().out


def test_sleeves_and_baselines_trade_years_before_a_symbol_was_listed(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    member = str(ROOT / "config/members/sleeves.yaml")
    assert run("--symbol", "US5", "--member", member, "--split", "train") == 0
    assert run("--symbol", "US5", "--member", "equal_weight", "data.end=2010-01-01", "--report", "out") == 0
    assert "left out of US5: FB" in caplog.text
    assert set(json.loads((folder / "out/summary.json").read_text())["performance"]["by_symbol"]) == {*SECTORS} - {"FB"}


def test_members_of_a_built_in_portfolio_are_compared_and_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--symbol", "US5", "--compare", "momentum", str(ROOT / "config/members/momentum.yaml")) == 0
    said = capsys.readouterr().out
    assert "2 members, test split of US5" in said
    assert "momentum 126/21 less momentum" in said


def test_what_a_delisting_closed_stands_among_the_positions(folder: Path) -> None:
    assert run("--symbol", "D20", "--member", "equal_weight", "--split", "all", "--report", "out") == 0
    held = pd.read_parquet("out/positions.parquet")
    closed = held[(held["call_units"] != 0)]
    assert len(closed) > 0
    moved = held["fill_units"] + held["call_units"]
    last = held.groupby("symbol", observed=True)["units"].last()
    assert np.allclose(moved.groupby(held["symbol"], observed=True).sum(), last)


def test_the_same_portfolio_again_gives_the_same_bytes(folder: Path) -> None:
    for name in ("one", "two"):
        run("--symbol", "P2", "--member", "reversal", "data.synthetic.bars=600", "--report", name)
    for file in ("steps.parquet", "positions.parquet", "summary.json", "report.html"):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()


def test_a_generated_portfolio_is_held_against_its_best_policy(capsys: pytest.CaptureFixture[str]) -> None:
    free = ("half_spread_bps", "slippage_bps", "borrow_bps_per_year", "financing_bps_per_year")
    fee = [f"costs.{name}=0" for name in free]
    assert run("--symbol", "P2", "--member", "equal_weight", "costs.commission_bps=10", *fee, "--split", "all") == 0
    assert "of the optimum" in capsys.readouterr().out
    assert run("--symbol", "P2", "--member", "equal_weight", "--split", "all") == 0
    assert "of the optimum" not in capsys.readouterr().out  # under other costs it is not known


def price_file(path: Path, first: str, days: int) -> Path:
    times = pd.date_range(first, periods=days, freq="D", tz="UTC")
    close = 100 + np.sin(np.arange(days)) + np.arange(days) * 0.01
    pd.DataFrame(
        {"time": times, "open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1.0}
    ).to_csv(path, index=False)
    return path


def test_a_member_of_ones_own_is_counted_on_sealed_bars_and_a_baseline_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.yaml").write_text("kind: baseline\nname: momentum\nlookback_bars: 100\n")
    (folder / "other.yaml").write_text("kind: baseline\nname: momentum\nlookback_bars: 90\n")
    said = []
    for member, split in (
        ("mine.yaml", "test"),
        ("other.yaml", "test"),
        ("mine.yaml", "test"),
        ("momentum", "test"),
        ("other.yaml", "train"),
    ):
        assert run("--symbol", "US5", "--member", member, "--split", split) == 0
        said.append([line[:6] for line in capsys.readouterr().out.splitlines() if line.startswith("look ")])
    assert said == [["look 1"], ["look 2"], ["look 1"], [], []]


def test_files_make_a_portfolio(folder: Path) -> None:
    for symbol in ("AAA", "BBB"):
        price_file(folder / f"{symbol}.csv", "2020-01-01", 500)
    assert run("--symbol", "AAA", "BBB", "--member", "volatility_parity", "--data", "{symbol}.csv") == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--symbol", "AAPL", "MSFT"), "a portfolio is traded by a member"),
        (("--symbol", "US5", "--member", "equal_wait"), "did you mean 'equal_weight'"),
        (("--symbol", "US5", "--member", "config/members"), "'config/members' is unknown. Valid: equal_weight"),
        (("--symbol", "costs.commission_bps=3"), "--symbol names no market"),
        (("--symbol", "US5"), "it is a portfolio, so name who trades it with --member"),
        (("--symbol", "US5", "--compare", "momentum"), "at least two members"),
        (("--symbol", "US5", "--member", "none.yaml"), "not an existing file"),
        (("--symbol", "AAPL", "AAPL", "--member", "equal_weight"), "twice"),
        (("--symbol", "AAPL", "NOPE", "--member", "equal_weight"), "NOPE"),
        (("--symbol", "US5", "--member", "equal_weight", "--risk", "x.yaml"), "instead of --risk"),
        (("--symbol", "US5", "--member", "minimum_variance", "data.start=2012-10-01"), "needs 252 bars of history"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_sleeves_that_add_up_to_more_than_the_account_may_hold_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "member.yaml").write_text("kind: sleeves\nname: ma_cross\nshare: 0.6\n")
    assert run("--symbol", "AAPL", "MSFT", "--member", "member.yaml") == 2
    assert "a share of 0.6 for each of 2 symbols is 1.2 times the equity" in capsys.readouterr().err


def test_symbols_without_common_bars_or_with_a_single_one_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    price_file(folder / "AAA.csv", "2020-01-01", 100)
    price_file(folder / "BBB.csv", "2022-01-01", 100)
    assert run("--symbol", "AAA", "BBB", "--member", "equal_weight", "--data", "{symbol}.csv") == 2
    assert "shares no bar with any other symbol" in capsys.readouterr().err
    (folder / "BBB.csv").write_text("time,open,high,low,close,volume\n2020-01-05,1,1,1,1,1\n")
    assert run("--symbol", "AAA", "BBB", "--member", "equal_weight", "--data", "{symbol}.csv", "data.timeframe=1d") == 2
    assert "BBB" in capsys.readouterr().err
