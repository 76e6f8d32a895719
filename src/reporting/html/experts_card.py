"""What a report shows of a mixture of experts: the gate's weights under the price, and the bars of each expert."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.evaluation.specialists import specialists
from src.reporting.formats import number, percent
from src.reporting.html.canvas import (
    INK,
    SERIES,
    SIZE,
    STYLE,
    Plot,
    add_legend,
    date_axis,
    draw_line,
    money_axis,
    thinned_steps,
    to_svg,
)
from src.reporting.summary import Report


def gates_plot(report: Report, gates: NDArray[np.floating]) -> Plot:
    """Draw the price and, under it, the weights (T, E) of the experts, one above the other; they add up to 1."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2 * SIZE[0], SIZE[1]), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        draw_line(upper, report.times, report.closes, INK, "close")
        money_axis(upper, report.closes, "close")
        upper.tick_params(labelbottom=False)
        thinned = [thinned_steps(weights.astype(np.float64), np.mean) for weights in gates.T]
        colours = [SERIES[expert % len(SERIES)] for expert in range(len(thinned))]
        labels = [f"expert {expert}" for expert in range(len(thinned))]
        lower.stackplot(
            report.times[thinned[0][0]],
            [values for _, values in thinned],
            colors=colours,
            labels=labels,
            alpha=0.75,
            linewidth=0,
        )
        lower.set(ylabel="weight", ylim=(0.0, 1.0))
        date_axis(lower)
        add_legend(lower)
        lead = np.bincount(gates.argmax(1), minlength=gates.shape[1]) / len(gates)
        title = f"Weights of {gates.shape[1]} experts: the busiest leads in {percent(float(lead.max()))} of bars"
        return Plot("gates", title, to_svg(figure))


def gates_table(report: Report, gates: NDArray[np.floating]) -> str:
    """Return an HTML table of weights (T, E): each expert's share, and the market on the bars it decides."""
    returns = np.diff(np.log(report.closes), prepend=np.log(report.closes[0]))
    rows = "".join(
        f'<tr><th scope="row">expert {index}</th><td>{percent(one.load)}</td><td>{percent(one.leads)}</td>'
        f"<td>{number(one.drift)}</td><td>{number(one.volatility)}</td><td>{number(one.persistence)}</td></tr>"
        for index, one in enumerate(specialists(gates[:-1], returns))
    )
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("", "mean weight", "leads in", "drift, σ per bar", "volatility, of all bars", "persistence")
    )
    return f'<table class="summary"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
