"""The world model: densities that learn, candles that can occur, outlooks by hand, and a policy that stays a policy."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from benchmarks.perception.world_model_trainer import WorldTrainingConfig, evaluate_world_model, train_world_model
from src.config.agent.world import WorldConfig
from src.config.model import CoreTransformerConfig, ModelConfig, Trunk
from src.errors import ConfigError, DataError
from src.market.bars import BarSeries
from src.models.flat_bars import FlatBars
from src.models.inheritance import inherit
from src.models.ppo_model import PPOModel, build_model, encode_series
from src.models.world.inputs import WorldInputs
from src.models.world.scenarios import STILL, PathDynamics, draw_returns, fit_dynamics, horizon_quantiles, quantile_fan
from src.models.world.targets import WorldTargets, world_targets
from src.models.world_model import TransformerWorldModel
from src.reasoning.har_volatility import HarVolatility
from src.training.pretraining.series_chunks import WorldSeries
from tests.support.random_bars import bars_from_steps, random_bars

F, C, A = 6, 4, 5
TARGETS = (-1.0, -0.5, 0.0, 0.5, 1.0)
CONFIG = ModelConfig(core=CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=16, window=12), head_dim=16)
SIZES = {"num_features": F, "num_account_inputs": C, "num_outputs": A, "continuous": False}
INPUTS = WorldInputs(TARGETS, scale_column=2, typical_sigma=0.02)
WORLD = WorldConfig(dropout=0.0)


def shaken(model: PPOModel, seed: int = 5, size: float = 0.2) -> PPOModel:
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=source))
    return model.eval()


def make(seed: int = 0, world: WorldConfig = WORLD, inputs: WorldInputs = INPUTS,
         config: ModelConfig = CONFIG) -> TransformerWorldModel:  # fmt: skip
    return build_model(TransformerWorldModel, seed, config, **SIZES, world=world, inputs=inputs)


def make_shaken(**settings: object) -> TransformerWorldModel:
    model = shaken(make(**settings))
    assert isinstance(model, TransformerWorldModel)
    return model


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def degenerate(log_return: float, sigma: float = 0.02) -> TransformerWorldModel:
    """Knows the return of every horizon almost surely."""
    model = make(world=replace(WORLD, horizons=[4], components=1), inputs=replace(INPUTS, scale_column=None)).eval()
    with torch.no_grad():
        location, log_scale = log_return / (sigma * 2), -8.9  # root of 4 bars; bounded at -3
        model.density_head.output.bias.copy_(torch.tensor([0.0, 6 * math.atanh(location / 6), log_scale]))
    return model


# In a policy's place.


@pytest.mark.parametrize("trunk", Trunk)
def test_without_imagination_it_acts_as_the_plain_policy_to_the_bit(trunk: Trunk) -> None:
    config = replace(CONFIG, trunk=trunk)
    plain = shaken(build_model(PPOModel, 0, config, **SIZES))
    model = make_shaken(world=replace(WORLD, imagination=False), config=config)
    model.start_from(plain.describe(), plain.state_dict(), generator())
    x, mask, account = random_tensor(2, 40, F), random_tensor(2, 1, 8, seed=1), random_tensor(2, 20, 3, C, seed=2)
    outputs = []
    for each in (plain, model):
        assert each.context_bars == model.context_bars
        part = each.market_part(each.encode_market(x, mask, context=20))
        outputs.append((each.policy(part.policy[:, :, None], account), each.value(part.value[:, :, None], account)))
    assert all(map(torch.equal, *outputs))


@torch.no_grad()
def test_with_imagination_it_starts_as_the_policy_it_came_from() -> None:
    plain, model = shaken(build_model(PPOModel, 0, CONFIG, **SIZES)), make_shaken()
    assert model.embedding_dim == plain.embedding_dim + len(TARGETS)
    model.start_from(plain.describe(), plain.state_dict(), generator())
    x, account = random_tensor(1, 30, F), random_tensor(1, 30, C, seed=2)
    ours, theirs = (each.act(each.encode_market(x), account) for each in (model, plain))
    torch.testing.assert_close(ours[0].logits, theirs[0].logits)
    torch.testing.assert_close(ours[1], theirs[1])


@torch.no_grad()
def test_heads_read_what_each_target_is_imagined_to_be_worth() -> None:
    model, x = make_shaken(), random_tensor(2, 30, F)
    mask = 2.0 * (random_tensor(2, 1, 8, seed=1) > 0).float()
    embedding, plain = model.encode_market(x, mask, context=12), model.encode_market(x, context=12)
    assert embedding.shape[-1] == model.embedding_dim + model.prediction_dim
    torch.testing.assert_close(embedding[..., :8], plain[..., :8] * mask)
    assert torch.equal(embedding[..., 8:], plain[..., 8:]), "the mask is not applied to what is foreseen"
    density = model.prediction_of(embedding).horizon(1)
    base = 0.02 * x[:, 12:, 2].exp() * math.sqrt(5)
    for index, target in enumerate(TARGETS):
        growth = target * density.mean - 0.5 * target**2 * density.variance
        expected = (growth / (0.5 * base)).clamp(-4, 4)
        torch.testing.assert_close(embedding[..., 8 + F + index], expected, atol=1e-5, rtol=1e-4)
    changed = embedding.clone()
    changed[..., 8 + F] += 1.0
    assert not torch.equal(model.market_part(changed).policy, model.market_part(embedding).policy)
    changed = embedding.clone()
    changed[..., model.embedding_dim :] += 1.0
    assert torch.equal(model.market_part(changed).policy, model.market_part(embedding).policy)


def test_the_policy_does_not_bend_what_is_foreseen_but_the_auxiliary_loss_does() -> None:
    model, x = make_shaken(), random_tensor(2, 40, F)
    embedding = model.encode_market(x)
    model.market_part(embedding).policy.square().sum().backward()
    private = {
        name: p
        for name, p in model.named_parameters()
        if name.startswith(("body", "density_head", "shape_head", "regime_head"))
    }
    assert not any(p.grad is not None and bool(p.grad.any()) for p in private.values())
    targets = targets_of(random_bars(80), 2, 40)
    regimes = targets._replace(
        regime=torch.eye(4)[0].expand(2, 40, 4), regime_known=torch.ones(2, 40, dtype=torch.bool)
    )
    model.losses(model.encode_market(x), regimes).total.backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in private.values())
    assert bool(model.trunk.embed.weight.grad.any())


@torch.no_grad()
def test_a_series_is_encoded_as_in_one_pass_and_knows_no_future() -> None:
    model, x = make_shaken(), random_tensor(70, F)
    whole = model.encode_market(x[None])[0]
    torch.testing.assert_close(encode_series(model, x, chunk=16), whole, atol=1e-4, rtol=1e-5)
    changed = x.clone()
    changed[50:] += 1.0
    torch.testing.assert_close(model.encode_market(changed[None])[0][:50], whole[:50], atol=1e-5, rtol=1e-5)
    context = model.context_bars
    bars = FlatBars(x, torch.zeros(70), torch.zeros(70), None)
    who, chunk = model.on_chunks(bars, torch.tensor([20, 40]), 10, torch.ones(2, 1, 8))
    assert who is model
    torch.testing.assert_close(chunk[1], whole[40:50], atol=1e-4, rtol=1e-5)
    outlook = model.observe(x[50 - context - 1 : 50])
    torch.testing.assert_close(outlook.embedding[0], whole[49], atol=1e-4, rtol=1e-5)
    assert torch.equal(model.observe(x[50 - context - 1 : 50]).regime_logits, outlook.regime_logits)


def test_description_and_weights_are_all_there_is() -> None:
    model = make_shaken()
    model.set_dynamics(PathDynamics(0.1, 0.9, 0.2, -0.1, 0.3))
    rebuilt = TransformerWorldModel.from_description(json.loads(json.dumps(model.describe()))).eval()
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    x = random_tensor(1, 30, F)
    assert torch.equal(rebuilt.encode_market(x), model.encode_market(x))
    assert torch.equal(rebuilt.imagine(x[0], 7, 3, generator()).low, model.imagine(x[0], 7, 3, generator()).low)
    assert rebuilt.describe() == model.describe()
    with pytest.raises(ConfigError, match="not that of a world model"):
        TransformerWorldModel.from_description(build_model(PPOModel, 0, CONFIG, **SIZES).describe())


def test_what_cannot_be_handed_over_or_built_is_refused() -> None:
    model, other = make(), make(world=replace(WORLD, horizons=[1, 3]))
    with pytest.raises(ConfigError, match="predicts something else"):
        model.start_from(other.describe(), other.state_dict(), generator())
    same = make_shaken()
    model.start_from(same.describe(), same.state_dict(), generator())
    assert all(map(torch.equal, model.state_dict().values(), same.state_dict().values()))
    with pytest.raises(ConfigError, match="scale_column must name one of 6 features, was 6"):
        make(inputs=replace(INPUTS, scale_column=6))
    with pytest.raises(ConfigError, match="do the training prices move at all"):
        make(inputs=replace(INPUTS, typical_sigma=0.0))
    with pytest.raises(ConfigError, match="targets of the action grid"):
        make(inputs=replace(INPUTS, targets=()))


@pytest.mark.parametrize(
    ("change", "says"),
    [({"horizons": []}, "at least one"), ({"horizons": [5, 1]}, "ascending"), ({"horizons": [0, 1]}, "ascending"),
     ({"degrees": 5}, "even"), ({"degrees": 2}, "even"), ({"components": 0}, "components"), ({"dropout": 1.0}, "drop")],
)  # fmt: skip
def test_impossible_settings_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        WorldConfig(**change)


@torch.no_grad()
def test_a_child_of_another_shape_acts_and_foresees_as_its_parent_did() -> None:
    parent = make_shaken()
    parent.set_dynamics(PathDynamics(0.1, 0.9, 0.2, -0.1, 0.3))
    core = replace(CONFIG.core, d_model=16, num_heads=4, ff_dim=24)
    child = make(config=replace(CONFIG, core=core, head_dim=24)).eval()
    assert inherit(parent, child, generator()).is_exact
    x, account = random_tensor(2, 30, F), random_tensor(2, 30, C, seed=2)
    ours, theirs = child.encode_market(x), parent.encode_market(x)
    torch.testing.assert_close(child.act(ours, account)[0].logits, parent.act(theirs, account)[0].logits)
    value, close = 0.02 * random_tensor(2, 30, 3, seed=4), {"atol": 1e-4, "rtol": 1e-4}
    densities = (child.prediction_of(ours), parent.prediction_of(theirs))
    torch.testing.assert_close(*(density.log_prob(value) for density in densities), **close)
    torch.testing.assert_close(*(model.observe(x).regime_logits for model in (child, parent)), **close)
    torch.testing.assert_close(*(model.imagine(x[0], 6, 4, generator()).high for model in (child, parent)), **close)


# What comes.


def targets_of(bars: BarSeries, batch: int, length: int) -> WorldTargets:
    own = world_targets(bars, WORLD.horizons)
    return own.rows(torch.arange(batch)[:, None] * 10 + torch.arange(length))


def test_targets_are_what_the_candles_did() -> None:
    bars = random_bars(40)
    regimes = np.random.default_rng(0).dirichlet(np.ones(4), 40)
    found = world_targets(bars, [1, 5, 20], regimes)
    assert found.returns[7].tolist() == pytest.approx([math.log(bars.close[7 + h] / bars.close[7]) for h in (1, 5, 20)])
    assert float(found.next_return[7]) == pytest.approx(float(found.returns[7, 0]))
    top, bottom = max(bars.open[8], bars.close[8]), min(bars.open[8], bars.close[8])
    expected = [bars.open[8] / bars.close[7], bars.high[8] / top, bottom / bars.low[8], bars.volume[8] / bars.volume[7]]
    assert found.shape[7].tolist() == pytest.approx(np.log(expected).tolist(), abs=1e-6)
    assert found.regime[7].tolist() == pytest.approx(regimes[12].tolist())
    assert found.returns_known.sum(0).tolist() == [39, 35, 20]
    assert found.shape_known.sum(0).tolist() == [39, 39, 39, 39]
    cut = found.before(30, [1, 5, 20])
    assert cut.returns_known.sum(0).tolist() == [29, 25, 10]
    assert int(cut.regime_known.sum()) == 25
    silent = BarSeries("S", "1h", bars.open_time, bars.open, bars.high, bars.low, bars.close, np.zeros(40))
    assert world_targets(silent, [1]).shape_known.sum(0).tolist() == [39, 39, 39, 0]
    assert all(bool(column.isfinite().all()) for column in world_targets(silent, [100]))


@torch.no_grad()
def test_the_loss_is_the_mean_negative_log_density_of_what_is_known() -> None:
    model, x = make_shaken(), random_tensor(1, 40, F)
    targets = WorldTargets(*(column[None] for column in world_targets(random_bars(40), WORLD.horizons)))
    losses = model.loss(x, targets)
    density = model.prediction_of(model.encode_market(x))
    for index, kept in enumerate((39, 35, 20)):
        expected = -density.log_prob(targets.returns)[0, :kept, index].mean()
        torch.testing.assert_close(losses.nll[index], expected)
    assert float(losses.regime) == 0.0
    total = losses.nll.mean() + WORLD.shape_weight * losses.shape
    torch.testing.assert_close(losses.total, total)
    late = targets._replace(returns=torch.where(targets.returns_known, targets.returns, 9.0))
    torch.testing.assert_close(model.loss(x, late).total, losses.total)


def test_imagined_candles_can_occur_and_follow_one_another() -> None:
    for seed in range(3):
        model = make_shaken() if seed else shaken(make(), size=1.5)
        paths = model.imagine(
            random_tensor(30, F, seed=seed), 25, 40, generator(seed), last_close=50.0, last_volume=7.0
        )
        assert all(part.shape == (40, 25) and bool(part.isfinite().all()) for part in paths[:5])
        assert float(paths.weight.sum()) == pytest.approx(1.0)
        assert bool((paths.volume >= 0).all())
        assert bool((paths.low > 0).all())
        for path in zip(*paths[:5], strict=True):
            BarSeries("IMAGINED", "1h", np.arange(25), *(column.numpy() for column in path))  # validates every candle
    silent = model.imagine(random_tensor(30, F), 5, 4, generator(), last_volume=0.0)
    assert float(silent.volume.abs().max()) == 0.0


@torch.no_grad()
def test_imagined_returns_have_the_densities_at_the_modelled_horizons() -> None:
    model, window = make_shaken(), random_tensor(30, F)
    model.set_dynamics(PathDynamics(-0.05, 0.9, 0.15, -0.1, 0.1))
    paths = model.imagine(window, 20, 4000, generator(), last_close=1.0)
    density = model.observe(window).density
    for index, horizon in enumerate(WORLD.horizons):
        uniform = density.horizon(index).cdf(paths.close[:, horizon - 1].log()[:, None].float())[:, 0]
        assert stats.kstest(uniform.numpy(), "uniform").statistic < 0.002  # stratified: closer than chance


def test_a_single_path_is_a_fair_draw() -> None:
    model, window = make_shaken(), random_tensor(30, F)
    ends = torch.stack([model.imagine(window, 5, 1, generator(seed)).close[0, -1] for seed in range(60)])
    uniform = model.observe(window).density.horizon(1).cdf(ends.log()[:, None].float())[:, 0]
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 0.01


def test_paths_cluster_as_the_recursion_says() -> None:
    density = make(inputs=replace(INPUTS, scale_column=None)).eval().observe(torch.zeros(20, F)).density.at(0)
    excitable = PathDynamics(-0.08, 0.95, 0.1, -0.1, 0.0)
    correlation = {}
    for name, dynamics in (("still", STILL), ("excitable", excitable)):
        drawn = draw_returns(density, [1, 5, 20], 200, 0.0, 0.02, dynamics, 200, generator())
        size = drawn.log_return.abs()
        correlation[name] = float(torch.corrcoef(torch.stack([size[:, 20:-1].flatten(), size[:, 21:].flatten()]))[0, 1])
        effect = torch.corrcoef(torch.stack([drawn.log_return[:, 20:-1].flatten(), size[:, 21:].flatten()]))[0, 1]
        correlation[f"{name} leverage"] = float(effect)
    assert abs(correlation["still"]) < 0.02
    assert correlation["excitable"] > 0.1
    assert correlation["excitable leverage"] < -0.05


def test_the_recursion_is_found_from_its_own_paths() -> None:
    true, rng = PathDynamics(-0.1, 0.9, 0.12, -0.08, 0.05), np.random.default_rng(1)
    volatility, returns = np.zeros(4000), np.zeros(4000)
    for bar in range(1, 4000):
        z = rng.standard_normal()
        returns[bar] = 0.02 * np.exp(volatility[bar - 1]) * z
        volatility[bar] = true.level + true.persistence * volatility[bar - 1] + true.size * abs(z) + true.sign * z
        volatility[bar] += true.noise * rng.standard_normal()
    assert fit_dynamics([volatility], [returns], 0.02) == pytest.approx(true, abs=0.015)
    assert fit_dynamics([np.zeros(400)], [returns[:400]], 0.02) == STILL


def test_a_fan_is_exact_at_the_horizons_and_in_order_between_them() -> None:
    model, window = make_shaken(), random_tensor(30, F)
    density, levels = model.observe(window).density.at(0), torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    fan = quantile_fan(density, WORLD.horizons, 20, levels)
    exact = density.quantile(levels)
    for index, horizon in enumerate(WORLD.horizons):
        torch.testing.assert_close(fan[horizon - 1], exact[index].double(), atol=1e-7, rtol=1e-5)
    assert bool((fan.diff(dim=1) > 0).all())
    torch.testing.assert_close(torch.from_numpy(model.fan(window, 20, levels)), fan)
    for bars in range(1, 21):
        torch.testing.assert_close(horizon_quantiles(density, WORLD.horizons, bars, levels), fan[bars - 1])


def test_what_if_by_hand() -> None:
    model, up = degenerate(0.03), math.expm1(0.03)
    found = model.what_if(torch.zeros(20, F), position=0.5, horizon=4, cost_frac=0.002)
    profit = [target * up - 0.002 * abs(target - 0.5) for target in TARGETS]
    np.testing.assert_allclose(found.quantiles[:, 2], profit, atol=1e-4)
    np.testing.assert_allclose(found.mean, profit, atol=2e-3)
    assert found.loss_probability.round(2).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.0], abs=0.12)
    assert found.best == 4
    assert found.loss_probability[2] == 1.0  # going flat costs, and earns nothing
    lines = found.to_table().splitlines()
    assert len(lines) == 2 + len(TARGETS)
    assert "+1.00" in lines[-1]


def test_what_if_turns_quantiles_for_shorts_and_knows_the_odds() -> None:
    model, window = make_shaken(), random_tensor(30, F)
    found = model.what_if(window, position=0.0, horizon=5, cost_frac=0.001)
    density = model.observe(window).density.horizon(1)
    assert (np.diff(found.quantiles[[0, 1, 3, 4]], axis=1) > 0).all()
    quantile = density.quantile(torch.tensor([0.95], dtype=torch.float64)).item()
    assert found.quantiles[0, 0] == pytest.approx(-math.expm1(quantile) - 0.001, abs=1e-5)
    odds = float(density.cdf(torch.tensor([math.log1p(0.001)])))
    assert found.loss_probability[4] == pytest.approx(odds, abs=1e-3)
    assert found.quantiles[2].tolist() == [0.0] * 5
    again = model.outlook_from_density(model.observe(window).density.at(0), position=0.0, horizon=5, cost_frac=0.001)
    assert again.to_table() == found.to_table()


# Learning.


def garch_bars(count: int, seed: int) -> BarSeries:
    rng, variance, steps = np.random.default_rng(seed), 1e-4, []
    for shock in rng.standard_normal((count, 4)):
        steps.append(0.5 * np.sqrt(variance) * shock)
        variance = 2e-6 + 0.15 * steps[-1].sum() ** 2 + 0.83 * variance
    return bars_from_steps(np.array(steps), rng.lognormal(3.0, 0.3, count))


def test_brief_training_beats_a_constant_normal_on_a_garch_market_and_repeats_to_the_bit() -> None:
    bars, split = garch_bars(3500, seed=0), 2500
    volatility = HarVolatility.fit([(bars, range(split))])
    features = torch.from_numpy(volatility.transform(bars)).float()
    targets = world_targets(bars, [1, 5])
    inputs = WorldInputs(TARGETS, 0, volatility.typical_sigma)
    settings = WorldTrainingConfig(epochs=3, patience=3)
    results = []
    for _ in range(2):
        world = replace(WORLD, horizons=[1, 5], dropout=0.1)
        model = build_model(TransformerWorldModel, 1, CONFIG, 3, C, A, world=world, inputs=inputs)
        series = WorldSeries(features[:split], targets.rows(slice(0, split)).before(split, [1, 5]))
        training = train_world_model(model, [series], settings, generator())
        assert 0 <= training.best_epoch < len(training.epochs) <= 3
        results.append(model)
    assert all(map(torch.equal, results[0].state_dict().values(), results[1].state_dict().values()))
    rest = targets.rows(slice(split, None))
    losses = evaluate_world_model(results[0], features[split:], rest)
    for index, horizon in enumerate((1, 5)):
        past = np.log(bars.close[horizon:split] / bars.close[: split - horizon])
        ahead = rest.returns[rest.returns_known[:, index], index].numpy()
        constant = -stats.norm.logpdf(ahead, past.mean(), past.std()).mean()
        assert float(losses.nll[index]) < constant - 0.03
    assert not results[0].training


def test_training_bars_never_meet_the_bars_held_back() -> None:
    # Whatever happens in the last bars of a series, the weights are those of the same epochs.
    bars, found = random_bars(400), []
    for shift in (0.0, 5.0):
        features = random_tensor(400, F)
        features[340:] += shift
        targets = world_targets(bars, WORLD.horizons)
        changed = targets.returns.clone()
        changed[340:] += shift
        model = make()
        settings = WorldTrainingConfig(epochs=1, validation_frac=0.15, chunk_bars=32)
        train_world_model(model, [WorldSeries(features, targets._replace(returns=changed))], settings, generator())
        found.append(model.state_dict())
    assert all(map(torch.equal, found[0].values(), found[1].values()))


# What may go wrong.


def test_a_window_shorter_than_the_receptive_field_sees_a_shorter_past() -> None:
    model = make_shaken()
    for length in (1, 3):
        window = random_tensor(length, F)
        assert bool(model.observe(window).embedding.isfinite().all())
        assert bool(model.imagine(window, 3, 2, generator()).close.isfinite().all())


def test_what_is_not_finite_is_refused_in_a_sentence() -> None:
    model, window = make_shaken(), random_tensor(20, F)
    window[4, 1] = torch.nan
    targets = WorldTargets(*(column[None] for column in world_targets(random_bars(20), WORLD.horizons)))
    for call in (
        lambda: model.observe(window),
        lambda: model.imagine(window, 3, 2, generator()),
        lambda: model.what_if(window, 0.0, 5),
        lambda: model.loss(window[None], targets),
    ):
        with pytest.raises(DataError, match=r"got 20 bars with 1 values that are not finite"):
            call()
    with pytest.raises(DataError, match="got 0 bars"):
        model.observe(window[:0])
    with pytest.raises(ConfigError, match="over 1 to 20 bars and 21 were asked for"):
        model.what_if(random_tensor(20, F), 0.0, 21)


def test_too_few_bars_to_train_on_are_refused_in_a_sentence() -> None:
    targets = world_targets(random_bars(50), WORLD.horizons)
    with pytest.raises(DataError, match="the longest series has"):
        train_world_model(make(), [WorldSeries(random_tensor(50, F), targets)], WorldTrainingConfig(), generator())


def test_a_constant_price_is_foreseen_without_a_fault() -> None:
    still = bars_from_steps(np.zeros((60, 1)), np.zeros(60))
    model, x = make_shaken(), torch.zeros(1, 60, F)
    targets = WorldTargets(*(column[None] for column in world_targets(still, WORLD.horizons)))
    losses = model.loss(x, targets)
    assert all(bool(part.isfinite().all()) for part in losses)
