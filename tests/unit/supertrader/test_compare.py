"""`compare`: what the command finds, strategies by name, and when luck could explain a difference."""

import json
from pathlib import Path

import numpy as np
import pytest

import run_backtest
import supertrader as st

BARS = st.load_bars("SP500", start="2012-01-01", end="2016-01-01")


def test_it_finds_what_the_command_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--symbol", "NASDAQ", "--compare", "buy_and_hold", "ma_cross", "--json", "out.json"]
    assert run_backtest.main(words) == 0
    result = st.compare(["buy_and_hold", "ma_cross"], symbol="NASDAQ")
    assert json.loads(json.dumps(result.to_dict())) == json.loads((tmp_path / "out.json").read_text())


def test_strategies_of_every_kind_stand_side_by_side() -> None:
    result = st.compare({"market": "buy_and_hold", "half": np.full(len(BARS), 0.5), "never": flat}, BARS)
    assert list(result.backtests) == ["market", "half", "never"]
    table = result.summary()
    assert list(table.index) == ["market", "half", "never"]
    for name, one in result.backtests.items():
        assert one.name == name
        assert table.loc[name, "total_return"] == pytest.approx(one.equity.iloc[-1] / 10_000.0 - 1.0)
    assert list(result.differences().index) == ["half", "never"]
    assert len(result.verdicts) == 2


def flat(bars: st.BarSeries) -> np.ndarray:
    return np.zeros(len(bars))


def test_a_strategy_does_not_differ_from_itself() -> None:
    less = st.compare({"one": "ma_cross", "other": "ma_cross"}, BARS).differences().loc["other"]
    for figure in ("mean_return", "sharpe"):
        assert less[figure] == less[f"{figure}_low"] == less[f"{figure}_high"] == 0.0
    assert less["could_be_luck"]


def test_a_sure_loss_is_not_luck() -> None:
    costly = np.tile([1.0, -1.0], len(BARS))[: len(BARS)]  # turns over twice its equity every day
    less = st.compare({"market": "buy_and_hold", "churn": costly}, BARS, costs={"commission_bps": 100}).differences()
    assert not less.loc["churn", "could_be_luck"]
    assert less.loc["churn", "mean_return_high"] < 0.0


def test_files_are_those_of_the_command(tmp_path: Path) -> None:
    page = st.compare(["flat", "buy_and_hold"], BARS).save(tmp_path / "out")
    assert page == tmp_path / "out" / "comparison.html"
    assert (tmp_path / "out" / "comparison.json").exists()


@pytest.mark.parametrize(
    ("strategies", "named"),
    [
        (["flat"], "two strategies or more, was 1"),
        ("flat", "two strategies or more, was 1"),
        ([np.zeros(3), np.ones(3)], "share the names targets; name each"),
        (["flat", "buy_and_hodl"], "did you mean buy_and_hold"),
    ],
)
def test_what_cannot_be_compared_is_refused(strategies: list[st.Strategy], named: str) -> None:
    with pytest.raises(st.ConfigError, match=named):
        st.compare(strategies, BARS)
