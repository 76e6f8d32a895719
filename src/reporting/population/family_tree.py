"""Who descends from whom: a plot of all trials with the champion's line, and that line as a table."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import rankdata

from src.reporting.formats import UNDEFINED, number
from src.reporting.html.canvas import (
    CARD,
    GAIN,
    INK,
    LOSS,
    MUTED,
    SIZE,
    STYLE,
    Plot,
    add_tooltips,
    new_figure,
    to_svg,
)
from src.reporting.html.layout import note, table_card, table_head, table_row
from src.reporting.population.record import PopulationRecord, Trial
from src.reporting.provenance import architecture_label, changed_genes, gene_text

_NUMBERED = 12  # members a generation up to which every mark bears the number of its architecture
_BESIDE = 0.4  # of the way to the next generation
_MOST_CHANGES = 6  # genes spelt out in a row

Position = tuple[float, float]


def family_plot(run: PopulationRecord) -> Plot:
    """Draw the trained members by generation, with lines to their parents: colour for fitness, number for architecture.

    There must be some.
    """
    with mpl.rc_context(STYLE):
        widest = max(len(run.generation(g)) for g in range(run.generations_done))
        figure, axes = new_figure((2 * SIZE[0], min(5.2, max(2.2, 0.7 + 0.33 * widest))))
        positions = tree_positions(run)
        _draw_lineage(axes, run, positions)
        _draw_members(axes, run, positions, crowded=widest > _NUMBERED)
        axes.set(
            xlabel="generation",
            yticks=[],
            xlim=(min(x for x, _ in positions.values()) - 0.5, run.generations_done - 0.5),
        )
        axes.set_xticks(range(0, run.generations_done, -(-run.generations_done // 25)))
        axes.margins(y=0.12)
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        names = [_tooltip(run, trial) for trial in run.trained]
        title = f"Family tree of {len(run.trained)} members; a line of {len(run.lineage)} leads to the champion"
        return Plot("family", title, add_tooltips(to_svg(figure), "family-marks", names))


def lineage_card(run: PopulationRecord) -> str:
    """Return the champion's line as a table, oldest first."""
    rows = "".join(table_row(name, _descent(run, name)) for name in run.lineage)
    headings = ("", "generation", "fitness", "architecture", "no.", "unlike its parent")
    remark = note(
        "2×32 w64 m256 +regime reads: 2 layers of width 32, a window of 64 bars, a memory of 256 events, the regime "
        "module on. Weights of the parent are inherited wherever shapes allow."
    )
    title = "The champion's line, oldest first"
    return table_card("lineage", title, f"{table_head(headings)}<tbody>{rows}</tbody>", remark)


def tree_positions(run: PopulationRecord) -> dict[str, Position]:
    """Return where each trained trial and each ancestor from outside is drawn: generation, and height from 0 to 1.

    Siblings stay together: a generation is ordered by the height of parents, then by fitness. A changed champion is
    drawn beside the member it was.
    """
    outside = dict.fromkeys(t.parent for t in run.trained if t.parent is not None and t.parent not in run.by_name)
    positions: dict[str, Position] = {name: (-1.0, (place + 0.5) / len(outside)) for place, name in enumerate(outside)}
    for generation in range(run.generations_done):
        kin = {trial.name for trial in run.generation(generation)}
        members = [trial for trial in run.generation(generation) if trial.parent not in kin]

        def order(trial: Trial) -> tuple[float, float]:
            return positions.get(trial.parent or "", (0.0, 0.5))[1], trial.total

        for place, trial in enumerate(sorted(members, key=order)):
            positions[trial.name] = (float(generation), (place + 0.5) / len(members))
        for trial in run.generation(generation):
            if trial.parent is not None and trial.parent in kin:
                x, y = positions.get(trial.parent, (float(generation), 0.5))
                positions[trial.name] = (x + _BESIDE, y)
    return positions


