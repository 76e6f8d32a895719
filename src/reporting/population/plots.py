"""The plots of a population run, but for the family tree. Each title is the sentence that says what to see."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from scipy.stats import rankdata

from src.config.stages.search_space import SearchSpaceConfig
from src.market.bars import FloatArray
from src.reporting.formats import number
from src.reporting.html.canvas import (
    BENCHMARK,
    INK,
    LOSS,
    MUTED,
    SERIES,
    SIZE,
    STRATEGY,
    STYLE,
    Plot,
    add_legend,
    add_tooltips,
    new_figure,
    to_svg,
    write_message,
)
from src.reporting.population.record import PopulationRecord, Trial
from src.reporting.provenance import gene_text

HYPERPARAMETERS = (*SearchSpaceConfig.RANGES, *SearchSpaceConfig.CHOICES)
LOG_AXES = SearchSpaceConfig.LOG_RANGES

_FAR = 4.0  # interquartile ranges below the lower quartile at which a fitness is drawn at the edge
_LARGEST_SHARES = 7  # architectures with a colour of their own
_COLUMNS = 3  # of small plots


def fitness_plot(run: PopulationRecord) -> Plot:
    """Draw every trial, the best so far and the median of each generation."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        if not run.trained:
            write_message(axes, "no member lives yet")
            return Plot("fitness", "Fitness over generations", to_svg(figure))
        place = dict(zip([id(trial) for trial in run.trials], run.x_positions(), strict=True))
        x = np.array([place[id(trial)] for trial in run.trained])
        floor = _floor(run.trained)
        _draw_trials(axes, x, run.trained, floor)
        if run.failed:
            shown = [place[id(trial)] for trial in run.failed]
            axes.scatter(shown, np.full(len(shown), floor), marker="x", s=22, color=LOSS, label="failed")
        _draw_levels(axes, run)
        if (champion := run.champion_trial) is not None and champion in run.trained:
            _ring(axes, place[id(champion)], max(champion.total, floor))
        axes.set(xlabel="generation", ylabel="fitness")
        _whole_generations(axes, run)
        add_legend(axes)
        best = run.fittest(1)[0]
        title = (
            f"Fitness: {number(best.total, 3)} of {best.name} is the best of {len(run.trained)} in {_generations(run)}"
        )
        names = [_tooltip(trial) for trial in run.trained]
        return Plot("fitness", title, add_tooltips(to_svg(figure), "fitness-marks", names))


def overfitting_plot(run: PopulationRecord) -> Plot:
    """Draw the Sharpe ratio on folds against that on the training rows."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        judged = [trial for trial in run.trained if trial.folds and trial.training]
        if not judged:
            write_message(axes, "no member was judged yet")
            return Plot("overfitting", "Sharpe ratio in and out of sample", to_svg(figure))
        inside = np.array([trial.in_sample for trial in judged])
        outside = np.array([trial.out_of_sample for trial in judged])
        newest = max(run.generations_done - 1, 1)
        alphas: Any = [0.3 + 0.6 * trial.generation / newest for trial in judged]
        axes.scatter(inside, outside, s=26, color=STRATEGY, alpha=alphas, linewidths=0, gid="overfitting-marks")
        axes.axline((0.0, 0.0), slope=1.0, color=MUTED, linewidth=0.9, linestyle="dashed", label="equal")
        axes.axhline(0.0, color=MUTED, linewidth=0.6)
        if (champion := run.champion_trial) is not None and champion in judged:
            _ring(axes, champion.in_sample, champion.out_of_sample)
        axes.set(xlabel="Sharpe ratio on training rows (darker is later)", ylabel="mean over folds")
        axes.margins(0.08)
        add_legend(axes)
        fall = f"{number(float(inside.mean()))} in training, {number(float(outside.mean()))} on folds"
        names = [_tooltip(trial) for trial in judged]
        svg = add_tooltips(to_svg(figure), "overfitting-marks", names)
        return Plot("overfitting", f"Mean Sharpe ratio {fall}{_rank_correlation(inside, outside)}", svg)


def diversity_plot(run: PopulationRecord) -> Plot:
    """Draw the shares of architectures among the trained members of each generation; there must be some."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        counts_by_generation = [run.count_architectures(generation) for generation in range(run.generations_done)]
        members = sum(counts_by_generation, start=type(counts_by_generation[0])())
        common = [name for name, _ in members.most_common(_LARGEST_SHARES)]
        bottom = np.zeros(run.generations_done)
        for place, name in enumerate([*common, ""]):
            counts = np.array(
                [
                    one[name] if name else sum(n for key, n in one.items() if key not in common)
                    for one in counts_by_generation
                ],
                float,
            )
            if counts.any():
                label = f"no. {run.architectures[name]}" if name else "others"
                colour = SERIES[place] if name else MUTED
                axes.bar(range(run.generations_done), counts, 0.72, bottom, color=colour, alpha=0.85, label=label)
            bottom += counts
        for generation, one in enumerate(counts_by_generation):
            axes.text(generation, bottom[generation], f"{len(one)}", ha="center", va="bottom", color=MUTED, fontsize=8)
        axes.set(xlabel="generation (above the bars: how many architectures)", ylabel="living members")
        axes.set_ylim(0.0, 1.12 * bottom.max())
        _whole_generations(axes, run)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        add_legend(axes, columns=4)
        now = f"{len(counts_by_generation[-1])} alive in generation {run.generations_done - 1}"
        return Plot("diversity", f"Architectures: {len(members)} in all, {now}", to_svg(figure))


