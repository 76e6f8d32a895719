"""Killed with SIGKILL again and again, whatever is trained ends with the bits of an undisturbed run."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from src.agents.model_file import load_model
from tests.support.killed_training import train
from tests.support.tiny_training import MAML, Settings, autonomous_settings, maml_settings, tiny_settings
from tests.support.trained_runs import TrainedRuns

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

PPO = "sequence.stage_1_ppo"
KEEP_LAST = (f"{PPO}.iterations=4", f"{PPO}.keep=last")
MOE = (*KEEP_LAST, f"{PPO}.algorithm=MoE", f"{PPO}.experts=3", f"{PPO}.top_k=2", f"{PPO}.gate_window=16")
LINEAR = ("environment.account_inputs=[exposure]", "environment.reward.kind=linear")
ALL_ACTION = (*LINEAR, f"{PPO}.advantages=all_action", f"{PPO}.epochs=2", f"{PPO}.mirror=true")
MAML_ALL_ACTION = (*LINEAR, f"{MAML}.advantages=all_action")
STAGE_DEATHS = (
    "state half written",
    "state not in place",
    "old state beside the new one",
    "no model file",
    "model not published",
    "completion not recorded",
)


class Case(NamedTuple):
    settings: Settings
    overrides: tuple[str, ...] = ()
    # All kinds of stages are saved by the same code: one death is enough to see that nothing of another kind is lost.
    deaths: tuple[str, ...] = ("old state beside the new one",)
    is_alone: bool = False  # with Ray and workers of its own, as for a user


CASES = {
    "PPO": Case(tiny_settings, KEEP_LAST, STAGE_DEATHS),
    "PPO alone": Case(tiny_settings, KEEP_LAST, is_alone=True),
    "PPO of all actions": Case(tiny_settings, (*KEEP_LAST, *ALL_ACTION)),
    "MoE": Case(tiny_settings, (*LINEAR, *MOE)),
    "MoE of all actions": Case(tiny_settings, (*MOE, *ALL_ACTION)),
    "MAML": Case(maml_settings),
    "MAML of all actions": Case(maml_settings, MAML_ALL_ACTION),
    "population": Case(autonomous_settings, deaths=("population not saved", "no champion")),
    "population alone": Case(autonomous_settings, deaths=("second member not written",), is_alone=True),
}


def counted(runs: Path) -> list[list[tuple[object, ...]]]:
    """Return the trials and looks that were entered, in the order of their names; none where there is no population."""
    if not (runs / "trials.db").exists():
        return []
    queries = (
        "select run, stage, name, spec, folds, metrics, returns, evaluations from trials order by stage, name",
        "select candidate, kind, symbol, first_time, last_time, fingerprint, trials from looks",
    )
    with closing(sqlite3.connect(runs / "trials.db")) as connection:
        found = [connection.execute(query).fetchall() for query in queries]
    assert all(found)
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_kills_change_nothing(case: Case, trained_runs: TrainedRuns, ray_session: str, tmp_path: Path) -> None:
    (whole,) = trained_runs(case.settings, *case.overrides).results.values()
    command = case.settings(tmp_path, *case.overrides)
    address = None if case.is_alone else ray_session
    for death in case.deaths:
        killed = train(command, death, ray_address=address, has_workers=case.is_alone)
        assert killed.code == -signal.SIGKILL, f"{death}: {killed.err}"
    last = train(command, ray_address=address, has_workers=case.is_alone)
    assert last.code == 0, last.err
    expected, found = load_model(whole.model_path), load_model(tmp_path / "checkpoints" / whole.model_path.name)
    assert expected.lineage == found.lineage
    assert expected.evaluations == found.evaluations
    assert expected.verdict == found.verdict
    assert expected.dossier == found.dossier
    assert counted(whole.model_path.parents[1] / "runs") == counted(tmp_path / "runs")
    assert expected.weights.keys() == found.weights.keys()
    assert all(torch.equal(weight, found.weights[name]) for name, weight in expected.weights.items())
