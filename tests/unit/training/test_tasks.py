"""Tasks: symbols times periods that share no bar to decide on, and what is refused before anything starts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from run_training import main
from src.config.stages.learning import AdaptationConfig, MAMLStageConfig, PPOStageConfig
from src.config.trading import CostsConfig
from src.errors import DataError
from src.features.pipeline import FeaturePipeline
from src.trading.prepared_market import PreparedMarket, prepare_market
from src.training.tasks import cut_into_tasks, task_markets, whole_markets
from tests.support.random_bars import random_bars
from tests.support.tiny_training import MAML, TINY_MAML

SUPPORT, PERIOD, EMBARGO = 20, 60, 7
MAML_STAGE = MAMLStageConfig(
    groups=8,
    accounts=8,
    minibatches=2,
    horizon=30,
    period_bars=PERIOD,
    embargo_bars=EMBARGO,
    adaptation=AdaptationConfig(support_bars=SUPPORT),
)


def market(first: int = 50, stop: int = 400) -> PreparedMarket:
    bars = random_bars(450, seed=1)
    pipeline = FeaturePipeline(["returns"], 6.0).fit([(bars, range(first, stop))])
    return prepare_market(bars, pipeline, CostsConfig(), range(first, stop))


def test_periods_do_not_overlap_and_embargoed_bars_lie_between() -> None:
    whole = market()
    tasks = cut_into_tasks(whole, MAML_STAGE)
    periods = [range(task.rows.start - SUPPORT, task.rows.stop) for task in tasks]
    assert len(periods) == 5  # 350 rows hold five periods of 60 with four embargoes of 7 between them
    assert all(len(period) == PERIOD for period in periods)
    assert periods[0].start == whole.rows.start
    assert periods[-1].stop <= whole.rows.stop
    for earlier, later in pairwise(periods):
        assert later.start - earlier.stop == EMBARGO
    seen = np.concatenate([np.array(period) for period in periods])
    assert len(set(seen.tolist())) == len(seen)


def test_a_period_that_just_fits_is_a_task_and_one_bar_less_is_none() -> None:
    assert len(cut_into_tasks(market(50, 50 + PERIOD), MAML_STAGE)) == 1
    assert len(cut_into_tasks(market(50, 49 + PERIOD), MAML_STAGE)) == 0


def test_tasks_are_those_of_all_symbols_and_no_fewer_than_a_meta_batch() -> None:
    one, two = market(), market(50, 120)
    assert len(task_markets(MAML_STAGE, [one, two])) == 6
    with pytest.raises(DataError, match=r"^1 tasks of period_bars=60 .* meta-batch of groups / minibatches = 4"):
        task_markets(MAML_STAGE, [two])
    assert len(task_markets(MAML_STAGE, [two] * 4)) == 4
    assert whole_markets(PPOStageConfig(), [two]) == [two]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (f"{MAML}.groups=64", "fewer than the meta-batch of groups / minibatches = 32"),
        (f"{MAML}.adaptation.support_bars=48", "has no room for a support stretch of adaptation.support_bars=48"),
        (f"{MAML}.adaptation.support_bars=0", "adaptation.support_bars must be >= 1, was 0"),
        (f"{MAML}.adaptation.scope=tail", "adaptation.scope must be one of head, network, was 'tail'"),
        (f"{MAML}.sampling=reference", "set sampling=encode_once"),
        (f"{MAML}.adaptation.inner_stpes=2", "did you mean 'sequence.stage_3_maml.adaptation.inner_steps'?"),
        ("environment.action.kind=continuous", "set environment.action.kind=discrete"),
        ("model.trunk=lstm", "set scope=head"),
        (f"{MAML}.init_from=stage_0_ppo", "stage_0_ppo"),
        (f"{MAML}.init_from=gone.pth", "gone.pth does not exist"),
    ],
)
def test_bad_settings_end_in_one_sentence(
    setting: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"run.runs_dir={tmp_path / 'runs'}", f"run.checkpoints_dir={tmp_path / 'checkpoints'}"]
    more = [f"{MAML}.accounts=64"] if "groups" in setting else []
    more += [f"{MAML}.adaptation.scope=network"] if "lstm" in setting else []
    assert main([*TINY_MAML, *places, *more, setting]) == 2
    captured = capsys.readouterr()
    message = captured.err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert says in message
    assert "Traceback" not in captured.err
    assert not (tmp_path / "checkpoints").exists()


def test_the_query_stretch_has_the_bar_that_pays_its_last_decision() -> None:
    fits = replace(MAML_STAGE, period_bars=SUPPORT + 30 + 1)
    (task,) = cut_into_tasks(market(50, 50 + fits.period_bars), fits)
    assert len(task.rows) == 30 + 1
