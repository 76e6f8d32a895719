"""The gymnasium environments: conformance, reproducibility, and N single ones equal one vector."""

import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from src.backtesting.environment import TradingEnv, TradingVectorEnv
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError, DataError
from src.execution.tape import build_tape
from src.trading.prepared_market import PreparedMarket
from src.trading.rules import TradingRules, make_rules
from tests.support.random_bars import random_bars

WINDOW = 8
COSTS = CostsConfig(slippage_volatility=0.1, impact=0.1)
GRID = make_rules(EnvironmentConfig(), COSTS, RiskConfig(), 0.01)
# Bars of 8 % and five-fold leverage: margin calls every few dozen steps.
WILD = replace(GRID, action=ActionConfig(grid=[-5.0, -1.0, 0.0, 1.0, 5.0], max_leverage=5.0))
FREE = replace(GRID, action=ActionConfig(kind=ActionKind.continuous, max_leverage=6.0))
LONG_ONLY = replace(FREE, action=ActionConfig(kind=ActionKind.continuous, allow_short=False))
GUARDED = replace(WILD, risk=RiskConfig(max_drawdown_frac=0.3, max_daily_loss_frac=0.05, max_exposure=2.0))


def make_market(sigma: float = 0.01, bars: int = 400, seed: int = 0) -> PreparedMarket:
    """A random walk with three columns of noise as features; decisions on rows 20 to the last but one."""
    series = random_bars(bars, seed, sigma)
    features = np.random.default_rng(seed).standard_normal((bars, 3)).astype(np.float32)
    return PreparedMarket(series, features, build_tape(series, COSTS), range(20, bars - 1))


@pytest.mark.parametrize("rules", [GRID, FREE, LONG_ONLY], ids=["grid", "continuous", "long only"])
def test_gymnasium_finds_nothing_wrong(rules: TradingRules) -> None:
    with warnings.catch_warnings():
        # Advice, not an error: an exposure is not a normalised action.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")
        check_env(TradingEnv(make_market(), rules, WINDOW, 50), skip_render_check=True)


@pytest.mark.parametrize("rules", [WILD, FREE, GUARDED], ids=["grid", "continuous", "guarded"])
def test_random_rollouts_stay_finite_and_within_spaces(rules: TradingRules) -> None:
    env = TradingEnv(make_market(sigma=0.08), rules, WINDOW, 60)
    env.action_space.seed(1)
    ends = {"terminated": 0, "truncated": 0}
    observation, _ = env.reset(seed=1)
    for _ in range(1_500):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert np.isfinite([reward, *(float(value) for value in info.values())]).all()
        if terminated or truncated:
            ends["terminated"] += terminated
            ends["truncated"] += truncated
            env.reset()
    assert ends["truncated"] > 0
    assert ends["terminated"] > 0 or rules is GUARDED


def test_a_seed_reproduces_an_episode_and_another_gives_another() -> None:
    env = TradingEnv(make_market(), GRID, WINDOW, 40)
    actions = np.random.default_rng(0).integers(0, 5, 40)

    def play(seed: int) -> list[tuple[float, ...]]:
        _, info = env.reset(seed=seed)
        return [tuple(info.values()), *(tuple(env.step(action)[4].values()) for action in actions)]

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_an_episode_starts_where_it_is_told_flat_and_ends_on_time() -> None:
    market = make_market()
    env = TradingEnv(market, GRID, WINDOW, 40)
    observation, info = env.reset(seed=0, options={"start": 100})
    assert (info["row"], info["units"], info["equity"]) == (100, 0.0, GRID.initial_equity)
    np.testing.assert_array_equal(observation["market"], market.features[93:101])
    ends = [env.step(2)[3] for _ in range(40)]
    assert ends == [False] * 39 + [True]
    with pytest.raises(ConfigError, match="must lie in"):
        env.reset(options={"start": 399})


def test_the_data_running_out_truncates_at_the_last_bar() -> None:
    market = make_market()
    env = TradingEnv(market, GRID, WINDOW, 1_000, random_start=False)
    _, info = env.reset()
    steps = 0
    truncated = False
    while not truncated:
        _, _, terminated, truncated, info = env.step(4)
        assert not terminated
        steps += 1
    assert steps == len(market.rows)
    assert info["row"] == len(market.bars) - 1


