"""How fast does a policy adapt, and is the transformer the right trunk for it?

Market D: episodes whose returns either follow one another or turn back, and only the episode's own bars tell which.
Each run is `run_training.py +experiment=market_d_maml`; the model then trades episodes it never saw, adapted once, to
their first bars. Shown is the mean of target_t * E[r_{t+1}] in bp over the rest of the episode, and, "at once", over
the first 20 decisions of it. E[r_{t+1}] is .25 r_t with the sign of the episode: the mean is that of the returns, and
most of the noise is gone. Beside it:

- Bayes' rule on the same bars, both frozen at what the support stretch told and learning on;
- the same net trained on the same bars without an inner loop, by PPO, and given the same bars to trade;
- a fresh net of the same kind given the same inner loop, and five steps of it;
- a fresh net trained on the first 50 bars alone, all of it, by so many steps of Adam.

Each trunk is trained with each seed; the transformer and the LSTM that controls it have as many parameters.
"""

from argparse import ArgumentParser
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import command_line, run_benchmark, training_session
from src.agents.model_file import ModelFile, load_model
from src.agents.registry import agent_from_file, agent_kind
from src.backtesting.engine import run_backtest
from src.config.load import load_training_config
from src.config.stages.learning import PPOStageConfig
from src.config.training import TrainingConfig
from src.execution.costs import BPS
from src.execution.tape import build_tape
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.episodic_market import EPISODIC_MARKET, QUIET_BARS, episodes_in_a_row
from src.models.maml.inner_loop import inner_loss
from src.models.maml_model import AdaptedPolicy, MAMLModel
from src.models.position_grid import linear_terms, position_grid
from src.models.ppo_model import rows_from
from src.seeding import generator
from src.trading.rules import TradingRules
from src.training.pipeline import run_sequence

TAKES = "2 min a trunk and seed"

EXPERIMENT = "+experiment=market_d_maml"
STAGE = "stage_3_maml"
LENGTH, CYCLE = EPISODIC_MARKET.length, QUIET_BARS + EPISODIC_MARKET.length
EPISODES, AT_ONCE = 600, 20
SEEN = (10, 25, 50)
SCRATCH_EPISODES, SCRATCH_STEPS, SCRATCH_LR = 100, (1, 5, 20, 50, 100), 1e-2
HOUR_MS = 3_600_000
QUIET = ("tracking.progress=false", "tracking.tensorboard=false", "runtime.torch_threads=1")


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument("--trunks", nargs="+", default=["transformer", "lstm"])
    return parser


def main(trunks: list[str], seeds: list[int], settings: list[str]) -> None:
    """Train and score every trunk with every seed."""
    show_bayes()
    with training_session([EXPERIMENT, *QUIET, *settings]) as folder:
        for trunk in trunks:
            worst = [compare(trunk, seed, settings, folder) for seed in seeds]
            print(f"{trunk}, 50 bars, worst of {len(worst)}: {min(worst):.2f} bp", flush=True)


def config_of(seed: int, settings: list[str], folder: Path) -> TrainingConfig:
    """Return the settings of the experiment, with everything it writes below `folder`."""
    places = [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'models'}"]
    return load_training_config([EXPERIMENT, f"seed={seed}", *places, *QUIET, *settings])


def compare(trunk: str, seed: int, settings: list[str], folder: Path) -> float:
    """Print what a trunk earns with and without the inner loop; return what it earns after 50 bars."""
    config = config_of(seed, [f"model.trunk={trunk}", *settings], folder)
    adaptive, seconds = trained(config)
    figures = [traded(adaptive, seen) for seen in SEEN]
    plain, _ = trained(replace(config, sequence={"stage_1_ppo": without_inner_loop(config.sequence[STAGE])}))
    print(f"{trunk}, seed {seed}: {seconds:.0f} s of training", flush=True)
    for seen, (rest, error, soon) in zip(SEEN, figures, strict=True):
        print(f"  adapted to {seen} bars    {rest:6.2f} +- {error:.2f}, at once {soon:6.2f}")
    print(f"  without an inner loop {traded(plain, 50)[0]:6.2f}", flush=True)
    for steps in sorted({config.sequence[STAGE].adaptation.inner_steps, 5}):
        print(f"  fresh net, {steps} inner steps {traded(fresh(adaptive, steps, seed), 50)[0]:5.2f}", flush=True)
    if trunk == "transformer":
        for steps, figure in from_scratch(adaptive, seed).items():
            print(f"  fresh net, {steps:3d} Adam steps {figure:5.2f}", flush=True)
    return figures[-1][0]


def trained(config: TrainingConfig) -> tuple[ModelFile, float]:
    """Return the model of the last stage, and the seconds its training took."""
    result = list(run_sequence(config).values())[-1]
    return load_model(result.model_path), result.train_seconds


def without_inner_loop(stage: PPOStageConfig) -> PPOStageConfig:
    """Return the PPO stage with the settings of a MAML stage."""
    names = {field.name for field in fields(PPOStageConfig)} - {"algorithm"}
    return PPOStageConfig(**{name: getattr(stage, name) for name in names})


