"""The book by which styles of execution are judged, against sums by hand, first-in-first-out queues and martingales."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.live.book_account import BookAccount, Latency
from benchmarks.live.execution_styles import (
    CALM,
    LOTS,
    MARKETS,
    WARM_UP_S,
    WINDOW_S,
    Occasion,
    interval,
    judge,
    main,
    occasions_of,
    saved,
    tick_of,
    trade,
)
from benchmarks.live.order_book import BookEvent, OrderBook, read_events
from benchmarks.live.order_flow import OrderFlow
from src.config.live import Execution, LiveConfig
from src.errors import ConfigError, DataError, WouldTake
from src.execution.order_filters import OrderShape
from src.execution.time_in_force import TimeInForce
from src.journal.journal import Journal

AT_ONCE = Latency(0.0, 0.0)
SYMBOL, TICK = "BASE/QUOTE", Decimal("0.01")
PATHS = 150


def quiet(*later: BookEvent, bid: int = 9_990, ask: int = 10_010, size: int = 500) -> list[BookEvent]:
    """A market that stands still but for some events, in ms after the decision."""
    start = WARM_UP_S * 1000
    return [BookEvent(0.0, bid, size, ask, size), *[one._replace(time_ms=start + one.time_ms) for one in later]]


def sold(time_ms: float, lots: int, size: int = 500, bid: int = 9_990, ask: int = 10_010) -> BookEvent:
    """Somebody sold at the bid, and so much is shown there afterwards."""
    return BookEvent(time_ms, bid, size, ask, 500, -lots)


def traded(style: Execution, events: Sequence[BookEvent], sign: int = 1, latency: Latency = AT_ONCE) -> object:
    config = LiveConfig(execution=style, account=style.value)
    return trade(Occasion(events, sign), config, Journal("sqlite://"), TICK, latency, 0)


def recorded(folder: Path, events: Sequence[BookEvent]) -> Path:
    """Write a file as a recorder would, with ticks of 0.001 and lots of 0.01."""
    path = folder / "book.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(BookEvent._fields)
        writer.writerows(
            (e.time_ms, e.bid / 1000, e.bid_size / 100, e.ask / 1000, e.ask_size / 100, e.traded / 100) for e in events
        )
    return path


@pytest.mark.parametrize("sign", [1, -1])
def test_an_immediate_order_costs_half_the_spread_and_the_takers_fee(sign: int) -> None:
    found = traded(Execution.immediate, quiet(), sign)
    assert found.price_bp == pytest.approx(10.0)  # 10 of 10,000 ticks
    assert (found.maker, found.completed, found.seconds) == (0.0, 0.0, 0.0)
    assert found.cost_bp((25.0, 40.0)) == pytest.approx(50.0)


def test_what_is_more_than_shown_is_taken_a_tick_further() -> None:
    found = traded(Execution.immediate, quiet(size=40))
    assert found.price_bp == pytest.approx((40 * 10 + 40 * 11 + 20 * 12) / 100)


@pytest.mark.parametrize("style", [Execution.limit_then_immediate, Execution.post_only])
def test_a_resting_order_saves_the_spread_and_the_fee_where_somebody_comes(style: Execution) -> None:
    market = quiet(sold(3_000, 500, size=500), sold(7_000, 600, size=500))
    found = traded(style, market)
    assert found.price_bp == pytest.approx(-10.0)
    assert (found.maker, found.completed) == (1.0, 0.0)
    assert found.seconds == pytest.approx(7.0)
    assert found.cost_bp((25.0, 40.0)) == pytest.approx(15.0)


def test_where_nobody_comes_the_limit_ends_as_an_immediate_order_and_post_only_is_completed() -> None:
    limit, post_only = (traded(style, quiet()) for style in (Execution.limit_then_immediate, Execution.post_only))
    assert limit.price_bp == post_only.price_bp == pytest.approx(10.0)
    assert (limit.completed, limit.seconds) == (0.0, pytest.approx(20.0, abs=0.1))
    assert (post_only.completed, post_only.seconds) == (1.0, WINDOW_S)


def test_what_did_not_trade_pays_for_where_the_market_went_meanwhile() -> None:
    rises = quiet(BookEvent(1_000, 10_090, 500, 10_110, 500))
    at_once, limit = (traded(style, rises) for style in (Execution.immediate, Execution.limit_then_immediate))
    assert at_once.price_bp == pytest.approx(10.0)
    # The limit price lies at 10,050, so that what is left waits for the end of the window and its ask.
    assert limit.completed == 1.0
    assert limit.price_bp == pytest.approx(110.0)


def test_what_trades_before_a_cancellation_is_heeded_counts() -> None:
    at = 20_000 + 150  # the time-out, while the cancellation is on its way
    market = quiet(sold(at, 560))
    slow = traded(Execution.post_only, market, latency=Latency(0.0, 300.0))
    fast = traded(Execution.post_only, market, latency=Latency(0.0, 100.0))
    assert slow.maker == pytest.approx(0.6)
    assert fast.maker == 0.0


def test_a_post_only_order_that_the_market_meets_on_its_way_is_not_placed() -> None:
    book = OrderBook([BookEvent(0.0, 99, 5, 101, 5), BookEvent(50.0, 97, 5, 99, 5)])
    account = BookAccount(book, SYMBOL, TICK, Latency(60.0, 60.0))
    with pytest.raises(WouldTake):
        account.place(
            SYMBOL, OrderShape("buy", Decimal("0.05"), Decimal("0.99"), time_in_force=TimeInForce.POST_ONLY), "st1", 0
        )
    assert account.find(SYMBOL, "st1") is None


@given(
    ahead=st.integers(0, 300),
    lots=st.integers(1, 200),
    hits=st.lists(st.integers(1, 120), max_size=12),
    joins=st.lists(st.integers(0, 80), min_size=12, max_size=12),
)
def test_the_queue_is_first_in_first_out(ahead: int, lots: int, hits: list[int], joins: list[int]) -> None:
    shown, events, queue = ahead, [BookEvent(0.0, 99, ahead, 101, 50)], ["others"] * ahead + ["ours"] * lots
    expected = []
    for place, hit in enumerate(hits):
        served, queue = queue[:hit], [*queue[hit:], *["others"] * joins[place]]
        expected.append(served.count("ours"))
        shown = max(shown - hit, 0) + joins[place]
        events.append(BookEvent(place + 1.0, 99, shown, 101, 50, -hit))
    book = OrderBook(events)
    order = book.rest(1, 99, lots)
    found = []
    for place in range(len(hits)):
        before = order.left
        book.advance(place + 1.0)
        found.append(before - order.left)
        if order.left == 0:
            break
    assert found == expected[: len(found)]
    assert sum(expected[len(found) :]) == 0


@given(ahead=st.integers(1, 200), behind=st.integers(0, 200), share=st.floats(0.0, 1.0))
def test_what_is_cancelled_leaves_before_and_behind_us_as_chance_would_have_it(
    ahead: int, behind: int, share: float
) -> None:
    gone = int(share * (ahead + behind))
    events = [
        BookEvent(0.0, 99, ahead, 101, 5),
        BookEvent(1.0, 99, ahead + behind, 101, 5),
        BookEvent(2.0, 99, ahead + behind - gone, 101, 5),
    ]
    book = OrderBook(events)
    order = book.rest(1, 99, 10)
    book.advance(2.0)
    left = np.arange(gone + 1)
    expected = left @ stats.hypergeom(ahead + behind, ahead, gone).pmf(left)
    assert order.ahead == pytest.approx(ahead - expected, abs=1e-6)
    assert order.fills == []


@given(seed=st.integers(0, 10_000), sign=st.sampled_from([1, -1]), name=st.sampled_from(sorted(MARKETS)))
def test_buying_and_selling_are_mirror_images(seed: int, sign: int, name: str) -> None:
    events = MARKETS[name].generate(5.0, 10_000, np.random.default_rng(seed))
    mirrored = [BookEvent(e.time_ms, -e.ask, e.ask_size, -e.bid, e.bid_size, -e.traded) for e in events]
    fills = []
    for market, side in ((events, sign), (mirrored, -sign)):
        book = OrderBook(market)
        price = market[0].bid if side > 0 else market[0].ask
        order = book.rest(side, price, 50)
        places = [order.ahead]
        for time_ms in range(0, 5_000, 100):
            book.advance(time_ms)
            places.append(order.ahead)
        assert min(places) >= 0
        fills.append([(fill.time_ms, fill.lots, side * fill.ticks) for fill in order.fills])
    assert fills[0] == [(time_ms, lots, ticks) for time_ms, lots, ticks in fills[1]]


# The flow.


@pytest.mark.parametrize("name", ["calm", "volatile", "thin", "large tick"])
def test_the_fair_price_is_a_martingale_of_the_volatility_that_is_said(name: str) -> None:
    flow, seconds = MARKETS[name], 30.0
    moves, trades = [], 0
    for seed in range(PATHS):
        events = flow.generate(seconds, 100_000, np.random.default_rng(seed))
        moves.append((events[-1].bid - events[0].bid) * flow.tick_bp)
        trades += sum(event.traded != 0 for event in events)
    expected = flow.volatility_bp * (seconds / 60) ** 0.5
    assert abs(np.mean(moves)) < 4 * expected / PATHS**0.5
    # The best prices follow within a tick, which adds at most as much.
    assert np.std(moves) == pytest.approx(expected, rel=0.2, abs=0.5 * flow.tick_bp)
    assert trades / PATHS / seconds == pytest.approx(2 * flow.trades_s, rel=0.2)


def test_trades_move_the_price_their_way_as_far_as_they_carry_news() -> None:
    moved = {}
    for share in (0.0, 0.34):
        flow, found = replace(CALM, trade_share=share), []
        for seed in range(150):
            events = flow.generate(30.0, 100_000, np.random.default_rng(seed))
            signs = sum(int(np.sign(event.traded)) for event in events)
            found.append((signs, events[-1].bid - events[0].bid))
        moved[share] = float(np.corrcoef(np.array(found).T)[0, 1])
    assert abs(moved[0.0]) < 0.25
    assert moved[0.34] > 0.3


def test_where_nobody_trades_but_on_news_resting_saves_nothing() -> None:
    """The fair price is a martingale, stopped when it falls by the spread to our bid, or by the time-out.

    So by optional stopping a limit order costs half the spread on average, as an immediate one does, and by the
    reflection principle it trades with the probability 2 Φ(-spread / deviation).
    """
    spread, deviation = 60, 10.0 * (LiveConfig.rest_s / 60) ** 0.5
    flow = OrderFlow(0.1, spread, 10.0, 0.0, trades_s=0.0, trade_size=1, shown=10**6, changes_s=20.0)
    seconds, probability = WARM_UP_S + LiveConfig.rest_s + 1, 2 * stats.norm.cdf(-spread * flow.tick_bp / deviation)
    config, journal = LiveConfig(execution=Execution.limit_then_immediate), Journal("sqlite://")
    found = [
        trade(Occasion(flow.generate(seconds, 100_000, np.random.default_rng(n)), 1), config, journal, TICK, AT_ONCE, n)
        for n in range(250)
    ]
    cost = interval([one.price_bp for one in found])
    assert cost.mean == pytest.approx(spread * flow.tick_bp / 2, abs=2 * cost.half)
    assert np.mean([one.maker for one in found]) == pytest.approx(probability, abs=4 * (probability / 250) ** 0.5)
    assert cost.half < 1.0


def test_every_style_trades_what_was_decided_and_repeats_itself() -> None:
    for name, flow in MARKETS.items():
        occasions = occasions_of(name, flow, 4, seed=3)
        once, again = (judge(occasions, tick_of(flow), 20.0) for _ in range(2))
        assert once == again
        for style in (one for found in once.values() for one in found):
            assert 0 <= style.maker <= 1
            assert 0 <= style.completed <= 1
            assert style.maker + style.completed <= 1
        assert saved(once, Execution.immediate, (10.0, 10.0)) == (0.0, 0.0)


# Records.


def test_a_record_of_a_generated_market_is_that_market(tmp_path: Path) -> None:
    events = CALM.generate(20.0, 100_000, np.random.default_rng(0))
    assert read_events(recorded(tmp_path, events), 0.001, 0.01) == events


def test_settings_change_all_markets_and_unknown_ones_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"seed": 0, "rest_s": 5.0, "events": None, "tick": 0.01, "lot": 0.01}
    main(settings=["trade_share=0", "spread_ticks=2", "one_way_ms=250"], decisions=2, **given)
    said = capsys.readouterr().out
    assert said.count("trade_share=0,") == said.count("spread_ticks=2,") == len(MARKETS)
    assert "250 ms each way" in said
    with pytest.raises(ConfigError, match="did you mean 'trade_share'"):
        main(settings=["trade_shar=0"], decisions=2, **given)
    with pytest.raises(ConfigError, match="takes numbers"):
        main(settings=["trade_share=much"], decisions=2, **given)


def test_a_record_is_judged_window_by_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = quiet(ask=9_991)  # a tick wide, and nobody comes
    events += [event._replace(time_ms=place * 1_000.0) for place, event in enumerate(events * 140, start=1)]
    main(settings=[], decisions=0, seed=0, rest_s=20.0, events=recorded(tmp_path, events), tick=0.001, lot=0.01)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    prices = {row[0]: row[4] for row in rows if row and row[0] in Execution.__members__}
    half_a_tick = f"{0.5 / 9_990.5 * 1e4:+.2f}"
    assert prices == dict.fromkeys(Execution.__members__, half_a_tick)
    with pytest.raises(DataError, match="too short for two decisions"):
        main(
            settings=[], decisions=0, seed=0, rest_s=20.0, events=recorded(tmp_path, events[:60]), tick=0.001, lot=0.01
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_ms,bid\n1,2\n", "its columns are time_ms, bid"),
        ("", "no events"),
        ("time_ms,bid,bid_size,ask,ask_size,traded\n1,2,1,1,1,0\n", "the bid is not below the ask"),
        ("time_ms,bid,bid_size,ask,ask_size,traded\n2,1,1,2,1,0\n1,1,1,2,1,0\n", "sort them by time_ms"),
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "book.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_events(path, 0.01, 0.01)


def test_sizes_are_small_beside_the_market() -> None:
    assert LOTS == 100
    assert all(flow.shown >= 2 * LOTS for flow in MARKETS.values())
