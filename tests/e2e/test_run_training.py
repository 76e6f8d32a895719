"""`run_training.py` as a user calls it: a whole small run, and everything that can be wrong with a command."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import run_backtest
from run_training import main
from src.agents.model_file import load_model, save_model
from src.market.synthetic.known_markets import generate
from src.seeding import generator
from tests.support.tiny_training import autonomous_settings, places, tiny_settings
from tests.support.trained_runs import TrainedRuns
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.ray
def test_train_resume_backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*tiny_settings(tmp_path), "run.name=mine"]
    first = subprocess.run(
        [sys.executable, str(ROOT / "run_training.py"), *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"},
    )
    assert first.returncode == 0, first.stderr
    assert "stage_1_ppo *" in first.stdout
    assert "buy and hold" in first.stdout
    assert "* chosen by its figures on these very bars" in first.stdout
    assert "stage_1_ppo has hardly learned" in first.stdout, "two iterations teach nothing"
    assert "Traceback" not in first.stderr
    assert "(pid=" not in first.stderr, "ray's noise reaches the user"
    model = tmp_path / "checkpoints/mine/A4_stage_1_ppo.pth"
    assert f"model of stage_1_ppo: {model}" in first.stdout
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "complete already" in captured.err
    *_, following = captured.out.splitlines()
    program, *arguments = shlex.split(following.removeprefix("next: "))[1:]
    assert (ROOT / program).resolve() == ROOT / "run_backtest.py"
    report = ["--report", str(tmp_path / "report")]
    assert run_backtest.main([*arguments, *report]) == 0
    assert str(model) in capsys.readouterr().out.splitlines()[0]
    assert {"report.html", "steps.parquet", "summary.json"} <= {path.name for path in (tmp_path / "report").iterdir()}
    missing = ["--symbol", "A4", "--checkpoints", str(tmp_path / "checkpoints")]
    assert run_backtest.main(missing) == 2
    assert f"--checkpoints {model.parent}" in capsys.readouterr().err


@pytest.mark.ray
def test_a_better_judged_champion_is_left_in_place_until_asked(
    trained_runs: TrainedRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_runs(autonomous_settings)
    shutil.copytree(run.folder, tmp_path / "runs" / run.folder.name)
    champion = tmp_path / "checkpoints" / run.model("stage_4_autonomous").name
    save_model(champion, replace(load_model(run.model("stage_4_autonomous")), verdict="promoted", lineage=["better"]))
    command = autonomous_settings(tmp_path)
    assert main(command) == 0
    captured = capsys.readouterr()
    assert load_model(champion).lineage == ["better"]
    said = next(line for line in captured.out.splitlines() if "is not published" in line)
    assert "runs" in captured.out.splitlines()[-1], "what comes next is about the new model"
    assert "verdict on stage_4_autonomous" in captured.out
    again = shlex.split(said.partition("to replace it: ")[2])
    assert main(again[2:]) == 0
    assert load_model(champion).lineage != ["better"]
    assert str(champion) in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.ray
def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    command = tiny_settings(tmp_path, "sequence.stage_1_ppo.iterations=100000", "tracking.progress=true")
    program = [sys.executable, "run_training.py", *command]
    run = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert run.stderr is not None
    assert any("iteration 1/" in line for line in run.stderr), "it was never trained"
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out) == (143, "")
    assert err.splitlines()[-1] == "interrupted; the same command resumes from the last saved state"
    assert "***" not in err
    assert "Traceback" not in err


def csv_frame(bars: int = 400) -> pd.DataFrame:
    series = generate("A", bars, generator(0, "e2e"))
    columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame({"timestamp": series.open_time, **columns})


def bad_file(folder: Path, case: str) -> Path:
    frame, path = csv_frame(), folder / f"{case}.csv"
    if case == "wrong_column":
        frame = frame.rename(columns={"close": "midpoint"})
    elif case == "nan":
        frame.loc[7, "close"] = float("nan")
    elif case == "one_bar":
        frame = frame[:1]
    elif case == "short":
        frame = frame[:120]
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("case", "says"),
    [("wrong_column", "close"), ("nan", "price missing"), ("one_bar", "bar"), ("short", "120 bars do not cover")],
)
def test_bad_files_are_refused(case: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bad_file(tmp_path, case)
    arguments = [*tiny_settings(tmp_path), "data.source=files", f"data.path='{path}'"]
    assert_refused(arguments, says, tmp_path, capsys)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("data.path='missing.parquet'", "missing.parquet"),
        ("costs.commission_bps=-1", "costs.commission_bps must lie in"),
        ("model.core.windoww=3", "did you mean 'model.core.window'"),
        ("sequence.stage_1_ppo.algorithm=PPPO", "PPPO"),
        ("sequence.stage_1_ppo.lr=fast", "sequence.stage_1_ppo.lr must be"),
        ("features.names=[retruns]", "did you mean 'returns'"),
        ("environment.episode_bars=8", "horizon"),
        ("model.core.window=5000", "do not cover the 5159 bars"),
        ("+experiment=smok", "did you mean 'smoke'"),
        ("sequence.moe={algorithm: MoE, experts: 0}", "sequence.moe.experts must be >= 1, was 0"),
        ("sequence.moe={algorithm: MoE, experts: 2, top_k: 3}", "sequence.moe.top_k must lie in [1, experts=2]"),
        ("sequence.moe={algorithm: MoE, sampling: reference}", "sampling=reference has no losses for a gate"),
        ("sequence.moe={algorithm: MoE, init_from: stage_1_pp}", "no earlier stage of this sequence (stage_1_ppo)"),
        ("sequence.moe={algorithm: MoE, init_from: moe}", "no earlier stage of this sequence (stage_1_ppo)"),
        ("sequence.moe={algorithm: MoE, init_from: lost.pth}", "init_from='lost.pth': lost.pth does not exist"),
        (
            "sequence={moe: {algorithm: MoE}, ppo: {algorithm: PPO, init_from: moe}}",
            "sequence.ppo.init_from='moe': that model has no trunk that fits",
        ),
    ],
)
def test_bad_settings_are_refused(override: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["data.source=files"] if override.startswith("data.path") else []
    assert_refused([*tiny_settings(tmp_path), *source, override], says, tmp_path, capsys)


def test_an_unknown_embedded_symbol_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(["symbol=SP50", *places(tmp_path)], "SP500", tmp_path, capsys)


def test_bad_yaml_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("symbol: [SP500\n")
    assert_refused(["--config", str(path), *places(tmp_path)], "not valid YAML", tmp_path, capsys)


def assert_refused(arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence naming the matter, exit code 2, nothing written."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    message = captured.err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert says in message
    assert "Traceback" not in captured.err
    assert not (folder / "checkpoints").exists()
    assert not any(path.is_dir() for path in folder.glob("runs/*"))


def test_help_answers_without_loading_anything_heavy() -> None:
    code = (
        "import sys, run_training\n"
        "try:\n    run_training.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'ray', 'pandas', 'numpy', 'hydra'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "run.fresh=true" in done.stdout


def test_wrong_names_are_refused_before_anything_slow_is_loaded(tmp_path: Path) -> None:
    wrong = {
        "features.names=[retruns]": "did you mean 'returns'",
        "symbol=SP50": "did you mean 'SP500'",
        "symbols=[NASDAK]": "did you mean 'NASDAQ'",
        "data.source=synthetic": "symbol 'SP500' is not in data.source=synthetic",
        "sequence.stage_2_moe.init_from=stage_1_pp": "no earlier stage of this sequence (stage_1_ppo)",
        "sequence.stage_2_moe.init_from=lost.pth": "lost.pth does not exist",
        "sequence.stage_1_ppo.algorithm=PPPO": "did you mean 'PPO'",
        "+experiment=smok": "did you mean 'smoke'",
        "--rolling=0": "--rolling must be >= 1",
    }
    code = (
        "import sys, run_training\n"
        f"codes = [run_training.main([one, *{places(tmp_path)!r}]) for one in {list(wrong)!r}]\n"
        "slow = {'torch', 'ray', 'scipy', 'matplotlib', 'arch', 'statsmodels'} & set(sys.modules)\n"
        "print(slow or set(codes))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "{2}\n"
    for line, says in zip(done.stderr.splitlines(), wrong.values(), strict=True):
        assert line.startswith("error: ")
        assert says in line
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dry-run", *tiny_settings(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "(new)" in said
    assert "A4 1h from synthetic: 1500 bars, 2000-01-01 to 2000-03-03" in said  # 62 days and a half
    assert "stage_1_ppo: PPO, 2 iterations of 256 account steps" in said  # 16 accounts, 16 bars
    assert not list(tmp_path.iterdir())


def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(
        ["--dry-run", *tiny_settings(tmp_path), "model.core.window=5000"],
        "do not cover the 5159 bars",
        tmp_path,
        capsys,
    )
