"""How well is the next return's distribution foreseen?

S&P 500 and Nasdaq, daily; everything is fitted on bars to the end of 2010 and frozen, the bars of 2011 to 2018 are
judged: mean negative log-likelihood of the next log-return (nats per bar, less is better), Kolmogorov-Smirnov distance
of the probability integral transform from uniform, and how many returns fall into central bands of 50, 80 and 95 %.
Ours is a volatility filter for each index and, on top of it, members trained on both indices together, whose densities
are averaged. Last, what sampled paths have in common with the returns they imitate.
"""

from argparse import ArgumentParser
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from benchmarks.common import command_line, run_benchmark, timed
from benchmarks.perception.world_model_trainer import WorldTrainingConfig, train_world_model
from src.config.agent.world import WorldConfig
from src.config.data import DataConfig
from src.config.model import CoreTransformerConfig, ModelConfig
from src.market.bars import BarSeries, FloatArray
from src.market.sources import load_bars
from src.models.ppo_model import build_model
from src.models.world.density_head import MixtureDensity
from src.models.world.inputs import WorldInputs
from src.models.world.scenarios import PathDynamics, draw_returns, fit_dynamics
from src.models.world.targets import WorldTargets, world_targets
from src.models.world_model import TransformerWorldModel
from src.reasoning.har_volatility import HarVolatility
from src.seeding import integer_seed
from src.training.pretraining.series_chunks import WorldSeries

TAKES = "20 s a seed"

GATE = {"SP500": -3.447, "NASDAQ": -3.248}
BAR = {"SP500": -3.475, "NASDAQ": -3.283}
MOONSHOT = {"SP500": -3.482, "NASDAQ": -3.286}
MOONSHOT_KS = 0.040
BANDS = (0.5, 0.8, 0.95)
PERCENT = 100.0  # `arch` wants per cent

CONFIG = ModelConfig(
    core=CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=16, dropout=0.1)
)
WORLD = WorldConfig(hidden_dim=16, dropout=0.2, imagination=False)
TRAINING = WorldTrainingConfig(epochs=40, patience=10, lr=0.002, weight_decay=0.3)


class Series(NamedTuple):
    """One index: bars, the first judged row of `returns`, and what the filter makes of it."""

    bars: BarSeries
    split: int  # bars before 2011
    volatility: HarVolatility
    features: torch.Tensor  # (T, F)
    targets: WorldTargets  # of returns over the typical sigma, so that one network serves both


class Score(NamedTuple):
    """On the judged bars."""

    nll: float
    ks: float
    bands: tuple[float, ...]


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2))
    parser.add_argument("--members", type=int, default=5)
    return parser


def main(seeds: list[int], members: int) -> None:
    """Print a table per index, worst seed included, and the stylised facts."""
    indices = {name: load(name) for name in ("SP500", "NASDAQ")}
    tables = {name: baselines(own) for name, own in indices.items()}
    ours: dict[str, list[Score]] = {name: [] for name in indices}
    trained: list[TransformerWorldModel] = []
    for seed in seeds:
        trained, taken = timed(partial(train_members, list(indices.values()), seed, members))
        for name, own in indices.items():
            ours[name].append(judge_ours(trained, own))
            print(f"seed {seed} {name}: {shown(ours[name][-1])}", flush=True)
        print(f"seed {seed}: {taken.processor:.0f} cpu s", flush=True)
    for name, own in indices.items():
        print(f"\n{name}: {own.split} bars to fit on, {len(own.bars) - own.split} judged")
        for model, score in tables[name].items():
            print(f"  {model:34s}{shown(score)}")
        worst = Score(max(s.nll for s in ours[name]), max(s.ks for s in ours[name]), ours[name][-1].bands)
        print(f"  {'ours, worst of ' + str(len(seeds)) + ' seeds':34s}{shown(worst)}")
        print(f"  gate {GATE[name]}  bar {BAR[name]}  moonshot {MOONSHOT[name]} with KS <= {MOONSHOT_KS}")
    for name, own in indices.items():
        print(f"\n{name}: stylised facts of daily returns")
        print_facts(trained[0], own)


