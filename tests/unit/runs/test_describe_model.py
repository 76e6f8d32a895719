"""`run_backtest.py inspect`: everything a model file says of itself, and one sentence for what is no model file."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import run_backtest
from src.agents.model_file import ModelFile, save_model
from src.runs.model_content import describe_model
from tests.support.population_run import bred_run

RUN = bred_run()
CHAMPION = RUN["records"][-1]

STAGE_MODEL = ModelFile(
    kind="ppo",
    stage="stage_1_ppo",
    symbol="BTC/USDT",
    timeframe="1h",
    weights={"head.weight": torch.arange(12.0).reshape(3, 4), "head.bias": torch.zeros(3)},
    model={"trunk": "transformer", "core": {"d_model": 32, "window": 64}, "continuous": False},
    features={"version": 1, "names": ["returns", "rsi"], "columns": ["return_lag_0", "return_lag_1", "rsi"]},
    rules={
        "action": {"kind": "discrete", "grid": [-1.0, 0.0, 1.0], "allow_short": True},
        "costs": {"commission_bps": 2.0, "slippage_bps": 1.5},
        "reward": {"kind": "log_growth", "scale": None},
        "risk": {},
        "account_inputs": ["exposure", "drawdown"],
    },
    data_fingerprint="f00d",
    split={
        "train": {"rows": [351, 3153], "time": [959_212_800_000, 1_310_688_000_000]},
        "test": {"rows": [4, 4], "time": None},
    },
    config={"seed": 0},
    evaluations=12,
    validation={"sharpe": -0.063, "total_return": -0.0666, "max_drawdown": 0.2279, "trades": 230},
    verdict="not judged: a stage model",
    lineage=[],
)
BRED = replace(
    STAGE_MODEL,
    kind="autonomous",
    stage="autonomous_final",
    features=STAGE_MODEL.features
    | {
        "mind": {
            "version": 1,
            "parts": {
                "volatility": {"name": "garch"},
                "regime": {"name": "hidden_markov"},
                "pattern": {"name": "shapes"},
                "memory": {"name": "memory", "memory": {"config": {"capacity": 1024}, "value": torch.zeros(317)}},
            },
            "active": ["memory", "regime"],
        }
    },
    evaluations=51,
    verdict=RUN["verdict"],
    lineage=RUN["lineage"],
    dossier={
        "genome": CHAMPION["genome"],
        "fitness": CHAMPION["fitness"],
        "adaptations": RUN["adaptations"],
        "promotion": RUN["promotion"],
    },
)


def saved(tmp_path: Path, file: ModelFile) -> Path:
    path = tmp_path / "model.pth"
    save_model(path, file)
    return path


def told(path: Path) -> dict[str, dict[str, Any]]:
    """Every section of a file; a label that comes twice holds all its texts."""
    found: dict[str, dict[str, Any]] = {}
    for section in describe_model(path):
        rows = found.setdefault(section.title, {})
        for label, text in section.rows:
            rows[label] = text if label not in rows else f"{rows[label]}\n{text}"
    return found


def test_a_stage_model_tells_what_it_is_made_of(tmp_path: Path) -> None:
    path = saved(tmp_path, STAGE_MODEL)
    found = told(path)
    assert list(found) == ["Model", "Trained on", "Network", "Sees", "Trades", "Judged"]
    assert found["Model"] == {
        "Kind": "ppo",
        "Stage": "stage_1_ppo",
        "Symbol, timeframe": "BTC/USDT, 1h",
        "File sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "Format version": "3",
        "Lineage, oldest first": "started anew",
    }
    # 959,212,800 s is the midnight that ends 2000-05-24, 1,310,688,000 s the one that ends 2011-07-14.
    assert found["Trained on"]["Train part"] == "2000-05-24 to 2011-07-14, 2,802 bars"
    assert found["Trained on"]["Test part"] == "no bars"
    assert found["Network"]["Numbers in its weights"] == "15"  # 3 x 4 + 3
    assert found["Network"]["core.window"] == "64"
    assert found["Sees"] == {"Features": "returns, rsi", "Columns": "3"}
    assert found["Trades"]["Action"] == "kind discrete, grid [-1, 0, 1], allow_short yes"
    assert found["Trades"]["Costs"] == "commission_bps 2, slippage_bps 1.5"
    assert found["Judged"] == {
        "Evaluations it was chosen by": "12",
        "Validation: Sharpe ratio": "−0.06",
        "Validation: total return": "−6.7\N{NO-BREAK SPACE}%",
        "Validation: deepest drawdown": "22.8\N{NO-BREAK SPACE}%",
        "Validation: closed trades": "230",
        "Verdict": "not judged: a stage model",
    }


def test_a_champion_tells_how_it_was_bred_and_judged(tmp_path: Path) -> None:
    found = told(saved(tmp_path, BRED))
    assert found["Model"]["Lineage, oldest first"] == " → ".join(RUN["lineage"])
    assert found["Sees"]["Memory"] == "317 events of at most 1,024"
    assert found["Sees"]["Parts of the mind"] == (
        "volatility (garch), regime (hidden_markov), pattern (shapes, off), memory (memory)"
    )
    genome = found["Genome: tuned architecture and hyperparameters"]
    assert float(genome["lr"]) == pytest.approx(CHAMPION["genome"]["lr"], rel=1e-3)
    assert set(CHAMPION["genome"]) < set(genome)
    assert found["Fitness"]["Fitness"] == f"{CHAMPION['fitness']['total']:.3f}"
    assert found["Judged"]["Verdict"] == "not distinguishable from luck"
    assert found["Judged"]["Because"].split("\n") == RUN["promotion"]["reasons"]
    gate = found["Promotion gate"]
    assert gate["Trials counted"] == "51"
    assert gate["… deflated Sharpe ratio"] == "0.412"
    assert gate["… probability that the chosen loses"] == "–"
    assert gate["… of buy_and_hold"].startswith("0.61 (lead −0.90 to 0.55 with probability 95")
    member = RUN["champion"].split("+")[0]
    changes = found["Changes it made to itself"]
    assert changes[f"{member}+6, rule deep drawdown"].startswith("reduce_risk, accepted: max_drawdown was 0.31")


def test_the_command_prints_every_line_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, replace(BRED, verdict="[bold]luck[/bold]"))
    assert run_backtest.main(["inspect", str(path)]) == 0
    printed = "".join(capsys.readouterr().out.split())
    for section in describe_model(path):
        assert "".join(section.title.split()) in printed
        for label, text in section.rows:
            assert "".join(label.split()) in printed
            assert "".join(text.split()) in printed  # markup included


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"no model", "is not a model file"),
        (b"PK and more", "is damaged"),
    ],
)
def test_what_is_no_model_file_is_refused_in_a_sentence(
    content: bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pth"
    if content is not None:
        path.write_bytes(content)
    assert run_backtest.main(["inspect", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path} ")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_flipped_byte_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, STAGE_MODEL)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert run_backtest.main(["inspect", str(path)]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_missing_name_points_to_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_backtest.main(["inspect"]) == 2
    assert "FILE; see run_backtest.py inspect --help" in capsys.readouterr().err


def test_inspecting_draws_nothing_and_builds_no_network(tmp_path: Path) -> None:
    path = saved(tmp_path, STAGE_MODEL)
    heavy = ["matplotlib", "hydra", "ray", "src.models", "src.agents.registry", "src.config.load"]
    code = (
        f"import sys, run_backtest; assert run_backtest.main(['inspect', {str(path)!r}]) == 0; "
        f"print('loaded', [name for name in {heavy} if name in sys.modules])"
    )
    root = Path(run_backtest.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.splitlines()[-1] == "loaded []"