def _draw_lineage(axes: Axes, run: PopulationRecord, positions: Mapping[str, Position]) -> None:
    line = set(run.lineage)
    for trial in run.trained:
        if trial.parent is None or trial.parent not in positions:
            continue
        (x0, y0), (x1, y1) = positions[trial.parent], positions[trial.name]
        is_line = trial.name in line
        bend = np.linspace(0.0, 1.0, 24)
        ease = bend**2 * (3.0 - 2.0 * bend)
        axes.plot(
            x0 + (x1 - x0) * bend,
            y0 + (y1 - y0) * ease,
            color=INK if is_line else MUTED,
            alpha=1.0 if is_line else 0.35,
            linewidth=2.2 if is_line else 0.8,
            zorder=2 if is_line else 1,
        )


def _draw_members(axes: Axes, run: PopulationRecord, positions: Mapping[str, Position], crowded: bool) -> None:
    line = set(run.lineage)
    x, y = np.array([positions[trial.name] for trial in run.trained]).T
    rank = rankdata([trial.total for trial in run.trained]) / len(run.trained)
    colours = [GAIN if share > 0.5 else LOSS for share in rank]
    alphas = 0.2 + 0.8 * np.abs(2.0 * rank - 1.0)
    sizes = np.array([130.0 if trial.name in line or not crowded else 36.0 for trial in run.trained])
    edges = [INK if trial.name in line else "none" for trial in run.trained]
    axes.scatter(x, y, s=sizes, color=CARD, linewidths=0, zorder=3)  # lines end at the rim
    axes.scatter(x, y, s=sizes, color=colours, alpha=alphas, linewidths=0, zorder=4)
    axes.scatter(x, y, s=sizes, facecolors="none", edgecolors=edges, linewidths=1.6, zorder=5, gid="family-marks")
    for trial in run.trained:
        if trial.name in line or not crowded:
            label = str(run.architectures[trial.architecture])
            axes.text(*positions[trial.name], label, ha="center", va="center", fontsize=6.5, color=INK, zorder=6)
    for name, (left, height) in positions.items():
        if name not in run.by_name:
            axes.scatter([left], [height], s=60, marker="s", color=MUTED, zorder=3)
            axes.annotate(
                name, (left, height), (-7, 0), textcoords="offset points", ha="right", va="center", rotation=90,
                fontsize=8, parse_math=False,
            )  # fmt: skip
    if run.champion in positions:
        axes.annotate(
            run.champion, positions[run.champion], (0, 9), textcoords="offset points", ha="center", fontsize=8.5,
            fontweight="bold", parse_math=False, zorder=7,
        )  # fmt: skip


def _descent(run: PopulationRecord, name: str) -> tuple[str, ...]:
    trial = run.by_name.get(name)
    if trial is None:
        return (UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED, "from an earlier stage")
    fit = number(trial.total, 3) if "total" in trial.fitness else UNDEFINED
    place = str(run.architectures[trial.architecture])
    return (str(trial.generation), fit, architecture_label(trial.genome), place, changes_from_parent(run, trial))


def changes_from_parent(run: PopulationRecord, trial: Trial) -> str:
    """Say which genes differ from the parent's."""
    if trial.parent is None:
        return "no parent"
    parent = run.by_name.get(trial.parent)
    if parent is None:
        return f"child of {trial.parent}"
    changed = changed_genes(trial.genome, parent.genome)
    phrases = [
        f"{name} {gene_text(old)} → {gene_text(new)}" for name, (old, new) in list(changed.items())[:_MOST_CHANGES]
    ]
    more = len(changed) - len(phrases)
    return ", ".join([*phrases, *([f"{more} more"] if more > 0 else [])]) or "nothing"


def _tooltip(run: PopulationRecord, trial: Trial) -> str:
    parent = "no parent" if trial.parent is None else f"child of {trial.parent}"
    number_of = run.architectures[trial.architecture]
    return (
        f"{trial.name}, {parent}: fitness {number(trial.total, 3)}, architecture no. {number_of}, "
        f"{architecture_label(trial.genome)}"
    )
