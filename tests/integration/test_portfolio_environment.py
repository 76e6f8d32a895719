"""Portfolios as gymnasium environments: the library's own checks, and the same bits as the backtest and one another."""

from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from src.backtesting.portfolio import run_portfolio
from src.backtesting.portfolio_environment import PortfolioEnv, PortfolioVectorEnv, portfolio_targets
from src.config.trading import ActionConfig, ActionKind
from src.errors import ConfigError, DataError
from src.features.pipeline import FeaturePipeline
from src.market.panel import Panel
from src.trading.prepared_panel import PreparedPanel, prepare_panel
from src.trading.records import Decision, MarketState
from src.trading.rules import TradingRules
from tests.support.random_panels import ragged_panel
from tests.support.trading_cases import DEAR, rules_of

GRID, WEIGHTS = ActionConfig(), ActionConfig(kind=ActionKind.continuous, max_leverage=1.0)


def under(action: ActionConfig) -> TradingRules:
    return replace(rules_of(DEAR), action=action)


def world(rules: TradingRules, seed: int = 0, bars: int = 500, symbols: int = 4) -> PreparedPanel:
    panel = ragged_panel(bars, symbols, seed)
    pipeline = FeaturePipeline(["returns", "rsi"], 6.0).fit([(panel.series(panel.symbols[0]), range(100, 300))])
    return prepare_panel(panel, pipeline, rules.costs, range(150, bars))


@pytest.mark.parametrize("action", [GRID, WEIGHTS], ids=["grid", "weights"])
def test_gymnasium_accepts_the_environment(action: ActionConfig) -> None:
    rules = under(action)
    check_env(PortfolioEnv(world(rules), rules, 8, 50), skip_render_check=True)


@pytest.mark.parametrize("action", [GRID, WEIGHTS], ids=["grid", "weights"])
def test_many_at_once_are_as_many_alone_to_the_bit(action: ActionConfig) -> None:
    rules = under(action)
    prepared = world(rules)
    many = PortfolioVectorEnv(prepared, rules, 8, 30, num_envs=3)
    alone = [PortfolioEnv(prepared, rules, 8, 30) for _ in range(3)]
    seen, _ = many.reset(seed=5)
    own = [env.reset(seed=5 + n)[0] for n, env in enumerate(alone)]
    ended = np.zeros(3, np.bool_)
    many.action_space.seed(1)
    for _ in range(100):
        for name in seen:
            assert np.array_equal(seen[name], np.stack([one[name] for one in own])), name
        actions = many.action_space.sample()
        seen, reward, terminated, truncated, info = many.step(actions)
        for n, env in enumerate(alone):
            if ended[n]:
                own[n], _ = env.reset()
                continue
            own[n], gained, *over, facts = env.step(actions[n])
            assert (gained, *over) == (reward[n], terminated[n], truncated[n])
            assert all(np.array_equal(info[name][n], facts[name]) for name in facts)
        ended = terminated | truncated
    assert prepared.rows.start > 8


def test_an_episode_is_a_backtest_to_the_bit() -> None:
    rules = under(WEIGHTS)
    prepared = world(rules)
    env = PortfolioEnv(prepared, rules, 4, 200, random_start=False)
    env.reset(seed=0)
    env.action_space.seed(2)
    start, actions, infos = prepared.rows.start, [], []
    for _ in range(200):
        actions.append(env.action_space.sample())
        infos.append(env.step(actions[-1])[-1])

    class Replays:
        member_id, name, warmup_bars = "m-000000000000", "replays", 0

        def prepare(self, panel: Panel) -> None:
            pass

        def act(self, market_state: MarketState) -> Decision:
            row = min(market_state.row - start, 199)
            target = portfolio_targets(rules.action, actions[row], 4)[None]
            return Decision(target, np.ones(target.shape))

    records = run_portfolio(Replays(), prepared.panel, rules, range(start, start + 201)).records
    for name in ("units", "equity", "reward", "fill_price", "financing"):
        assert np.array_equal(getattr(records, name)[1:], np.stack([info[name] for info in infos])), name


def test_features_of_the_past_do_not_change_with_the_future_and_show_what_can_be_traded() -> None:
    rules = rules_of(DEAR)
    panel = ragged_panel(400, 3, 2)
    pipeline = FeaturePipeline(["returns", "rsi"], 6.0).fit([(panel.series("S0"), range(100, 200))])
    whole = prepare_panel(panel, pipeline, rules.costs, range(150, 400))
    early = prepare_panel(panel[:300], pipeline, rules.costs, range(150, 300))
    assert np.array_equal(whole.features[:300], early.features)
    assert np.array_equal(whole.is_known[:300], early.is_known)
    assert not whole.is_known[~panel.has_bar].any()
    assert np.isfinite(whole.features).all()


def test_actions_become_exposures() -> None:
    assert portfolio_targets(GRID, np.array([0, len(GRID.targets) - 1]), 2).tolist() == [
        GRID.targets[0] / 2,
        GRID.targets[-1] / 2,
    ]
    assert portfolio_targets(WEIGHTS, np.array([[2.0, -2.0], [0.25, 0.5]]), 2).tolist() == [[0.5, -0.5], [0.25, 0.5]]
    with pytest.raises(ConfigError, match="finite"):
        portfolio_targets(WEIGHTS, np.array([np.nan, 0.0]), 2)
    with pytest.raises(ConfigError, match="must lie in"):
        portfolio_targets(GRID, np.array([99, 0]), 2)


def test_actions_in_any_order_of_memory_become_the_same_exposures() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, (64, 37))
    expected = np.stack([portfolio_targets(WEIGHTS, row, 37) for row in actions])
    assert np.array_equal(portfolio_targets(WEIGHTS, np.asfortranarray(actions), 37), expected)


def test_what_does_not_fit_is_refused() -> None:
    rules = rules_of(DEAR)
    prepared = world(rules)
    with pytest.raises(DataError, match="does not fit before row"):
        PortfolioEnv(prepared, rules, 1000, 10)
    with pytest.raises(ConfigError, match="episode_bars"):
        PortfolioEnv(prepared, rules, 4, 0)
    with pytest.raises(ConfigError, match="start"):
        PortfolioEnv(prepared, rules, 4, 10).reset(options={"start": 0})
