"""Generated stress: consistent candles, what is kept of the source, what is done to it, and that it is no copy."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from src.config.base import Schema
from src.config.plain import from_plain, to_plain
from src.config.stages.stress import CrashConfig, StressConfig
from src.errors import ConfigError, DataError
from src.market.bars import BarSeries
from src.market.synthetic.gjr_garch import GjrGarch, fit_gjr_garch
from src.market.synthetic.known_markets import generate
from src.market.synthetic.shocks import Crashes, gaps, speeds, volatility_factors
from src.market.synthetic.stressed_market import StressedMarket, _Rows

NO_CRASH = CrashConfig(per_thousand_bars=0.0)
RESAMPLED = StressConfig(volatility_spread=0.0, gaps_per_thousand_bars=0.0, merged_frac=0.0, crash=NO_CRASH)
AS_IT_WAS = replace(RESAMPLED, block_bars=None)

BOUNDS: list[tuple[type[Schema], str, Any, Any]] = [
    (CrashConfig, "per_thousand_bars", 0.0, -0.1),
    (CrashConfig, "size_deviations", 100.0, math.nan),
    (CrashConfig, "bars", 1, 0),
    (CrashConfig, "recovered_frac", 1.0, 1.1),
    (CrashConfig, "recovery_bars", 1.0, 0.9),
    (StressConfig, "block_bars", 1.0, 0.5),
    (StressConfig, "regimes", 1, 0),
    (StressConfig, "volatility_factor", 0.01, 0.0),
    (StressConfig, "volatility_spread", 0.0, -0.1),
    (StressConfig, "volatility_bars", 1.0, 0.0),
    (StressConfig, "tilt", -0.5, -0.6),
    (StressConfig, "tilt_bars", 1.0, 0.0),
    (StressConfig, "gaps_per_thousand_bars", 0.0, -1.0),
    (StressConfig, "gap_deviations", 0.0, math.inf),
    (StressConfig, "merged_frac", 0.9, 1.0),
    (StressConfig, "merged_bars", 1.0, 0.0),
]


def real_like(bars: int = 4_000, seed: int = 0) -> BarSeries:
    """Return candles with gaps, wicks, volume and volatility that clusters."""
    rng = np.random.default_rng(seed)
    path = generate("C", bars, rng)
    close = path.close
    opened = path.open * np.exp(rng.normal(0.0, 0.002, bars))
    high = np.maximum(opened, close) * np.exp(rng.exponential(0.003, bars))
    low = np.minimum(opened, close) * np.exp(-rng.exponential(0.003, bars))
    return BarSeries("TEST", "1h", path.open_time, opened, high, low, close, rng.lognormal(3.0, 1.0, bars))


SOURCE = real_like()
MARKET = StressedMarket(SOURCE)


def drawn(config: StressConfig, seed: int = 0, bars: int | None = None, market: StressedMarket = MARKET) -> BarSeries:
    return market.draw(config, np.random.default_rng(seed), bars)


@pytest.mark.parametrize(("kind", "name", "good", "bad"), BOUNDS, ids=lambda v: str(getattr(v, "__name__", v)))
def test_bounds(kind: type[Schema], name: str, good: Any, bad: Any) -> None:
    assert getattr(kind(**{name: good}), name) == good
    with pytest.raises(ConfigError, match=name):
        kind(**{name: bad})


def test_settings_return_from_plain_data() -> None:
    assert from_plain(StressConfig, to_plain(AS_IT_WAS)) == AS_IT_WAS


def test_without_any_change_the_source_comes_back() -> None:
    again = drawn(AS_IT_WAS)
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(getattr(again, name), getattr(SOURCE, name), rtol=1e-9)
    np.testing.assert_array_equal(again.volume, SOURCE.volume)
    np.testing.assert_array_equal(again.open_time, SOURCE.open_time)
    assert again.symbol == SOURCE.symbol


def test_equal_generators_give_equal_series_and_others_do_not() -> None:
    assert drawn(StressConfig(), 1).fingerprint == drawn(StressConfig(), 1).fingerprint
    assert drawn(StressConfig(), 1).fingerprint != drawn(StressConfig(), 2).fingerprint


@pytest.mark.parametrize("seed", range(5))
def test_candles_are_consistent_under_every_stress_at_once(seed: int) -> None:
    # `BarSeries` refuses what is not finite, not positive or not inside its candle.
    wild = StressConfig(
        block_bars=3.0,
        volatility_factor=3.0,
        volatility_spread=0.5,
        tilt=0.02,
        gaps_per_thousand_bars=100.0,
        gap_deviations=5.0,
        merged_frac=0.5,
        crash=CrashConfig(per_thousand_bars=20.0, size_deviations=10.0),
    )
    bars = drawn(wild, seed, bars=2_500)
    assert len(bars) == 2_500
    assert (np.diff(bars.open_time) > 0).all()
    assert (bars.volume > 0).all()


def test_a_longer_series_than_the_source_goes_on_in_time() -> None:
    bars = drawn(RESAMPLED, bars=9_000)
    assert len(bars) == 9_000
    np.testing.assert_array_equal(np.unique(np.diff(bars.open_time)), 3_600_000)


def test_moments_and_clustering_are_those_of_the_source() -> None:
    made = np.concatenate([drawn(RESAMPLED, seed).log_returns[1:] for seed in range(6)])
    real = SOURCE.log_returns[1:]
    assert made.std() == pytest.approx(real.std(), rel=0.1)
    assert abs(made.mean() - real.mean()) < 4 * real.std() / np.sqrt(len(made))

    def clustering(returns: np.ndarray) -> float:
        size = np.abs(returns)
        return float(np.mean([np.corrcoef(size[lag:], size[:-lag])[0, 1] for lag in (1, 3, 10)]))

    assert clustering(made) == pytest.approx(clustering(real), abs=0.05)
    # Resampled bar by bar without a law of volatility, nothing of it is left.
    shuffled = np.random.default_rng(0).permutation(real)
    assert abs(clustering(shuffled)) < 0.03 < clustering(real) - 0.05
    # Wicks and gaps, in units of the move, stay what they are.
    one = drawn(RESAMPLED)
    for of in (lambda b: np.log(b.high / b.low), lambda b: np.abs(np.log(b.open[1:] / b.close[:-1]))):
        ratio = [np.mean(of(bars)) / np.mean(np.abs(bars.log_returns[1:])) for bars in (one, SOURCE)]
        assert ratio[0] == pytest.approx(ratio[1], rel=0.12)


def test_stretches_have_the_length_asked_for() -> None:
    # Bars of the source are recognised by what is the same in a copy: the candle's shape.
    def shape(bars: BarSeries) -> np.ndarray:
        return np.log(bars.high / bars.low) / np.abs(bars.log_returns + 1e-15)

    place = {round(float(value), 6): row for row, value in enumerate(shape(SOURCE)) if row}
    rows = np.array([place.get(round(float(value), 6), -1) for value in shape(drawn(replace(RESAMPLED, regimes=2)))])
    known = rows >= 0
    assert known.mean() > 0.95
    follows = (np.diff(rows) == 1)[known[1:] & known[:-1]]
    assert follows.mean() == pytest.approx(1 - 1 / RESAMPLED.block_bars, abs=0.02)


def test_a_stretch_begins_where_the_source_was_as_stormy_as_the_path_is() -> None:
    deviations = np.linspace(1.0, 5.0, 100)
    rows = _Rows(StressConfig(block_bars=1.0, regimes=4), deviations, 400, np.random.default_rng(0))
    found = np.array([rows.next(bar, deviation) for bar, deviation in enumerate(np.tile([0.5, 2.5, 3.5, 9.0], 100))])
    for place, members in enumerate((range(25), range(25, 50), range(50, 75), range(75, 100))):
        assert set(found[place::4]) <= set(members)
        assert len(set(found[place::4])) > 20


def test_volatility_factor_scales_every_move_and_tilt_turns_back_or_on() -> None:
    doubled = drawn(replace(AS_IT_WAS, volatility_factor=2.0))
    np.testing.assert_allclose(doubled.log_returns[1:], 2 * SOURCE.log_returns[1:], atol=1e-12)

    def spread(tilt: float) -> float:
        # How far prices go in 50 bars, against how far they go in one.
        log = np.log(drawn(replace(RESAMPLED, tilt=tilt, regimes=1), 3).close)
        return float(np.var(log[50:] - log[:-50]) / np.var(np.diff(log)) / 50)

    assert spread(-0.1) < 0.6 * spread(0.0)
    assert spread(0.02) > 1.2 * spread(0.0)


def test_slow_factor_has_the_spread_and_memory_asked_for() -> None:
    config = StressConfig(volatility_factor=1.5, volatility_spread=0.3, volatility_bars=50.0)
    logs = np.log(volatility_factors(config, 200_000, np.random.default_rng(0)))
    assert logs.mean() == pytest.approx(math.log(1.5), abs=0.03)
    assert logs.std() == pytest.approx(0.3, rel=0.05)
    assert np.corrcoef(logs[50:], logs[:-50])[0, 1] == pytest.approx(math.exp(-1), abs=0.05)


def test_a_crash_has_its_size_and_regains_its_share() -> None:
    config = CrashConfig(per_thousand_bars=50.0, size_deviations=6.0, bars=3, recovered_frac=0.5, recovery_bars=10.0)
    sizes = []
    for seed in range(200):
        crashes = Crashes(config, 2_000, np.random.default_rng(seed))
        first = int(np.flatnonzero(crashes.begins)[0])
        crashes.begins[first + 1 :] = False
        # Volatility is 1 % as it begins and soars at once, which must not change the size of what has begun.
        moves = np.array([crashes.move(bar, 0.01 if bar <= first else 0.05) for bar in range(2_000)])
        fall = -moves[first : first + 3].sum()
        assert np.ptp(moves[first : first + 3]) < 1e-15
        assert moves[first + 3 :].sum() == pytest.approx(fall / 2, rel=1e-6)
        assert moves[first + 3 : first + 13].sum() == pytest.approx(fall / 4)
        assert not moves[:first].any()
        sizes.append(fall)
    assert min(sizes) >= 0.03
    assert max(sizes) <= 0.09
    assert np.mean(sizes) == pytest.approx(0.06, rel=0.05)


def crash_rows(config: CrashConfig) -> np.ndarray:
    """Return where crashes begin in a path that keeps the order of the source, of seed 0."""
    rng = np.random.default_rng(0)
    volatility_factors(AS_IT_WAS, len(SOURCE), rng)
    gaps(AS_IT_WAS, len(SOURCE), rng)
    return np.flatnonzero(Crashes(config, len(SOURCE), rng).begins)


def test_crashes_show_in_the_series_and_volatility_stays_high_after_them() -> None:
    crash = CrashConfig(per_thousand_bars=2.0, size_deviations=12.0, bars=1)
    before, after = drawn(AS_IT_WAS), drawn(replace(AS_IT_WAS, crash=crash))
    extra = after.log_returns - before.log_returns
    begins = crash_rows(crash)
    assert 3 <= len(begins) <= 16
    deviations = MARKET.deviations[begins]
    assert (-extra[begins] >= 5.9 * deviations).all()
    first = begins[0]
    later = slice(first + 1, first + 11)
    assert np.log(after.high / after.low)[later].mean() > 1.3 * np.log(before.high / before.low)[later].mean()
    np.testing.assert_allclose(extra[:first], 0.0, atol=1e-12)


def test_gaps_come_as_often_and_as_large_as_asked_for() -> None:
    config = StressConfig(gaps_per_thousand_bars=20.0, gap_deviations=4.0)
    jumps = gaps(config, 300_000, np.random.default_rng(1))
    assert np.mean(jumps != 0) == pytest.approx(0.02, rel=0.05)
    assert np.abs(jumps[jumps != 0]).mean() == pytest.approx(4.0, rel=0.05)
    assert np.mean(jumps[jumps != 0] > 0) == pytest.approx(0.5, abs=0.03)


def test_double_speed_merges_bars_as_they_are() -> None:
    config = replace(AS_IT_WAS, merged_frac=0.3, merged_bars=20.0)
    merged = drawn(config)
    counts = speeds(config, len(SOURCE), np.random.default_rng(0))
    counts = counts[np.cumsum(counts) <= len(SOURCE)]
    assert len(merged) == len(counts)
    row, doubles = 0, 0
    for bar, count in enumerate(counts):
        part = SOURCE[row : row + count]
        assert merged.open[bar] == pytest.approx(part.open[0])
        assert merged.high[bar] == pytest.approx(part.high.max())
        assert merged.low[bar] == pytest.approx(part.low.min())
        assert merged.close[bar] == pytest.approx(part.close[-1])
        assert merged.volume[bar] == pytest.approx(part.volume.sum())
        row, doubles = row + count, doubles + (count == 2)
    many = speeds(config, 300_000, np.random.default_rng(1)) == 2
    assert many.mean() == pytest.approx(0.3, abs=0.02)
    assert many.sum() / (np.diff(many.astype(int)) == 1).sum() == pytest.approx(20.0, rel=0.06)


def test_generated_windows_are_no_copies() -> None:
    """The nearest window of the source is no closer than it is for a real window of the same market."""
    width = 32

    def windows(bars: BarSeries, step: int) -> np.ndarray:
        returns = bars.log_returns[1:]
        cut = np.stack([returns[i : i + width] for i in range(0, len(returns) - width, step)])
        return cut / cut.std(axis=1, keepdims=True)

    def nearest(asked: BarSeries) -> np.ndarray:
        found = windows(asked, 8)
        return np.sqrt(np.maximum(((found[:, None] - base[None]) ** 2).sum(axis=-1).min(axis=1), 0.0))

    source, held_out = SOURCE[:1_500], SOURCE[1_500:3_000]
    base, market = windows(source, 1), StressedMarket(source)
    real = nearest(held_out)
    ours = nearest(drawn(StressConfig(), 5, 1_500, market))
    copies = nearest(drawn(replace(RESAMPLED, block_bars=60.0), 5, 1_500, market))
    assert np.median(ours) > 0.97 * np.median(real)
    assert np.quantile(ours, 0.1) > 0.93 * np.quantile(real, 0.1)
    assert np.median(copies) < 0.9 * np.median(real)


def test_law_of_volatility_is_found_in_data_that_follow_it() -> None:
    law = GjrGarch(reaction=0.03, asymmetry=0.12, decay=0.86, mean=1e-4)
    rng, variance, moves = np.random.default_rng(2), law.mean, []
    for shock in rng.standard_normal(10_000).tolist():
        moves.append(variance**0.5 * shock)
        variance = law.after(variance, moves[-1])
    found = fit_gjr_garch(np.array(moves))
    assert found.reaction == pytest.approx(law.reaction, abs=0.025)
    assert found.asymmetry == pytest.approx(law.asymmetry, abs=0.045)
    assert found.reaction + found.asymmetry / 2 + found.decay == pytest.approx(0.95, abs=0.02)
    standard = np.array(moves) / found.deviations(np.array(moves))
    assert np.corrcoef(standard[1:] ** 2, standard[:-1] ** 2)[0, 1] == pytest.approx(0.0, abs=0.03)
    # The same recursion, forwards: what `after` says bar by bar is what `deviations` says at once.
    assert found.deviations(np.array(moves))[1] ** 2 == pytest.approx(found.after(found.mean, moves[0]))


def test_a_source_of_constant_price_or_too_few_bars_is_refused() -> None:
    with pytest.raises(DataError, match="C: stress needs at least 250 bars to learn from, had 249"):
        StressedMarket(generate("C", 249, np.random.default_rng(0)))
    still = np.full(300, 5.0)
    flat = BarSeries("FLAT", "1h", np.arange(300) * 3_600_000, still, still, still, still, still)
    with pytest.raises(DataError, match="FLAT: the price never moves"):
        StressedMarket(flat)


@pytest.mark.parametrize("tilt", [-0.05, 0.05])
def test_a_tilt_makes_a_reverting_price_revert_so_much_faster_or_slower_and_stay_where_it_was(tilt: float) -> None:
    # A4 comes back by a tenth of its distance a bar, with a standard deviation of .01 / sqrt(1 - .9²) = .0229.
    market = StressedMarket(generate("A4", 20_000, np.random.default_rng(0)))
    price = np.log(drawn(replace(AS_IT_WAS, tilt=tilt), market=market).close / 100.0)
    slope = np.polyfit(price[:-1], np.diff(price), 1)[0]
    assert slope == pytest.approx(-0.1 + tilt, abs=0.012)
    assert price.std() == pytest.approx(0.01 / math.sqrt(1 - (0.9 + tilt) ** 2), rel=0.1)
