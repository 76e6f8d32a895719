"""`AutonomousAgent`: a world model, a memory, a weather forecaster and a chartist that decide together.

What they say of a bar is computed ahead of time (`Mind`); the world model's trunk reads all of it, and its policy head
adds the account and, where imagination is on, the imagined profit of each action.
"""

from src.agents.mind import Mind
from src.agents.policy_agent import PolicyAgent
from src.models.world_model import TransformerWorldModel
from src.trading.rules import TradingRules


class AutonomousAgent(PolicyAgent):
    """Trades a `TransformerWorldModel`.

    Args:
        model: network with prediction and policy heads.
        mind: fitted parts; holds the memory.
        rules, name, mirror: as in `PolicyAgent`.

    Attributes:
        world_model: predicts and decides.
        mind: what is known of a bar.
    """

    def __init__(
        self,
        model: TransformerWorldModel,
        mind: Mind,
        rules: TradingRules,
        name: str = "policy",
        mirror: bool = False,
    ) -> None:
        super().__init__(model, mind, rules, name, mirror)
        self.world_model, self.mind = model, mind
