"""`Provenance`: how a champion was bred and judged, in words and figures.

The page of a population run, the report of a backtest and the terminal speak from here, so they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from src.reporting.formats import UNDEFINED, number, percent

Value = int | float | str | bool
Genome = Mapping[str, Value]
Rows = list[tuple[str, str]]

_MODULE = "module_"  # prefix of the genes that switch a module on or off
_PENALTIES = ("spread", "overfitting", "drawdown", "turnover", "complexity")


@dataclass(frozen=True)
class Provenance:
    """What a model file knows of its own origin.

    Attributes:
        verdict: of the promotion gate.
        lineage: ancestors, oldest first.
        evaluations: trials the selection looked at.
        fitness: parts and total, as `Fitness.to_plain` gives them.
        adaptations: changes an agent tried on itself, as `adaptation_rows` reads them.
        promotion: `Promotion.to_plain()`; None where it was not judged.
    """

    verdict: str
    lineage: tuple[str, ...]
    evaluations: int
    genome: Genome
    fitness: Mapping[str, float]
    adaptations: Sequence[Mapping[str, Any]]
    promotion: Mapping[str, Any] | None

    @classmethod
    def from_dossier(
        cls, dossier: Mapping[str, Any], verdict: str, lineage: Sequence[str], evaluations: int
    ) -> "Provenance | None":
        """Read the dossier of a model file; None where it has none."""
        if not dossier:
            return None
        return cls(
            verdict=verdict,
            lineage=tuple(map(str, lineage)),
            evaluations=evaluations,
            genome=dossier.get("genome", {}),
            fitness=dossier.get("fitness", {}),
            adaptations=dossier.get("adaptations", ()),
            promotion=dossier.get("promotion"),
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence each."""
        return tuple(map(str, self.promotion["reasons"])) if self.promotion else ()


class Adaptation(NamedTuple):
    """One change an agent tried on itself, in words."""

    member: str
    rule: str
    action: str
    score: str
    outcome: str
    reason: str


def gene_text(value: object) -> str:
    """Return a gene's value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def architecture_label(genome: Genome) -> str:
    """Return layers x width, window, memory and modules of a genome: `2×32 w64 m256 +pattern +regime`."""
    parts = []
    if {"num_layers", "num_heads", "head_dim"} <= genome.keys():
        parts.append(f"{genome['num_layers']}×{int(genome['num_heads']) * int(genome['head_dim'])}")
    if "window" in genome:
        parts.append(f"w{genome['window']}")
    if genome.get("memory_size"):
        parts.append(f"m{genome['memory_size']}")
    parts += sorted(f"+{name.removeprefix(_MODULE)}" for name, on in genome.items() if name.startswith(_MODULE) and on)
    return " ".join(parts) or UNDEFINED


def changed_genes(genome: Genome, parent: Genome) -> dict[str, tuple[Value, Value]]:
    """Return the genes that differ from the parent's: before and now."""
    return {name: (parent[name], value) for name, value in genome.items() if name in parent and parent[name] != value}


def fitness_rows(fitness: Mapping[str, float]) -> Rows:
    """Return the total and what it is made of."""
    less = [(f"less {name}", number(-fitness[name], 3)) for name in _PENALTIES if fitness.get(name)]
    return [
        (label, number(fitness.get(name), 3)) for label, name in (("Fitness", "total"), ("mean over folds", "score"))
    ] + less


def promotion_rows(promotion: Mapping[str, Any]) -> Rows:
    """Return the figures of the gate."""
    selection, sealed = promotion["selection"], promotion["sealed"]
    rows = [
        ("Trials counted", f"{promotion['trials']:,}"),
        ("Looks at the sealed stretch", f"{promotion['looks']:,}"),
        ("Selection data: annual Sharpe ratio", number(selection["sharpe"])),
        ("… of the luckiest worthless trial", number(selection["luckiest_sharpe"])),
        ("… deflated Sharpe ratio", number(selection["deflated_sharpe"], 3)),
        ("… probability of overfitting", number(selection["overfitting"])),
        ("… probability that the chosen loses", number(selection["loss_probability"])),
        ("Sealed stretch: bars", f"{sealed['bars']:,}"),
        ("… annual Sharpe ratio", number(sealed["sharpe"])),
        ("… probabilistic Sharpe ratio", number(sealed["probabilistic_sharpe"], 3)),
        ("… asked for", number(sealed["required"], 3)),
        ("… bars needed to show it", number(sealed["bars_needed"], 0)),
        ("… Sharpe ratio that would pass", number(sealed["needed_sharpe"], 1)),
    ]
    return rows + _alpha(promotion.get("alpha")) + [_rival(rival) for rival in promotion["rivals"]]


def adaptation_rows(adaptations: Sequence[Mapping[str, Any]]) -> list[Adaptation]:
    """Say what agents tried on themselves: decisions of self-modification as plain data, with the `member` it was."""
    return [_adaptation(plain) for plain in adaptations]


def _adaptation(plain: Mapping[str, Any]) -> Adaptation:
    before, after = plain.get("score_before"), plain.get("score_after")
    return Adaptation(
        member=str(plain.get("member", UNDEFINED)),
        rule=str(plain.get("rule", UNDEFINED)),
        action=("end of " if plain.get("ends") else "") + str(plain.get("action", UNDEFINED)),
        score=f"{number(before, 3)} → {number(after, 3)}",
        outcome="accepted" if plain.get("accepted") else "rolled back" if after is not None else "failed",
        reason=str(plain.get("reason") or UNDEFINED),
    )


def _alpha(alpha: Mapping[str, Any] | None) -> Rows:
    # Champions of earlier versions were judged without.
    if alpha is None:
        return []
    return [
        ("… exposure to the market", number(alpha["exposure"])),
        ("… earned a year beyond holding it", percent(alpha["alpha"], sign=True)),
        ("… probability that this is no luck", number(alpha["probability"], 3)),
    ]


def _rival(rival: Mapping[str, Any]) -> tuple[str, str]:
    lead = rival["lead"]
    span = f"lead {number(lead['low'])} to {number(lead['high'])} with probability {percent(lead['level'], digits=0)}"
    return f"… of {rival['name']}", f"{number(rival['sharpe'])} ({span})"
