"""The champion: judged once on sealed bars that no selection touched, and saved with the verdict, whatever it is."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.baselines import RIVALS, make_baseline
from src.agents.model_file import CHAMPION_STAGE, ModelFile
from src.backtesting.engine import run_backtest
from src.config.stages.autonomous import AutonomousStageConfig, PromotionConfig
from src.evaluation.bootstrap import SHORTEST_SERIES
from src.evaluation.evidence import Evidence
from src.evaluation.promotion import Promotion, Verdict, judge_champion
from src.market.bars import BarSeries, FloatArray
from src.market.splits import fold_rows
from src.plugins import source_hashes
from src.seeding import generator
from src.trading.rules import TradingRules
from src.training.population.population import Population
from src.training.population.self_adaptation import SelfAdaptation
from src.training.population.trial_records import TrialRecords
from src.training.stage import StageContext, make_model_file

logger = logging.getLogger(__name__)

_MARKET = "buy_and_hold"


def select_champion(
    context: StageContext, population: Population, adaptation: SelfAdaptation, trials: TrialRecords
) -> tuple[ModelFile, dict[str, Any]]:
    """Judge the fittest member and gather its file.

    Args:
        trials: where its look at the sealed bars is entered.

    Returns:
        The file, and the champion's performance on the validation split.
    """
    stage: AutonomousStageConfig = context.stage
    data, member = context.data, population.champion
    adapted = adaptation.adapted(member)
    agent = adapted.agent(CHAMPION_STAGE)
    validation = asdict(run_backtest(agent, data.bars, adapted.rules, data.splits.validation).performance())
    promotion = _promotion(context, population, agent, adapted.rules, trials)
    verdict = Verdict.luck.value if promotion is None else promotion.verdict.value
    for sentence in promotion.reasons if promotion is not None else ("There are too few sealed bars to judge it.",):
        logger.info("%s: %s", verdict, sentence)
    lineage = population.lineage(member.name)
    file = make_model_file(
        context, dict(member.weights), member.description, population.evaluations, validation, lineage
    )
    file = replace(
        file,
        stage=CHAMPION_STAGE,
        features=adapted.mind.to_plain(),
        rules=adapted.rules.to_plain(),
        verdict=verdict,
        dossier={
            "genome": dict(member.genome),
            "mirror": stage.mirror,
            "fitness": member.fitness,
            "folds": list(member.folds),
            "adaptations": adaptation.log,
            "promotion": None if promotion is None else promotion.to_plain(),
            "run": trials.run,
        },
        plugins=file.plugins | source_hashes(adapted.mind.plugins),
    )
    return file, validation


def _promotion(
    context: StageContext, population: Population, agent: AutonomousAgent, rules: TradingRules, trials: TrialRecords
) -> Promotion | None:
    data = context.data
    sealed = data.splits.test
    if min(len(sealed), len(population.returns)) < SHORTEST_SERIES:
        return None
    rivals = {name: _returns(name, rules, data.bars, [sealed]) for name in RIVALS}
    champion = run_backtest(agent, data.bars, rules, sealed)
    names = [record["name"] for record in population.records]
    look = trials.look()
    evidence = Evidence(
        selection=population.returns,
        selection_market=_returns(_MARKET, rules, data.bars, fold_rows(data.splits.validation, context.stage.folds)),
        champion=names.index(population.champion.name),
        trials=population.evaluations + look.trials,
        sealed=champion.returns(),
        market=rivals[_MARKET],
        rivals=rivals,
        looks=look.number,
        bars_per_year=champion.bars_per_year,
    )
    rng = generator(context.config.seed, "promotion", context.name)
    gate: PromotionConfig = context.stage.promotion
    return judge_champion(evidence, rng, gate.confidence, gate.max_overfitting, gate.blocks)


def _returns(baseline: str, rules: TradingRules, bars: BarSeries, parts: Sequence[range]) -> FloatArray:
    # Returns a bar over all parts, end to end, each traded from a fresh account.
    agent = make_baseline(baseline, rules)
    return np.concatenate([run_backtest(agent, bars, rules, rows).returns() for rows in parts])
