"""How an agent may change itself: the actions that rules of self-modification name.

A change of the network is a child, trained like any other member. A change of mind or of risk leaves the network as it
is. Nothing here looks at the last fold, which judges the change.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from src.agents.mind import with_regimes
from src.config.agent.memory import KeyConfig, SignificanceConfig
from src.config.stages.self_modification import RuleConfig
from src.errors import TraderError
from src.evaluation.trades import extract_trades
from src.market.bars import BarSeries
from src.memory.event_detection import Events, large_trades, rare_actions
from src.memory.key_encoder import exponential_volatility
from src.memory.memory_module import MemoryModule
from src.nas.search_space import Genome, SearchSpace
from src.reasoning.har_volatility import HarVolatility
from src.reasoning.market_classifier import fit_classifier
from src.reasoning.market_module import MarketModule
from src.reasoning.self_modification import Action
from src.seeding import generator, integer_seed
from src.training.population.adapted_member import AdaptedMember
from src.training.population.member import Member, MemberSpec, Parent
from src.training.population.member_evaluation import trade
from src.training.population.shared_market import SharedMarket

Train = Callable[[MemberSpec], Member]

_TRIES = 100  # mutations until one is of the kind asked for
_HARDER = 1.25  # factor on the size of a move that is remembered, where what was remembered was of no use


class AdaptationActions:
    """The actions by name.

    Args:
        space: genomes that children may have.
        seed: of the stage.
        train: trains a member.
    """

    def __init__(self, shared: SharedMarket, space: SearchSpace, seed: int, train: Train) -> None:
        self._shared, self._space, self._seed, self._train = shared, space, seed, train

    def at(self, generation: int, evaluations: int) -> Mapping[str, Action[AdaptedMember]]:
        """Return the actions after a generation; its number and the evaluations so far decide what is drawn."""

        def child(adapted: AdaptedMember, rule: RuleConfig, of_shape: bool) -> AdaptedMember:
            place = (generation, evaluations, int(of_shape))
            rng = generator(self._seed, "self-modification", *place)
            member = adapted.member
            parent = Parent(member.name, self._shared.stage.kind, member.description, member.weights)
            seed = integer_seed(self._seed, "self-modification", *place, "member")
            genome = self._mutated(member.genome, of_shape, rng)
            born = self._train(MemberSpec(f"g{generation - 1:02d}_{rule.action}", genome, seed, parent))
            if born.failure:
                raise TraderError(born.failure)
            return replace(adapted, member=born, own_mind=None, knows_folds=False)

        return {
            "architecture_search": Action(lambda adapted, rule: child(adapted, rule, of_shape=True)),
            "hyperparameter_search": Action(lambda adapted, rule: child(adapted, rule, of_shape=False)),
            "reduce_risk": Action(self._reduce_risk, self._restore_risk),
            "refit_regime": Action(self._refit_regime),
            "change_memory": Action(self._change_memory),
        }

    def _mutated(self, genome: Genome, of_shape: bool, rng: np.random.Generator) -> Genome:
        known, child = self._space.arch_id(genome), genome
        for _ in range(_TRIES):
            child = self._space.mutate(genome, rng)
            if (self._space.arch_id(child) != known) == of_shape:
                return child
        raise TraderError(f"search holds no other {'architecture' if of_shape else 'hyperparameter'} to try")

    def _reduce_risk(self, adapted: AdaptedMember, rule: RuleConfig) -> AdaptedMember:
        largest = adapted.rules.risk.max_exposure or adapted.rules.action.max_leverage
        limit = largest * self._shared.stage.self_modification.reduced_exposure
        return replace(adapted, own_rules=replace(adapted.rules, risk=replace(adapted.rules.risk, max_exposure=limit)))

    def _restore_risk(self, adapted: AdaptedMember, rule: RuleConfig) -> AdaptedMember:
        return replace(adapted, own_rules=None)

    def _refit_regime(self, adapted: AdaptedMember, rule: RuleConfig) -> AdaptedMember:
        """Fit volatility and regimes anew, on all bars up to the fold that judges."""
        samples = [(self._shared.bars, self._known_rows)]
        # The network goes on reading volatility against the level it was trained with.
        level = adapted.mind.typical_volatility
        modules: dict[str, MarketModule] = {
            "volatility": replace(HarVolatility.fit(samples), typical_sigma=level),
            "regime": fit_classifier(self._shared.stage.mind.regime, samples, self._shared.config.plugins),
        }
        mind = replace(adapted.mind, modules={**adapted.mind.modules, **modules})
        return replace(adapted, own_mind=mind, knows_folds=True)

    def _change_memory(self, adapted: AdaptedMember, rule: RuleConfig) -> AdaptedMember:
        """Remember sharper moves only, of all bars up to the fold that judges, and what came of its own decisions."""
        mind = adapted.mind
        if mind.memory is None:
            raise TraderError("no agent of this run has a memory; set mind.memory_on or search.memory_size")
        config = mind.memory.memory.config
        criteria = replace(config.significance, move_sigmas=config.significance.move_sigmas * _HARDER)
        bars, rows = self._shared.bars, self._known_rows
        labelled = with_regimes(mind.modules["regime"], [(bars, rows)])
        memory = MemoryModule.fit(replace(config, significance=criteria), labelled)
        memory = memory.with_events(*self._own_events(adapted, config.key, criteria))
        return replace(adapted, own_mind=mind.with_memory(memory))

    def _own_events(
        self, adapted: AdaptedMember, key: KeyConfig, criteria: SignificanceConfig
    ) -> tuple[BarSeries, list[Events]]:
        # Large wins and losses and rare actions on the training rows, and the bars they are rows of.
        rows = self._shared.training
        bars = self._shared.bars[rows.start : rows.stop]
        (result,) = trade(adapted.agent(), self._shared, adapted.rules, [rows])
        trades = extract_trades(result.records, result.closes)
        volatility = exponential_volatility(bars, key.volatility_span_bars)
        targets, equity = np.asarray(result.records.target), np.asarray(result.records.equity)
        found = [large_trades(bars, trades, 0, volatility, criteria)]
        return bars, found + ([rare_actions(bars, targets, equity, criteria)] if (equity > 0).all() else [])

    @property
    def _known_rows(self) -> range:
        return range(self._shared.training.start, self._shared.folds[-2].stop)
