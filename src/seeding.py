"""Named random streams. One seed per run; every consumer derives its own stream from a path of names.

Streams are stateless functions of (seed, path), so a resumed run draws what an uninterrupted one would have drawn
without any generator state being saved: put the iteration number in the path.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def seed_sequence(seed: int, *path: str | int) -> np.random.SeedSequence:
    """Return the seed sequence of the stream named by `path`; distinct paths give independent streams."""
    key = tuple(part if isinstance(part, int) else zlib.crc32(part.encode()) for part in path)
    return np.random.SeedSequence(seed, spawn_key=key)


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return a fresh NumPy generator at the start of the stream named by `path`."""
    return np.random.default_rng(seed_sequence(seed, *path))


def integer_seed(seed: int, *path: str | int) -> int:
    """Return a 63-bit seed for libraries that take an integer, such as `torch.Generator.manual_seed`."""
    low, high = seed_sequence(seed, *path).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generator, which new layers and dropout draw from; afterwards it is as it was before."""
    import torch  # only where it is used: what reads this module for NumPy alone starts without torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
