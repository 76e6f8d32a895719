"""Chart patterns drawn another way, to see whether the recognizer knows patterns or its own generator.

Nothing is shared with `src/reasoning/patterns/generator.py`: heads, shoulders and double tops are sums of bell curves
instead of joined levels; triangles, broadenings and rectangles are a price thrown back and forth between two straight
lines at speeds of its own; the noise is autocorrelated with fat tails; and what is no pattern are walks with volatility
clusters, rising waves, single bells, stairs, curves and unequal bells.
"""

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.reasoning.patterns.generator import LabelledWindows
from src.reasoning.patterns.shapes import PATTERNS

_NOISE_MEMORY = 0.4
_TAIL = 5.0  # degrees of freedom of Student's t


def unseen_windows(count: int, noise: float, rng: np.random.Generator, bars: int = 64) -> LabelledWindows:
    """Draw log prices (count, bars) and their patterns, 30 % of them none; noise in pattern heights."""
    shares = [0.3] + [0.1] * (len(PATTERNS) - 1)
    labels: NDArray[np.int64] = rng.choice(len(PATTERNS), count, p=shares)
    clean = np.stack([_line(int(label), bars, rng) for label in labels])
    clean /= np.ptp(clean, axis=1, keepdims=True)
    return LabelledWindows(0.1 * (clean + _fat_noise(noise, clean.shape, rng)), labels)


def clustered_walks(count: int, bars: int, rng: np.random.Generator) -> FloatArray:
    """Draw walks whose volatility clusters (GARCH(1, 1)) and whose steps have fat tails, (count, bars)."""
    variance, step = np.ones(count), np.zeros((count, bars))
    for bar in range(bars):
        step[:, bar] = np.sqrt(variance) * rng.standard_t(_TAIL, count) * np.sqrt((_TAIL - 2) / _TAIL)
        variance = 0.05 + 0.85 * variance + 0.10 * step[:, bar] ** 2
    return step.cumsum(axis=1)


def _line(label: int, bars: int, rng: np.random.Generator) -> FloatArray:
    name = PATTERNS[label]
    if name == "none":
        return _no_pattern(bars, rng)
    length = int(bars * rng.uniform(0.65, 1.0))
    upside_down = name in ("inverse_head_and_shoulders", "double_bottom")
    if "shoulders" in name:
        inner = _shoulders(length, rng)
    elif "double" in name:
        inner = _double(length, rng)
    else:
        inner = _between_lines(name, length, rng)
    before = int(rng.integers(0, bars - length + 1))
    return _set_in(-inner if upside_down else inner, before, bars, rng)


def _bells(length: int, centres: list[float], heights: list[float], width: float) -> FloatArray:
    time = np.linspace(0.0, 1.0, length)
    return sum(h * np.exp(-0.5 * ((time - c) / width) ** 2) for c, h in zip(centres, heights, strict=True))


def _shoulders(length: int, rng: np.random.Generator) -> FloatArray:
    shift = rng.uniform(-0.03, 0.03, 3)
    centres = [0.2 + shift[0], 0.5 + shift[1], 0.8 + shift[2]]
    shoulder = rng.uniform(0.5, 0.72)
    heights = [shoulder, 1.0, shoulder + rng.uniform(-0.06, 0.06)]
    return _bells(length, centres, heights, rng.uniform(0.065, 0.09))


def _double(length: int, rng: np.random.Generator) -> FloatArray:
    apart = rng.uniform(0.36, 0.5)
    centres = [0.5 - apart / 2, 0.5 + apart / 2]
    return _bells(
        length, centres, [1.0, 1 + rng.uniform(-0.05, 0.05)], apart * rng.uniform(0.27, 0.34)
    )  # the dip is .36 to .68


def _between_lines(name: str, length: int, rng: np.random.Generator) -> FloatArray:
    # The price goes at a steady speed until it meets a line; each leg has its own speed. Five to seven meetings.
    narrow = rng.uniform(0.15, 0.35)
    gap = {"triangle": (1.0, narrow), "broadening": (narrow, 1.0), "rectangle": (1.0, 1.0)}[name]
    lean = rng.uniform(-0.1, 0.1) if name != "rectangle" else 0.0
    side = int(rng.choice([-1, 1]))
    meetings = int(rng.integers(5, 8))
    speeds = rng.uniform(0.75, 1.25, meetings - 1)
    times = np.concatenate([[0.0], speeds.cumsum() / speeds.sum()])
    sides = side * (-1.0) ** np.arange(meetings)
    widths = gap[0] + (gap[1] - gap[0]) * times
    levels = sides * widths / 2 + lean * times
    return np.interp(np.linspace(0.0, 1.0, length), times, levels)


def _set_in(inner: FloatArray, before: int, bars: int, rng: np.random.Generator) -> FloatArray:
    after = bars - before - len(inner)
    speed = 0.03 * np.ptp(inner)
    lead = inner[0] - np.sign(inner[3] - inner[0]) * speed * np.arange(before, 0, -1)
    tail = inner[-1] + rng.uniform(-1, 1) * speed * np.arange(1, after + 1)
    return np.concatenate([lead, inner, tail])


def _no_pattern(bars: int, rng: np.random.Generator) -> FloatArray:
    time, sign = np.linspace(0.0, 1.0, bars), float(rng.choice([-1, 1]))
    kind = rng.integers(7)
    if kind <= 1:
        return clustered_walks(1, bars, rng)[0]
    if kind == 2:  # waves on a steep slope
        return sign * (time + 0.12 * np.sin(2 * np.pi * (rng.uniform(2, 4) * time + rng.random())))
    if kind == 3:
        return sign * _bells(bars, [rng.uniform(0.3, 0.7)], [1.0], rng.uniform(0.08, 0.2))
    if kind == 4:  # stairs
        return sign * np.floor(time * rng.integers(3, 6)) + 0.1 * time
    if kind == 5:
        return sign * np.expm1(rng.uniform(1, 4) * time)
    heights = [1.0, rng.uniform(0.45, 0.65)]
    return sign * _bells(bars, [0.3, 0.7], heights[:: int(rng.choice([-1, 1]))], rng.uniform(0.07, 0.12))


def _fat_noise(size: float, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    shocks = rng.standard_t(_TAIL, shape) * np.sqrt((_TAIL - 2) / _TAIL) * np.sqrt(1 - _NOISE_MEMORY**2)
    noise = np.empty(shape)
    level = rng.standard_normal(shape[0])
    for bar in range(shape[1]):
        level = _NOISE_MEMORY * level + shocks[:, bar]
        noise[:, bar] = level
    return size * noise
