"""The pipeline scales by training rows only, forgets its start, and survives a model file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.data import FeaturesConfig
from src.errors import ConfigError, DataError, LookaheadError, ModelFileError
from src.features.indicators import FEATURES
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from tests.support.plugin_modules import feature_module, write_plugin
from tests.support.random_bars import NASTY_MARKETS, concatenate, random_bars

DEFAULT_NAMES = FeaturesConfig().names
COUNT = 1800
TRAIN = range(200, 1000)


@pytest.fixture(scope="module")
def bars() -> BarSeries:
    return random_bars(COUNT, seed=7)


@pytest.fixture(scope="module")
def fitted(bars: BarSeries) -> FeaturePipeline:
    return FeaturePipeline(DEFAULT_NAMES, clip=6.0).fit([(bars, TRAIN)])


def test_default_features_declare_their_columns_and_history(fitted: FeaturePipeline) -> None:
    assert fitted.columns[:4] == ("return_lag_0", "return_lag_1", "return_lag_2", "return_lag_3")
    assert len(fitted.columns) == 13
    assert (fitted.warmup_bars, fitted.lookback_bars, fitted.history_bars) == (161, 641, 641)


def test_columns_follow_the_order_of_the_names() -> None:
    assert FeaturePipeline(["rsi", "candle"], 6.0).columns == ("rsi", "candle_body", "candle_wicks")


def test_training_rows_become_standard(bars: BarSeries, fitted: FeaturePipeline) -> None:
    train = fitted.transform(bars)[TRAIN.start : TRAIN.stop].astype(np.float64)
    np.testing.assert_allclose(train.mean(axis=0), 0.0, atol=0.01)  # clipping at six deviations moves it a little
    np.testing.assert_allclose(train.std(axis=0), 1.0, atol=0.01)


def test_transform_is_the_scaled_and_clipped_computation(bars: BarSeries) -> None:
    pipeline = FeaturePipeline(["returns", "rsi"], clip=1.5).fit([(bars, TRAIN)])
    raw = np.hstack([FEATURES["returns"].compute(bars), FEATURES["rsi"].compute(bars)])
    train = raw[TRAIN.start : TRAIN.stop]
    expected = np.clip((raw - train.mean(axis=0)) / train.std(axis=0), -1.5, 1.5)
    scaled = pipeline.transform(bars)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[28:], expected[28:], atol=1e-6)
    assert scaled.max() == 1.5


def test_warmup_rows_are_zero(bars: BarSeries, fitted: FeaturePipeline) -> None:
    scaled = fitted.transform(bars)
    assert not scaled[:161].any()
    assert scaled[161:].any(axis=1).all()


def test_bars_after_the_training_rows_change_no_scale(bars: BarSeries, fitted: FeaturePipeline) -> None:
    wild = random_bars(COUNT, seed=8, sigma=0.2, first_price=5.0)
    other = concatenate([bars[: TRAIN.stop], wild[TRAIN.stop :]])
    refitted = FeaturePipeline(DEFAULT_NAMES, 6.0).fit([(other, TRAIN)])
    assert refitted.to_plain() == fitted.to_plain()


def test_scale_pools_the_rows_of_all_samples(bars: BarSeries) -> None:
    calm = random_bars(COUNT, seed=9, sigma=0.001)
    pipeline = FeaturePipeline(["returns"], 6.0).fit([(bars, range(4, 604)), (calm, range(4, 204))])
    raw = np.concatenate([FEATURES["returns"].compute(bars)[4:604], FEATURES["returns"].compute(calm)[4:204]])
    np.testing.assert_allclose(pipeline.to_plain()["mean"], raw.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(pipeline.to_plain()["scale"], raw.std(axis=0), rtol=1e-12)


def test_warmup_rows_are_left_out_of_the_scale(bars: BarSeries) -> None:
    pipeline = FeaturePipeline(DEFAULT_NAMES, 6.0)
    assert pipeline.fit([(bars, range(900))]).to_plain() == pipeline.fit([(bars, range(161, 900))]).to_plain()


def test_a_series_with_its_mirror_centres_odd_columns_on_zero(bars: BarSeries) -> None:
    pipeline = FeaturePipeline(["returns", "macd", "range"], 6.0)
    mean = pipeline.fit([(bars, TRAIN), (bars.mirrored(), TRAIN)]).to_plain()["mean"]
    alone = pipeline.fit([(bars, TRAIN)]).to_plain()["mean"]
    np.testing.assert_allclose(mean[:6], 0.0, atol=1e-12)
    assert mean[6] == pytest.approx(alone[6])
    assert abs(alone[4]) > 1e-4


def test_columns_that_do_not_vary_get_scale_one() -> None:
    constant = NASTY_MARKETS["constant"](COUNT)
    names = [name for name in FEATURES if name != "calendar"]
    pipeline = FeaturePipeline(names, 6.0).fit([(constant, TRAIN)])
    assert pipeline.to_plain()["scale"] == [1.0] * len(pipeline.columns)
    np.testing.assert_allclose(pipeline.transform(constant), 0.0, atol=1e-6)


@pytest.mark.parametrize("market", NASTY_MARKETS)
def test_nasty_markets_stay_finite_and_clipped(market: str, fitted: FeaturePipeline) -> None:
    for seen in (fitted, FeaturePipeline(list(FEATURES), 6.0).fit([(NASTY_MARKETS[market](COUNT), TRAIN)])):
        scaled = seen.transform(NASTY_MARKETS[market](COUNT))
        assert np.isfinite(scaled).all()
        assert np.abs(scaled).max() <= 6.0


@pytest.mark.parametrize("rows", [641, 700, 1234, COUNT])
def test_latest_is_the_last_row_of_the_whole_transform(rows: int, bars: BarSeries) -> None:
    pipeline = FeaturePipeline(list(FEATURES), 6.0).fit([(bars, TRAIN)])
    whole = pipeline.transform(bars[:rows])[-1]
    np.testing.assert_allclose(pipeline.latest(bars[:rows]), whole, rtol=0, atol=1e-6)
    trailing = bars[rows - pipeline.history_bars : rows]
    np.testing.assert_array_equal(pipeline.latest(trailing), pipeline.latest(bars[:rows]))


def test_latest_needs_history_past_the_warmup(bars: BarSeries, fitted: FeaturePipeline) -> None:
    with pytest.raises(DataError, match="at least 162 bars of history, got 161"):
        fitted.latest(bars[:161])
    np.testing.assert_array_equal(fitted.latest(bars[:162]), fitted.transform(bars[:162])[-1])


def test_transform_of_a_series_within_warmup_is_all_zero(bars: BarSeries, fitted: FeaturePipeline) -> None:
    assert not fitted.transform(bars[:100]).any()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'bolinger' is unknown; did you mean 'bollinger'"):
        FeaturePipeline(["rsi", "bolinger"], 6.0)


@pytest.mark.parametrize(("names", "clip"), [([], 6.0), (["rsi", "rsi"], 6.0), (["rsi"], 0.5), (["rsi"], float("nan"))])
def test_impossible_settings_are_refused(names: list[str], clip: float) -> None:
    with pytest.raises(ConfigError):
        FeaturePipeline(names, clip)


def test_an_unfitted_pipeline_refuses_to_work(bars: BarSeries) -> None:
    pipeline = FeaturePipeline(DEFAULT_NAMES, 6.0)
    for use in (lambda: pipeline.transform(bars), lambda: pipeline.latest(bars), pipeline.to_plain):
        with pytest.raises(ConfigError, match="call fit"):
            use()


def test_fit_returns_a_new_pipeline(bars: BarSeries) -> None:
    pipeline = FeaturePipeline(["rsi"], 6.0)
    assert pipeline.fit([(bars, TRAIN)]) is not pipeline
    assert pipeline.scaler is None


@pytest.mark.parametrize("rows", [range(-1, 50), range(COUNT + 1), range(0, 100, 2), range(10, 10), range(50, 10, -1)])
def test_rows_outside_the_series_are_refused(rows: range, bars: BarSeries) -> None:
    with pytest.raises(DataError, match="is not a stretch of rows"):
        FeaturePipeline(["rsi"], 6.0).fit([(bars, rows)])


def test_nothing_left_to_fit_on_is_refused(bars: BarSeries) -> None:
    for samples in ([], [(bars, range(161))], [(bars, range(100)), (bars, range(50, 150))]):
        with pytest.raises(DataError, match="after 161 warm-up bars"):
            FeaturePipeline(DEFAULT_NAMES, 6.0).fit(samples)


def test_plain_data_round_trip(bars: BarSeries, fitted: FeaturePipeline) -> None:
    plain = json.loads(json.dumps(fitted.to_plain()))
    back = FeaturePipeline.from_plain(plain)
    assert back.spec_id == fitted.spec_id
    assert back.to_plain() == fitted.to_plain()
    np.testing.assert_array_equal(back.transform(bars), fitted.transform(bars))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0}, "has version 0, this code has 1"),
        ({"names": ["returns", "sentiment"]}, r"does not have: \['sentiment'\]"),
        ({"columns": ["return_lag_0", "close"]}, "this code computes"),
        ({"mean": [0.0]}, "scales 1 and 13 columns, not 13"),
        ({"scale": [0.0] * 13}, "not finite and positive"),
        ({"mean": [float("nan")] * 13}, "not finite and positive"),
        ({"clip": 0.1}, "clip must be >= 1"),
    ],
)
def test_foreign_or_broken_specs_are_refused(change: dict[str, Any], message: str, fitted: FeaturePipeline) -> None:
    with pytest.raises(ModelFileError, match=message):
        FeaturePipeline.from_plain({**fitted.to_plain(), **change})


def test_a_spec_with_a_missing_part_is_refused(fitted: FeaturePipeline) -> None:
    plain = fitted.to_plain()
    del plain["scale"]
    with pytest.raises(ModelFileError, match=r"lacks \['scale'\]"):
        FeaturePipeline.from_plain(plain)


def test_spec_id_tells_meanings_apart_and_ignores_the_scaler(fitted: FeaturePipeline) -> None:
    assert FeaturePipeline(DEFAULT_NAMES, 6.0).spec_id == fitted.spec_id
    others = [
        FeaturePipeline(list(reversed(DEFAULT_NAMES)), 6.0),
        FeaturePipeline(DEFAULT_NAMES[:-1], 6.0),
        FeaturePipeline(DEFAULT_NAMES, 5.0),
    ]
    assert len({fitted.spec_id, *(other.spec_id for other in others)}) == 4


# Features of the user's own.


def plugged(folder: Path, monkeypatch: pytest.MonkeyPatch, formula: str, lookback: int = 1) -> FeaturePipeline:
    module = write_plugin(folder, monkeypatch, "mine", feature_module(formula, lookback))
    return FeaturePipeline(["returns", "mine"], 6.0, plugins=[module])


def test_a_plugged_in_feature_is_one_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = random_bars(COUNT)
    fitted = plugged(tmp_path, monkeypatch, "np.log(bars.close / bars.open)").fit([(bars, TRAIN)])
    own = np.log(bars.close / bars.open)
    rows = slice(TRAIN.start, TRAIN.stop)  # past the warm-up
    expected = ((own - own[rows].mean()) / own[rows].std()).clip(-6, 6)
    np.testing.assert_allclose(fitted.transform(bars)[4:, 4], expected[4:], atol=1e-6)
    again = FeaturePipeline.from_plain(fitted.to_plain())
    np.testing.assert_array_equal(again.transform(bars), fitted.transform(bars))
    np.testing.assert_array_equal(again.latest(bars), fitted.latest(bars))


def test_modules_without_a_chosen_feature_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", feature_module("bars.close"))
    assert FeaturePipeline(["mine"], 6.0, plugins=[module]).plugins == (module,)
    assert FeaturePipeline(["rsi"], 6.0, plugins=[module]).plugins == ()


def test_a_misspelt_name_is_told_of_plugged_in_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", feature_module("bars.close"))
    with pytest.raises(ConfigError, match=r"features\.names 'minne' is unknown; did you mean 'mine'\?"):
        FeaturePipeline(["minne"], 6.0, plugins=[module])


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("np.append(bars.close[1:], 0)", LookaheadError, "feature 'mine' looks ahead: row"),
        ("bars.close / bars.close.max()", LookaheadError, "feature 'mine' looks ahead: row"),
        ("np.where(bars.close > bars.open, 1, np.nan)", DataError, "feature 'mine' is not a finite number at row"),
        ("np.cumsum(bars.volume)", DataError, "feature 'mine' says lookback_bars=1, but row"),
        ("bars.close, bars.open", DataError, r"feature 'mine' returned \(1000, 2\) rows and columns for 1000 bars"),
    ],
)
def test_a_plugged_in_feature_is_checked_before_anything_learns_from_it(
    formula: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = plugged(tmp_path, monkeypatch, formula)
    with pytest.raises(error, match=says):
        pipeline.fit([(random_bars(COUNT), TRAIN)])


LEAKS = {
    "a centred moving average": "pd.Series(bars.close).rolling(5, min_periods=1, center=True).mean()",
    "a scaler of the whole series": "(bars.close - bars.close.mean()) / bars.close.std()",
    "a gap filled from behind": "pd.Series(np.where(bars.close > bars.open, bars.close, np.nan)).bfill().ffill()",
    "KST as `ta` starts it, from the mean of all closes": "KSTIndicator(pd.Series(bars.close), fillna=True).kst()",
}
IMPORTS = "import pandas as pd\nfrom ta.trend import KSTIndicator\n"


@pytest.mark.parametrize("formula", LEAKS.values(), ids=LEAKS)
def test_usual_leaks_are_refused_by_the_name_of_the_feature(
    formula: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", IMPORTS + feature_module(formula, lookback=COUNT))
    with pytest.raises(LookaheadError, match="feature 'mine' looks ahead: row"):
        FeaturePipeline(["rsi", "mine"], 6.0, plugins=[module]).fit([(random_bars(COUNT), TRAIN)])


def test_the_projects_own_features_are_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    leaking = replace(FEATURES["rsi"], formula=lambda bars: [bars.close / bars.close.mean()])
    monkeypatch.setitem(FEATURES, "rsi", leaking)
    with pytest.raises(LookaheadError, match="feature 'rsi' looks ahead: row"):
        FeaturePipeline(["rsi"], 6.0).fit([(random_bars(COUNT), TRAIN)])


def test_columns_have_one_name_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = feature_module("bars.close").replace('("mine",)', '("rsi",)')
    module = write_plugin(tmp_path, monkeypatch, "mine", text)
    with pytest.raises(ConfigError, match=r"features\.names: 2 of rsi, mine have a column called 'rsi'"):
        FeaturePipeline(["rsi", "mine"], 6.0, plugins=[module])
