"""The tables of a population run: genomes, the champion's figures, architectures, adaptations, and every trial."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.html.layout import facts_table, note, table_card, table_head, table_row
from src.reporting.population.family_tree import changes_from_parent
from src.reporting.population.record import PopulationRecord, Trial
from src.reporting.provenance import (
    architecture_label,
    fitness_rows,
    gene_text,
    promotion_rows,
)

SHOWN = 8  # fittest members side by side
_MOST_ARCHITECTURES = 12

_TRIAL_HEADINGS = ("", "parent", "no.", "fitness", "folds", "training", "drawdown", "env steps", "seconds", "")


def genomes_card(run: PopulationRecord) -> str:
    """Return the genomes of the fittest, a column each; what changed against the parent is marked."""
    shown = run.fittest(SHOWN)
    head = table_head(["", *(trial.name for trial in shown)])
    about = [
        table_row("fitness", [number(trial.total, 3) for trial in shown]),
        table_row("generation", [str(trial.generation) for trial in shown]),
        table_row("parent", [trial.parent or UNDEFINED for trial in shown]),
        table_row("architecture no.", [str(run.architectures[trial.architecture]) for trial in shown]),
    ]
    names = list(dict.fromkeys(name for trial in run.trained for name in trial.genome))
    differing = [name for name in names if len({trial.genome.get(name) for trial in run.trained}) > 1]
    genes = [_gene_row(run, name, shown) for name in differing]
    same = [f"{name} {gene_text(shown[0].genome[name])}" for name in names if name not in differing]
    remark = "Shaded: changed against the parent, whose value follows the arrow."
    remark += f" The same in all living members: {', '.join(same)}." if same else ""
    title = f"Genomes of the {len(shown)} fittest"
    return table_card("genomes", title, f"{head}<tbody>{''.join([*about, *genes])}</tbody>", note(remark))


def champion_card(run: PopulationRecord) -> str:
    """Return the champion's fitness by parts, and its performance on each fold."""
    champion = run.champion_trial
    if champion is None or "total" not in champion.fitness:
        return ""
    parts = facts_table(dict(fitness_rows(champion.fitness)))
    headings = ("", "Sharpe ratio", "return", "drawdown", "turnover a bar")
    stretches: list[tuple[str, Mapping[str, Any]]] = [
        *((f"fold {place}", fold) for place, fold in enumerate(champion.folds, start=1)),
        *([("training", champion.training)] if champion.training else []),
    ]
    rows = "".join(table_row(name, _performance_cells(measured)) for name, measured in stretches)
    table = f'<table class="summary">{table_head(headings)}<tbody>{rows}</tbody></table>'
    changes = note(f"It began unlike its parent: {'; '.join(champion.changes)}.") if champion.changes else ""
    return (
        f'<section id="champion"><h2>{escape(champion.name)}: what its fitness is made of</h2>{parts}'
        f'<div class="scroll">{table}</div>{changes}</section>\n'
    )


def architectures_card(run: PopulationRecord) -> str:
    """Return the architectures with the fittest members."""
    groups: dict[str, list[Trial]] = {}
    for trial in run.trained:
        groups.setdefault(trial.architecture, []).append(trial)
    best = {name: max(trial.total for trial in trials) for name, trials in groups.items()}
    ranked = sorted(groups, key=lambda name: -best[name])
    in_last_generation = run.count_architectures(run.generations_done - 1)
    rows = "".join(
        table_row(
            f"no. {run.architectures[name]}",
            (
                architecture_label(groups[name][0].genome),
                name,
                str(len(groups[name])),
                number(best[name], 3),
                str(in_last_generation[name]),
            ),
        )
        for name in ranked[:_MOST_ARCHITECTURES]
    )
    rest = len(ranked) - _MOST_ARCHITECTURES
    headings = ("", "architecture", "id", "members", "best fitness", f"in generation {run.generations_done - 1}")
    remark = note(f"{rest} more, less fit.") if rest > 0 else ""
    title = "Architectures by their fittest member"
    return table_card("architectures", title, f"{table_head(headings)}<tbody>{rows}</tbody>", remark)


def promotion_card(promotion: Mapping[str, Any] | None) -> str:
    """Return the figures behind the verdict; nothing before there is one."""
    if promotion is None:
        return ""
    table = facts_table(dict(promotion_rows(promotion)))
    return f'<section id="promotion" class="wide"><h2>Figures behind the verdict</h2>{table}</section>\n'


def trials_card(run: PopulationRecord) -> str:
    """Return every trial ever made, folded away."""
    rows = "".join(table_row(trial.name, _trial_cells(run, trial)) for trial in run.trials)
    table = f'<table class="summary sortable">{table_head(_TRIAL_HEADINGS)}<tbody>{rows}</tbody></table>'
    title = f"All {len(run.trials)} members; the verdict counts {run.num_evaluations} trials"
    remark = note(
        "folds, training: Sharpe ratio, the mean over folds and on training rows. Changes that were judged and rolled "
        "back count as trials too. A click on a heading sorts."
    )
    return (
        f'<section id="trials" class="wide"><h2>{escape(title)}</h2><details><summary>Show them in the order of birth'
        f'</summary><div class="scroll">{table}</div>{remark}</details></section>\n'
    )


def _gene_row(run: PopulationRecord, name: str, shown: Sequence[Trial]) -> str:
    cells = "".join(_gene_cell(run, name, trial) for trial in shown)
    return f'<tr><th scope="row" class="named">{escape(name)}</th>{cells}</tr>'


def _gene_cell(run: PopulationRecord, name: str, trial: Trial) -> str:
    if name not in trial.genome:
        return f"<td>{UNDEFINED}</td>"
    value = trial.genome[name]
    parent = run.by_name.get(trial.parent or "")
    if parent is None or parent.genome.get(name, value) == value:
        return f"<td>{escape(gene_text(value))}</td>"
    return f'<td class="changed">{escape(gene_text(value))} ← {escape(gene_text(parent.genome[name]))}</td>'


def _performance_cells(measured: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        number(measured.get("sharpe")),
        percent(measured.get("total_return"), sign=True),
        percent(measured.get("max_drawdown")),
        number(measured.get("turnover_per_bar"), 3),
    )


def _trial_cells(run: PopulationRecord, trial: Trial) -> tuple[str, ...]:
    judged = bool(trial.folds) and not trial.failure
    deepest = [fold["max_drawdown"] for fold in trial.folds if fold.get("max_drawdown") is not None]
    return (
        trial.parent or UNDEFINED,
        str(run.architectures[trial.architecture]),
        UNDEFINED if trial in run.failed else number(trial.total, 3),
        number(trial.out_of_sample) if judged else UNDEFINED,
        number(trial.in_sample) if judged else UNDEFINED,
        percent(float(np.max(deepest))) if judged and deepest else UNDEFINED,
        f"{trial.env_steps:,}",
        number(trial.seconds, 0),
        f"failed: {trial.failure}" if trial.failure else changes_from_parent(run, trial),
    )
