"""Settings of self-modification: bounds, names with hints, rules by name, and a round trip as plain data."""

import json
import math
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from omegaconf import OmegaConf

from src.config.base import Schema
from src.config.fields import describe, settings_of
from src.config.plain import from_plain, to_plain
from src.config.reference import _yaml
from src.config.stages.self_modification import (
    ACTIONS,
    EXTRA_METRICS,
    PERFORMANCE_METRICS,
    Bound,
    ProfitDriftConfig,
    RuleConfig,
    SelfModificationConfig,
)
from src.errors import ConfigError
from src.evaluation.returns import Performance

# Each: the last value that is accepted, and one just beyond it.
BOUNDS: list[tuple[type[Schema], str, Any, Any]] = [
    (RuleConfig, "threshold", -1e300, math.nan),
    (RuleConfig, "threshold", 0.0, math.inf),
    (RuleConfig, "patience", 1, 0),
    (RuleConfig, "cooldown", 0, -1),
    (RuleConfig, "lasts", 1, 0),
    (ProfitDriftConfig, "shift_deviations", 1e-3, 0.0),
    (ProfitDriftConfig, "bars_between_false_alarms", 100.0, 99.0),
    (ProfitDriftConfig, "reference_errors", 0.0, -0.1),
    (SelfModificationConfig, "reduced_exposure", 0.0, 1.1),
]


def loaded(overrides: dict[str, Any]) -> SelfModificationConfig:
    tree = OmegaConf.merge(OmegaConf.structured(SelfModificationConfig), OmegaConf.create(overrides))
    config = OmegaConf.to_object(tree)
    assert isinstance(config, SelfModificationConfig)
    return config


@pytest.mark.parametrize(("kind", "name", "good", "bad"), BOUNDS, ids=lambda v: str(getattr(v, "__name__", v)))
def test_bounds(kind: type[Schema], name: str, good: Any, bad: Any) -> None:
    assert getattr(kind(**{name: good}), name) == good
    with pytest.raises(ConfigError, match=name):
        kind(**{name: bad})


def test_metrics_are_the_numbers_of_an_account() -> None:
    hints = get_type_hints(Performance)
    numbers = [field.name for field in fields(Performance) if hints[field.name] in (int, float, float | None)]
    assert sorted(PERFORMANCE_METRICS) == sorted(numbers)
    assert not set(PERFORMANCE_METRICS) & set(EXTRA_METRICS)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="metric 'profit_facter' is unknown; did you mean 'profit_factor'"):
        RuleConfig(metric="profit_facter")
    with pytest.raises(ConfigError, match="action 'reduce_risks' is unknown; did you mean 'reduce_risk'"):
        RuleConfig(action="reduce_risks")


def test_default_rules_use_every_action_and_what_costs_little_comes_first() -> None:
    rules = SelfModificationConfig().active_rules
    assert sorted(rule.action for rule in rules.values()) == sorted(ACTIONS)
    assert next(iter(rules)) == "deep_drawdown"
    assert list(rules)[-1] == "weak_profit"


def test_a_file_changes_adds_and_leaves_out_rules_by_name() -> None:
    config = loaded(
        {
            "rules": {
                "deep_drawdown": {"threshold": 0.3},
                "weak_profit": None,
                "idle": {"metric": "trades", "comparison": "at_most", "threshold": 0, "action": "architecture_search"},
            }
        }
    )
    rules, before = config.active_rules, SelfModificationConfig().active_rules
    assert list(rules) == [*(name for name in before if name != "weak_profit"), "idle"]
    assert (rules["deep_drawdown"].threshold, rules["deep_drawdown"].lasts) == (0.3, 2)
    assert (rules["idle"].metric, rules["idle"].comparison) == ("trades", Bound.at_most)
    assert loaded({"enabled": False}).active_rules == {}


def test_settings_return_from_plain_data() -> None:
    config = loaded({"rules": {"weak_profit": None, "deep_drawdown": {"patience": 4}}})
    assert from_plain(SelfModificationConfig, json.loads(json.dumps(to_plain(config)))) == config
    plain = to_plain(config)
    plain["rules"]["deep_drawdown"]["patience"] = 0
    with pytest.raises(ConfigError, match="patience must be >= 1"):
        from_plain(SelfModificationConfig, plain)


def test_rules_can_be_described_and_written_as_yaml() -> None:
    assert describe(settings_of(SelfModificationConfig)["rules"]) == "sections of settings by name"
    assert describe(dict[str, str]) == "a mapping of names to names"
    written = _yaml(SelfModificationConfig().rules)
    assert loaded({"rules": OmegaConf.create(written)}) == SelfModificationConfig()
