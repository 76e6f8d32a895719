"""The regime classifier: which regime is the market in? Chosen by name, fitted on training rows, kept in a model file.

Every classifier is a `MarketModule` with the columns up, down, ranging and volatile: probabilities that sum to 1, for
each bar from the bars up to it. A constant factor on all prices changes nothing, and volume plays no part.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from src.config.agent.reasoning import RegimeConfig, RegimeMethod
from src.errors import ConfigError, ModelFileError
from src.reasoning.candle_scale import Samples
from src.reasoning.market_module import MarketModule
from src.reasoning.regimes.hidden_markov import HiddenMarkovClassifier
from src.reasoning.regimes.moving_average import MovingAverageClassifier
from src.reasoning.regimes.neural_filter import NeuralFilterClassifier
from src.reasoning.regimes.neural_filter_training import trained_neural_filter


def fit_classifier(config: RegimeConfig, samples: Samples) -> MarketModule:
    """Fit the chosen classifier to the given rows of all samples, pooled; bars after them are never looked at.

    Args:
        config: method and settings.
        samples: series and training rows of one symbol.

    Raises:
        DataError: rows outside their series, too few of them, or prices that stand still.
        ModelFileError: the cached network is damaged.
    """

    def neural_filter() -> MarketModule:
        network = trained_neural_filter(config.neural_filter, Path(config.cache_dir))
        return NeuralFilterClassifier.fit(network, samples)

    def hidden_markov() -> MarketModule:
        return HiddenMarkovClassifier.fit(config.hidden_markov, samples)

    def moving_average() -> MarketModule:
        return MovingAverageClassifier.fit(config.moving_average, samples)

    fits: dict[RegimeMethod, Callable[[], MarketModule]] = {
        RegimeMethod.moving_average: moving_average,
        RegimeMethod.hidden_markov: hidden_markov,
        RegimeMethod.neural_filter: neural_filter,
    }
    return fits[config.method]()


def classifier_from_plain(plain: Mapping[str, Any]) -> MarketModule:
    """Rebuild a fitted classifier from its `to_plain`.

    Raises:
        ModelFileError: its kind is unknown, or its state is incomplete or of another version.
    """
    kinds: dict[str, Callable[[Mapping[str, Any]], MarketModule]] = {
        "moving_average": MovingAverageClassifier.from_plain,
        "hidden_markov": HiddenMarkovClassifier.from_plain,
        "neural_filter": NeuralFilterClassifier.from_plain,
    }
    name = plain.get("name")
    if name not in kinds:
        raise ModelFileError(
            f"the model's regime classifier is called '{name}', which is not one of {', '.join(kinds)}"
        )
    try:
        return kinds[name](plain)
    except (ConfigError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(
            f"the model's {name} classifier does not fit this code ({error}); train it again"
        ) from error
