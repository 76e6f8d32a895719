"""`backtest`: the figures of the command, every kind of strategy, costs, splits; and refusals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run_backtest
import supertrader as st

BARS = st.load_bars("SP500", start="2012-01-01", end="2016-01-01")


def rising(bars: st.BarSeries) -> np.ndarray:
    """1 after a bar that closed above the one before."""
    return np.append(0.0, np.diff(bars.close) > 0)


class Rising:
    """The same, decided bar by bar."""

    name = "rising"
    warmup_bars = 1
    history_bars = 2

    def prepare(self, bars: st.BarSeries) -> None:
        self.close = bars.close

    def act(self, market_state: st.MarketState) -> st.Decision:
        before, now = self.close[market_state.row - 1 : market_state.row + 1]
        return st.Decision(np.array([float(now > before)]), np.ones(1))


def test_it_finds_what_the_command_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--symbol", "NASDAQ", "--model", "ma_cross", "--split", "validation", "costs.commission_bps=7"]
    assert run_backtest.main([*words, "--json", "out.json"]) == 0
    result = st.backtest("ma_cross", symbol="NASDAQ", split="validation", costs={"commission_bps": 7})
    assert json.loads(json.dumps(result.to_dict())) == json.loads((tmp_path / "out.json").read_text())


STRATEGIES: dict[str, st.Strategy] = {
    "a function": rising,
    "an array": rising(BARS),
    "a list": rising(BARS).tolist(),
    "a series": pd.Series(rising(BARS), index=BARS.to_frame().index, name="rising"),
    "a series without times": pd.Series(rising(BARS)),
    "an agent": Rising(),
}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_a_strategy_trades_alike_however_it_is_written(strategy: st.Strategy) -> None:
    steps = st.backtest(strategy, BARS).steps
    pd.testing.assert_frame_equal(steps, st.backtest(rising, BARS).steps)
    wanted = pd.Series(rising(BARS), index=BARS.to_frame().index)
    assert steps["target"].tolist() == wanted.loc[steps.index].tolist()


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (rising, "rising"),
        (Rising(), "rising"),
        (rising(BARS), "targets"),
        (lambda bars: np.zeros(len(bars)), "targets"),
        (pd.Series(rising(BARS), name="mine"), "mine"),
        ("ma_cross", "ma_cross"),
    ],
)
def test_a_strategy_is_called_by_its_own_name(strategy: st.Strategy, name: str) -> None:
    assert st.backtest(strategy, BARS).name == name


def test_costs_are_what_was_asked_for() -> None:
    result = st.backtest("buy_and_hold", BARS, costs={"commission_bps": 30, "half_spread_bps": 0, "slippage_bps": 0})
    (bought,) = result.steps[result.steps["fill_units"] != 0].itertuples()
    assert bought.commission == pytest.approx(30e-4 * bought.fill_units * bought.fill_price)
    assert result.steps["spread"].sum() == result.steps["slippage"].sum() == 0.0
    assert result.summary().loc["cost_commission", "buy_and_hold"] == pytest.approx(bought.commission)


def test_an_account_that_never_trades_keeps_its_money() -> None:
    result = st.backtest("flat", BARS)
    assert (result.equity == 10_000.0).all()
    assert (result.exposure == 0.0).all()
    assert (result.drawdown == 0.0).all()
    assert np.isnan(result.summary().loc["sharpe", "flat"])
    assert result.to_dict()["performance"]["sharpe"] is None


def test_series_are_labelled_as_the_bars_they_belong_to() -> None:
    result = st.backtest("buy_and_hold", BARS)
    table = BARS.to_frame()
    for series in (result.equity, result.exposure, result.drawdown, result.benchmark):
        assert series.index.equals(result.steps.index)
    assert result.steps.index.isin(table.index).all()
    held = result.steps["units"] * table["close"].loc[result.steps.index]
    pd.testing.assert_series_equal(result.exposure, held / result.equity, check_names=False)
    growth = table["close"].loc[result.steps.index]
    pd.testing.assert_series_equal(result.benchmark, 10_000.0 * growth / growth.iloc[0], check_names=False)


def test_parts_of_the_bars_follow_each_other() -> None:
    parts = {split: st.backtest("flat", BARS, split=split).steps.index for split in ("train", "validation", "test")}
    assert parts["train"][-1] < parts["validation"][0] < parts["validation"][-1] < parts["test"][0]
    whole = st.backtest("flat", BARS, split="all").steps.index
    assert (whole[0], whole[-1]) == (parts["train"][0], parts["test"][-1])


def test_a_risk_file_binds_every_decision(tmp_path: Path) -> None:
    risk = tmp_path / "risk.yaml"
    risk.write_text("max_leverage: 0.5\nmax_position: 1000000\n")
    free, bound = st.backtest("buy_and_hold", BARS), st.backtest("buy_and_hold", BARS, risk=risk)
    assert free.steps["target"].max() == 1.0
    assert bound.steps["target"].max() == 0.5
    assert (bound.steps["wanted"] == 1.0).all()
    assert (bound.steps["reason"] != "").all()


def test_trades_are_those_of_the_steps() -> None:
    result = st.backtest("ma_cross", BARS)
    trades, steps = result.trades, result.steps
    assert len(trades) > 3
    entered = steps.loc[trades["entry_time"]]
    assert (entered["fill_units"] != 0).all()
    assert ((entered["fill_units"] > 0).to_numpy() == (trades["side"] == "long").to_numpy()).all()
    assert trades["profit"].sum() == pytest.approx(result.equity.iloc[-1] - 10_000.0)


def test_files_are_those_of_the_command(tmp_path: Path) -> None:
    page = st.backtest("buy_and_hold", BARS).save(tmp_path / "report")
    assert page == tmp_path / "report" / "report.html"
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "report.html",
        "steps.parquet",
        "summary.json",
        "trades.csv",
    ]


def test_a_function_that_sees_the_future_is_refused() -> None:
    with pytest.raises(st.LookaheadError, match="tomorrow looks ahead"):
        st.backtest(tomorrow, BARS)
    with pytest.raises(st.LookaheadError, match="handed the 2 bars up to that row and none after it"):
        st.backtest(Tomorrow(), BARS)


def tomorrow(bars: st.BarSeries) -> np.ndarray:
    return np.append(np.diff(bars.close) > 0, 0.0)


class Tomorrow(Rising):
    """Asks for the bar after the one it decides on."""

    def act(self, market_state: st.MarketState) -> st.Decision:
        return super().act(market_state._replace(row=market_state.row + 1 if self.close[market_state.row + 1] else 0))


def test_an_exposure_the_actions_do_not_hold_is_refused_with_a_remedy_that_works() -> None:
    third = np.full(len(BARS), 1 / 3)
    with pytest.raises(st.ConfigError, match=r"exposure of 0\.333333.*'environment\.action\.kind': 'continuous'"):
        st.backtest(third, BARS)
    result = st.backtest(third, BARS, settings={"environment.action.kind": "continuous"})
    assert (result.steps["target"] == 1 / 3).all()


@pytest.mark.parametrize(
    ("strategy", "options", "error", "named"),
    [
        ("buy_and_hodl", {}, st.ConfigError, "did you mean buy_and_hold"),
        ("flat", {"symbol": "NASDAQ"}, st.ConfigError, "bars of SP500 were both given"),
        ("flat", {"split": "tests"}, st.ConfigError, "did you mean 'test'"),
        ("flat", {"costs": {"comission_bps": 1}}, st.ConfigError, "commission_bps"),
        ("flat", {"settings": {"costs.commission_bps": -1}}, st.ConfigError, "must lie in"),
        ("flat", {"risk": "nowhere.yaml"}, st.ConfigError, "nowhere.yaml"),
        (np.zeros(3), {}, st.DataError, "3 targets for 1006 bars of SP500; give one a bar"),
        (np.zeros(len(BARS) + 1), {}, st.DataError, "1007 targets for 1006 bars"),
        (lambda bars: np.zeros(3), {}, st.DataError, "one a bar"),
        (np.full(len(BARS), np.nan), {}, st.DataError, "finite"),
        (
            pd.Series(0.0, index=pd.date_range("2000-01-01", periods=len(BARS), tz="UTC")),
            {},
            st.DataError,
            r"index of bars\.to_frame\(\)",
        ),
    ],
)
def test_what_cannot_be_traded_is_refused(
    strategy: st.Strategy, options: dict[str, object], error: type[st.TraderError], named: str
) -> None:
    with pytest.raises(error, match=named):
        st.backtest(strategy, BARS, **options)  # type: ignore[arg-type]
