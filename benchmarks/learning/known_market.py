"""Training on a market whose optimal policy is known, and how much of the optimum was learned."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from src.agents.model_file import ModelFile
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.data import SyntheticConfig
from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.execution.costs import BPS
from src.market.sources import load_bars
from src.market.synthetic.known_markets import market_costs, score
from src.market.synthetic.optimal_policy import optimal_targets
from src.trading.rules import TradingRules
from src.training.training_data import TrainingData

OPTIMUM_IS_FLAT = ("C",)  # markets on which it is best not to trade
_EXAM_BARS, _OTHER_PATHS = 50_000, 1_000_000  # what `fraction_of_optimum` is measured on


def config_of(market: str, seed: int, settings: list[str], folder: Path) -> TrainingConfig:
    """Return the settings of a run on a market that writes into `folder`; the first setting names the experiment."""
    costs = [f"costs.{name}={value}" for name, value in asdict(market_costs(market)).items()]
    places = [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'models'}", "tracking.progress=false"]
    return load_training_config([*settings[:1], f"symbol={market}", f"seed={seed}", *costs, *places, *settings[1:]])


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
        if market not in OPTIMUM_IS_FLAT:
            self.optimum = score(optimal_targets(market, data.bars)[rows.start : rows.stop], self._closes, self._cost)

    def score(self, agent: PolicyAgent) -> tuple[float, float]:
        """Return what the agent earns per bar, in log-return, and its turnover."""
        targets = run_backtest(agent, self._data.bars, self._data.rules, self._data.splits.test).records.target
        return score(targets, self._closes, self._cost), float(np.abs(np.diff(targets)).mean())


def fraction_of_optimum(market: str, file: ModelFile, config: TrainingConfig) -> float:
    """Return a model's score over the optimal policy's, on so many bars of another path that chance is small."""
    data = replace(config.data, synthetic=SyntheticConfig(bars=_EXAM_BARS))
    bars = load_bars(market, data, config.seed + _OTHER_PATHS)
    agent, rules = agent_from_file(file), TradingRules.from_plain(file.rules)
    rows = range(agent.warmup_bars, len(bars))
    closes, cost = bars.close[rows.start : rows.stop], market_costs(market).commission_bps * BPS
    targets = run_backtest(agent, bars, rules, rows).records.target
    return score(targets, closes, cost) / score(optimal_targets(market, bars)[rows.start :], closes, cost)
