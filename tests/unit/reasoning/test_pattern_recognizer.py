"""The pattern recognizer: causal, streaming as in batch, defined on odd series, kept in a model file, able to learn."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.perception.classification import macro_f1
from src.config.agent.reasoning import PatternConfig
from src.errors import ConfigError, ModelFileError
from src.market.bars import BarSeries, FloatArray
from src.reasoning.market_module import MarketModule, latest
from src.reasoning.pattern_recognizer import PatternRecognizer, pattern_recognizer
from src.reasoning.patterns.generator import STANDARD_MIX, random_walks
from src.reasoning.patterns.network import WALKS, PatternNetwork, detected_patterns, window_inputs
from src.reasoning.patterns.numpy_network import NumpyPatternNetwork
from src.reasoning.patterns.shapes import PATTERNS
from src.reasoning.patterns.training import train_pattern_network
from tests.support.random_bars import NASTY_MARKETS, bars_from_steps, concatenate, random_bars

SMALL = PatternConfig(scales=[24, 64, 96], width=8, steps=100, batch=64)
NONE_ROW = np.eye(8)[0]


@pytest.fixture(scope="module")
def network() -> PatternNetwork:
    return train_pattern_network(SMALL)


@pytest.fixture(scope="module")
def recognizer(network: PatternNetwork) -> PatternRecognizer:
    return PatternRecognizer(network, tuple(SMALL.scales), SMALL.threshold)


def series(levels: FloatArray) -> BarSeries:
    """Bars whose log closes are the given ones."""
    return bars_from_steps(np.diff(levels, prepend=levels[0])[:, None], np.ones(len(levels)))


def test_a_little_training_beats_chance_by_far(network: PatternNetwork) -> None:
    windows = STANDARD_MIX.draw(1000, 0.05, np.random.default_rng(0))
    found = network.probabilities([windows.prices])
    guess = np.random.default_rng(1).permutation(windows.labels)
    assert macro_f1(guess, windows.labels, 8) < 0.2
    assert macro_f1(found.argmax(axis=1), windows.labels, 8) > 0.6
    losses = -np.log(found[np.arange(1000), windows.labels])
    assert losses.mean() < 0.6 * np.log(8)


def test_rows_are_probabilities_of_the_patterns(recognizer: PatternRecognizer) -> None:
    module: MarketModule = recognizer
    assert (module.name, module.columns, module.history_bars) == ("pattern_network", PATTERNS, 96)
    table = module.transform(random_bars(700))
    assert table.shape == (700, 8)
    assert table.dtype == np.float64
    assert (table >= 0).all()
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)
    assert np.ptp(table[:, 0]) > 0.2


def test_the_future_changes_nothing(recognizer: PatternRecognizer) -> None:
    bars, cut = random_bars(700), 430
    other = random_bars(700, seed=9, sigma=0.05)
    columns = (other.open, other.high, other.low, other.close, other.volume)
    future = BarSeries(bars.symbol, bars.timeframe, bars.open_time, *columns)[cut:]
    whole, altered = (recognizer.transform(b) for b in (bars, concatenate([bars[:cut], future])))
    assert np.array_equal(altered[:cut], whole[:cut])
    assert not np.allclose(altered[cut:], whole[cut:], atol=1e-2)
    np.testing.assert_allclose(recognizer.transform(bars[:cut]), whole[:cut], atol=1e-5)


def test_streaming_equals_batch(recognizer: PatternRecognizer) -> None:
    bars = random_bars(600, seed=3)
    whole = recognizer.transform(bars)
    for count in (1, 23, 24, 63, 64, 95, 96, 97, 256, 257, 600):
        np.testing.assert_allclose(recognizer.last_rows(bars[:count], 1)[0], whole[count - 1], atol=1e-5)
        np.testing.assert_allclose(latest(recognizer, bars[:count]), whole[count - 1], atol=1e-5)


def test_a_row_is_that_of_the_surest_full_scale(recognizer: PatternRecognizer, network: PatternNetwork) -> None:
    bars = random_bars(300, seed=4)
    prices, rows = np.log(bars.close), recognizer.transform(bars)
    for last in (24, 70, 95, 299):
        full = [scale for scale in SMALL.scales if scale <= last + 1]
        tables = [network.probabilities([prices[None, last + 1 - scale : last + 1]])[0] for scale in full]
        surest = min(tables, key=lambda table: table[0])
        np.testing.assert_allclose(rows[last], surest, atol=1e-5)


def test_the_reader_says_what_the_network_says(network: PatternNetwork) -> None:
    rng = np.random.default_rng(8)
    tables = [0.01 * random_walks(30, bars, rng) for bars in (24, 64, 96)]
    tables[1][3] = 4.6  # stands still
    expected = network.probabilities(tables)
    found = NumpyPatternNetwork(network).probabilities(tables)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.array_equal(found[33], NONE_ROW)
    assert np.ptp(found[:, 0]) > 0.05
    alone = NumpyPatternNetwork(network).probabilities([table[5:6] for table in tables])
    np.testing.assert_allclose(alone, found[[5, 35, 65]], atol=1e-6)


def test_too_little_history_is_none_for_certain(recognizer: PatternRecognizer) -> None:
    table = recognizer.transform(random_bars(30))
    assert np.array_equal(table[:23], np.tile(NONE_ROW, (23, 1)))
    assert (table[23:, 0] < 1).all()
    assert np.array_equal(recognizer.transform(random_bars(5)), np.tile(NONE_ROW, (5, 1)))


def test_a_price_that_stands_still_is_none_for_certain(recognizer: PatternRecognizer) -> None:
    assert np.array_equal(recognizer.transform(NASTY_MARKETS["constant"](200)), np.tile(NONE_ROW, (200, 1)))


@pytest.mark.parametrize("market", NASTY_MARKETS)
def test_hard_markets_give_probabilities(market: str, recognizer: PatternRecognizer) -> None:
    table = recognizer.transform(NASTY_MARKETS[market](400))
    assert np.isfinite(table).all()
    np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_prices_have_no_scale_and_volume_plays_no_part(factor: float, recognizer: PatternRecognizer) -> None:
    bars = random_bars(300)
    prices = [factor * column for column in (bars.open, bars.high, bars.low, bars.close)]
    scaled = BarSeries(bars.symbol, bars.timeframe, bars.open_time, *prices, np.zeros(300))
    np.testing.assert_allclose(recognizer.transform(scaled), recognizer.transform(bars), atol=1e-5)


def test_the_height_of_a_pattern_does_not_matter() -> None:
    windows = STANDARD_MIX.draw(20, 0.05, np.random.default_rng(2)).prices
    np.testing.assert_allclose(window_inputs(3.0 + 40 * windows), window_inputs(windows), atol=1e-5)


@pytest.mark.parametrize("bars", [24, 48, 96, 192])
def test_resampling_keeps_lines_and_ends(bars: int) -> None:
    # A straight line stays one whatever its length: evenly spaced levels, standardised.
    line = np.linspace(-1.0, 1.0, 64)
    expected = line / line.std()
    found = window_inputs(np.linspace(2.0, 3.0, bars)[None])
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(found[0, 1], [0.0, *(3 * np.diff(expected))], atol=1e-6)


def test_a_drawn_pattern_is_seen_where_it_ends_and_not_before(recognizer: PatternRecognizer) -> None:
    # A double top of 60 bars after a long rise; what counts is that the sightings come with the second top.
    top = np.interp(np.arange(60), [0, 15, 30, 45, 59], [0.0, 1.0, 0.45, 1.0, 0.1])
    noise = np.random.default_rng(5).normal(0.0, 0.02, 260)
    levels = 0.1 * (np.concatenate([np.linspace(-6.0, 0.0, 200), top]) + noise)
    table = recognizer.transform(series(levels))
    double_top = table[:, PATTERNS.index("double_top")]
    assert double_top[250:].max() > 0.5
    assert double_top[100:215].max() < 0.5


def test_named_adds_the_patterns_up() -> None:
    table = np.array([[0.4, 0.3, 0.3, 0, 0, 0, 0, 0], [0.4, 0.0, 0, 0, 0, 0, 0, 0.6], [0.6, 0, 0.4, 0, 0, 0, 0, 0]])
    assert detected_patterns(table, 0.5).tolist() == [1, 7, 0]
    assert detected_patterns(table, 0.3).tolist() == [1, 7, 2]
    assert detected_patterns(table, 0.7).tolist() == [0, 0, 0]


def test_false_positives_hold_on_other_walks(recognizer: PatternRecognizer, network: PatternNetwork) -> None:
    assert recognizer.false_positives.shape == (3,)
    for scale, rate in zip(SMALL.scales, recognizer.false_positives.tolist(), strict=True):
        walks = random_walks(2000, scale, np.random.default_rng(6))
        again = (recognizer.detected(network.probabilities([walks])) > 0).mean()
        assert again == pytest.approx(rate, abs=4 * np.sqrt(0.25 * (1 / 2000 + 1 / WALKS)))
    assert (network.false_positives(0.0) == 1).all()
    assert (np.diff([network.false_positives(t) for t in (0.2, 0.5, 0.8)], axis=0) <= 0).all()


def test_same_settings_same_weights_another_seed_others() -> None:
    tiny = replace(SMALL, steps=3, batch=32)
    first, again, other = (train_pattern_network(replace(tiny, seed=seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layers.0.filters.weight"], other["layers.0.filters.weight"])


def test_training_leaves_the_global_stream_alone_and_tells_how_far_it_is(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    told: list[tuple[int, int]] = []
    tiny = replace(SMALL, width=4, batch=8, cache_dir=str(tmp_path))
    first = pattern_recognizer(tiny, lambda done, steps: told.append((done, steps)))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert told == [(step, 100) for step in range(1, 101)]
    other = pattern_recognizer(replace(tiny, threshold=0.9), lambda done, steps: told.append((done, steps)))
    assert len(told) == 100, "a threshold asks for no training"
    bars = random_bars(100)
    assert np.array_equal(other.transform(bars), first.transform(bars))
    assert other.false_positives.sum() <= first.false_positives.sum()


def test_a_model_file_keeps_it(recognizer: PatternRecognizer) -> None:
    buffer = io.BytesIO()
    torch.save(recognizer.to_plain(), buffer)
    again = PatternRecognizer.from_plain(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    bars = random_bars(300)
    assert np.array_equal(again.transform(bars), recognizer.transform(bars))
    assert (again.scales, again.threshold) == (recognizer.scales, recognizer.threshold)
    assert np.array_equal(again.false_positives, recognizer.false_positives)


def test_what_does_not_fit_is_refused(recognizer: PatternRecognizer) -> None:
    plain = recognizer.to_plain()
    with pytest.raises(ModelFileError, match="has version 0, this code has"):
        PatternRecognizer.from_plain({**plain, "version": 0})
    with pytest.raises(ModelFileError, match="pattern_network does not fit this code"):
        PatternRecognizer.from_plain({**plain, "weights": {}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scales", []),
        ("scales", [48, 24]),
        ("scales", [8, 24]),
        ("threshold", 1.5),
        ("steps", 0),
        ("noise_high", 0.01),
        ("lr", 0.0),
    ],
)
def test_impossible_settings_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"patterns.{field}"):
        replace(SMALL, **{field: value})
