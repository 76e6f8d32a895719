"""The inner loop of meta-learning: a few steps of exact policy gradient on support bars.

The inner objective is the expected linear reward per bar of accounts that start evenly spread over the positions of
the grid. Nothing is sampled: where accounts stand and what each action is worth follow from the policy's probabilities
(`all_action.py`), so the same bars and parameters give the same adaptation in training, backtest and live trading.
The outer objective may differ, a stage's reward may be log growth; the inner one is always linear, because only then
is the position held the whole state of an account.

Model-agnostic meta-learning: Finn, Abbeel and Levine 2017 (arXiv 1703.03400). Departures: the expectation over actions
is exact where theirs is over sampled trajectories, and each adapted tensor has a step size of its own, which may be
learned (after Meta-SGD, Li et al. 2017, arXiv 1707.09835, where each number has).

Pure functions, for any policy. G groups of accounts adapt side by side: every parameter has a leading G axis.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from src.models.all_action import enumerate_policy, expectation, position_chain

Parameters = dict[str, Tensor]  # name -> (G, ...)


def inner_loss(probs: Tensor, rewards: Tensor) -> Tensor:
    """Return minus the expected reward per bar, mean over groups, (): what each inner step lowers.

    Args:
        probs: (G, T, P, A) of the policy.
        rewards: (G, T, P, A), see `enumerated_rewards`.
    """
    return -expectation(position_chain(probs), probs, rewards)


def policy_gradient(parameters: Parameters, probs: Tensor, rewards: Tensor, differentiable: bool) -> Parameters:
    """Return the gradient of each group's expected reward per bar, shaped as `parameters`.

    The derivative of the expected reward by pi(a | t, p) is d_t(p) Q(t, p, a) / T. It is written out here, so that only
    the policy network is differentiated, and only it twice for second order, never the chain through the bars.

    Args:
        parameters: that `probs` were computed from.
        probs: (G, T, P, A).
        rewards: (G, T, P, A).
        differentiable: whether the gradient itself can be differentiated, visits and values included.
    """
    known = probs if differentiable else probs.detach()
    plan = enumerate_policy(known, rewards, gamma=1.0, position_mix=0.0, end=torch.zeros_like(rewards[:, 0, 0]))
    weight = plan.weight[..., None] * plan.advantage / probs.shape[1]
    gradients = torch.autograd.grad(probs, list(parameters.values()), weight, create_graph=differentiable)
    return dict(zip(parameters, gradients, strict=True))


def adapt(
    parameters: Parameters,
    probs_of: Callable[[Parameters], Tensor],
    rewards: Tensor,
    rates: Mapping[str, Tensor],
    steps: int,
    second_order: bool,
) -> Parameters:
    """Climb each group's expected reward; return the adapted parameters.

    Where gradients are off, the result is detached. Where they are on, it depends on the parameters given: through
    each step's gradient too if `second_order`, else as if gradients were constants (first-order MAML).

    Args:
        parameters: where to start.
        probs_of: probabilities (G, T, P, A) of the policy with given parameters; groups must not mix.
        rewards: (G, T, P, A).
        rates: step size of each parameter, ().
        steps: at least 0.
        second_order: as above.
    """
    outer = torch.is_grad_enabled()
    if not outer:
        parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with torch.enable_grad():
        for _ in range(steps):
            gradients = policy_gradient(parameters, probs_of(parameters), rewards, outer and second_order)
            parameters = {name: value + rates[name] * gradients[name] for name, value in parameters.items()}
            if not outer:  # nothing of the step is needed again
                parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    return parameters if outer else {name: value.detach() for name, value in parameters.items()}