def load(name: str) -> Series:
    """Load an index and fit its filter."""
    bars = load_bars(name, DataConfig())
    years = bars.open_time.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970
    split = int((years < 2011).sum())
    volatility = HarVolatility.fit([(bars, range(split))])
    features = torch.from_numpy(volatility.transform(bars)).float()
    targets, typical = world_targets(bars, WORLD.horizons), volatility.typical_sigma
    prices, volume = targets.shape.split([3, 1], -1)
    standard = targets._replace(
        returns=targets.returns / typical,
        next_return=targets.next_return / typical,
        shape=torch.cat([prices / typical, volume], -1),
    )
    return Series(bars, split, volatility, features, standard)


def train_members(indices: list[Series], seed: int, members: int) -> list[TransformerWorldModel]:
    """Train so many of them, one after the other."""
    return [train(indices, seed, member) for member in range(members)]


def train(indices: list[Series], seed: int, member: int) -> TransformerWorldModel:
    """Train one member on the bars of both indices before the split."""
    inputs = WorldInputs((-1.0, 0.0, 1.0), scale_column=0, typical_sigma=1.0)
    weights = integer_seed(seed, "world_model", "weights", member)
    sizes = (indices[0].features.shape[1], 1, 3)
    model = build_model(TransformerWorldModel, weights, CONFIG, *sizes, world=WORLD, inputs=inputs)
    series = [
        WorldSeries(own.features[: own.split], own.targets.rows(slice(own.split)).before(own.split, WORLD.horizons))
        for own in indices
    ]
    source = torch.Generator().manual_seed(integer_seed(seed, "world_model", "training", member))
    train_world_model(model, series, TRAINING, source)
    return model


@torch.no_grad()
def foreseen(members: list[TransformerWorldModel], own: Series) -> MixtureDensity:
    """Return the averaged densities (T, H) of returns over the typical sigma."""
    return MixtureDensity.blend([model.prediction_of(model.encode_market(own.features[None])[0]) for model in members])


def judge_ours(members: list[TransformerWorldModel], own: Series) -> Score:
    """Judge the densities of the next bar."""
    density = foreseen(members, own).at(slice(own.split - 1, len(own.bars) - 1)).horizon(0)
    value = own.targets.returns[own.split - 1 : -1, 0]
    log_prob = density.log_prob(value).double().numpy() - np.log(own.volatility.typical_sigma)
    return score(log_prob, density.cdf(value).double().numpy())


def baselines(own: Series) -> dict[str, Score]:
    """Judge constant laws, GARCH(1,1)-t and EGARCH(1,1,1)-skew-t, and a skew-t on the filter alone."""
    returns = PERCENT * own.bars.log_returns[1:]
    split = own.split - 1
    past, ahead = returns[:split], returns[split:]
    normal = stats.norm(past.mean(), past.std())
    student = stats.t(*stats.t.fit(past))
    table = {
        "constant normal": score(normal.logpdf(ahead) + np.log(PERCENT), normal.cdf(ahead)),
        "constant Student-t": score(student.logpdf(ahead) + np.log(PERCENT), student.cdf(ahead)),
    }
    kinds: dict[str, dict[str, object]] = {
        "GARCH(1,1)-t": {"vol": "GARCH", "p": 1, "q": 1, "dist": "t"},
        "EGARCH(1,1,1)-skew-t": {"vol": "EGARCH", "p": 1, "o": 1, "q": 1, "dist": "skewt"},
    }
    for name, kind in kinds.items():
        table[name] = judge_arch(returns, split, kind)
    sigma = PERCENT * own.volatility.sigma(own.bars)[:-1]
    table["our filter, constant skew-t"] = judge_filter(returns, sigma, split)
    return table


