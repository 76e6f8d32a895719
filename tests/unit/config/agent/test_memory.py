"""Settings of the memory: bounds, and a round trip as plain data."""

import json
import math
from typing import Any

import pytest

from src.config.agent.memory import KeyConfig, MemoryConfig, SignificanceConfig
from src.config.base import Schema
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError

# Each: the last value that is accepted, and one just beyond it.
BOUNDS: list[tuple[type[Schema], str, Any, Any]] = [
    (KeyConfig, "window_bars", 1, 0),
    (KeyConfig, "volatility_span_bars", 2, 1),
    (KeyConfig, "clip", 1.0, math.inf),
    (SignificanceConfig, "move_bars", 1, 0),
    (SignificanceConfig, "move_sigmas", 0.0, -0.1),
    (SignificanceConfig, "trade_sigmas", 1000.0, math.nan),
    (SignificanceConfig, "rare_frac", 1.0, 1.1),
    (SignificanceConfig, "decisions_before_rare", 1, 0),
    (SignificanceConfig, "outcome_bars", 1, 0),
    (MemoryConfig, "capacity", 1, 0),
    (MemoryConfig, "recalled", 1000, 1001),
    (MemoryConfig, "bandwidth", 1e-9, 0.0),
    (MemoryConfig, "half_life_days", 0.1, 0.0),
    (MemoryConfig, "recurrence", 1.0, 1.1),
    (MemoryConfig, "exact_events", 1000, 999),
]


@pytest.mark.parametrize(("kind", "name", "good", "bad"), BOUNDS, ids=lambda v: str(getattr(v, "__name__", v)))
def test_bounds(kind: type[Schema], name: str, good: Any, bad: Any) -> None:
    assert getattr(kind(**{name: good}), name) == good
    with pytest.raises(ConfigError, match=name):
        kind(**{name: bad})


def test_settings_return_from_plain_data() -> None:
    config = MemoryConfig(half_life_days=30.0, key=KeyConfig(window_bars=9))
    assert from_plain(MemoryConfig, json.loads(json.dumps(to_plain(config)))) == config
