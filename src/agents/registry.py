"""Kinds of policies: which network a description builds, and which agent trades it.

The one place that knows them all. A kind is the algorithm that trained the policy, in lower case, as model files say.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from src.agents.adaptive_agent import AdaptivePolicyAgent
from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mind import Mind
from src.agents.mixture_agent import MixtureAgent
from src.agents.model_file import ModelFile
from src.agents.policy_agent import PolicyAgent, is_symmetric, trained_with_mirror
from src.errors import ModelFileError, TraderError
from src.features.pipeline import FeaturePipeline
from src.market.bars import symbol_id
from src.models.maml_model import MAMLModel
from src.models.moe_model import MoEModel
from src.models.ppo_model import PPOModel
from src.models.world_model import TransformerWorldModel
from src.plugins import require_sources
from src.trading.prepared_market import FittedPipeline
from src.trading.rules import TradingRules


class AgentKind(NamedTuple):
    """What a kind of policy is made of."""

    model: type[PPOModel]
    agent: Callable[..., PolicyAgent]
    inputs: Callable[[Mapping[str, Any]], FittedPipeline] = FeaturePipeline.from_plain


AGENT_KINDS: Mapping[str, AgentKind] = {
    "ppo": AgentKind(PPOModel, PolicyAgent),
    "moe": AgentKind(MoEModel, MixtureAgent),
    "maml": AgentKind(MAMLModel, AdaptivePolicyAgent),
    "autonomous": AgentKind(TransformerWorldModel, AutonomousAgent, Mind.from_plain),
}


def agent_from_file(file: ModelFile) -> PolicyAgent:
    """Rebuild the policy of a model file as an agent; it mirrors if its training did.

    Raises:
        ModelFileError: its kind is unknown, its parts do not fit each other or this program, or a plug-in is missing or
            not the one it was trained with.
    """
    name = f"{symbol_id(file.symbol)}_{file.stage}"
    if file.kind not in AGENT_KINDS:
        raise ModelFileError(f"{name}: kind '{file.kind}' is unknown; this program trades {', '.join(AGENT_KINDS)}")
    kind = AGENT_KINDS[file.kind]
    require_sources(name, file.plugins)
    try:
        model = kind.model.from_description(file.model)
        model.load_state_dict(file.weights, strict=True)
        model.eval()
        rules = TradingRules.from_plain(file.rules)
        mirror = trained_with_mirror(file) and is_symmetric(rules.action)
        return kind.agent(model, kind.inputs(file.features), rules, name, mirror)
    except (TraderError, RuntimeError, KeyError, TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelFileError(f"{name}: its parts do not fit this program ({reason}); train anew") from error
