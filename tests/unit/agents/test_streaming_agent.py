"""A bot that has run for long, was just started, or jumped ahead decides the same bits, with every part of a mind."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mind import Mind
from src.agents.streaming_agent import StreamingAgent
from src.config.agent.memory import KeyConfig, MemoryConfig
from src.config.agent.mind import PARTS, MindConfig
from src.config.agent.reasoning import NeuralFilterConfig, PatternConfig, RegimeConfig
from src.config.agent.world import WorldConfig
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.trading import CostsConfig, EnvironmentConfig, RiskConfig
from src.features.pipeline import FeaturePipeline
from src.market.bars import COLUMNS, BarSeries
from src.models.ppo_model import build_model
from src.models.world.inputs import WorldInputs
from src.models.world_model import TransformerWorldModel
from src.trading.records import MarketState
from src.trading.rules import make_rules
from tests.support.random_bars import random_bars

BARS, TRAINING = random_bars(1_400, seed=3, sigma=0.02), range(300, 1_000)
RULES = make_rules(EnvironmentConfig(), CostsConfig(), RiskConfig(), 0.01)
ACCOUNT = np.zeros((1, len(RULES.account_inputs)), np.float32)
FIRST, LAST = 1_250, 1_290


@pytest.fixture(scope="module")
def mind(tmp_path_factory: pytest.TempPathFactory) -> Mind:
    cache = str(tmp_path_factory.mktemp("cache"))
    config = MindConfig(
        regime=RegimeConfig(neural_filter=NeuralFilterConfig(steps=2, market_paths=2, hidden_dim=8), cache_dir=cache),
        pattern=PatternConfig(scales=[24, 48], steps=2, batch=16, width=8, cache_dir=cache),
        memory=MemoryConfig(capacity=200, key=KeyConfig(volatility_span_bars=20)),
    )
    names = ["returns", "deviations", "volatility", "rsi", "bollinger", "range", "volume", "macd", "adx"]
    base = FeaturePipeline(names, 6.0).fit([(BARS, TRAINING)])
    return Mind.fit(config, base, [(BARS, TRAINING)])


@pytest.fixture(scope="module")
def network(mind: Mind) -> TransformerWorldModel:
    targets = tuple(RULES.action.targets)
    model = build_model(
        TransformerWorldModel,
        0,
        ModelConfig(core=CoreTransformerConfig(d_model=16, num_heads=2, window=12, ff_dim=32), head_dim=16),
        len(mind.columns),
        len(RULES.account_inputs),
        len(targets),
        world=WorldConfig(hidden_dim=8, horizons=[1, 4]),
        inputs=WorldInputs(targets, mind.scale_column, mind.typical_volatility),
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():  # fresh residual branches are 0, and would hide what they read
            weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    return model


Said = dict[int, tuple[NDArray[np.float32], str]]


def lived(agent: AutonomousAgent, bars: BarSeries, rows: range, first: int = 0) -> Said:
    """What an agent that sees bar after bar says and explains at rows, by their place in `BARS`."""
    streaming = StreamingAgent(agent)
    streaming.prepare(bars)
    said = {}
    for row in rows:
        market_state = MarketState(row - first, int(bars.close_time[row - first]), ACCOUNT)
        streaming.act(market_state)
        outputs = agent.outputs(market_state._replace(row=agent.history_bars - 1))
        said[row] = (outputs, repr(streaming.explain(market_state)))
    return said


def assert_equal(said: Said, expected: Said) -> None:
    for row, (outputs, explained) in said.items():
        np.testing.assert_array_equal(outputs, expected[row][0], err_msg=str(row))
        assert explained == expected[row][1]


def copied(bars: BarSeries, rows: slice, shift: int) -> BarSeries:
    """The same bars in memory of their own, that begins a few numbers after where an allocator would put it."""
    cut = bars[rows]
    columns = {}
    for name in COLUMNS:
        column = getattr(cut, name)
        room = np.empty(len(column) + shift, column.dtype)
        room[shift:] = column
        columns[name] = room[shift:]
    moved = replace(cut, **columns)
    for name, column in columns.items():
        object.__setattr__(moved, name, column)
    return moved


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "mirror"])
def mirror(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def warm(mind: Mind, network: TransformerWorldModel, mirror: bool) -> Said:
    assert mind.active == set(PARTS)
    assert mind.memory is not None
    assert len(mind.memory.memory) > 5
    return lived(AutonomousAgent(network, mind, RULES, mirror=mirror), BARS, range(FIRST, LAST))


def test_a_bot_that_just_started_decides_what_one_that_ran_for_long_does(
    mind: Mind, network: TransformerWorldModel, mirror: bool, warm: Said
) -> None:
    assert len({outputs.tobytes() for outputs, _ in warm.values()}) == len(warm)
    for start in (FIRST + 1, FIRST + 17, LAST - 2):
        agent = AutonomousAgent(network, mind, RULES, mirror=mirror)
        first = start + 1 - agent.history_bars
        for shift in (0, 3):
            restarted = copied(BARS, slice(first, LAST), shift)
            assert_equal(lived(agent, restarted, range(start, min(start + 4, LAST)), first), warm)
            agent = AutonomousAgent(network, mind, RULES, mirror=mirror)


def test_bars_that_were_missed_or_come_again_change_nothing(
    mind: Mind, network: TransformerWorldModel, mirror: bool, warm: Said
) -> None:
    agent = AutonomousAgent(network, mind, RULES, mirror=mirror)
    for rows in (range(FIRST, LAST, 7), range(LAST - 1, FIRST, -13), range(FIRST + 3, FIRST + 6)):
        assert_equal(lived(agent, BARS, rows), warm)


def test_a_saved_mind_decides_the_same(mind: Mind, network: TransformerWorldModel, mirror: bool, warm: Said) -> None:
    agent = AutonomousAgent(network, Mind.from_plain(mind.to_plain()), RULES, mirror=mirror)
    assert_equal(lived(agent, BARS, range(LAST - 3, LAST)), warm)


@pytest.mark.parametrize("age", [0, 3, 9, 200])
def test_a_revised_candle_is_seen_by_every_row_that_rests_on_it(
    mind: Mind, network: TransformerWorldModel, age: int
) -> None:
    row = FIRST + 20
    close = BARS.close.copy()
    close[row - age] = 0.5 * (BARS.low + BARS.high)[row - age]
    revised = replace(BARS, close=close)
    agent = AutonomousAgent(network, mind, RULES)
    before = lived(agent, BARS, range(row - 5, row + 1))
    after = lived(agent, revised, range(row, row + 3))  # the same agent goes on
    assert_equal(after, lived(AutonomousAgent(network, mind, RULES), revised, range(row, row + 3)))
    assert (after[row][0] != before[row][0]).any()


def test_the_batch_of_a_plain_backtest_equals_it_to_rounding(
    mind: Mind, network: TransformerWorldModel, mirror: bool, warm: Said
) -> None:
    agent = AutonomousAgent(network, mind, RULES, mirror=mirror)
    agent.prepare(BARS)
    for row, (outputs, _) in warm.items():
        np.testing.assert_allclose(agent.outputs(MarketState(row, 0, ACCOUNT)), outputs, rtol=1e-4, atol=2e-5)


def test_a_series_shorter_than_a_history_is_prepared_whole(mind: Mind, network: TransformerWorldModel) -> None:
    agent, short = AutonomousAgent(network, mind, RULES), BARS[:300]
    agent.prepare(short)
    expected = agent.outputs(MarketState(299, 0, ACCOUNT))
    agent.prepare_last(short)
    np.testing.assert_array_equal(agent.outputs(MarketState(299, 0, ACCOUNT)), expected)