def test_bars(seen: int) -> BarSeries:
    """Return episodes that nothing was trained on, the calendar's cadence falling on bar `seen` of each."""
    bars = episodes_in_a_row(EPISODES * CYCLE, generator(0, "unseen episodes"))
    first = CYCLE - (QUIET_BARS + seen - 1)
    return replace(bars, open_time=HOUR_MS * (first + np.arange(len(bars))))


def unseen_episodes() -> tuple[FloatArray, FloatArray]:
    """Return the returns of the episodes of `test_bars` and the one to be expected after each, (EPISODES, LENGTH)."""
    returns, persistence = EPISODIC_MARKET.draw_returns(EPISODES, generator(0, "unseen episodes"))
    return returns, persistence[:, None] * returns


def show_bayes() -> None:
    """Print the best that can be known."""
    returns, expected = unseen_episodes()
    targets = EPISODIC_MARKET.bayes_targets(returns)
    for seen in SEEN:
        sign = np.sign((returns[:, 1:seen] * returns[:, : seen - 1]).sum(1, keepdims=True))
        frozen = (sign * np.sign(returns) * expected)[:, seen - 1 : -1]
        learning = (targets * expected)[:, seen - 1 : -1]
        figures = [own / BPS for own in (frozen, frozen[:, :AT_ONCE], learning, learning[:, :AT_ONCE])]
        rest, soon, on, on_soon = (own.mean() for own in figures)
        print(f"Bayes after {seen} bars: frozen {rest:.2f}, at once {soon:.2f}; learning on {on:.2f}, {on_soon:.2f}")


def traded(file: ModelFile, seen: int) -> tuple[float, float, float]:
    """Return bp a bar on the rest of each episode, its standard error, and bp a bar over the first decisions of it."""
    model = dict(file.model)
    if "adaptation" in model:  # once an episode
        model["adaptation"] = model["adaptation"] | {"adapt_every": CYCLE}
    agent, bars = agent_from_file(replace(file, model=model)), test_bars(seen)
    rows = range(2 * CYCLE, len(bars))  # the warm-up takes an episode
    targets = run_backtest(agent, bars, TradingRules.from_plain(file.rules), rows).records.target
    decided, (_, expected) = targets.reshape(-1, CYCLE)[:, QUIET_BARS:], unseen_episodes()
    earned = (decided * expected[2:])[:, seen - 1 : -1] / BPS
    error = earned.mean(1).std() / np.sqrt(len(earned))
    return float(earned.mean()), float(error), float(earned[:, :AT_ONCE].mean())


def fresh(file: ModelFile, inner_steps: int, seed: int) -> ModelFile:
    """Return a model that has learned nothing yet."""
    description = file.model | {"adaptation": file.model["adaptation"] | {"inner_steps": inner_steps}}
    model = agent_kind(file.kind).model.from_description(description, seed)
    return replace(file, model=description, weights=model.state_dict())


def from_scratch(file: ModelFile, seed: int) -> dict[int, float]:
    """Return bp a bar, by steps, of fresh networks of the same kind, one per episode, trained on its first 50 bars."""
    description = file.model | {"adaptation": file.model["adaptation"] | {"scope": "network", "support_bars": 50}}
    model = agent_kind(file.kind).model.from_description(description, seed)
    assert isinstance(model, MAMLModel)
    bars, rules = test_bars(50), TradingRules.from_plain(file.rules)
    features = torch.from_numpy(FeaturePipeline.from_plain(file.features).transform(bars))
    log_return, cost = (torch.from_numpy(column) for column in linear_terms(build_tape(bars, rules.costs), rules))
    start = torch.arange(2, 2 + SCRATCH_EPISODES) * CYCLE + QUIET_BARS + 49  # the close of the fiftieth bar
    seen, paid = rows_from(start, -model.history_bars, 0), rows_from(start, -49, 1)
    support = position_grid(rules).support(features[seen], log_return[paid], cost[paid])
    own = {name: value.detach().clone().requires_grad_() for name, value in model.meta_parameters(len(start)).items()}
    optimiser = torch.optim.Adam(own.values(), lr=SCRATCH_LR)
    figures = {}
    for step in range(1, max(SCRATCH_STEPS) + 1):
        loss = len(start) * inner_loss(model.support_probs(own, support), support.rewards)  # each net its own mean
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in SCRATCH_STEPS:
            figures[step] = greedy(AdaptedPolicy(model, own), features, start, rules)
    return figures


@torch.no_grad()
def greedy(policy: AdaptedPolicy, features: Tensor, start: Tensor, rules: TradingRules) -> float:
    """Return bp a bar of the likeliest targets on the rest of each episode; without costs the position held is moot."""
    seen = features[rows_from(start, -policy.context_bars, LENGTH - 50)]
    part = policy.market_part(policy.encode_market(seen, context=policy.context_bars)).policy
    chosen = policy.policy(part, torch.zeros(len(start), 1, len(rules.account_inputs))).argmax(-1)  # (G, T)
    _, expected = unseen_episodes()
    earned = torch.tensor(rules.action.targets)[chosen].numpy() * expected[2 : 2 + len(start), 49:-1]
    return float(earned.mean() / BPS)


if __name__ == "__main__":
    run_benchmark(parser(), main)
