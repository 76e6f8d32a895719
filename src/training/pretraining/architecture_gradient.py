"""Which values of an encoder's genes a supernet prefers: the derivative of a loss in the architecture.

The supernet predicts returns, as every member of a population does beside deciding. For each chunk of bars an
architecture is drawn from the distribution that its logits describe, relaxed so that the draw has a derivative
(Gumbel-softmax: Jang, Gu and Poole 2017, arXiv 1611.01144; of architectures: Xie, Zheng, Liu and Lin 2019, SNAS, arXiv
1812.09926):

    weights of a gene = softmax((logits + Gumbel noise) / temperature)

with a temperature that falls, so that draws become nearly those of one encoder. Two losses are brought down in turn:

    weights of the network   on the earlier training rows
    logits                   on the later ones, at the weights as they are

that is bilevel to first order, as in DARTS (Liu, Simonyan and Yang 2019, arXiv 1806.09055), where SNAS learns both from
the same rows. Logits wait until the weights have learned something, and move by Adam, whose steps measure how
consistently a value helped rather than how much: logits can reach `logit_lr` times their steps and no more.

It judges by prediction, which is cheap, not by trading, which is what counts, and only genes that do not change the
width. So a search by fitness begins with what it finds.
"""

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from src.config.stages.supernet import SupernetConfig
from src.errors import DataError
from src.models.world_model import TransformerWorldModel
from src.nas.agent_space import architecture_of
from src.nas.genes import Choice
from src.nas.search_controller import Preferences
from src.nas.search_space import Genome, SearchSpace
from src.seeding import integer_seed, seeded_torch
from src.training.population.member import mind_of, model_of
from src.training.population.shared_market import SharedMarket, mind_features
from src.training.population.world_targets_file import flat_targets
from src.training.pretraining.series_chunks import WorldChunks, WorldSeries, WorldSplit, split_series
from src.training.pretraining.supernet import RELAXED, Options, SuperTrunk

logger = logging.getLogger(__name__)

_WARMUP_FRAC = 0.25  # of the steps, in which logits wait
_TEMPERATURES = (1.0, 0.2)  # at first and at last
_BETAS = (0.5, 0.999)  # of the logits' Adam, as in DARTS
_WEIGHT_DECAY, _GRAD_CLIP = 0.1, 1.0  # of the weights, as where a world model is trained by itself


def supernet_preferences(shared: SharedMarket, space: SearchSpace, start: Genome, seed: int) -> Preferences:
    """Train a supernet as wide as the configured agent and return its logits, by gene, each with mean 0.

    On the CPU it is a function of the training rows, the settings and the seed.

    Args:
        start: genome of the configured agent; what the supernet does not mix is as there.
        seed: of the stage.

    Raises:
        DataError: too few training rows, or a loss that is no number.
    """
    options = _options(space)
    model = model_of(start, shared, integer_seed(seed, "supernet", "heads"))
    with seeded_torch(integer_seed(seed, "supernet", "trunk")):
        trunk = SuperTrunk(architecture_of(start, shared.config.model.core).core, options, model.num_features)
    model.add_module("trunk", trunk)  # in the plain encoder's place
    settings, horizons, context = shared.stage.supernet, model.world.horizons, trunk.receptive_field - 1
    series = _series(shared, start, horizons, context)
    splits = [split_series(own, settings.later_frac, context, horizons) for own in series]
    rng = torch.Generator().manual_seed(integer_seed(seed, "supernet", "draws"))
    logits = fit_logits(model, trunk, splits, settings, rng)
    found = {name: (own - own.mean()).tolist() for name, own in logits.items() if len(own) > 1}
    for name, own in logits.items():
        shares = zip(options[name], own.softmax(-1).tolist(), strict=True)
        logger.info("supernet: %s %s", name, ", ".join(f"{value} {share:.2f}" for value, share in shares))
    return found


def fit_logits(
    model: TransformerWorldModel,
    trunk: SuperTrunk,
    splits: Sequence[WorldSplit],
    settings: SupernetConfig,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Train weights and logits in turn and return the logits, (K,) by gene of K values.

    Args:
        model: whose trunk is `trunk`; trained in place.
        splits: weights learn from the earlier rows, logits from the later ones.
        generator: decides chunks, architectures and dropout.
    """
    context = trunk.receptive_field - 1
    earlier = WorldChunks([split.earlier for split in splits], context, settings.chunk_bars)
    later = WorldChunks([split.later for split in splits], context, settings.chunk_bars)
    logits = {name: torch.zeros(len(weights), requires_grad=True) for name, weights in trunk.weights.items()}
    of_weights = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=_WEIGHT_DECAY)
    of_logits = torch.optim.Adam(logits.values(), lr=settings.logit_lr, betas=_BETAS)
    with seeded_torch(int(torch.randint(2**62, (1,), generator=generator))):  # for dropout
        for step in range(settings.steps):
            temperature = _temperature(step / settings.steps)
            with torch.no_grad():
                trunk.weights = relaxed_sample(logits, temperature, settings.batch, generator)
            loss = _loss(model.train(), earlier, settings.batch, generator)
            _descend(of_weights, loss, list(model.parameters()))
            if step < _WARMUP_FRAC * settings.steps:
                continue
            trunk.weights = relaxed_sample(logits, temperature, settings.batch, generator)
            loss = _loss(model.eval(), later, settings.batch, generator)
            _descend(of_logits, loss, list(logits.values()))
    return {name: own.detach() for name, own in logits.items()}


def relaxed_sample(
    logits: Mapping[str, Tensor], temperature: float, count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw weights (count, K) of every gene, with their derivative in its logits (K,)."""

    def drawn(own: Tensor) -> Tensor:
        noise = -torch.empty(count, len(own)).exponential_(generator=generator).log()
        return ((own + noise) / temperature).softmax(-1)

    return {name: drawn(own) for name, own in logits.items()}


def _temperature(done: float) -> float:
    first, last = _TEMPERATURES
    return first + (last - first) * done


def _loss(model: TransformerWorldModel, chunks: WorldChunks, batch: int, generator: torch.Generator) -> Tensor:
    loss = model.loss(*chunks.draw(batch, generator), chunks.context).total
    if not bool(loss.isfinite()):
        raise DataError("a supernet's loss is no number; lower supernet.lr, or set supernet.steps=0")
    return loss


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: list[Tensor]) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss, inputs=parameters)
    torch.nn.utils.clip_grad_norm_(parameters, _GRAD_CLIP)
    optimizer.step()


def _options(space: SearchSpace) -> Options:
    genes = {name: space.genes[name] for name in RELAXED}
    return {name: gene.values for name, gene in genes.items() if isinstance(gene, Choice)}


def _series(shared: SharedMarket, start: Genome, horizons: Sequence[int], context: int) -> list[WorldSeries]:
    # The rows that members learn from, seen as the configured agent sees them.
    mind, found = mind_of(start, shared), []
    for series in shared.learned:
        rows = slice(series.rows.start - context, series.rows.stop)
        features = torch.from_numpy(mind_features(series, mind)[rows])
        found.append(WorldSeries(features, flat_targets([series], shared.mind, horizons, context)))
    return found
