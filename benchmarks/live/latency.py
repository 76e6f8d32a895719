"""How long from a closed candle to a decided order?

An autonomous champion of the default size, every part of its mind on (or, with `--kind ppo`, a policy on features
alone), with fresh weights and the default features decides candle after candle, first by itself, without imagination
and with it, and then as the bot does: the window of its history is prepared, encoded and decided on, guard and sizing
are applied, decision, books and order are committed to the journal, the order is sent on paper, and only then the
decision is explained. One core. Asking the exchange for the candle is not in it, nor what ccxt adds to each request:
`benchmarks.live.wire` has both. Times are of wall clock in milliseconds; processor time beside them tells the work of
others.
"""

import tempfile
from argparse import ArgumentParser
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from benchmarks.common import Taken, command_line, run_benchmark, timed
from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mind import Mind
from src.agents.policy_agent import PolicyAgent
from src.agents.streaming_agent import StreamingAgent
from src.config.agent.mind import MindConfig
from src.config.data import FeaturesConfig
from src.config.live import DriftConfig, LiveConfig
from src.config.model import ModelConfig
from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, CostsConfig, EnvironmentConfig, RiskConfig
from src.features.pipeline import FeaturePipeline
from src.journal.journal import Journal
from src.live.candle_feed import CandleFeed
from src.live.day_replay import Recorded
from src.live.live_model import LiveModel
from src.live.shared_services import SharedServices
from src.live.trader import Trader
from src.live.venues.paper import PaperVenue
from src.live.watching.notify import Notifier
from src.market.bars import COLUMNS, Bar, BarSeries
from src.market.quality.plain_bars import are_plain
from src.market.synthetic.known_markets import generate
from src.models.ppo_model import PPOModel, build_model
from src.models.world.inputs import WorldInputs
from src.models.world_model import TransformerWorldModel
from src.seeding import generator
from src.trading.records import MarketState
from src.trading.rules import TradingRules, make_rules

Network = TypeVar("Network", bound=PPOModel)

TAKES = "1 min"

SYMBOL, HOUR_MS, WARM_UP = "BTC/USDT", 3_600_000, 20
BAR_MS, MOONSHOT_MS, PROCESSOR_BAR_MS = 50.0, 10.0, 10.0
ACT_BAR_MS, IMAGINATION_BAR_MS = 10.0, 30.0
LIMITS = RiskLimits(max_position=1e9, max_orders_per_hour=10**9, price_band_frac=10.0, max_drawdown_frac=None)


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__)
    parser.add_argument("--candles", type=int, default=1000)
    parser.add_argument("--kind", choices=("autonomous", "ppo"), default="autonomous")
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="where the journal is written and deleted again, to try a disk"
    )
    return parser


def main(candles: int, kind: str, state: Path | None) -> None:
    """Print percentiles of what lies between the candle and the order."""
    torch.set_num_threads(1)
    if kind == "autonomous":
        judge_decisions(make_model(kind, imagination=False), candles, "no imagination", ACT_BAR_MS)
        model = make_model(kind)
        judge_decisions(model, candles, "imagination", IMAGINATION_BAR_MS)
    else:
        model = make_model(kind)
        judge_decisions(model, candles, "features only", ACT_BAR_MS)
    judge_bot(model, candles, state)


def judge_decisions(model: LiveModel, candles: int, what: str, bar_ms: float) -> None:
    """Print what decisions take by themselves: features, parts, encoder, heads; and what explaining them adds."""
    agent = model.agent
    bars = generate("A", agent.history_bars + candles + WARM_UP, generator(0, "benchmark", "live"), "1h")
    agent.prepare(bars)
    account = np.zeros((1, len(model.rules.account_inputs)), np.float32)
    acts, explained = [], []
    for row in range(agent.history_bars - 1, len(bars)):
        market_state = MarketState(row, int(bars.close_time[row]), account)
        acts.append(timed(partial(agent.act, market_state))[1])
        explained.append(timed(partial(agent.explain, market_state))[1].wall)
    print(f"decision alone, {what}: the first, with nothing remembered, {acts[0].wall * 1000:.0f} ms")
    walls, processor = split(acts)
    show("  act", walls)
    show("  processor time of it", processor)
    show("  explain, with what-if where it foresees", explained[WARM_UP:])
    verdict("  act", walls, bar_ms)


def split(taken: list[Taken]) -> tuple[list[float], list[float]]:
    """Return seconds of wall clock and of processor time, both after the warm-up."""
    return [one.wall for one in taken[WARM_UP:]], [one.processor for one in taken[WARM_UP:]]