def test_observations_are_copies() -> None:
    market = make_market()
    env = TradingEnv(market, GRID, WINDOW, 40)
    vector = TradingVectorEnv(market, GRID, WINDOW, 40, 2)
    before = market.features.copy()
    for observation in (env.reset(seed=0)[0], vector.reset(seed=0)[0]):
        observation["market"][:] = np.nan
    np.testing.assert_array_equal(market.features, before)


def test_the_reward_is_the_growth_of_equity() -> None:
    env = TradingEnv(make_market(), GRID, WINDOW, 40)
    _, info = env.reset(seed=5)
    for action in (4, 4, 0, 2, 3):
        before = info["equity"]
        _, reward, _, _, info = env.step(action)
        assert reward * 0.01 == pytest.approx(np.log(info["equity"] / before), abs=1e-12)  # scale = 1 / volatility


@pytest.mark.parametrize("random_start", [True, False], ids=["random start", "fixed start"])
@pytest.mark.parametrize("rules", [WILD, FREE, GUARDED], ids=["grid", "continuous", "guarded"])
def test_a_vector_equals_single_environments_bit_for_bit(rules: TradingRules, random_start: bool) -> None:
    market, count, steps = make_market(sigma=0.08, seed=2), 6, 600
    vector = TradingVectorEnv(market, rules, WINDOW, 50, count, random_start)
    singles = [TradingEnv(market, rules, WINDOW, 50, random_start) for _ in range(count)]
    vector.action_space.seed(7)
    observations, infos = vector.reset(seed=11)
    finished = np.zeros(count, dtype=bool)
    expected = [env.reset(seed=11 + index) for index, env in enumerate(singles)]
    terminations = restarts = 0
    for index in range(count):
        _assert_equal(observations, infos, index, *expected[index])
    for _ in range(steps):
        actions = vector.action_space.sample()
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        for index, env in enumerate(singles):
            if finished[index]:
                outcome = (*env.reset(), 0.0, False, False)
            else:
                observation, reward, ended, cut, info = env.step(actions[index])
                outcome = (observation, info, reward, ended, cut)
            _assert_equal(observations, infos, index, *outcome[:2])
            assert (rewards[index], terminated[index], truncated[index]) == outcome[2:]
        restarts += int(finished.sum())
        terminations += int(terminated.sum())
        finished = terminated | truncated
    assert restarts > 50
    assert terminations > 5 or rules is GUARDED


def _assert_equal(observations: dict, infos: dict, index: int, observation: dict, info: dict) -> None:
    for name, value in observation.items():
        np.testing.assert_array_equal(observations[name][index], value)
    for name, value in info.items():
        assert infos[name][index] == value, name


def test_vector_observations_fit_their_space_and_no_step_writes_into_an_older_one() -> None:
    vector = TradingVectorEnv(make_market(), GRID, WINDOW, 40, 3)
    observation, info = vector.reset(seed=0)
    kept = {name: value.copy() for name, value in observation.items()}
    rows = info["row"].copy()
    for _ in range(50):
        assert vector.observation_space.contains(vector.step(vector.action_space.sample())[0])
    for name, value in observation.items():
        np.testing.assert_array_equal(value, kept[name])
    np.testing.assert_array_equal(info["row"], rows)


def test_impossible_settings_and_actions_are_refused() -> None:
    market = make_market()
    with pytest.raises(DataError, match="does not fit before row 20"):
        TradingEnv(market, GRID, 22, 40)
    with pytest.raises(ConfigError, match="episode_bars"):
        TradingEnv(market, GRID, WINDOW, 0)
    env = TradingEnv(market, GRID, WINDOW, 40)
    vector = TradingVectorEnv(market, GRID, WINDOW, 40, 2)
    env.reset(seed=0)
    vector.reset(seed=0)
    for action in (-1, 5):
        with pytest.raises(ConfigError, match="must lie in"):
            env.step(action)
        with pytest.raises(ConfigError, match="must lie in"):
            vector.step(np.array([0, action]))
    env = TradingEnv(market, FREE, WINDOW, 40)
    vector = TradingVectorEnv(market, FREE, WINDOW, 40, 1)
    env.reset(seed=0)
    vector.reset(seed=0)
    with pytest.raises(ConfigError, match="finite"):
        env.step(np.array([np.nan]))
    with pytest.raises(ConfigError, match="finite"):
        vector.step(np.array([[np.nan]]))


def test_stable_baselines_trains_on_it() -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    env = gymnasium.wrappers.FlattenObservation(TradingEnv(make_market(), GRID, WINDOW, 40))
    model = sb3.PPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    assert model.num_timesteps == 128
