"""How long until a policy is good?

Trains as `known_optimum.py` does, and stops the clock after every few iterations to score the averaged weights on
at least 45,000 bars of the market that training never saw. Printed per run: seconds of training until the fraction of
the optimum first reaches each threshold, and the fraction at the end. Seconds are processor time of the one thread that
trains, so what else the machine does counts little; start-up is excluded. A dash: never reached.

Both ways to learn, and the shape of the run that each is best at, are experiments in `config/experiment`.
"""

from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path

from torch import Tensor

from benchmarks.common import command_line, run_benchmark, timed, training_session
from benchmarks.learning.known_market import Exam, config_of
from benchmarks.speed.training import rllib
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import agent_kind
from src.config.stages.learning import PPOStageConfig
from src.config.training import TrainingConfig
from src.seeding import integer_seed
from src.training.stage import fresh_model
from src.training.training_data import TrainingData, prepare_data

TAKES = "2 min a seed"

THRESHOLDS = (0.80, 0.85, 0.90)
EXPERIMENTS = ("market_a4", "market_a4_all_action")


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument("market", help="A, A4, B or B2")
    parser.add_argument("--experiments", nargs="+", default=EXPERIMENTS, help="files in config/experiment")
    parser.add_argument("--every", type=int, default=10, help="iterations between scores")
    return parser


def main(market: str, seeds: list[int], experiments: list[str], every: int, settings: list[str]) -> None:
    """Print one line per experiment, market and seed."""
    for experiment in experiments:
        own = [f"+experiment={experiment}", "runtime.torch_threads=1", "runtime.device=cpu", *settings]
        for seed in seeds:
            with training_session(own) as folder, ExitStack() as stack:
                curve = learning_curve(config_of(market, seed, own, folder), folder, stack, every)
            print(f"{market} {experiment} seed {seed}: {described(curve)}", flush=True)


def learning_curve(config: TrainingConfig, folder: Path, stack: ExitStack, every: int) -> list[tuple[float, float]]:
    """Return (seconds of training, fraction of the optimum) after every so many iterations."""
    data = prepare_data(config)
    ((name, stage),) = config.sequence.items()
    assert isinstance(stage, PPOStageConfig)
    algorithm = rllib(config, stage, data, folder, stack, integer_seed(config.seed, "stage", name))
    exam = Exam(data, config.symbol)
    seconds, curve = 0.0, []
    for iteration in range(1, stage.iterations + 1):
        seconds += timed(algorithm.train)[1].processor
        if iteration % every == 0 or iteration == stage.iterations:
            agent = _agent(config, data, stage, algorithm.evaluated_weights())
            curve.append((seconds, exam.score(agent)[0] / exam.optimum))
    return curve


def _agent(
    config: TrainingConfig, data: TrainingData, stage: PPOStageConfig, weights: dict[str, Tensor]
) -> PolicyAgent:
    model = fresh_model(stage, config.model, data)
    model.load_state_dict(weights)
    return agent_kind(stage.kind).agent(model, data.pipeline, data.rules, mirror=stage.mirror)


def described(curve: list[tuple[float, float]]) -> str:
    """Return the line of a run."""
    reached = []
    for threshold in THRESHOLDS:
        seconds = next((seconds for seconds, fraction in curve if fraction >= threshold), None)
        reached.append(f"{threshold:.2f} after " + ("-" if seconds is None else f"{seconds:.1f} s"))
    return f"{', '.join(reached)}; {curve[-1][1]:.3f} at the end, {curve[-1][0]:.1f} s"


if __name__ == "__main__":
    run_benchmark(parser(), main)