def judge_arch(returns: FloatArray, split: int, kind: dict[str, object]) -> Score:
    """Fit on the past, filter what comes with the parameters frozen."""
    from arch import arch_model

    fitted = arch_model(returns[:split], mean="Constant", rescale=False, **kind).fit(disp="off", show_warning=False)
    whole = arch_model(returns, mean="Constant", rescale=False, **kind)
    fixed = whole.fix(fitted.params)
    shape = fitted.params.to_numpy()[-whole.distribution.num_params :]
    residual, sigma = np.asarray(fixed.resid)[split:], np.asarray(fixed.conditional_volatility)[split:]
    log_prob = whole.distribution.loglikelihood(shape, residual, sigma**2, individual=True)
    return score(log_prob + np.log(PERCENT), whole.distribution.cdf(residual / sigma, shape))


def judge_filter(returns: FloatArray, sigma: FloatArray, split: int) -> Score:
    """Fit Hansen's skew-t to the past's returns over our sigma."""
    from arch.univariate import ConstantVariance, SkewStudent, ZeroMean

    past = returns[:split] / sigma[:split]
    model = ZeroMean(past, volatility=ConstantVariance(), distribution=SkewStudent(), rescale=False)
    parameters = model.fit(disp="off").params.to_numpy()
    law, unit, shape = SkewStudent(), np.sqrt(parameters[0]), parameters[1:]
    ahead = sigma[split:] * unit
    log_prob = law.loglikelihood(shape, returns[split:], ahead**2, individual=True)
    return score(log_prob + np.log(PERCENT), law.cdf(returns[split:] / ahead, shape))


def score(log_prob: FloatArray, uniform: FloatArray) -> Score:
    """Score log densities of log-returns and probability integral transforms."""
    inside = tuple(float((np.abs(uniform - 0.5) <= band / 2).mean()) for band in BANDS)
    return Score(float(-log_prob.mean()), float(stats.kstest(uniform, "uniform").statistic), inside)


def shown(result: Score) -> str:
    """Write a score on one line."""
    bands = "  ".join(
        f"{100 * band:.0f} %: {100 * inside:.1f}" for band, inside in zip(BANDS, result.bands, strict=True)
    )
    return f"NLL {result.nll:.4f}  PIT KS {result.ks:.4f}  {bands}"


def print_facts(model: TransformerWorldModel, own: Series, paths: int = 40) -> None:
    """Compare returns of the fitting years, and of the judged, with 40 paths of 3,000 bars drawn at the split."""
    table = own.features[: own.split].double().numpy()
    standard = own.bars.log_returns[: own.split] / own.volatility.typical_sigma
    dynamics = fit_dynamics([table[:, 0]], [standard], 1.0)
    model.set_dynamics(dynamics)
    outlook = model.observe(own.features[: own.split])
    drawn = draw_returns(
        outlook.density.at(0),
        WORLD.horizons,
        3000,
        float(outlook.log_base[0]),
        1.0,
        PathDynamics(*model.path_dynamics.tolist()),
        paths,
        torch.Generator().manual_seed(0),
    ).log_return.numpy()
    rows = {
        "to 2010": facts(standard[1:]),
        "2011 to 2018": facts(own.bars.log_returns[own.split :]),
        "sampled (median of paths)": np.median([facts(path) for path in drawn], axis=0),
    }
    for name, (kurtosis, near, far, leverage) in rows.items():
        print(f"  {name:28s}kurtosis {kurtosis:5.1f}  |r| lag 1 {near:.2f}, lag 20 {far:.2f}  leverage {leverage:+.2f}")


def facts(returns: FloatArray) -> tuple[float, float, float, float]:
    """Return kurtosis, autocorrelation of sizes at lags 1 and 20, correlation of a return with the next five sizes."""
    size = np.abs(returns)
    near, far = (float(np.corrcoef(size[:-lag], size[lag:])[0, 1]) for lag in (1, 20))
    following = np.convolve(size, np.ones(5) / 5, "valid")[1:]
    leverage = float(np.corrcoef(returns[: len(following)], following)[0, 1])
    return float(stats.kurtosis(returns, fisher=False)), near, far, leverage


if __name__ == "__main__":
    run_benchmark(parser(), main)
