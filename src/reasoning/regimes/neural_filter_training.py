"""Training of the neural filter on generated markets, where every bar's regime is known."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from src.config.agent.reasoning import NeuralFilterConfig
from src.config.plain import to_plain
from src.market.synthetic.regime_market import REGIME_MARKET, LogCandles, RegimeMarket, candles_of
from src.reasoning.candle_scale import CandleUnits
from src.reasoning.regimes.neural_filter import VERSION, NeuralFilter, bar_inputs
from src.reasoning.regimes.range_evidence import ENTRY_BARS
from src.reasoning.weights_cache import cached_weights, weights_path
from src.seeding import generator, integer_seed, seeded_torch

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
_NAME = "neural_filter"
_SETTLING_BARS = 32  # at the start of a stretch the belief is uniform for want of a past; these do not count
_WARMUP_FRAC = 0.1  # of the steps, while the learning rate rises
_GRAD_CLIP = 1.0


class LabelledBars(NamedTuple):
    """Generated bars: what the network sees, (N, T, F), and the regimes, (N, T)."""

    inputs: Tensor
    regimes: Tensor


def trained_neural_filter(
    config: NeuralFilterConfig,
    cache: Path,
    market: RegimeMarket = REGIME_MARKET,
    progress: OnProgress | None = None,
) -> NeuralFilter:
    """Return the network of these settings from the cache, or train and keep it: half a minute of one core.

    Args:
        progress: called with steps done and steps in all, after each; not called if nothing is trained.
    """
    weights = cached_weights(
        cache, _NAME, _key(config, market), lambda: train_neural_filter(config, market, progress).state_dict()
    )
    return NeuralFilter.from_weights(weights)


def is_neural_filter_kept(config: NeuralFilterConfig, cache: Path, market: RegimeMarket = REGIME_MARKET) -> bool:
    """Say whether the network of these settings has been trained already."""
    return weights_path(cache, _NAME, _key(config, market)).exists()


def _key(config: NeuralFilterConfig, market: RegimeMarket) -> dict[str, Any]:
    return {"version": VERSION, "settings": to_plain(config), "market": asdict(market)}


def train_neural_filter(
    config: NeuralFilterConfig, market: RegimeMarket = REGIME_MARKET, progress: OnProgress | None = None
) -> NeuralFilter:
    """Return a network trained by the cross-entropy of its filtered beliefs. Same settings, same bits on a CPU.

    The bars are drawn once and seen several times over: there are hundreds for every weight.
    """
    rng = generator(config.seed, "neural_filter", "bars")
    with seeded_torch(integer_seed(config.seed, "neural_filter", "weights")):
        network = NeuralFilter(config.hidden_dim)
    labelled = _generated(config, market, rng)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=max(2, config.steps), pct_start=_WARMUP_FRAC
    )
    for step in range(config.steps):
        inputs, regimes = _stretches(labelled, config, rng)
        beliefs = network(inputs)[:, _SETTLING_BARS:]
        loss = functional.cross_entropy(beliefs.flatten(0, 1), regimes[:, _SETTLING_BARS:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRAD_CLIP)
        optimizer.step()
        schedule.step()
        (progress or _log)(step + 1, config.steps)
    return network.requires_grad_(False).eval()


def _log(step: int, steps: int) -> None:
    if step % 100 == 0:
        logger.info("neural filter: step %d of %d", step, steps)


def _generated(config: NeuralFilterConfig, market: RegimeMarket, rng: np.random.Generator) -> LabelledBars:
    # Paths begin with bars to look back on, which are dropped. A symbol's units are estimates, so here they are too.
    paths = market.draw(config.market_paths, ENTRY_BARS + config.market_bars, rng)
    units = market.volatility * np.exp(config.unit_spread * rng.standard_normal((config.market_paths, 2)))
    inputs = [
        bar_inputs(LogCandles(*candles), CandleUnits(*unit))[ENTRY_BARS:]
        for candles, unit in zip(zip(*candles_of(paths.steps), strict=True), units.tolist(), strict=True)
    ]
    regimes = np.ascontiguousarray(paths.regime[:, ENTRY_BARS:])
    return LabelledBars(torch.from_numpy(np.stack(inputs)), torch.from_numpy(regimes))


def _stretches(labelled: LabelledBars, config: NeuralFilterConfig, rng: np.random.Generator) -> LabelledBars:
    paths = torch.from_numpy(rng.integers(config.market_paths, size=(config.batch, 1)))
    starts = torch.from_numpy(rng.integers(config.market_bars - config.bars + 1, size=(config.batch, 1)))
    bars = starts + torch.arange(config.bars)
    return LabelledBars(labelled.inputs[paths, bars], labelled.regimes[paths, bars])
