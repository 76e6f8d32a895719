"""The page of a population run: how far it is, what it bred, what became of it. One file, as the pages of reports."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from src.reporting.formats import UNDEFINED, number
from src.reporting.html.layout import document, figure_card, note, tile_row, verdict_box
from src.reporting.html.provenance_card import adaptations_card, promotion_box
from src.reporting.population.family_tree import family_plot, lineage_card
from src.reporting.population.plots import diversity_plot, drift_plot, fitness_plot, overfitting_plot
from src.reporting.population.record import PopulationRecord
from src.reporting.population.tables import (
    architectures_card,
    champion_card,
    genomes_card,
    promotion_card,
    trials_card,
)
from src.storage import write_atomic

_TREE_KEY = (
    "Green is fitter than the median of all members and red less fit, the stronger the further. The number is the "
    "architecture's. The thick line leads to the champion. Point at a member to read its figures."
)
_UNJUDGED = "There are too few bars to judge it."


def write_population_page(run: Mapping[str, Any], path: Path) -> Path:
    """Write the page of a run (the content of its `population.json`) atomically; returns its path."""
    return write_atomic(path, population_page(run).encode())


def population_page(run: Mapping[str, Any]) -> str:
    """Return the whole page."""
    found = PopulationRecord.from_plain(run)
    title = f"Breeding an agent for {found.symbol}"
    header = f"<h1>{escape(title)}</h1>\n{_about(found)}\n{_verdict(found)}\n{_tiles(found)}"
    cards = [figure_card(fitness_plot(found)), *(_cards_of_trained(found) if found.trained else []), trials_card(found)]
    return document(title, header, "".join(cards))


def _cards_of_trained(run: PopulationRecord) -> list[str]:
    return [
        figure_card(overfitting_plot(run)),
        figure_card(family_plot(run), wide=True, below=note(_TREE_KEY)),
        lineage_card(run) if run.lineage else "",
        figure_card(diversity_plot(run)),
        champion_card(run),
        architectures_card(run),
        figure_card(drift_plot(run), wide=True),
        genomes_card(run),
        adaptations_card(run.adaptations),
        promotion_card(run.promotion),
    ]


def _about(run: PopulationRecord) -> str:
    minutes = sum(trial.seconds for trial in run.trials) / 60.0
    steps = sum(trial.env_steps for trial in run.trials)
    progress = f"{run.generations_done} of {run.generations} generations"
    about = f"{progress} · {steps:,} environment steps · {number(minutes, 1)} minutes of work"
    return f'<p class="about">{escape(about)}</p>'


def _verdict(run: PopulationRecord) -> str:
    if run.verdict is None:
        best = f"; the fittest so far is {run.champion}" if run.champion else "; no member lives yet"
        return verdict_box(f"Still running, generation {run.generations_done} of {run.generations}{best}")
    name = run.champion or "the champion"
    reasons = (_UNJUDGED,) if run.promotion is None else tuple(map(str, run.promotion["reasons"]))
    return promotion_box(f"{name}: {run.verdict}", run.verdict, reasons)


def _tiles(run: PopulationRecord) -> str:
    champion = run.champion_trial
    is_judged = champion is not None and "total" in champion.fitness
    fit = number(champion.total, 3) if champion is not None and is_judged else UNDEFINED
    ratio = number(champion.out_of_sample) if champion is not None and is_judged else UNDEFINED
    inside = number(champion.in_sample) if champion is not None and is_judged else UNDEFINED
    in_last_generation = len(run.count_architectures(run.generations_done - 1))
    tiles = [
        ("Champion's fitness", fit, run.champion or "none yet"),
        ("Its Sharpe ratio on folds", ratio, f"on training rows {inside}"),
        (
            "Trials counted",
            f"{run.num_evaluations:,}",
            f"{len(run.trials):,} members, of which {len(run.failed)} failed",
        ),
        ("Architectures tried", f"{len(run.architectures):,}", f"{in_last_generation} in the last generation"),
    ]
    return tile_row(tiles)
