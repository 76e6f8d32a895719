"""`run_training.py` as a user calls it: a whole small run, and everything that can be wrong with a command."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import run_backtest
from run_training import main
from src.market.synthetic.known_markets import generate
from src.seeding import generator
from tests.support.tiny_training import places, tiny_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.ray
def test_train_resume_backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = tiny_settings(tmp_path)
    first = subprocess.run([sys.executable, "run_training.py", *command], capture_output=True, text=True, cwd=ROOT)
    assert first.returncode == 0, first.stderr
    assert "stage_1_ppo" in first.stdout
    assert "python run_backtest.py --symbol A4" in first.stdout
    assert "Traceback" not in first.stderr
    assert "(pid=" not in first.stderr, "ray's noise reaches the user"
    assert main(command) == 0
    assert "complete already" in capsys.readouterr().err
    report = ["--report", str(tmp_path / "report")]
    assert run_backtest.main(["--symbol", "A4", "--checkpoints", str(tmp_path / "checkpoints"), *report]) == 0
    assert capsys.readouterr().out.startswith("newest stage model")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.html",
        "steps.parquet",
        "summary.json",
        "trades.csv",
    }


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
