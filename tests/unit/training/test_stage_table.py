"""What the end of a run says of a policy that has hardly learned."""

import json
from pathlib import Path

import pytest
from scipy.stats import entropy

from src.training.stage_table import blindness


@pytest.mark.parametrize("name", ["losses/entropy", "champion/losses/entropy"])
@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.2, 0.2, 0.2, 0.2, 0.2], 1.0),
        ([1.0, 0.0, 0.0, 0.0, 0.0], 0.0),
        ([0.5, 0.5, 0.0, 0.0, 0.0], 0.430677),  # log 2 / log 5
    ],
)
def test_blindness_is_the_last_entropy_as_a_part_of_the_largest(
    name: str, probabilities: list[float], expected: float, tmp_path: Path
) -> None:
    lines = [{"step": 1, name: 1.6}, {"step": 2, name: float(entropy(probabilities))}, {"step": 3, "other": 1.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert blindness(tmp_path, 5) == pytest.approx(expected, abs=1e-6)


def test_nothing_is_said_of_a_policy_whose_entropy_was_not_logged(tmp_path: Path) -> None:
    assert blindness(tmp_path, 5) is None
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "losses/entropy": null}\n')
    assert blindness(tmp_path, 5) is None
