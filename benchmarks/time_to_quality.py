"""How long until a policy is good?  `python -m benchmarks.time_to_quality A4 --seeds 0 1 2`

Trains as `benchmarks/learning.py` does, and stops the clock after every few iterations to score the averaged weights on
at least 45,000 bars of the market that training never saw. Printed per run: seconds of training until the fraction of
the optimum first reaches each threshold, and the fraction at the end. Seconds are processor time of the one thread that
trains, so what else the machine does counts little; start-up is excluded. A dash: never reached.

Both ways to learn, and the shape of the run that each is best at, are experiments in `config/experiment`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from torch import Tensor

from benchmarks.learning import Exam, config_of
from benchmarks.training import rllib
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import AGENT_KINDS
from src.config.stages.learning import PPOStageConfig
from src.config.training import TrainingConfig
from src.training.rllib.environment_variables import set_environment_variables
from src.training.rllib.ray_runtime import ray_session
from src.training.stage import fresh_model
from src.training.training_data import TrainingData, prepare_data

THRESHOLDS = (0.80, 0.85, 0.90)
EXPERIMENTS = ("market_a4", "market_a4_all_action")


def main(arguments: list[str]) -> int:
    """Print one line per experiment, market and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("market", help="A, A4, B or B2")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS, help="files in config/experiment")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the experiments")
    parser.add_argument("--every", type=int, default=10, help="iterations between scores")
    options = parser.parse_args(arguments)
    set_environment_variables()
    for experiment in options.experiments:
        overrides = [f"+experiment={experiment}", "runtime.torch_threads=1", "runtime.device=cpu", *options.set]
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                config = config_of(options.market, seed, overrides, Path(folder))
                stack.enter_context(ray_session(config.runtime))
                curve = learning_curve(config, Path(folder), stack, options.every)
            print(f"{options.market} {experiment} seed {seed}: {described(curve)}", flush=True)
    return 0


def learning_curve(config: TrainingConfig, folder: Path, stack: ExitStack, every: int) -> list[tuple[float, float]]:
    """Return (seconds of training, fraction of the optimum) after every so many iterations."""
    data = prepare_data(config)
    (stage,) = config.sequence.values()
    assert isinstance(stage, PPOStageConfig)
    algorithm = rllib(config, stage, data, folder, stack)
    exam = Exam(data, config.symbol)
    seconds, curve = 0.0, []
    for iteration in range(1, stage.iterations + 1):
        started = time.process_time()
        algorithm.train()
        seconds += time.process_time() - started
        if iteration % every == 0 or iteration == stage.iterations:
            agent = _agent(config, data, stage, algorithm.evaluated_weights())
            curve.append((seconds, exam.score(agent)[0] / exam.optimum))
    return curve


def _agent(
    config: TrainingConfig, data: TrainingData, stage: PPOStageConfig, weights: dict[str, Tensor]
) -> PolicyAgent:
    model = fresh_model(stage, config.model, data)
    model.load_state_dict(weights)
    return AGENT_KINDS[stage.kind].agent(model, data.pipeline, data.rules, mirror=stage.mirror)


def described(curve: list[tuple[float, float]]) -> str:
    """Return the line of a run."""
    reached = []
    for threshold in THRESHOLDS:
        seconds = next((seconds for seconds, fraction in curve if fraction >= threshold), None)
        reached.append(f"{threshold:.2f} after " + ("-" if seconds is None else f"{seconds:.1f} s"))
    return f"{', '.join(reached)}; {curve[-1][1]:.3f} at the end, {curve[-1][0]:.1f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
