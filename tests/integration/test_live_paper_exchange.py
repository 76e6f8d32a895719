"""Fault 92: with `paper.fills: exchange`, paper refuses what an exchange refuses, and fills no better than it would."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from src.backtesting.engine import run_backtest
from src.config.live import PaperConfig, PaperFills
from src.config.trading import ActionConfig
from src.live.day_replay import replay_day
from src.live.venues.venue import OrderKind
from src.market.bars import BarSeries
from tests.support.live_paper import PaperStage, calm_rows
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import LIMITS, RULES, SYMBOL, Chooser, bars_of, model_of, random_rows

DAY_MS = 86_400_000
COUNT = FIRST + 40
REFUSALS = {
    "below the smallest value": {"min_notional": "50000"},
    "below the step": {"step": "1000"},
    "a market that is halted": {"market_status": "BREAK"},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_92_paper_refuses_what_the_exchange_refuses_in_the_same_words(tmp_path: Path, name: str) -> None:
    said = []
    for kind in (Stage, PaperStage):
        stage = kind(tmp_path / kind.__name__, [1.0, 1.0], rows=calm_rows(COUNT))
        for key, value in REFUSALS[name].items():
            setattr(stage.server, key, value)
        with stage:
            stage.play(1)
            said.append(stage.steps()[-1].changed)
            assert stage.server.posts == []
    assert said[0] == said[1]
    assert said[0][0].startswith("no order: ")


def test_92_amounts_and_limit_prices_are_those_of_a_real_order(tmp_path: Path) -> None:
    orders = []
    limits = replace(LIMITS, max_position=777.7, max_slippage_frac=0.0123)
    for kind in (Stage, PaperStage):
        with kind(
            tmp_path / kind.__name__, [1.0, 0.5, 0.0], rows=random_rows(COUNT, sigma=1e-4), limits=limits
        ) as stage:
            stage.play(1)
            order = stage.services.journal.order_of(SYMBOL, stage.steps()[-1].close_time)
            assert order is not None
            orders.append((order.client_id, order.side, order.amount, order.price))
    assert orders[0] == orders[1]
    assert orders[0][2] % Decimal("0.00001") == 0


def test_92_price_and_amount_of_a_fill_are_as_stated(tmp_path: Path) -> None:
    rows = calm_rows(COUNT)
    time = rows[FIRST + 1][0]
    rows[FIRST + 1] = (time, 100.0, 103.0, 99.0, 101.0, 60.0)
    paper = PaperConfig(PaperFills.exchange, latency_s=36.0, volume_frac=0.1)
    flat_costs = replace(RULES, costs=replace(RULES.costs, slippage_volatility=0.0))
    limits = replace(LIMITS, max_slippage_frac=0.005)
    with PaperStage(tmp_path, [1.0, 1.0], paper, flat_costs, rows=rows, limits=limits) as stage:
        stage.play(2)
        (fill,) = stage.services.journal.fills(SYMBOL)
        # A hundredth of the candle is a tenth of the way from 100 to 103; half-spread and slippage are a bp each.
        assert float(fill.price) == pytest.approx(100.3 * 1.0002)
        assert fill.quantity == Decimal("6")  # a tenth of 60
        assert float(fill.fee) == pytest.approx(6 * 100.3 * 1.0002 * 2e-4)
        assert fill.time == time + 36_000
        ordered = stage.services.journal.order_of(SYMBOL, fill.time - 36_000)
        assert ordered is not None
        assert stage.outcomes()[0] == f"6.0 of {ordered.amount} filled"
        record = stage.steps()[-1].record
        assert record["fill_units"] == 6
        assert record["equity"] == pytest.approx(1000 - 6 * (100.3 * 1.0002 * 1.0002 - 101))
        stage.play(1)  # the next decision completes it
        assert stage.trader.view.units == pytest.approx(9.93, abs=0.05)


def test_92_nothing_fills_beyond_the_limit_price(tmp_path: Path) -> None:
    rows = calm_rows(COUNT)
    rows[FIRST + 1] = (rows[FIRST + 1][0], 101.0, 102.0, 100.5, 101.0, 1e6)
    with PaperStage(tmp_path, [1.0, 1.0, 0.0], rows=rows, limits=replace(LIMITS, max_slippage_frac=0.005)) as stage:
        stage.play(2)
        assert stage.trader.view.units == 0
        assert stage.outcomes()[0] == "not filled: the price was 101.0202, and the limit 100.50"
        assert stage.services.journal.fills(SYMBOL) == []
        stage.play(1)
        assert stage.trader.view.units > 9


def test_92_an_order_that_would_leave_too_late_never_fills(tmp_path: Path) -> None:
    with PaperStage(tmp_path, [1.0, 0.0], rows=calm_rows(COUNT)) as stage:
        send = stage.trader.venue.send
        stage.trader.venue.send = (  # type: ignore[method-assign]
            lambda order, now, latest, rest: send(order, lambda: latest + 7_000, latest, rest)
        )
        stage.play(1)
        assert stage.outcomes() == ["never sent: it would have left 7.0 s too late"]
        stage.play(1)
        assert stage.trader.view.units == 0


def test_92_where_nothing_binds_it_is_worth_what_the_backtest_is(tmp_path: Path) -> None:
    rows = random_rows(COUNT, seed=5, sigma=1e-3)
    rows = [(*row[:5], 1e9) for row in rows]
    stage = PaperStage(tmp_path, agent=Chooser((0.0, 0.4, 0.8)), rows=rows)
    stage.server.step, stage.server.tick = "0.0000000001", "0.0000000001"
    with stage:
        stage.play(30)
        steps = stage.steps()
    bars = BarSeries.of(SYMBOL, "1h", bars_of(rows))
    model = model_of(Chooser((0.0, 0.4, 0.8)))
    expected = run_backtest(model.agent, bars, model.rules, range(FIRST - 1, FIRST - 1 + len(steps)), LIMITS).records
    assert sum(step.record["fill_units"] != 0 for step in steps) > 10
    for name in ("target", "units", "equity", "commission"):
        np.testing.assert_allclose([step.record[name] for step in steps], getattr(expected, name), rtol=1e-7, atol=1e-7)


MARGIN = replace(RULES, action=ActionConfig(grid=[-2.0, 0.0, 2.0], max_leverage=2.0))


@pytest.mark.parametrize("rules", [RULES, MARGIN], ids=["spot", "margin"])
def test_92_days_and_restarts_come_out_the_same_again(tmp_path: Path, rules: object) -> None:
    agent = Chooser((0.0, 0.5, 1.0) if rules is RULES else (-2.0, 0.0, 2.0))
    rows = random_rows(COUNT + 20, seed=5, sigma=2e-3)
    limits = replace(LIMITS, max_slippage_frac=0.0004, max_leverage=2.0)
    paper = PaperConfig(PaperFills.exchange, latency_s=5.0, volume_frac=0.5)
    lived = []
    for every in (100, 4):
        stage = PaperStage(tmp_path / str(every), paper=paper, rules=rules, agent=agent, rows=rows, limits=limits)  # type: ignore[arg-type]
        with stage:
            for candle in range(50):
                if candle % every == every - 1:
                    stage.restart()
                stage.play(1)
            lived.append([step.record for step in stage.steps()])
            day = int(rows[FIRST + 30][0]) // DAY_MS * DAY_MS
            model = model_of(agent, stage.rules, limits)
            journal = stage.services.journal
            assert replay_day(journal, model, stage.config, limits, day, OrderKind.PAPER_EXCHANGE) == (24, [])
            kinds = {outcome.split()[0] for outcome in stage.outcomes() if outcome}
    assert lived[0] == lived[1]
    assert {"filled", "not"} <= kinds
    assert any(outcome and " of " in outcome for outcome in stage.outcomes())


def test_92_a_margin_call_comes_before_the_order_of_its_bar(tmp_path: Path) -> None:
    rows = calm_rows(COUNT)
    rows[FIRST + 2] = (rows[FIRST + 2][0], 170.0, 171.0, 169.0, 170.0, 1e6)  # opens where -2 is worth nothing
    limits = replace(LIMITS, max_leverage=2.0, price_band_frac=10.0)
    with PaperStage(tmp_path, [-2.0, 2.0, 2.0, 2.0], rules=MARGIN, rows=rows, limits=limits) as stage:
        stage.play(2)
        assert stage.trader.view.units < -19
        stage.play(1)
        record = stage.steps()[-1].record
        assert record["terminated"]
        assert record["call_units"] == pytest.approx(-stage.steps()[-2].record["units"])
        assert stage.outcomes()[-1] == "not filled: a margin call closed the account first"
        assert stage.trader.view.units == 0
        assert any("margin call" in text for text in stage.messages.errors)
        model = model_of(stage.agent, MARGIN, limits)
        day = stage.steps()[-1].close_time // DAY_MS * DAY_MS
        assert replay_day(stage.services.journal, model, stage.config, limits, day, OrderKind.PAPER_EXCHANGE)[1] == []
