"""How learners judge experts: identities that hold whatever the numbers, and sums written out."""

import pytest
import torch
from torch import Tensor

from src.models.all_action import enumerate_policy, enumerated_rewards
from src.training.rllib.moe_learner import MoEAllActionLearner, MoEGroupLearner
from src.training.rollout.action_distribution import make_distribution

E, G, T, P, A = 2, 3, 5, 3, 3


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def group_learner() -> MoEGroupLearner:
    learner = object.__new__(MoEGroupLearner)
    learner._distribution = make_distribution(A, continuous=False)
    return learner


def sampled_batch(outputs: Tensor) -> dict[str, Tensor]:
    action = torch.randint(A, (G, T, P), generator=torch.Generator().manual_seed(1))
    log_prob = outputs.log_softmax(-1).gather(-1, action[..., None])[..., 0]
    alive = torch.ones(G, T, P, dtype=torch.bool)
    alive[0, 2:, 1] = False
    alive[1, 3:] = False
    return {"action": action, "log_prob": log_prob, "advantage": random_tensor(G, T, P, seed=2), "alive": alive}


def test_who_decides_as_the_mixture_did_has_its_advantage_on_living_accounts() -> None:
    outputs = random_tensor(G, T, P, A)
    batch = sampled_batch(outputs)
    results = group_learner()._expert_results(outputs.expand(E, -1, -1, -1, -1), batch)
    assert results.advantage.shape == results.entropy.shape == (G, T, E)
    expected = batch["advantage"].mean(-1)
    expected[0, 2:] = batch["advantage"][0, 2:][:, [0, 2]].mean(-1)
    expected[1, 3:] = 0.0
    for expert in range(E):
        torch.testing.assert_close(results.advantage[..., expert], expected)


def test_importance_weights_end_at_the_number_of_experts() -> None:
    outputs = torch.zeros(G, T, P, A)
    batch = sampled_batch(outputs) | {"advantage": torch.ones(G, T, P), "alive": torch.ones(G, T, P).bool()}
    batch["action"] = torch.zeros(G, T, P, dtype=torch.long)  # the mixture takes it one time in three
    sure, never = torch.tensor([50.0, 0.0, 0.0]), torch.tensor([-50.0, 0.0, 0.0])
    results = group_learner()._expert_results(torch.stack([sure.expand_as(outputs), never.expand_as(outputs)]), batch)
    torch.testing.assert_close(results.advantage[..., 0], torch.full((G, T), 2.0))  # 3 without the cut
    torch.testing.assert_close(results.advantage[..., 1], torch.zeros(G, T))


def test_enumerated_experts_are_worth_what_they_earn_over_the_mixture() -> None:
    """Without costs and a future, an expert earns its mean target times the return, and so does the mixture."""
    targets, log_return = torch.tensor([-1.0, 0.0, 1.0]), random_tensor(G, T, seed=1)
    mixture, outputs = random_tensor(G, T, P, A, seed=2).softmax(-1), random_tensor(E, G, T + 1, P, A, seed=3)
    rewards = enumerated_rewards(targets, log_return, torch.zeros(G, T))
    learner = object.__new__(MoEAllActionLearner)
    learner._enumerated = enumerate_policy(mixture, rewards, gamma=0.0, position_mix=1.0, end=torch.zeros(G, A))
    results = learner._expert_results(outputs, {})
    probs = outputs[:, :, :-1].softmax(-1)
    for expert in range(E):
        ahead = ((probs[expert] - mixture) @ targets).mean(-1)  # all positions count alike
        torch.testing.assert_close(results.advantage[..., expert], ahead * log_return)
        entropy = torch.distributions.Categorical(probs[expert]).entropy().mean(-1)
        torch.testing.assert_close(results.entropy[..., expert], entropy)
    same = learner._expert_results(torch.cat([mixture, mixture[:, :1]], 1).log()[None], {})
    assert float(same.advantage.abs().max()) == pytest.approx(0.0, abs=1e-6)
