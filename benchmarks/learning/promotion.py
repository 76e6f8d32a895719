"""Does the promotion gate refuse what earns nothing, and does it let pass what does?

1. Level. Fifty worthless rules in each of five kinds of market (`worthless_rules.py`), selected on 2,000 bars; the best
   is the champion. How often it is promoted, and passes each question by itself: the deflated Sharpe ratio, the sealed
   stretch, the alpha. Nominal for each of them is .05.
2. Confidence. How often a single worthless rule passes the question of the sealed stretch, by how its returns are
   distributed: what is rare is what a short record has not seen. Nominal is .05.
3. Power. How often one true strategy among fifty is promoted, by its annual Sharpe ratio and the length of the sealed
   stretch: one that has nothing to do with the market, and one that besides holds three fifths of a market of annual
   Sharpe ratio .5 (the ratio is then that of what it earns beyond).

Plus or minus is one standard error.
"""

from argparse import ArgumentParser
from collections.abc import Callable

import numpy as np

from benchmarks.common import command_line, run_benchmark
from benchmarks.learning.worthless_rules import (
    BARS_PER_YEAR,
    CRASH,
    CRASH_DEVIATIONS,
    RULES,
    SELECTION_BARS,
    WORTHLESS,
    FloatArray,
    Rules,
)
from src.evaluation.evidence import Evidence
from src.evaluation.promotion import Promotion, Verdict, judge_champion
from src.evaluation.significance import confidence_of_edge, track_record
from src.seeding import generator

TAKES = "15 min"

SEALED_BARS, SHARPES = (250, 1_000, 2_000), (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
ANNUAL = float(np.sqrt(BARS_PER_YEAR))
HELD = 0.6
BLOCKS = 8
Draw = Callable[[np.random.Generator, int], FloatArray]


def parser() -> ArgumentParser:
    """Return the command line."""
    found = command_line(__spec__, __doc__)
    found.add_argument("--draws", type=int, default=300, help="champions of each line of the tables")
    return found


def main(draws: int) -> None:
    """Print every table."""
    print(f"{draws} champions of {RULES} worthless rules")
    print(f"{'':34s}{'sealed':>8s}{'promoted':>14s}{'deflated':>14s}{'sealed > 0':>14s}{'alpha > 0':>14s}")
    for name in WORTHLESS:
        for bars in SEALED_BARS[:2]:
            print(f"{name:34s}{bars:>8,d}{level(name, bars, draws)}", flush=True)
    print(f"\n{10 * draws} single rules without an edge that pass the sealed stretch")
    for kind, draw in DISTRIBUTIONS.items():
        print(f"{kind:34s}" + "".join(f"{confident(draw, bars, 10 * draws)}" for bars in SEALED_BARS[:2]), flush=True)
    for held in (0.0, HELD):
        print(f"\npromoted, of {draws}, holding {held:g} of the market; annual Sharpe ratio across, sealed bars down")
        print(f"{'':>12s}" + "".join(f"{sharpe:>8.1f}" for sharpe in SHARPES))
        for bars in SEALED_BARS:
            shares = (share_promoted(sharpe, bars, draws, held) for sharpe in SHARPES)
            print(f"{bars:>12,d}" + "".join(f"{share:>8.2f}" for share in shares), flush=True)


def level(name: str, sealed_bars: int, draws: int) -> str:
    """Return how often the best of worthless rules passes: all questions, and each of three by itself."""
    outcomes = []
    for number in range(draws):
        rng = generator(0, name, number)
        found = judged(WORTHLESS[name](SELECTION_BARS + sealed_bars, rng), rng)
        figures = (found.selection.deflated_sharpe, found.sealed.probabilistic_sharpe, found.alpha.probability)
        outcomes.append([found.verdict is Verdict.promoted, *[(figure or 0.0) > 0.95 for figure in figures]])
    return "".join(estimate(column) for column in np.array(outcomes, dtype=float).T)


def judged(rules: Rules, rng: np.random.Generator) -> Promotion:
    """Return what the gate says of the rule with the best Sharpe ratio on the selection bars."""
    chosen, sealed = rules.returns[:SELECTION_BARS], rules.returns[SELECTION_BARS:]
    before, market = rules.market[:SELECTION_BARS], rules.market[SELECTION_BARS:]
    best = int((chosen.mean(axis=0) / chosen.std(axis=0)).argmax())
    rivals = {"buy and hold": market}
    evidence = Evidence(chosen, before, best, RULES, sealed[:, best], market, rivals, 1, BARS_PER_YEAR)
    return judge_champion(evidence, rng, blocks=BLOCKS)


def estimate(values: FloatArray) -> str:
    """Write a mean and its standard error."""
    return f"{np.mean(values):>8.3f} ±{np.std(values) / np.sqrt(len(values)):.3f}"


def rare(chance: float, deviations: float) -> Draw:
    """Return what draws noise with rare jumps up, or down for negative `deviations`, that its mean makes up for."""

    def draw(rng: np.random.Generator, bars: int) -> FloatArray:
        jumps: FloatArray = rng.normal(size=bars) + deviations * ((rng.random(bars) < chance) - chance)
        return jumps

    return draw


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda rng, bars: rng.normal(size=bars),
    "Student t, 3 degrees": lambda rng, bars: rng.standard_t(3, size=bars),
    "crashes, 1 in 100": rare(CRASH, -CRASH_DEVIATIONS),
    "crashes, 1 in 200": rare(CRASH / 2, -1.5 * CRASH_DEVIATIONS),
    "gains, 1 in 100": rare(CRASH, CRASH_DEVIATIONS),
    "gains, 1 in 1,000": rare(CRASH / 10, 3 * CRASH_DEVIATIONS),
}


def confident(draw: Draw, bars: int, draws: int) -> str:
    """Return how often a rule without an edge shows a confidence above .95 on so many bars, known for 2,000 before."""
    passed = []
    for number in range(draws):
        rng = generator(0, "confidence", number)
        record = track_record(draw(rng, bars), draw(rng, SELECTION_BARS))
        passed.append(confidence_of_edge(record) > 0.95)
    return estimate(np.array(passed, dtype=float))


def share_promoted(sharpe: float, sealed_bars: int, draws: int, held: float) -> float:
    """Return how often the gate promotes the true strategy; to promote another is no success."""
    promoted, bars = 0, SELECTION_BARS + sealed_bars
    for number in range(draws):
        rng = generator(0, "power", number)  # the same luck in every cell
        market = 0.01 * rng.normal(0.5 / ANNUAL, 1.0, size=bars)
        returns = 0.01 * rng.normal(size=(bars, RULES))
        returns[:, 0] += 0.01 * sharpe / ANNUAL + held * market
        chosen = returns[:SELECTION_BARS]
        if (chosen.mean(axis=0) / chosen.std(axis=0)).argmax() == 0:
            promoted += judged(Rules(returns, market), rng).verdict is Verdict.promoted
    return promoted / draws


if __name__ == "__main__":
    run_benchmark(parser(), main)
