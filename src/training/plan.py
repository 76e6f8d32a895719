"""What a run would do, how long it would take and how much memory it would need, without starting it.

Durations come from playing and learning one chunk here and now, without Ray; they are estimates.
"""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from src.config.schema import ActionKind, Advantages, PPOStageConfig, TrainingConfig
from src.models.ppo_model import PPOModel, build_ppo_model
from src.training.checkpoint import StageFolder
from src.training.chunks import ChunkSampler
from src.training.pipeline import run_folder
from src.training.prepare import TrainingData, prepare_data
from src.training.ray_runtime import resolve_device
from src.training.rl_module import ACCOUNT, MASK, START
from src.training.rollout import GroupRollout, embed_chunks
from src.training.training_market import TrainingMarket

_START_SECONDS = 15  # Ray and imports
_BASE_BYTES = 1.3e9  # the driver with torch and ray loaded, and Ray's own processes
_BACKWARD_FACTOR = 3  # activations, gradients and the optimiser's moments beside a forward pass


def describe_run(config: TrainingConfig) -> Iterator[str]:
    """Yield lines that say what `run_training.py` would do with these settings; nothing is written."""
    data = prepare_data(config)
    folder = run_folder(config, data)
    bars, splits = data.bars, data.splits
    yield f"run     {folder} ({_state(config, folder.exists())})"
    yield f"data    {bars.symbol} {bars.timeframe} from {config.data.source.value}: {len(bars)} bars, {_span(data)}"
    yield f"split   train {len(splits.train)}, validation {len(splits.validation)}, test {len(splits.test)} bars"
    yield f"inputs  {len(data.pipeline.columns)} features: {', '.join(config.features.names)}"
    total = float(_START_SECONDS)
    for name, stage in config.sequence.items():
        assert isinstance(stage, PPOStageConfig)
        model = _model(config, data)
        seconds, size = _one_iteration(config, stage, data, model)
        left = stage.iterations if StageFolder.result_of(folder / name) is None else 0
        total += left * seconds
        steps = stage.account_steps(model.num_outputs) * max(1, config.runtime.num_env_runners)
        weights = sum(parameter.numel() for parameter in model.parameters())
        yield f"stage   {name}: {stage.algorithm}, {stage.iterations} iterations of {steps:,} account steps"
        yield f"        {weights:,} weights; about {left * seconds:,.0f} s left and {(_BASE_BYTES + size) / 1e9:.1f} GB"
    yield f"total   about {total:,.0f} s on this machine as busy as it is now"


def _state(config: TrainingConfig, exists: bool) -> str:
    if not exists:
        return "new"
    return "exists, and would be replaced: run.fresh=true" if config.run.fresh else "exists, and would be continued"


def _span(data: TrainingData) -> str:
    first, last = (str(data.bars.open_time[row].astype("datetime64[ms]"))[:10] for row in (0, -1))
    return f"{first} to {last}"


def _model(config: TrainingConfig, data: TrainingData) -> PPOModel:
    continuous = data.rules.action.kind is ActionKind.continuous
    outputs = 2 if continuous else len(data.rules.action.targets)
    return build_ppo_model(
        config.model, len(data.pipeline.columns), len(data.rules.account_inputs), outputs, continuous
    ).to(resolve_device(config.runtime))


def _one_iteration(
    config: TrainingConfig, stage: PPOStageConfig, data: TrainingData, model: PPOModel
) -> tuple[float, float]:
    """Return the seconds an iteration takes and the bytes its batch and gradients need."""
    torch.set_num_threads(config.runtime.torch_threads)
    device = resolve_device(config.runtime)
    market = TrainingMarket.from_markets(data.training_markets, data.rules, model.context_bars)
    play = _player(market, stage, config, model, device)
    play(0)  # tables are built once, on first use
    started = time.perf_counter()
    batch = play(1)
    played = time.perf_counter()
    _learn(model, torch.from_numpy(market.features).to(device), batch, stage)
    learned = (time.perf_counter() - played) * stage.minibatches * stage.epochs
    size = sum(column.numel() * column.element_size() for column in batch.values())
    return played - started + learned, float(size * (1 + _BACKWARD_FACTOR * stage.groups // stage.minibatches))


def _player(
    market: TrainingMarket, stage: PPOStageConfig, config: TrainingConfig, model: PPOModel, device: torch.device
) -> Callable[[int], dict[str, Tensor]]:
    """Return what plays an iteration and returns the columns learned from."""
    if stage.advantages is Advantages.all_action:
        sampler = ChunkSampler(market, stage, seed=0, worker=0)
        positions = torch.zeros(stage.groups, stage.horizon + 1, model.num_outputs, 1, device=device)
        return lambda iteration: {
            **{name: column.to(device) for name, column in sampler.draw(iteration, model.trunk_dim)._asdict().items()},
            ACCOUNT: positions,
        }
    rollout = GroupRollout(market, stage, config.environment, seed=0, worker=0, device=device)
    return lambda iteration: rollout.collect(model, iteration)[0]._asdict()


def _learn(model: PPOModel, features: Tensor, batch: dict[str, Tensor], stage: PPOStageConfig) -> None:
    """One forward and backward pass over a minibatch: what the learner spends its time on."""
    rows = slice(0, stage.groups // stage.minibatches)
    account = batch[ACCOUNT][rows]
    embedding = embed_chunks(model, features, batch[START][rows], account.shape[1], batch[MASK][rows])
    part = model.market_part(embedding)
    outputs = model.policy(part.policy[:, :, None], account).sum() + model.value(part.value[:, :, None], account).sum()
    outputs.backward()
