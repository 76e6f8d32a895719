"""The examples: their own commands run, on a market and a budget of seconds, and the program knows nothing of them."""

import ast
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run_backtest
import run_training
from src.agents.baselines import make_baseline
from src.agents.model_file import load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest as run_backtest_of
from src.training.pipeline import run_sequence
from src.training.training_data import prepare_data
from tests.support.tiny_training import TINY, TINY_AUTONOMOUS, places, tiny_config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("my_*.py"))

IMPROVE = (
    *("sequence.improve.iterations=1", "sequence.improve.accounts=16", "sequence.improve.groups=4"),
    *("sequence.improve.horizon=16", "sequence.improve.epochs=1", "sequence.improve.minibatches=2"),
)

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]
Capture = pytest.CaptureFixture[str]


def docstring(example: Path) -> str:
    return ast.get_docstring(ast.parse(example.read_text())) or ""


def commands_of(name: str) -> list[list[str]]:
    """Return the commands at the top of an example, as lists of words without `python`."""
    lines = docstring(ROOT / "examples" / f"{name}.py").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    python ")]


def train(arguments: list[str], folder: Path, *tiny: str) -> None:
    assert run_training.main([*(tiny or TINY), *arguments, *places(folder)]) == 0


def backtest(folder: Path, *arguments: str) -> int:
    report = ("--report", str(folder / "report"), "--checkpoints", str(folder / "checkpoints"))
    return run_backtest.main([*report, *arguments, "--symbol", "A4"])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_program_knows_nothing_of_the_examples(example: Path) -> None:
    for file in (ROOT / "src").rglob("*.py"):
        assert example.stem not in file.read_text(), file


def test_every_example_is_listed_and_has_a_command() -> None:
    listed = (ROOT / "examples" / "README.md").read_text()
    for example in EXAMPLES:
        assert f"`{example.name}`" in listed
        assert commands_of(example.stem)


def test_a_feature(tmp_path: Path, capsys: Capture) -> None:
    ((script, *arguments),) = commands_of("my_feature")
    assert script == "run_training.py"
    train(arguments, tmp_path)
    file = load_model(tmp_path / "checkpoints" / "A4_stage_1_ppo.pth")
    assert file.features["names"] == ["returns", "volatility", "paid_deviation"]
    assert list(file.plugins) == ["examples.my_feature"]
    assert backtest(tmp_path, "--model", "stage_1_ppo") == 0
    capsys.readouterr()
    assert run_backtest.main(["inspect", str(tmp_path / "checkpoints" / "A4_stage_1_ppo.pth")]) == 0
    assert f"sha256 {file.plugins['examples.my_feature']}" in capsys.readouterr().out


def test_a_rule(tmp_path: Path, capsys: Capture) -> None:
    alone, compared = commands_of("my_baseline")
    assert alone[0] == compared[0] == "run_backtest.py"
    settings = ["data.source=synthetic", "data.synthetic.bars=1500"]
    assert backtest(tmp_path, *alone[1:], *settings) == 0
    assert "baseline breakout" in capsys.readouterr().out
    assert backtest(tmp_path, *compared[1:], *settings) == 0
    assert "breakout" in capsys.readouterr().out


def test_a_reward(tmp_path: Path) -> None:
    ((script, *arguments),) = commands_of("my_reward")
    assert script == "run_training.py"
    train(arguments, tmp_path)
    file = load_model(tmp_path / "checkpoints" / "A4_stage_1_ppo.pth")
    assert (file.rules["reward"]["kind"], list(file.plugins)) == ("loss_averse", ["examples.my_reward"])
    assert backtest(tmp_path, "--model", "stage_1_ppo") == 0
    steps = pd.read_parquet(tmp_path / "report" / "steps.parquet")
    growth = np.diff(np.log(steps.equity)) / file.rules["bar_volatility"]
    np.testing.assert_allclose(steps.reward[1:], np.where(growth < 0, 2 * growth, growth), rtol=1e-9)


def test_regimes_and_a_search(tmp_path: Path) -> None:
    regimes, search = commands_of("my_regimes")[0], commands_of("my_search")[0]
    assert regimes[0] == search[0] == "run_training.py"
    both = [f"plugins=[{','.join(words[1].removeprefix('plugins=').strip('[]') for words in (regimes, search))}]"]
    train([*regimes[2:], *search[2:], *both], tmp_path, *TINY_AUTONOMOUS)
    file = load_model(tmp_path / "checkpoints" / "A4_autonomous_final.pth")
    assert file.features["mind"]["parts"]["regime"]["name"] == "past_returns"
    assert list(file.plugins) == ["examples.my_regimes"]  # how it was found does not matter to those who trade it
    assert backtest(tmp_path) == 0


def test_a_stage_algorithm(tmp_path: Path, capsys: Capture) -> None:
    ((script, *arguments),) = commands_of("my_algorithm")
    assert script == "run_training.py"
    improve = ["sequence.improve.algorithm=PPO", "sequence.improve.init_from=clone", *IMPROVE]
    train([*arguments, "sequence.clone.steps=30", *improve], tmp_path)
    clone, improved = (load_model(tmp_path / "checkpoints" / f"A4_{name}.pth") for name in ("clone", "improve"))
    assert (clone.kind, improved.lineage) == ("ppo", ["A4_clone"])
    assert clone.plugins == {}  # what it is does not hang on how it was trained
    assert backtest(tmp_path, "--model", "clone") == 0
    assert run_training.main([*TINY, *arguments, "--dry-run"]) == 0
    assert "stage   clone: Clone of ma_cross, 200 steps" in capsys.readouterr().out


def test_a_clone_does_what_the_rule_does(tmp_path: Path) -> None:
    (_, *arguments), *_ = commands_of("my_algorithm")
    config = tiny_config(tmp_path, *arguments, "sequence.clone.steps=150", "sequence.clone.lr=0.02")
    result = run_sequence(config)["clone"]
    file, data = load_model(result.model_path), prepare_data(config)
    results = [
        run_backtest_of(agent, data.bars, data.rules, data.splits.validation)
        for agent in (agent_from_file(file), make_baseline("ma_cross", data.rules))
    ]
    clone, rule = (result.records.target for result in results)
    assert np.mean(clone == rule) > 0.8  # by chance 0.2
