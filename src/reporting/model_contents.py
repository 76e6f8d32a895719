"""What is inside a model file, in words: sections of labelled lines for people at a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.provenance import (
    Provenance,
    Rows,
    adaptation_rows,
    architecture_label,
    fitness_rows,
    gene_text,
    promotion_rows,
)

_PARTS = ("train", "validation", "test")
_ALWAYS_ON = ("volatility",)  # parts of a mind that cannot be switched off


class Section(NamedTuple):
    """Lines under a heading."""

    title: str
    rows: Rows


def model_contents(content: Mapping[str, Any], weights: int, sha256: str) -> list[Section]:
    """Describe a model file; what it does not hold has no line.

    Args:
        content: the fields of `ModelFile` by name, weights aside.
        weights: how many numbers its weights are.
        sha256: of the file.
    """
    provenance = Provenance.from_dossier(
        content["dossier"], content["verdict"], content["lineage"], content["evaluations"]
    )
    sections = [
        Section("Model", _identity(content, sha256)),
        Section("Trained on", _data(content)),
        Section("Network", _network(content["model"], weights)),
        Section("Sees", _features(content["features"])),
        Section("Trades", _rules(content["rules"])),
        *([] if provenance is None else _bred(provenance)),
        Section("Judged", _judged(content, provenance)),
    ]
    return [section for section in sections if section.rows]


def headline_rows(figures: Mapping[str, Any]) -> Rows:
    """Return the few figures to look at first; those that are undefined or missing have no line."""
    shown = {
        "Sharpe ratio": number(figures.get("sharpe")),
        "total return": percent(figures.get("total_return"), sign=True),
        "deepest drawdown": percent(figures.get("max_drawdown")),
        "closed trades": number(figures.get("trades"), 0),
    }
    return [(label, text) for label, text in shown.items() if text != UNDEFINED]


def _identity(content: Mapping[str, Any], sha256: str) -> Rows:
    return [
        ("Kind", str(content["kind"])),
        ("Stage", str(content["stage"])),
        ("Symbol, timeframe", f"{content['symbol']}, {content['timeframe']}"),
        ("File sha256", sha256),
        ("Format version", str(content["format_version"])),
        ("Lineage, oldest first", " → ".join(map(str, content["lineage"])) or "started anew"),
        *((f"Plug-in {module}", f"sha256 {digest}") for module, digest in content["plugins"].items()),
    ]


def _data(content: Mapping[str, Any]) -> Rows:
    split = content["split"]
    rows = [(f"{name.capitalize()} part", _period(split[name])) for name in _PARTS if name in split]
    return [*rows, ("Data fingerprint", str(content["data_fingerprint"]))]


def _period(part: Mapping[str, Any]) -> str:
    first, stop = part["rows"]
    if not part.get("time"):
        return "no bars"
    days = [str(np.datetime64(int(time) - 1, "ms").astype("datetime64[D]")) for time in part["time"]]
    return f"{days[0]} to {days[1]}, {stop - first:,} bars"


def _network(model: Mapping[str, Any], weights: int) -> Rows:
    return [("Numbers in its weights", f"{weights:,}"), *_flat(model)]


def _features(features: Mapping[str, Any]) -> Rows:
    rows = [("Features", _listed(features.get("names", ()))), ("Columns", f"{len(features.get('columns', ())):,}")]
    mind = features.get("mind")
    if mind is None:
        return rows
    active, parts = {*mind.get("active", ()), *_ALWAYS_ON}, mind.get("parts", {})
    optional = [f"{name} ({_part(part)}{'' if name in active else ', off'})" for name, part in parts.items()]
    memory = parts.get("memory", {}).get("memory")
    remembered = [] if memory is None else [("Memory", _memory(memory))]
    return [*rows, ("Parts of the mind", _listed(optional)), *remembered]


def _part(part: Mapping[str, Any]) -> str:
    return str(part.get("name") or part.get("kind") or "built in")


def _memory(memory: Mapping[str, Any]) -> str:
    events, capacity = len(memory["value"]), memory.get("config", {}).get("capacity")
    return f"{events:,} events" + (f" of at most {capacity:,}" if capacity is not None else "")


def _rules(rules: Mapping[str, Any]) -> Rows:
    action = rules.get("action", {})
    rows = [("Action", ", ".join(f"{name} {_plain(value)}" for name, value in action.items()))] if action else []
    sections = [(name.capitalize(), rules.get(name, {})) for name in ("costs", "reward", "risk")]
    rows += [(name, ", ".join(f"{key} {text}" for key, text in _flat(values))) for name, values in sections if values]
    return [*rows, ("Knows of its account", _listed(rules.get("account_inputs", ())))]


def _bred(provenance: Provenance) -> list[Section]:
    genome = [(name, gene_text(value)) for name, value in sorted(provenance.genome.items())]
    if genome:
        genome.insert(0, ("Architecture", architecture_label(provenance.genome)))
    adaptations = [
        (f"{one.member}, rule {one.rule}", f"{one.action}, {one.outcome}: {one.reason}")
        for one in adaptation_rows(provenance.adaptations)
    ]
    return [
        Section("Genome: tuned architecture and hyperparameters", genome),
        Section("Fitness", fitness_rows(provenance.fitness) if provenance.fitness else []),
        Section("Changes it made to itself", adaptations),
        Section("Promotion gate", promotion_rows(provenance.promotion) if provenance.promotion else []),
    ]


def _judged(content: Mapping[str, Any], provenance: Provenance | None) -> Rows:
    rows = [
        ("Evaluations it was chosen by", f"{content['evaluations']:,}"),
        *((f"Validation: {label}", text) for label, text in headline_rows(content["validation"])),
        ("Verdict", str(content["verdict"]) or UNDEFINED),
    ]
    return rows + [("Because", reason) for reason in (provenance.reasons if provenance is not None else ())]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Rows:
    # Nested settings as dotted names.
    rows: Rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _plain(value)))
    return rows


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(gene_text, value))}]"
    return UNDEFINED if value is None else gene_text(value)


def _listed(names: Sequence[str] | Iterable[str]) -> str:
    return ", ".join(map(str, names)) or "none"
