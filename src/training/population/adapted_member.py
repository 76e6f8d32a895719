"""`AdaptedMember`: a member that can trade, with all it changed about itself since it was trained."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mind import Mind
from src.reasoning.adaptation_rules import AdaptationRules
from src.trading.rules import TradingRules
from src.training.population.member import Member, agent_of, mind_of, model_of
from src.training.population.shared_market import CachedMind, SharedMarket


@dataclass
class AdaptedMember:
    """A member, its adaptation rules, and what differs from its genome.

    Attributes:
        own_mind: None while it is that of the genome, whose columns are computed already.
        own_rules: trading rules of its own; None while they are those of the run.
        knows_folds: whether something in its mind was fitted to bars of the folds.
    """

    member: Member
    adaptation_rules: AdaptationRules
    shared: SharedMarket
    own_mind: Mind | None = None
    own_rules: TradingRules | None = None
    knows_folds: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "AdaptedMember":
        # Everything but the counts of the rules is replaced as a whole and never changed in place.
        return replace(self, adaptation_rules=deepcopy(self.adaptation_rules, memo))

    @property
    def mind(self) -> Mind:
        """What it knows of a bar."""
        return self.own_mind or mind_of(self.member.genome, self.shared)

    @property
    def rules(self) -> TradingRules:
        """The trading rules in force."""
        return self.own_rules or self.shared.rules

    def agent(self, name: str | None = None) -> AutonomousAgent:
        """Return it as it trades."""
        model = model_of(self.member.genome, self.shared, seed=0)
        model.load_state_dict(self.member.weights)
        seeing = self.own_mind or CachedMind(self.mind, self.shared.known())
        return agent_of(model, seeing, self.shared, name or self.member.name, self.rules)

    def changes(self) -> dict[str, Any]:
        """Return what differs from its genome, as tensors and plain data."""
        return {
            "mind": None if self.own_mind is None else self.own_mind.to_plain(),
            "rules": None if self.own_rules is None else self.own_rules.to_plain(),
            "knows_folds": self.knows_folds,
        }

    def changed(self, changes: Mapping[str, Any]) -> "AdaptedMember":
        """Return the member with the changes that `changes` gave."""
        mind, rules = changes.get("mind"), changes.get("rules")
        return replace(
            self,
            own_mind=None if mind is None else Mind.from_plain(mind),
            own_rules=None if rules is None else TradingRules.from_plain(rules),
            knows_folds=bool(changes.get("knows_folds", False)),
        )
