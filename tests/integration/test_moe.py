"""The MoE stage on RLlib: curves of gate and experts, hand-over between stages."""

import json
from pathlib import Path

import pytest
import torch

from src.agents.model_file import load_model
from src.training.pipeline import run_sequence
from tests.support.tiny_training import tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]

SMALL = "accounts: 16, groups: 4, horizon: 16, epochs: 1, minibatches: 2, evaluate_every: 1, keep: last"
SETTINGS = (
    "~sequence.stage_1_ppo",
    "environment.reward.kind=linear",
    "environment.account_inputs=[exposure]",
)
BOTH = pytest.mark.parametrize("advantages", ["sampled", "all_action"])


def trained(folder: Path, settings: str) -> dict[str, torch.Tensor]:
    stage = f"sequence.moe={{algorithm: MoE, {SMALL}, experts: 3, gate_dim: 4, gate_window: 20, {settings}}}"
    return load_model(run_sequence(tiny_config(folder, *SETTINGS, stage))["moe"].model_path).weights


def all_curves(folder: Path) -> list[dict[str, float]]:
    (path,) = folder.glob("runs/*/moe/metrics.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def curves(folder: Path) -> dict[str, float]:
    return all_curves(folder)[-1]


@BOTH
def test_a_mixture_tells_what_its_parts_do(advantages: str, tmp_path: Path) -> None:
    trained(tmp_path, f"advantages: {advantages}, iterations: 2")
    told = curves(tmp_path)
    assert told["moe/gate_loss"] > 0
    assert {"moe/expert_loss", "moe/balance_loss", "moe/gate_entropy"} <= told.keys()
    for name in ("load", "leads"):
        assert sum(told[f"moe/{name}_{expert}"] for expert in range(3)) == pytest.approx(1.0, abs=1e-5)
        assert sum(told[f"moe/expert_{expert}/{name}"] for expert in range(3)) == pytest.approx(1.0, abs=1e-5)
    assert {f"moe/expert_2/{name}" for name in ("drift", "volatility", "persistence")} <= told.keys()


@BOTH
def test_the_gate_learns_what_it_is_taught(advantages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same expert is right at every bar: nothing but the lesson favours it, and no bar can hide it."""

    def always_the_second(advantage: torch.Tensor, sharpness: float, stay_bars: float) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.ones_like(advantage[..., 0]).long(), advantage.shape[-1]).float()

    monkeypatch.setattr("src.training.rllib.moe_learner.responsibilities", always_the_second)
    fast = "lr: 0.05, trunk_lr_frac: 1.0, grad_clip: 100.0, iterations: 20, balance: 0.0, gate_coef: 10.0"
    trained(tmp_path, f"advantages: {advantages}, {fast}")
    first, *_, last = all_curves(tmp_path)
    assert last["moe/gate_loss"] < 0.6 * first["moe/gate_loss"]
    assert last["moe/load_1"] > 0.6


@BOTH
def test_the_entropy_of_the_gate_follows_its_schedule(advantages: str, tmp_path: Path) -> None:
    fast = f"advantages: {advantages}, lr: 0.05, trunk_lr_frac: 1.0, grad_clip: 100.0, iterations: 8, gate_entropy: 0.0"
    trained(tmp_path / "free", f"{fast}, gate_entropy_end: 0.0")
    trained(tmp_path / "sharp", f"{fast}, gate_entropy_end: -100.0")
    free, sharp = curves(tmp_path / "free"), curves(tmp_path / "sharp")
    assert sharp["moe/gate_entropy"] < 0.5 * free["moe/gate_entropy"]


def test_one_expert_learns_as_plain_ppo_to_the_bit(tmp_path: Path) -> None:
    stage = f"{SMALL}, iterations: 2, advantages: all_action, init_from: seed"
    seed = f"seed: {{algorithm: PPO, {SMALL}, iterations: 1}}"
    weights = {}
    for algorithm in ("PPO", "MoE, experts: 1, gate_window: 4"):
        sequence = f"sequence={{{seed}, own: {{algorithm: {algorithm}, {stage}}}}}"
        config = tiny_config(tmp_path / algorithm[:3], *SETTINGS[1:], sequence)
        weights[algorithm[:3]] = load_model(run_sequence(config)["own"].model_path).weights
    assert len(weights["PPO"]) == len(weights["MoE"])
    for name, weight in weights["PPO"].items():
        assert torch.equal(weights["MoE"][name.replace("trunk.", "trunk.experts.0.")], weight), name


def test_stages_hand_over_repeat_and_say_where_they_come_from(tmp_path: Path) -> None:
    frozen = f"{SMALL}, iterations: 1, lr: 1e-9, weight_average: 0"
    mixture = f"algorithm: MoE, experts: 2, gate_dim: 4, gate_window: 16, {frozen}"
    sequence = (
        f"sequence={{one: {{algorithm: PPO, {frozen}}}, two: {{{mixture}, init_from: one}}, "
        f"three: {{{mixture}, init_from: two}}}}"
    )
    results = run_sequence(tiny_config(tmp_path, *SETTINGS, sequence))
    one, two, three = (load_model(result.model_path) for result in results.values())
    assert [one.lineage, two.lineage, three.lineage] == [[], ["A4_one"], ["A4_one", "A4_two"]]
    for name, weight in one.weights.items():
        torch.testing.assert_close(two.weights[name.replace("trunk.", "trunk.experts.0.")], weight, atol=1e-5, rtol=0)
    for name, weight in two.weights.items():
        torch.testing.assert_close(three.weights[name], weight, atol=1e-5, rtol=0)
    assert results["two"].validation.keys() == results["one"].validation.keys()
