"""Kinds of policies: which network a description builds, and which agent trades it.

The one place that knows them all. Model files name the kind of their policy.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from src.agents.adaptive_agent import AdaptivePolicyAgent
from src.agents.autonomous_agent import AutonomousAgent
from src.agents.described_size import require_described
from src.agents.mind import Mind
from src.agents.mixture_agent import MixtureAgent
from src.agents.model_file import UNFIT, ModelFile
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
    """What a kind of policy is called in model files, and what it is made of."""

    name: str
    model: type[PPOModel]
    agent: Callable[..., PolicyAgent]
    inputs: Callable[[Mapping[str, Any]], FittedPipeline] = FeaturePipeline.from_plain


_KINDS = (
    AgentKind("ppo", PPOModel, PolicyAgent),
    AgentKind("moe", MoEModel, MixtureAgent),
    AgentKind("maml", MAMLModel, AdaptivePolicyAgent),
    AgentKind("autonomous", TransformerWorldModel, AutonomousAgent, Mind.from_plain),
)


def agent_kind(name: str) -> AgentKind:
    """Return the kind of policy of this name.

    Raises:
        ModelFileError: there is none.
    """
    known = {kind.name: kind for kind in _KINDS}
    if name not in known:
        raise ModelFileError(f"kind '{name}' is unknown; this program trades {', '.join(known)}")
    return known[name]


def agent_from_file(file: ModelFile) -> PolicyAgent:
    """Rebuild the policy of a model file as an agent; it mirrors if its training did.

    Raises:
        ModelFileError: its kind is unknown, its parts do not fit each other or this program, or a plug-in is missing or
            not the one it was trained with.
    """
    name = f"{symbol_id(file.symbol)}_{file.stage}"
    try:
        kind = agent_kind(file.kind)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    require_sources(name, file.plugins)
    try:
        require_described(file.model, file.weights, kind.model.from_description)
        model = kind.model.from_description(file.model)
        model.load_state_dict(file.weights, strict=True)
        model.eval()
        rules = TradingRules.from_plain(file.rules)
        mirror = trained_with_mirror(file) and is_symmetric(rules.action)
        return kind.agent(model, kind.inputs(file.features), rules, name, mirror)
    except (TraderError, *UNFIT) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelFileError(f"{name}: its parts do not fit this program ({reason}); train anew") from error
