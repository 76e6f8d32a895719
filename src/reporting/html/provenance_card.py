"""The cards that say how a champion was bred and judged, for a run's page and a backtest's."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from src.evaluation.promotion import Verdict
from src.reporting.html.layout import facts_table, note, table_card, table_head, verdict_box
from src.reporting.provenance import (
    Provenance,
    adaptation_rows,
    architecture_label,
    fitness_rows,
    gene_text,
    promotion_rows,
)


def provenance_card(provenance: Provenance | None) -> str:
    """Return how it was bred and judged; nothing for a model that was not bred."""
    if provenance is None:
        return ""
    facts = {
        "Lineage, oldest first": " → ".join(provenance.lineage) or "no ancestors",
        "Trials it was chosen from": f"{provenance.evaluations:,}",
        "Architecture": architecture_label(provenance.genome),
        "Genome": ", ".join(f"{name} {gene_text(value)}" for name, value in sorted(provenance.genome.items())),
        **dict(fitness_rows(provenance.fitness) if provenance.fitness else []),
    }
    figures = facts_table(dict(promotion_rows(provenance.promotion))) if provenance.promotion else ""
    folded = f"<details><summary>Figures behind the verdict</summary>{figures}</details>" if figures else ""
    box = promotion_box(provenance.verdict, provenance.verdict, provenance.reasons)
    return (
        f'<section id="pedigree" class="wide"><h2>How it was bred and judged</h2>{box}{facts_table(facts)}{folded}'
        f"</section>\n{adaptations_card(provenance.adaptations) if provenance.adaptations else ''}"
    )


def promotion_box(claim: str, verdict: str, reasons: Sequence[str]) -> str:
    """Return a verdict of the promotion gate with its reasons."""
    return verdict_box(claim, reasons, "better" if verdict == Verdict.promoted.value else "worse")


def adaptations_card(adaptations: Sequence[Mapping[str, Any]]) -> str:
    """Return what agents tried on themselves and what became of it."""
    changes = adaptation_rows(adaptations)
    accepted = sum(bool(plain.get("accepted")) for plain in adaptations)
    title = f"Changes the champion tried on itself: {len(changes)}, of which {accepted} accepted"
    if not changes:
        return (
            f'<section id="adaptations" class="wide"><h2>{escape(title)}</h2>{note("None was called for.")}</section>\n'
        )
    rows = "".join(
        f'<tr><th scope="row" class="named">{escape(one.member)}</th>'
        f"{''.join(f'<td>{escape(text)}</td>' for text in one[1:-1])}"
        f'<td class="words">{escape(one.reason)}</td></tr>'
        for one in changes
    )
    headings = ("", "rule", "action", "held-out score", "outcome", "reason")
    return table_card("adaptations", title, f"{table_head(headings)}<tbody>{rows}</tbody>")
