"""Do the experts of a mixture share out regimes, and does it pay?

Market F: the correlation of a return with the one before is .35 or -.35 and switches about every 150 bars. Each seed
trains `+experiment=market_f_moe` on 8,000 bars of one path, and beside it a single net of equal size or more that looks
back as far as the gate does, with the same learning settings. Both trade 64,000 bars they never saw, as do a gate on
the products of the last 60 returns, and Bayes' rule. Figures are mean(target_t * r_{t+1}) in bp a bar; NMI is the
mutual information of the leading expert and the true regime, over the mean of their entropies.
"""

from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, run_benchmark, training_session
from src.agents.mixture_agent import MixtureAgent
from src.agents.model_file import load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.load import load_training_config
from src.config.stages.learning import PPOStageConfig
from src.config.training import TrainingConfig
from src.execution.costs import BPS
from src.market.synthetic.bayes_filters import known_regime_gain, momentum_log_odds
from src.market.synthetic.known_markets import AutocorrelatedMarket, hidden_regimes, score, synthetic_market
from src.seeding import generator
from src.training.pipeline import run_sequence
from src.training.training_data import TrainingData, prepare_data

TAKES = "3 min a seed"

_MARKET, _EXPERIMENT = "F", "+experiment=market_f_moe"
_ROLLING_BARS = 60
_SINGLE = {"d_model": 24, "ff_dim": 96, "window": 128}  # of one net: more weights than the mixture, as long a memory


class Figures(NamedTuple):
    """One way to trade F."""

    gain: float  # bp a bar
    nmi: float = float("nan")
    load: tuple[float, ...] = ()  # mean weight of each expert
    weights: int = 0
    seconds: float = float("nan")


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)


def main(seeds: list[int], settings: list[str]) -> None:
    """Train and score with every seed; print a line each, and the worst of the mixture and of the single net."""
    market = synthetic_market(_MARKET)
    assert isinstance(market, AutocorrelatedMarket)
    print(f"regime known: {known_regime_gain(market) / BPS:.2f} bp")
    mixtures, singles = [], []
    with training_session([]) as folder:
        for seed in seeds:
            bars = prepare_data(_config([f"seed={seed}", *settings]))
            mixtures.append(_show(seed, "mixture", _trained(seed, settings, bars, folder)))
            singles.append(_show(seed, "one net", _trained(seed, _single(settings), bars, folder)))
            _show_rules(seed, bars, market)
    ours, single = min(figure.gain for figure in mixtures), min(figure.gain for figure in singles)
    print(f"worst of {len(mixtures)}: mixture {ours:.2f} bp, one net {single:.2f} bp, ahead by {ours / single - 1:.1%}")
    print(f"NMI at least {min(f.nmi for f in mixtures):.3f}, load at least {min(min(f.load) for f in mixtures):.1%}")


def _config(settings: list[str]) -> TrainingConfig:
    return load_training_config([_EXPERIMENT, *settings])


def _single(settings: list[str]) -> list[str]:
    stage = _config(settings).sequence["stage_2_moe"]
    shared = [field.name for field in fields(PPOStageConfig) if field.name != "algorithm"]
    learning = [f"sequence.single.{name}={_yaml(getattr(stage, name))}" for name in shared]
    core = [f"model.core.{name}={value}" for name, value in _SINGLE.items()]
    kept = [text for text in settings if not text.startswith("sequence.")]
    return [*kept, "sequence.stage_2_moe=null", "sequence.single.algorithm=PPO", *learning, *core]


def _yaml(value: object) -> str:
    return "null" if value is None else str(getattr(value, "name", value)).lower()


def _trained(seed: int, settings: list[str], data: TrainingData, folder: Path) -> Figures:
    places = [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'models'}", "tracking.progress=false"]
    result = list(run_sequence(_config([f"seed={seed}", *places, *settings])).values())[-1]
    file, rows = load_model(result.model_path), data.splits.test
    agent = agent_from_file(file)
    targets = run_backtest(agent, data.bars, data.rules, rows).records.target
    size = sum(weight.numel() for weight in file.weights.values())
    gain = score(targets, data.bars.close[rows.start : rows.stop], 0.0) / BPS
    if not isinstance(agent, MixtureAgent):
        return Figures(gain, weights=size, seconds=result.train_seconds)
    gates = agent.gates[rows.start : rows.stop]
    load = tuple(gates.mean(0).tolist())
    return Figures(gain, _nmi(gates.argmax(1), _regimes(seed, data)), load, size, result.train_seconds)


def _show_rules(seed: int, data: TrainingData, market: AutocorrelatedMarket) -> None:
    rows, returns = data.splits.test, data.bars.log_returns
    products = np.concatenate([[0.0], returns[1:] * returns[:-1]])
    beliefs = {
        f"rolling {_ROLLING_BARS}": np.convolve(products, np.ones(_ROLLING_BARS))[: len(returns)],
        "Bayes": momentum_log_odds(market, data.bars),
    }
    own = slice(rows.start, rows.stop)
    for name, belief in beliefs.items():
        gain = score(np.sign(belief * returns)[own], data.bars.close[own], 0.0) / BPS
        _show(seed, name, Figures(gain, _nmi(belief[own] > 0, _regimes(seed, data))))


def _regimes(seed: int, data: TrainingData) -> NDArray[np.float64]:
    rows = data.splits.test
    return hidden_regimes(_MARKET, len(data.bars), generator(seed, "market", _MARKET))[rows.start : rows.stop]


def _nmi(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    codes = [np.unique(labels, return_inverse=True)[1] for labels in (one, other)]
    joint = np.zeros((codes[0].max() + 1, codes[1].max() + 1))
    np.add.at(joint, tuple(codes), 1.0 / len(one))
    entropies = [_entropy(joint.sum(axis)) for axis in (0, 1)]
    return (sum(entropies) - _entropy(joint.ravel())) / max(sum(entropies) / 2, 1e-12)


def _entropy(shares: NDArray[np.float64]) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _show(seed: int, name: str, figures: Figures) -> Figures:
    load = ", load " + " ".join(f"{share:.0%}" for share in figures.load) if figures.load else ""
    size = f", {figures.weights:,} weights, {figures.seconds:.0f} s" if figures.weights else ""
    nmi = "" if np.isnan(figures.nmi) else f", NMI {figures.nmi:.3f}"
    print(f"seed {seed}: {name:10s} {figures.gain:6.2f} bp{nmi}{load}{size}", flush=True)
    return figures


if __name__ == "__main__":
    run_benchmark(parser(), main)
