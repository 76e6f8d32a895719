"""The regime classifier: which regime is the market in? Chosen by name, fitted on training rows, kept in a model file.

Every classifier is a `MarketModule` with the columns up, down, ranging and volatile: probabilities that sum to 1, for
each bar from the bars up to it. A constant factor on all prices changes nothing, and volume plays no part.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from src.config.agent.reasoning import RegimeConfig
from src.config.base import require_known
from src.errors import ConfigError, ModelFileError
from src.market.bars import BarSeries
from src.market.lookahead import require_causal, require_own_history
from src.market.synthetic.regime_market import REGIMES
from src.plugins import Pluggable, with_plugins
from src.reasoning.candle_scale import Samples
from src.reasoning.market_module import MarketModule, latest
from src.reasoning.regimes.hidden_markov import HiddenMarkovClassifier
from src.reasoning.regimes.moving_average import MovingAverageClassifier
from src.reasoning.regimes.neural_filter import NeuralFilterClassifier
from src.reasoning.regimes.neural_filter_training import trained_neural_filter

_SUM = 1e-6  # how far the probabilities of a bar may be from 1 together


class FitRegimes(Protocol):
    """Fits a classifier to the given rows of all samples, pooled; `config` holds settings of the built-in ones."""

    def __call__(self, config: RegimeConfig, samples: Samples) -> MarketModule: ...


@dataclass(frozen=True)
class RegimeMethod(Pluggable):
    """A way to tell regimes apart: fitted, and rebuilt from what `to_plain` of the fitted module returned.

    The module goes by the same name, also in its `to_plain`, and has the columns `REGIMES`.
    """

    kind: ClassVar[str] = "regime module"

    fit: FitRegimes
    from_plain: Callable[[Mapping[str, Any]], MarketModule]


def _moving_average(config: RegimeConfig, samples: Samples) -> MarketModule:
    return MovingAverageClassifier.fit(config.moving_average, samples)


def _hidden_markov(config: RegimeConfig, samples: Samples) -> MarketModule:
    return HiddenMarkovClassifier.fit(config.hidden_markov, samples)


def _neural_filter(config: RegimeConfig, samples: Samples) -> MarketModule:
    network = trained_neural_filter(config.neural_filter, Path(config.cache_dir))
    return NeuralFilterClassifier.fit(network, samples)


_OWN = (
    RegimeMethod("moving_average", _moving_average, MovingAverageClassifier.from_plain),
    RegimeMethod("hidden_markov", _hidden_markov, HiddenMarkovClassifier.from_plain),
    RegimeMethod("neural_filter", _neural_filter, NeuralFilterClassifier.from_plain),
)
METHODS: Mapping[str, RegimeMethod] = {method.name: method for method in _OWN}


def known_methods(plugins: Iterable[str]) -> Mapping[str, RegimeMethod]:
    """Return the ways there are to tell regimes apart, by name: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    return with_plugins(METHODS, RegimeMethod, plugins)


def fit_classifier(config: RegimeConfig, samples: Samples, plugins: Iterable[str] = ()) -> MarketModule:
    """Fit the chosen classifier to the given rows of all samples, pooled; bars after them are never looked at.

    Args:
        config: method and settings.
        samples: series and training rows of one symbol.
        plugins: modules that may hold the method. What is plugged in gets no bar after its rows, and is checked.

    Raises:
        ConfigError: the method is unknown, or a plug-in cannot be used.
        DataError: rows outside their series, too few of them, or prices that stand still; or a plugged-in module needs
            more bars than it says, or speaks in no probabilities.
        LookaheadError: a plugged-in module sees the future.
        ModelFileError: the cached network is damaged.
    """
    known = known_methods(plugins)
    require_known("regime.method", [config.method], known)
    method = known[config.method]
    if method.name in METHODS:
        return method.fit(config, samples)
    past = [(bars[: rows.stop], rows) for bars, rows in samples]
    module = method.fit(config, past)
    for bars, _ in past:
        _require_sound(method, module, bars)
    return module


def classifier_from_plain(plain: Mapping[str, Any], plugins: Iterable[str] = ()) -> MarketModule:
    """Rebuild a fitted classifier from its `to_plain`.

    Raises:
        ConfigError: a plug-in cannot be used.
        ModelFileError: its kind is unknown, or its state is incomplete or of another version.
    """
    name, known = str(plain.get("name")), known_methods(plugins)
    if name not in known:
        raise ModelFileError(
            f"the model's regime classifier is called '{name}', which is not one of {', '.join(known)}"
        )
    try:
        return known[name].from_plain(plain)
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"the model's {name} classifier does not fit this code ({error}); train it again"
        ) from error


def _require_sound(method: RegimeMethod, module: MarketModule, bars: BarSeries) -> None:
    # What the project's own modules are tested for.
    what = f"regime module '{method.name}'"
    if tuple(module.columns) != REGIMES:
        raise ConfigError(f"{what} has the columns {', '.join(module.columns)}; they must be {', '.join(REGIMES)}")
    require_causal(what, module.transform, bars)
    claim = f"history_bars={module.history_bars}"
    require_own_history(what, module.transform, lambda past: latest(module, past), bars, 0, claim)
    probabilities = module.transform(bars)
    if (probabilities < 0).any() or np.abs(probabilities.sum(axis=1) - 1).max() > _SUM:
        raise ConfigError(f"{what} must speak in probabilities: none below 0, and those of a bar summing to 1")
    plain = module.to_plain()
    if plain.get("name") != method.name:
        raise ConfigError(f"{what} must be called so in its to_plain, was '{plain.get('name')}'")
    if not np.array_equal(method.from_plain(plain).transform(bars), probabilities):
        raise ConfigError(f"{what} says something else after to_plain and from_plain; save all that was fitted")
