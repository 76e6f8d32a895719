"""Members as data: what does not belong to a kind is refused, not passed over."""

from typing import Any

import pytest

from src.config.portfolio.member import MemberConfig, MemberKind
from src.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": MemberKind.sleeves, "lookback_bars": 5}, "lookback_bars belongs to kind=baseline"),
        ({"kind": MemberKind.sleeves, "every_bars": 5}, "every_bars belongs to kind=baseline"),
        ({"share": 0.5}, "share belongs to kind=sleeves"),
        ({"kind": MemberKind.sleeves, "share": 2.0}, r"share must lie in \(0, 1\], was 2"),
        ({"every_bars": 0}, "every_bars must be >= 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        MemberConfig(**settings)
