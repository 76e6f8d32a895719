"""What our learners share, whatever their loss: batches of whole groups, optimisers, clipping, averaged weights.

Deviations from Schulman et al. 2017 (arXiv 1707.06347): minibatches are whole groups, so every bar is encoded once per
epoch; trunk and heads have learning rates of their own, falling linearly; the gradient is clipped by its norm over
both; an exponential average of the weights is kept, and is what gets evaluated and saved (Polyak and Juditsky 1992).
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from torch import Tensor

from src.config.stages.learning import LearningConfig
from src.errors import TraderError
from src.seeding import integer_seed

AVERAGE, CURVES = "average_weights", "curves"


class EncodeOnceLearner(PPOTorchLearner):
    """Learns from batches that address bars by flat row (`src/training/rllib/rl_module.py`).

    `config.env_config` holds `stage` (LearningConfig), `seed` and `total_env_steps`. `_done` is the fraction of the
    stage that has been played. What subclasses log under `CURVES` is shown by the names they give.
    """

    def build(self) -> None:
        super().build()
        self._stage: LearningConfig = self.config.env_config["stage"]
        self.restart_average()

    def restart_average(self) -> None:
        """Begin the average at the current weights."""
        policy = self.module[DEFAULT_MODULE_ID].unwrapped().policy
        self._average = {name: weight.detach().clone() for name, weight in policy.state_dict().items()}

    @abstractmethod
    def _minibatches(self, columns: dict[str, Tensor]) -> Iterator[MultiAgentBatch]:
        """Yield what each gradient step of an iteration learns from."""

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        stage: LearningConfig = self.config.env_config["stage"]
        steps = self.config.env_config["total_env_steps"]
        policy = self._module[module_id].policy
        trunk = list(policy.trunk.parameters())
        in_trunk = {id(parameter) for parameter in trunk}
        heads = [parameter for parameter in policy.parameters() if id(parameter) not in in_trunk]
        for name, parameters, scale in (("trunk", trunk, stage.trunk_lr_frac), ("heads", heads, 1.0)):
            lr = stage.lr * scale
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.AdamW(parameters, lr=lr, weight_decay=stage.weight_decay, fused=True),
                params=parameters,
                lr_or_lr_schedule=[[0, lr], [steps, lr * stage.lr_end_frac]],
            )

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().before_gradient_based_update(timesteps=timesteps)
        self._done = timesteps[NUM_ENV_STEPS_SAMPLED_LIFETIME] / self.config.env_config["total_env_steps"]
        # Dropout inside the encoder can draw from torch's global generator only; its state is not saved, so each
        # update starts it anew and a resumed run draws the same.
        torch.manual_seed(integer_seed(self.config.env_config["seed"], "dropout", self._weights_seq_no))

    def _create_iterator_if_necessary(self, *, training_data: Any, **kwargs: Any) -> Iterator[MultiAgentBatch]:
        batch = self._make_batch_if_necessary(training_data=training_data)
        columns = dict(batch.policy_batches[DEFAULT_MODULE_ID])
        return self._minibatches(columns)

    def postprocess_gradients(self, gradients_dict: dict[Any, Tensor]) -> dict[Any, Tensor]:
        """Return the gradients (...), scaled so that their common norm is at most `grad_clip`."""
        gradients = [gradient for gradient in gradients_dict.values() if gradient is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        if not torch.isfinite(norm):
            raise TraderError(f"training left the range of numbers with lr={self._stage.lr:g}; lower the stage's lr")
        scale = (self._stage.grad_clip / (norm + 1e-6)).clamp(max=1.0)
        self.metrics.log_value((DEFAULT_MODULE_ID, "gradient_norm"), norm.detach(), window=1)
        return {key: gradient * scale for key, gradient in gradients_dict.items() if gradient is not None}

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        # Young averages follow quickly, so that the random start is forgotten.
        keep = min(self._stage.weight_average, self._weights_seq_no / (self._weights_seq_no + 2.0))
        policy = self.module[DEFAULT_MODULE_ID].unwrapped().policy
        for name, weight in policy.state_dict().items():
            self._average[name].lerp_(weight, 1.0 - keep)

    def average_weights(self) -> dict[str, Tensor]:
        """Return the averaged weights (...) of the policy by name, on the CPU."""
        return {name: weight.detach().cpu().clone() for name, weight in self._average.items()}

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state[AVERAGE] = {name: weight.cpu().numpy() for name, weight in self._average.items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        for name, weight in state.get(AVERAGE, {}).items():
            self._average[name].copy_(torch.as_tensor(weight))


def explained_variance(values: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the variance of targets (...) that values (...) explain, (); 1 is all of it."""
    return 1.0 - (targets - values).var() / targets.var().clamp_min(1e-12)
