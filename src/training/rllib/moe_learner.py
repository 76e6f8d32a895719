"""What learning a mixture adds to learning a policy: experts that specialise, and a gate that weighs them.

Beside the mixture's loss, every expert learns from the bars on which it was the right one (`responsibilities.py`), by
what its own policy would have done there. The gate learns to predict the right expert from the bars before, and from
nothing else. It is rewarded for using every expert, and for deciding more clearly as training goes on.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.config.stages.learning import MoEStageConfig
from src.models.moe.mixture import balance_loss, gate_entropy
from src.models.moe.responsibilities import responsibilities
from src.models.moe_model import MoEModel
from src.training.rllib.all_action_learner import AllActionLearner
from src.training.rllib.base_learner import CURVES, EncodeOnceLearner
from src.training.rllib.ppo_learner import GroupPPOLearner
from src.training.rllib.rl_module import ACCOUNT, EMBEDDING


class ExpertResults(NamedTuple):
    """How good the decisions of E experts would have been."""

    advantage: Tensor  # (G, T, E) expected under each one's own policy
    entropy: Tensor  # (G, T, E) of that policy


class SpecialistLearner(EncodeOnceLearner):
    """Adds the losses of experts and gate to those of the learner it is mixed into; the policy is a `MoEModel`."""

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the loss, (), those of experts and gate on embeddings (G, T, D) included."""
        stage, policy = self._stage, self.module[module_id].unwrapped().policy
        assert isinstance(stage, MoEStageConfig)
        assert isinstance(policy, MoEModel)
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        weights = policy.gates(fwd_out[EMBEDDING])  # (G, T, E)
        balance, entropy = balance_loss(weights), gate_entropy(weights)
        curves = {"moe/balance_loss": balance.detach(), "moe/gate_entropy": entropy.detach(), **_load(weights.detach())}
        if stage.experts > 1:
            results = self._expert_results(_outputs(policy, fwd_out[EMBEDDING], batch[ACCOUNT]), batch)
            right = responsibilities(results.advantage.detach(), stage.sharpness, stage.stay_bars)
            log_beliefs = policy.log_beliefs(fwd_out[EMBEDDING])[:, : right.shape[1]]
            own_loss = -(right * (results.advantage + stage.entropy * results.entropy)).sum(-1).mean()
            gate_loss = -(right * log_beliefs).sum(-1).mean()
            bonus = stage.gate_entropy + (stage.gate_entropy_end - stage.gate_entropy) * min(1.0, self._done)
            loss = loss + stage.specialist_coef * own_loss + stage.gate_coef * gate_loss
            loss = loss + stage.balance * balance - bonus * entropy
            curves |= {"moe/expert_loss": own_loss.detach(), "moe/gate_loss": gate_loss.detach()}
        self.metrics.log_dict(curves, key=(module_id, CURVES), window=1)
        return loss

    @abstractmethod
    def _expert_results(self, outputs: Tensor, batch: dict[str, Any]) -> ExpertResults:
        """Measure the outputs of experts (E, G, T, P, O) by the advantages that the mixture learns from."""


class MoEGroupLearner(SpecialistLearner, GroupPPOLearner):
    """On sampled accounts.

    An expert's policy is judged by importance weights. Where the mixture's policy is the mean of the experts' these
    cannot exceed E, and are cut there.
    """

    def _expert_results(self, outputs: Tensor, batch: dict[str, Any]) -> ExpertResults:
        alive = batch["alive"].to(outputs.dtype)
        count = alive.sum(-1).clamp_min(1.0)
        action = batch["action"].expand(len(outputs), *batch["action"].shape)
        log_ratio = self._distribution.log_prob(outputs, action) - batch["log_prob"]  # (E, G, T, P)
        ratio = log_ratio.exp().clamp(max=len(outputs))
        columns = (ratio * batch["advantage"], self._distribution.entropy(outputs))
        return ExpertResults(*(((column * alive).sum(-1) / count).movedim(0, -1) for column in columns))


class MoEAllActionLearner(SpecialistLearner, AllActionLearner):
    """On all actions."""

    def _expert_results(self, outputs: Tensor, batch: dict[str, Any]) -> ExpertResults:
        enumerated = self._enumerated
        assert enumerated is not None, "the mixture's loss enumerates first"
        log_probs = outputs[:, :, :-1].log_softmax(-1)  # (E, G, T, P, A)
        probs = log_probs.exp()
        advantage = (enumerated.weight[..., None] * probs * enumerated.advantage).sum((-2, -1))
        entropy = -(probs * log_probs).sum(-1).mean(-1)
        return ExpertResults(advantage.movedim(0, -1), entropy.movedim(0, -1))


def _outputs(policy: MoEModel, embedding: Tensor, account: Tensor) -> Tensor:
    # What each expert alone says of every account, (E, G, T, P, O).
    return policy.policy(policy.expert_parts(embedding).policy.movedim(-2, 0)[..., None, :], account)


def _load(weights: Tensor) -> dict[str, Tensor]:
    # The mean weight of each expert, and the part of the bars on which it has the largest.
    weights = weights.flatten(0, -2)
    leads = torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).float().mean(0)
    return {
        f"moe/{name}_{expert}": value
        for name, values in (("load", weights.mean(0)), ("leads", leads))
        for expert, value in enumerate(values)
    }