def judge_bot(model: LiveModel, candles: int, state: Path | None) -> None:
    """Print what lies between a closed candle and its order, and what is left for afterwards."""
    history = model.agent.history_bars
    bars = generate("A", history + candles + WARM_UP, generator(0, "benchmark", "live"), "1h")
    with tempfile.TemporaryDirectory(dir=state) as folder:
        trader, source, candles_ahead = make_trader(model, bars, Path(folder))
        ordered, decisions, explained = [], [], []
        decide, explain = trader._decisions.decide, trader._explain

        def timed_decision(*arguments: Any) -> Any:
            decided, taken = timed(lambda: decide(*arguments))
            decisions.append(taken.wall)
            return decided

        def timed_explanation() -> None:
            explained.append(timed(explain)[1])

        trader._decisions.decide, trader._explain = timed_decision, timed_explanation  # type: ignore[method-assign]
        trader.start()
        for candle in candles_ahead[history + 1 :]:
            source.time = candle.close_time + 1
            trader._feed._bars.append(candle)  # the candle has arrived
            whole = timed(trader._catch_up)[1]
            ordered.append(Taken(*(all_ - after for all_, after in zip(whole, explained[-1], strict=True))))
    walls, processor = split(ordered)
    print(f"{len(ordered)} candles, history of {history}, {trader.view.orders} orders")
    show("candle closed -> order journaled and sent", walls)
    show("  of which decided (features, policy, stations)", decisions[WARM_UP:])
    show("explained afterwards", [one.wall for one in explained[WARM_UP:]])
    show("a page of candles read, besides", [page_time(bars) for _ in range(200)])
    show("processor time, candle closed -> order", processor)
    verdict("candle closed -> order journaled and sent", walls, BAR_MS)
    verdict("processor time, candle closed -> order", processor, PROCESSOR_BAR_MS)


def make_model(kind: str, imagination: bool = True) -> LiveModel:
    """Return a champion of the default size, spot grid."""
    action = ActionConfig(grid=[0.0, 0.5, 1.0], allow_short=False)
    rules = make_rules(EnvironmentConfig(action=action), CostsConfig(), RiskConfig(), 0.01)
    features = FeaturesConfig()
    bars = generate("A", 3000, generator(0, "benchmark"), "1h")
    pipeline = FeaturePipeline(features.names, features.clip).fit([(bars, range(1000, 3000))])
    is_mind = kind == "autonomous"
    agent = make_autonomous(pipeline, rules, bars, imagination) if is_mind else make_policy(pipeline, rules)
    return LiveModel(
        SYMBOL, "1h", StreamingAgent(agent), replace(rules.under(LIMITS), initial_equity=1e3), {}, "", "0" * 64
    )


def make_policy(pipeline: FeaturePipeline, rules: TradingRules) -> PolicyAgent:
    """Return a policy on features alone."""
    return PolicyAgent(
        opinionated(build_model(PPOModel, 0, ModelConfig(), len(pipeline.columns), len(rules.account_inputs), 3)),
        pipeline,
        rules,
    )


def make_autonomous(
    pipeline: FeaturePipeline, rules: TradingRules, bars: BarSeries, imagination: bool
) -> AutonomousAgent:
    """Return an agent with every part; what its parts learned costs nothing, so they learn little."""
    config, targets = MindConfig(), tuple(rules.action.targets)
    with tempfile.TemporaryDirectory() as cache:
        pattern = replace(config.pattern, steps=2, cache_dir=cache)
        filter_ = replace(config.regime.neural_filter, steps=2, market_paths=4)
        regime = replace(config.regime, neural_filter=filter_, cache_dir=cache)
        mind = Mind.fit(replace(config, pattern=pattern, regime=regime), pipeline, [(bars, range(1000, 3000))])
    network = build_model(
        TransformerWorldModel,
        0,
        ModelConfig(),
        len(mind.columns),
        len(rules.account_inputs),
        len(targets),
        world=replace(config.world, imagination=imagination),
        inputs=WorldInputs(targets, mind.scale_column, mind.typical_volatility),
    )
    return AutonomousAgent(opinionated(network), mind, rules)


def opinionated(network: Network) -> Network:
    """Return a network that changes its mind, which fresh weights would never do."""
    with torch.no_grad():
        network.policy_head.output.weight.mul_(100.0)
    return network.eval()


def make_trader(model: LiveModel, bars: BarSeries, folder: Path) -> tuple[Trader, Recorded, list[Bar]]:
    """Return a trader that knows its history and the candle after it."""
    candles = [bars.bar(row) for row in range(len(bars))]
    source = Recorded(SYMBOL, "1h", candles)
    known = candles[: model.agent.history_bars + 1]
    source.time = known[-1].close_time + 1
    config = LiveConfig(drift=DriftConfig(window_bars=500))
    desk = SharedServices(config, LIMITS, Journal(f"sqlite:///{folder / 'journal.db'}"), Notifier(), source)
    return Trader(desk, model, CandleFeed(source, known), lambda m: PaperVenue(m.rules, "main")), source, candles


def page_time(bars: BarSeries) -> float:
    """Return the seconds that judging a page of two candles takes."""
    table = np.column_stack([getattr(bars[-2:], name) for name in COLUMNS]).astype(float)
    return timed(lambda: are_plain(table, HOUR_MS))[1].wall


def show(what: str, seconds: list[float]) -> None:
    """Print percentiles in milliseconds."""
    p50, p99 = np.percentile(np.array(seconds) * 1000, (50, 99))
    print(f"{what:52s} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   max {max(seconds) * 1000:7.2f} ms")


def verdict(what: str, seconds: list[float], bar_ms: float) -> None:
    """Print whether the bar and the moonshot are reached."""
    p99 = np.percentile(seconds, 99) * 1000
    said = [f"{name} {ms:g} ms: {'reached' if p99 <= ms else 'missed'}" for name, ms in bounds(bar_ms)]
    print(f"{what}, p99 {p99:.1f} ms: {'; '.join(said)}")


def bounds(bar_ms: float) -> list[tuple[str, float]]:
    """Return what is to be reached; where the bar is the moonshot of the whole bot, there is no other."""
    return [("bar", bar_ms), ("moonshot", MOONSHOT_MS)][: 1 if bar_ms == MOONSHOT_MS else 2]


if __name__ == "__main__":
    run_benchmark(parser(), main)
