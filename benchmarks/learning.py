"""How much of a known optimum does the real pipeline learn?  `python -m benchmarks.learning A4 B --seeds 0 1 2`

Each run is `run_training.py +experiment=market_a4` (or the experiment named) on the named market: 8,000 training bars
of one path. The last model trades at least 45,000 bars it never saw; `fr` is its score over the optimal policy's on
the same bars, both mean(target_t * r_{t+1} - cost * |target_t - target_{t-1}|). On C, where the optimum is not to
trade, the score in bp a bar and the turnover are shown instead. Seconds are those of training, start-up excluded.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from src.agents.model_file import load_model, model_path
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.execution.costs import BPS
from src.market.synthetic.known_markets import market_costs, score
from src.market.synthetic.optimal_policy import optimal_targets
from src.training.pipeline import run_sequence
from src.training.rllib.environment_variables import set_environment_variables
from src.training.rllib.ray_runtime import ray_session
from src.training.training_data import TrainingData, prepare_data

_OPTIMUM_IS_FLAT = ("C",)


def main(arguments: list[str]) -> int:
    """Train and score every market with every seed; print a line each and the worst of each market."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markets", nargs="+", help="A, A4, B, B2 or C")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--experiment", default="market_a4", help="file in config/experiment")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the experiment")
    options = parser.parse_args(arguments)
    set_environment_variables()
    overrides = [f"+experiment={options.experiment}", *options.set]
    with tempfile.TemporaryDirectory() as folder:
        runtime = config_of(options.markets[0], 0, overrides, Path(folder)).runtime
        with ray_session(runtime):
            for market in options.markets:
                figures = [_run(market, seed, overrides, Path(folder)) for seed in options.seeds]
                worst = max(figures) if market in _OPTIMUM_IS_FLAT else min(figures)
                print(f"{market:3s} worst of {len(figures)}: {worst:.3f}", flush=True)
    return 0


def config_of(market: str, seed: int, overrides: list[str], folder: Path) -> TrainingConfig:
    """Return the settings of a run on a market; the first override names the experiment."""
    costs = [f"costs.{name}={value}" for name, value in asdict(market_costs(market)).items()]
    places = [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'models'}", "tracking.progress=false"]
    return load_training_config([*overrides[:1], f"symbol={market}", f"seed={seed}", *costs, *places, *overrides[1:]])


def _run(market: str, seed: int, overrides: list[str], folder: Path) -> float:
    config = config_of(market, seed, overrides, folder)
    result = list(run_sequence(config).values())[-1]
    agent = agent_from_file(load_model(model_path(market, list(config.sequence)[-1], folder / "models")))
    exam = Exam(prepare_data(config), market)
    earned, turnover = exam.score(agent)
    if market in _OPTIMUM_IS_FLAT:
        figure, shown = turnover, f"score {earned / BPS:+.3f} bp"
    else:
        figure = earned / exam.optimum
        shown = f"{earned / BPS:.2f} of {exam.optimum / BPS:.2f} bp, fr {figure:.3f}"
    seconds, rate = result.train_seconds, result.env_steps / result.train_seconds
    print(
        f"{market:3s} seed {seed}: {shown}, turnover {turnover:.4f}, {seconds:.0f} s, {rate:,.0f} steps/s", flush=True
    )
    return figure


class Exam:
    """Scores agents on the test split, which nothing was trained or selected on.

    Args:
        data: of a run on the market.
        market: A, A4, B, B2 or C.
    """

    def __init__(self, data: TrainingData, market: str) -> None:
        rows = data.splits.test
        self._data, self._cost = data, market_costs(market).commission_bps * BPS
        self._closes = data.bars.close[rows.start : rows.stop]
        self.optimum = 0.0  # per bar, in log-return; on C that of not trading
        if market not in _OPTIMUM_IS_FLAT:
            self.optimum = score(optimal_targets(market, data.bars)[rows.start : rows.stop], self._closes, self._cost)

    def score(self, agent: PolicyAgent) -> tuple[float, float]:
        """Return what the agent earns per bar, in log-return, and its turnover."""
        targets = run_backtest(agent, self._data.bars, self._data.rules, self._data.splits.test).records.target
        return score(targets, self._closes, self._cost), float(np.abs(np.diff(targets)).mean())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
