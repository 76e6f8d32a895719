"""Training of the pattern network on generated windows, none of which it sees twice."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from src.config.agent.reasoning import PatternConfig
from src.config.plain import to_plain
from src.reasoning.patterns.generator import WINDOW_BARS, PatternMix, random_walks
from src.reasoning.patterns.network import VERSION, WALKS, PatternNetwork, window_inputs
from src.reasoning.weights_cache import cached_weights, weights_path
from src.seeding import generator, integer_seed, seeded_torch

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
_NAME = "patterns"
_READ_LATER = ("threshold", "cache_dir")  # do not change what is trained
_WARMUP_FRAC = 0.15  # of the steps, while the learning rate rises
_CALIBRATION_WINDOWS = 4096
_SHORT_FRAC = 0.08  # of the windows, for each scale below 64 bars
_CHUNK_STEPS = 8  # windows of one length are drawn for so many steps at a time


def trained_pattern_network(config: PatternConfig, progress: OnProgress | None = None) -> PatternNetwork:
    """Return the network of these settings from the cache, or train and keep it: a minute of one core.

    Args:
        progress: called with steps done and steps in all, after each; not called if nothing is trained.
    """
    weights = cached_weights(
        Path(config.cache_dir), _NAME, _key(config), lambda: train_pattern_network(config, progress).state_dict()
    )
    return PatternNetwork.from_weights(weights)


def is_pattern_network_kept(config: PatternConfig) -> bool:
    """Say whether the network of these settings has been trained already."""
    return weights_path(Path(config.cache_dir), _NAME, _key(config)).exists()


def _key(config: PatternConfig) -> dict[str, Any]:
    settings = {name: value for name, value in to_plain(config).items() if name not in _READ_LATER}
    return {"version": VERSION, "settings": settings}


def train_pattern_network(config: PatternConfig, progress: OnProgress | None = None) -> PatternNetwork:
    """Return a network trained by cross-entropy, calibrated, and tried on random walks. Same settings, same bits."""
    rng = generator(config.seed, "patterns", "windows")
    with seeded_torch(integer_seed(config.seed, "patterns", "weights")):
        network = PatternNetwork(config.width, len(config.scales))
        _fit(network, config, rng, progress or _log)
    network.requires_grad_(False).eval()
    network.temperature.copy_(_temperature(network, config, rng))
    network.seen_in_walks.copy_(_seen_in_walks(network, config, rng))
    return network


def _fit(network: PatternNetwork, config: PatternConfig, rng: np.random.Generator, progress: OnProgress) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=max(2, config.steps), pct_start=_WARMUP_FRAC
    )
    for step in range(config.steps):
        if step % _CHUNK_STEPS == 0:
            inputs, labels = _drawn(_CHUNK_STEPS * config.batch, config, rng)
        batch = slice(step % _CHUNK_STEPS * config.batch, (step % _CHUNK_STEPS + 1) * config.batch)
        loss = functional.cross_entropy(network(inputs[batch]), labels[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        progress(step + 1, config.steps)


def _log(step: int, steps: int) -> None:
    if step % 100 == 0:
        logger.info("pattern network: step %d of %d", step, steps)


def _drawn(count: int, config: PatternConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    # Windows longer than 64 look like those of 64 once resampled; shorter ones are smoother, so they are drawn too.
    mix = PatternMix(none_frac=config.none_frac, pure_walk_frac=config.pure_walk_frac, noise_memory=config.noise_memory)
    lengths = [WINDOW_BARS, *(bars for bars in config.scales if bars < WINDOW_BARS)]
    part = int(count * _SHORT_FRAC)
    parts = [count - part * (len(lengths) - 1), *[part] * (len(lengths) - 1)]
    drawn = [
        mix.draw(part, (config.noise_low, config.noise_high), rng, bars)
        for bars, part in zip(lengths, parts, strict=True)
    ]
    order = torch.from_numpy(rng.permutation(count))
    inputs = torch.cat([window_inputs(windows.prices) for windows in drawn])
    labels = torch.from_numpy(np.concatenate([windows.labels for windows in drawn]))
    return inputs[order], labels[order]


def _temperature(network: PatternNetwork, config: PatternConfig, rng: np.random.Generator) -> Tensor:
    # The one that makes labels of new windows most likely (Guo et al. 2017, arXiv 1706.04599), on a fine grid.
    inputs, labels = _drawn(_CALIBRATION_WINDOWS, config, rng)
    with torch.no_grad():
        scores = network(inputs)
    grid = torch.linspace(0.5, 3.0, 101)
    losses = torch.stack([functional.cross_entropy(scores / temperature, labels) for temperature in grid])
    return grid[losses.argmin()]


def _seen_in_walks(network: PatternNetwork, config: PatternConfig, rng: np.random.Generator) -> Tensor:
    rows = [1 - network.probabilities([random_walks(WALKS, bars, rng)])[:, 0] for bars in config.scales]
    return torch.from_numpy(np.stack(rows)).float()