def drift_plot(run: PopulationRecord) -> Plot:
    """Draw how hyperparameters moved: every trained trial, and the median of each generation."""
    names = [name for name in HYPERPARAMETERS if len({t.genome[name] for t in run.trained if name in t.genome}) > 1]
    with mpl.rc_context(STYLE):
        if not names:
            figure, axes = new_figure()
            write_message(axes, "no hyperparameter varies yet")
            return Plot("drift", "Hyperparameters over generations", to_svg(figure))
        rows = -(-len(names) // _COLUMNS)
        figure = Figure(figsize=(2 * SIZE[0], 0.3 + 1.75 * rows), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False)
        place = dict(zip([id(trial) for trial in run.trials], run.x_positions(), strict=True))
        for axes, name in zip(grid.flat, names, strict=False):
            _draw_drift(axes, run, name, place)
        for axes in grid.flat[len(names) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel("generation")
        title = f"Where {len(names)} hyperparameters went: line = median of the living, ring = champion"
        return Plot("drift", title, to_svg(figure))


def _draw_trials(axes: Axes, x: FloatArray, trained: list[Trial], floor: float) -> None:
    totals = np.array([trial.total for trial in trained])
    axes.scatter(
        x, np.maximum(totals, floor), s=16, color=STRATEGY, alpha=0.45, linewidths=0, gid="fitness-marks"
    )  # fmt: skip
    far = totals < floor
    if far.any():
        axes.scatter(x[far], np.full(far.sum(), floor), marker="v", s=30, color=LOSS, label="far below")


def _draw_levels(axes: Axes, run: PopulationRecord) -> None:
    found = [(g, [trial.total for trial in run.generation(g)]) for g in range(run.generations_done)]
    trained = [(g, totals) for g, totals in found if totals]
    generations = [g for g, _ in trained]
    best = np.maximum.accumulate([max(totals) for _, totals in trained])
    axes.step(generations, best, where="post", color=INK, label="best so far", marker="o", markersize=2.5)
    medians = [float(np.median(totals)) for _, totals in trained]
    axes.plot(generations, medians, color=BENCHMARK, label="median of a generation", marker="o", markersize=2.5)


def _draw_drift(axes: Axes, run: PopulationRecord, name: str, place: dict[int, float]) -> None:
    shown = [trial for trial in run.trained if name in trial.genome]
    values = np.array([float(trial.genome[name]) for trial in shown])
    axes.scatter([place[id(trial)] for trial in shown], values, s=9, color=STRATEGY, alpha=0.4, linewidths=0)
    generations = sorted({trial.generation for trial in shown})
    medians = [np.median([float(t.genome[name]) for t in shown if t.generation == g]) for g in generations]
    axes.plot(generations, medians, color=BENCHMARK, linewidth=1.5)
    if (champion := run.champion_trial) is not None and champion in shown:
        _ring(axes, place[id(champion)], float(champion.genome[name]), label="")
    if name in LOG_AXES and values.min() > 0:
        axes.set_yscale("log")
        _few_ticks(axes, values)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.set_title(f"{name} (log)" if name in LOG_AXES else name, fontsize=9.5, loc="left", color=INK)
    _whole_generations(axes, run)


def _few_ticks(axes: Axes, values: FloatArray) -> None:
    # A log axis of less than a decade would have no tick, or too many.
    low, high = float(values.min()), float(values.max())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for digits in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)):
        ticks = [float(digit * decade) for decade in decades for digit in digits if low <= digit * decade <= high]
        if len(ticks) > 1:
            break
    axes.set_yticks(ticks)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: gene_text(float(value))))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def _ring(axes: Axes, x: float, y: float, label: str = "champion") -> None:
    axes.scatter(
        [x], [y], s=75, facecolors="none", edgecolors=INK, linewidths=1.6, label=label, zorder=4, clip_on=False
    )


def _whole_generations(axes: Axes, run: PopulationRecord) -> None:
    axes.set_xticks(range(0, max(run.generations_done, 1), -(-run.generations_done // 10)))
    axes.set_xlim(-0.6, max(run.generations_done - 1, 0) + 0.6)


def _floor(trained: list[Trial]) -> float:
    # The lowest fitness drawn where it is; one far outlier must not flatten all others.
    totals = np.array([trial.total for trial in trained])
    low, high = np.quantile(totals, [0.25, 0.75])
    return float(max(totals.min(), low - _FAR * max(high - low, 0.1)))


def _rank_correlation(inside: FloatArray, outside: FloatArray) -> str:
    if len(inside) < 5 or np.ptp(inside) == 0 or np.ptp(outside) == 0:
        return ""
    found = float(np.corrcoef(rankdata(inside), rankdata(outside))[0, 1])
    return f"; rank correlation {number(found)}"


def _tooltip(trial: Trial) -> str:
    folds, training = number(trial.out_of_sample), number(trial.in_sample)
    return f"{trial.name}: fitness {number(trial.total, 3)}, Sharpe ratio {folds} on folds, {training} in training"


def _generations(run: PopulationRecord) -> str:
    return "1 generation" if run.generations_done == 1 else f"{run.generations_done} generations"
