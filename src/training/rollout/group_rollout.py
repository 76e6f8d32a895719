"""Encode-once rollouts: groups of accounts that share bars, so a bar is encoded once however many accounts see it.

An agent of our size does not move the market, so the bars of a chunk are known before it is played: one pass of the
encoder gives the embedding of all of them, and each step is a small head on (embedding of the bar, account).

A chunk is `horizon` consecutive bars. Groups restart between chunks only; an episode is a whole number of chunks, and
its end is a truncation: the value of the state after the last step bootstraps the advantages in every case.
Random streams are functions of (seed, worker, iteration): a resumed run draws what an uninterrupted one draws.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import array_api_compat.torch
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.config.stages.learning import LearningConfig
from src.config.trading import ActionKind, EnvironmentConfig
from src.execution.ledger import Accounts, open_accounts
from src.models.flat_bars import flat_bars
from src.models.ppo_model import PPOModel
from src.seeding import generator, integer_seed
from src.trading.initial_accounts import random_accounts
from src.trading.session import Session
from src.training.rollout.action_distribution import ActionDistribution, make_distribution
from src.training.rollout.training_market import TrainingMarket, episode_chunks


class RolloutBatch(NamedTuple):
    """One chunk of every group, group-major, as the learner receives it. T = horizon, P = accounts per group."""

    start: Tensor  # (G,) int64, flat row of the first decision
    account: Tensor  # (G, T, P, C) account inputs at each decision
    action: Tensor  # (G, T, P) index or exposure
    log_prob: Tensor  # (G, T, P) under the sampling policy
    advantage: Tensor  # (G, T, P)
    value_target: Tensor  # (G, T, P)
    alive: Tensor  # (G, T, P) bool, false once an account was terminated
    embedding_mask: Tensor  # (G, 1, d_model), the dropout mask the rollout used


@dataclass(frozen=True)
class RolloutStatistics:
    """Means over the chunk, per account and bar, in the run's reward units and as fractions of equity.

    Attributes:
        episode_return: mean sum of rewards of the episodes that ended with the chunk; None where none did. The first
            episodes begin part-way.
        episode_length: their mean length in bars; that of a ruined account ends with its ruin.
    """

    reward: float
    turnover: float
    exposure: float
    terminated_frac: float
    episode_return: float | None
    episode_length: float | None


class GroupRollout:
    """Plays chunks with a policy on a training market.

    Args:
        market: where to trade.
        stage: accounts, groups, horizon, discount and so on.
        environment: length of an episode, rounded down to whole chunks, and how accounts start.
        seed: of the run.
        worker: index of the env runner; its random streams differ from all others.
        device: where policy, accounts and market live; the ledger runs on NumPy for the CPU, on torch otherwise.
    """

    def __init__(
        self,
        market: TrainingMarket,
        stage: LearningConfig,
        environment: EnvironmentConfig,
        seed: int,
        worker: int,
        device: torch.device,
    ) -> None:
        self._market, self._stage, self._seed, self._worker, self._device = market, stage, seed, worker, device
        self._shape = (stage.groups, stage.accounts // stage.groups)
        self._first = np.array([span.first for span in market.spans])
        self._room = np.array([span.stop for span in market.spans]) - self._first
        self._context = np.array([span.context for span in market.spans])
        self._random_start = environment.random_start
        self._episode_chunks = episode_chunks(int(self._room.min()), environment.episode_bars, stage.horizon)
        action = market.rules.action
        self._targets = np.array(action.targets)
        self._continuous = action.kind is ActionKind.continuous
        self._bounds = action.bounds
        self._distribution: ActionDistribution = make_distribution(len(self._targets), self._continuous)
        self._on_cpu = device.type == "cpu"
        self._bars = flat_bars(market.features, market.tape, market.rules, device)
        self._tape = market.tape if self._on_cpu else type(market.tape)(*map(self._to_device, market.tape))
        xp: ModuleType = np if self._on_cpu else array_api_compat.torch
        self._session = Session(market.rules, xp)
        self._start: NDArray[np.int64] = np.zeros(stage.groups, dtype=np.int64)
        self._chunks_left: NDArray[np.int64] = np.zeros(stage.groups, dtype=np.int64)
        self._episode_return, self._episode_length = torch.zeros(2, *self._shape, dtype=torch.float64, device=device)
        self._restart_finished(iteration=0)

    def _to_device(self, column: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.array(column)).to(self._device)

    def _as_tensor(self, values: Any) -> Tensor:
        return torch.from_numpy(values) if isinstance(values, np.ndarray) else values

    @torch.no_grad()
    def collect(self, model: PPOModel, iteration: int) -> tuple[RolloutBatch, RolloutStatistics]:
        """Play one chunk in every group with the model's current weights."""
        self._restart_finished(iteration)
        stage, (groups, per_group) = self._stage, self._shape
        noise_source = torch.Generator(self._device).manual_seed(
            integer_seed(self._seed, "rollout", self._worker, iteration)
        )
        mask = draw_embedding_mask(stage, model.trunk_dim, noise_source)
        start = torch.from_numpy(self._start).to(self._device)
        policy, embedding = model.on_chunks(self._bars, start, stage.horizon + 1, mask)
        part = policy.market_part(embedding)  # (G, T + 1, H) each
        noise = self._distribution.noise((stage.horizon, groups, per_group), noise_source, self._device)
        steps = [self._play(policy, part.policy[:, t, None], noise[t], t) for t in range(stage.horizon)]
        batch = self._assemble(policy, part.value, mask, steps)
        self._start += stage.horizon
        self._chunks_left -= 1
        self._episode_return += torch.stack([step.reward for step in steps]).double().sum(0)
        self._episode_length += torch.stack([step.alive for step in steps]).sum(0)
        return batch, self._statistics(steps)

    def _play(self, model: PPOModel, part: Tensor, noise: Tensor, t: int) -> "_Step":
        account = self._as_tensor(self._session.account_inputs())
        alive = self._as_tensor(~self._session.accounts.ruined)
        outputs = model.policy(part, account)
        action = self._distribution.sample(outputs, noise)
        before = self._session.accounts.target
        target = self._session.decide(self._targets_of(action))
        outcome = self._session.advance(self._tape.at((self._start + t + 1)[:, None]))
        return _Step(
            account,
            alive,
            action,
            self._distribution.log_prob(outputs, action),
            self._as_tensor(outcome.reward).float(),
            self._as_tensor(abs(target - before)),
            self._as_tensor(abs(target)),
        )

    def _targets_of(self, action: Tensor) -> Any:
        if self._continuous:
            exposure = action.double().clamp(*self._bounds)
            return exposure.numpy() if self._on_cpu else exposure
        if self._on_cpu:
            return self._targets[action.numpy()]
        return torch.as_tensor(self._targets, device=self._device)[action]

    def _assemble(self, model: PPOModel, value_part: Tensor, mask: Tensor, steps: list["_Step"]) -> RolloutBatch:
        last = self._as_tensor(self._session.account_inputs())
        accounts = torch.stack([*(step.account for step in steps), last])  # (T + 1, G, P, C)
        alive = torch.stack([*(step.alive for step in steps), self._as_tensor(~self._session.accounts.ruined)])
        values = model.value(value_part.transpose(0, 1)[:, :, None], accounts)
        advantage, value_target = generalised_advantages(
            torch.stack([step.reward for step in steps]), values, alive, self._stage.gamma, self._stage.gae_lambda
        )
        columns = (
            accounts[:-1],
            torch.stack([step.action for step in steps]),
            torch.stack([step.log_prob for step in steps]),
            advantage,
            value_target,
            alive[:-1],
        )
        start = torch.from_numpy(self._start.copy())
        account, action, log_prob, *rest = (column.transpose(0, 1).contiguous() for column in columns)
        advantage, value_target, alive = rest
        return RolloutBatch(start, account, action, log_prob, advantage, value_target, alive, mask)

    def _statistics(self, steps: list["_Step"]) -> RolloutStatistics:
        ruined = self._as_tensor(self._session.accounts.ruined)
        return RolloutStatistics(
            reward=float(torch.stack([step.reward for step in steps]).mean()),
            turnover=float(torch.stack([step.turnover for step in steps]).mean()),
            exposure=float(torch.stack([step.exposure for step in steps]).mean()),
            terminated_frac=float(ruined.double().mean()),
            episode_return=self._mean_of_ended(self._episode_return),
            episode_length=self._mean_of_ended(self._episode_length),
        )

    def _mean_of_ended(self, values: Tensor) -> float | None:
        ended = torch.from_numpy(self._chunks_left <= 0).to(values.device)
        return float(values[ended].mean()) if ended.any() else None

    def _restart_finished(self, iteration: int) -> None:
        finished = self._chunks_left <= 0
        if not finished.any():
            return
        rng = generator(self._seed, "restart", self._worker, iteration)
        span = rng.choice(len(self._first), size=self._shape[0], p=self._room / self._room.sum())
        # In the first round episodes begin part-way, so that groups do not restart in step ever after.
        chunks = rng.integers(1, self._episode_chunks + 1, size=self._shape[0])
        chunks = chunks if iteration == 0 else np.full_like(chunks, self._episode_chunks)
        latest = self._room[span] - chunks * self._stage.horizon - 1
        start = self._first[span] + rng.integers(0, latest + 1)
        self._start = np.where(finished, start, self._start)
        self._chunks_left = np.where(finished, chunks, self._chunks_left)
        begun = torch.from_numpy(finished).to(self._device)
        self._episode_return[begun] = self._episode_length[begun] = 0.0
        self._open_accounts(rng, span, finished)

    def _open_accounts(self, rng: np.random.Generator, span: NDArray[np.int64], finished: NDArray[np.bool_]) -> None:
        rows = np.broadcast_to(self._start[:, None], self._shape)
        fresh = self._fresh_accounts(rng, rows, self._context[span][:, None])
        if not self._on_cpu:
            fresh = Accounts(*(self._to_device(column) for column in fresh))
        if finished.all():
            self._session.open(fresh)
            return
        which = np.broadcast_to(finished[:, None], self._shape)
        self._session.reopen(which if self._on_cpu else torch.from_numpy(which.copy()).to(self._device), fresh)

    def _fresh_accounts(self, rng: np.random.Generator, rows: NDArray[np.int64], series_start: Any) -> Accounts:
        rules, close = self._market.rules, self._market.tape.close
        if self._random_start:
            return random_accounts(rng, rules, close, rows, rows - series_start)
        return open_accounts(np, self._shape, rules.initial_equity, close[rows])

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed rollout needs: where each group stands, its accounts and their episodes so far."""
        return {
            "start": self._start,
            "chunks_left": self._chunks_left,
            "session": self._session.state_dict(),
            "episodes": torch.stack([self._episode_return, self._episode_length]).cpu().numpy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._start, self._chunks_left = state["start"].copy(), state["chunks_left"].copy()
        self._session.load_state_dict(state["session"])
        self._episode_return, self._episode_length = torch.from_numpy(state["episodes"].copy()).to(self._device)


class _Step(NamedTuple):
    account: Tensor
    alive: Tensor
    action: Tensor
    log_prob: Tensor
    reward: Tensor
    turnover: Tensor
    exposure: Tensor


def draw_embedding_mask(stage: LearningConfig, width: int, source: torch.Generator) -> Tensor:
    """Draw a dropout mask on the trunk's output for each group, (G, 1, width), on the generator's device."""
    rate, shape = stage.embedding_dropout, (stage.groups, 1, width)
    kept = torch.rand(shape, generator=source, device=source.device) >= rate
    return kept.float() / (1.0 - rate)


def generalised_advantages(
    rewards: Tensor, values: Tensor, alive: Tensor, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Return advantages and value targets, each (T, ...).

    Args:
        rewards: (T, ...), reward earned between decision t and t + 1.
        values: (T + 1, ...), value of every decision state and of the state after the last; truncation bootstraps
            with it.
        alive: (T + 1, ...) bool, whether the account still trades at each decision; a terminated account has no future.
        gamma: discount per bar.
        gae_lambda: weight of longer estimates.
    """
    advantages = torch.empty_like(rewards)
    following = torch.zeros_like(rewards[0])
    for t in reversed(range(rewards.shape[0])):
        continues = alive[t + 1].to(rewards.dtype)
        delta = rewards[t] + gamma * continues * values[t + 1] - values[t]
        following = delta + gamma * gae_lambda * continues * following
        advantages[t] = following
    return advantages, advantages + values[:-1]
