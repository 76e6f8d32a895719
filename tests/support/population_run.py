"""A breeding run such as the Autonomous stage writes to `population.json`, made of random numbers."""

from typing import Any

import numpy as np


def bred_run(
    generations: int = 6,
    members: int = 8,
    seed: int = 0,
    failures: int = 2,
    planned: int | None = None,
    is_judged: bool = True,
    ancestor: str | None = "SP500_stage_1_ppo",
    is_changed: bool = True,
) -> dict[str, Any]:
    """Return plain data. Fitness drifts upwards, children differ from a survivor in one or two genes."""
    rng = np.random.default_rng(seed)
    records: list[dict[str, Any]] = []
    for generation in range(generations):
        for place in range(members):
            survivors = sorted((r for r in records if not r["failure"]), key=lambda r: -r["fitness"]["total"])[:3]
            before = [record for record in survivors if record["generation"] < generation]
            parent = before[rng.integers(len(before))] if before else None
            records.append(_record(rng, generation, place, parent, ancestor))
    for index in range(failures):
        failed = records[-1 - 3 * index]
        failed |= {
            "failure": "the loss is not finite; lower lr",
            "fitness": {"total": -1e9},
            "folds": [],
            "training": {},
        }
    living = [record for record in records if not record["failure"]]
    champion = max(living, key=lambda record: record["fitness"]["total"])["name"] if living else None
    if is_changed and champion:
        before = next(record for record in records if record["name"] == champion)
        changed = before | {"name": f"{champion}+{generations}", "parent": champion, "changes": []}
        records.append(changed | {"fitness": before["fitness"] | {"total": before["fitness"]["total"] + 0.05}})
        champion = records[-1]["name"]
    return {
        "symbol": "SP500",
        "generations": planned or generations,
        "champion": champion,
        "lineage": _lineage(records, champion) if champion else [],
        "records": records,
        "evaluations": len(records) + 2,
        "adaptations": adaptations(champion) if champion and is_changed else [],
        "promotion": promotion(len(records) + 2) if is_judged else None,
        "verdict": "not distinguishable from luck" if is_judged else None,
    }


def promotion(trials: int) -> dict[str, Any]:
    """Return what `Promotion.to_plain` would."""
    return {
        "verdict": "not distinguishable from luck",
        "reasons": [
            f"On the selection data its annual Sharpe ratio is 1.21, where the best of {trials} worthless trials would "
            "show about 1.37: deflated Sharpe ratio 0.412, not above 0.95.",
            "On the sealed stretch its annual Sharpe ratio of 0.44 is not above the 0.61 of buy_and_hold (lead between "
            "-0.90 and 0.55 with probability 0.95).",
        ],
        "trials": trials,
        "looks": 2,
        "selection": {
            "sharpe": 1.21, "luckiest_sharpe": 1.37, "deflated_sharpe": 0.412, "overfitting": 0.35,
            "loss_probability": None,
        },
        "sealed": {
            "bars": 1234, "required": 0.9747, "needed_sharpe": 2.8, "sharpe": 0.44, "probabilistic_sharpe": 0.77,
            "bars_needed": 5120.0,
        },
        "alpha": {"exposure": 0.62, "alpha": 0.013, "probability": 0.641},
        "rivals": [
            {
                "name": "buy_and_hold",
                "sharpe": 0.61,
                "lead": {"estimate": -0.17, "low": -0.9, "high": 0.55, "level": 0.95},
            }
        ],
    }  # fmt: skip


def _record(
    rng: np.random.Generator, generation: int, place: int, parent: dict[str, Any] | None, ancestor: str | None
) -> dict[str, Any]:
    genome = _genome(rng) if parent is None else _mutated(rng, parent["genome"])
    score = float(0.3 + 0.12 * generation + rng.normal(0.0, 0.35))
    folds = [_performance(rng, score + rng.normal(0.0, 0.3)) for _ in range(4)]
    training = _performance(rng, score + 0.4 + abs(rng.normal(0.0, 0.5)))
    parts = {
        "score": float(np.mean([fold["sharpe"] for fold in folds])),
        "spread": 0.05,
        "overfitting": 0.06,
        "drawdown": 0.08,
        "turnover": 0.0,
        "complexity": 0.02,
    }
    total = parts["score"] - sum(value for name, value in parts.items() if name != "score")
    shapes = [str(genome[name]) for name in ("num_layers", "num_heads", "head_dim", "window", "module_regime")]
    return {
        "name": f"g{generation:02d}_m{place}",
        "generation": generation,
        "parent": ancestor if parent is None else parent["name"],
        "genome": genome,
        "arch_id": "-".join(shapes).encode().hex()[:12],
        "genome_id": f"{generation:06x}{place:06x}",
        "fitness": parts | {"total": total},
        "folds": folds,
        "training": training,
        "curves": {"losses/entropy": 1.1},
        "changes": ["window 32 is 64 in the parent"] if place == 1 else [],
        "failure": "",
        "env_steps": 40_960,
        "seconds": float(rng.uniform(60, 90)),
    }


def _genome(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "num_layers": int(rng.choice([1, 2, 3])),
        "num_heads": int(rng.choice([2, 4])),
        "head_dim": 8,
        "window": int(rng.choice([16, 32, 64])),
        "norm": "rmsnorm",
        "memory_size": int(rng.choice([0, 256])),
        "module_regime": bool(rng.integers(2)),
        "module_pattern": True,
        "gamma": float(rng.choice([0.9, 0.95, 0.98])),
        "epochs": int(rng.choice([1, 2, 4])),
        "lr": float(f"{10 ** rng.uniform(-4.5, -2):.4g}"),
        "entropy": float(f"{10 ** rng.uniform(-2, -0.3):.4g}"),
        "clip": float(f"{rng.uniform(0.1, 0.4):.4g}"),
        "gae_lambda": float(f"{rng.uniform(0.8, 1.0):.4g}"),
    }


def _mutated(rng: np.random.Generator, genome: dict[str, Any]) -> dict[str, Any]:
    fresh = _genome(rng)
    chosen = rng.choice([*genome, "lr", "clip", "lr", "entropy"], size=2)
    return genome | {str(name): fresh[str(name)] for name in chosen}


def _performance(rng: np.random.Generator, sharpe: float) -> dict[str, Any]:
    return {
        "sharpe": float(sharpe),
        "total_return": float(0.1 * sharpe),
        "max_drawdown": float(rng.uniform(0.05, 0.3)),
        "turnover_per_bar": float(rng.uniform(0.01, 0.2)),
        "reward": float(1e-4 * sharpe),
    }


def adaptations(member: str) -> list[dict[str, Any]]:
    """Return one accepted, one rolled back, one failed change, as `Decision.to_plain` would, with the member's name."""
    shared = {"member": member, "evaluation": 2, "comparison": "above", "threshold": 0.25, "ends": False}
    return [
        shared | {
            "rule": "deep drawdown", "metric": "max_drawdown", "value": 0.31, "action": "reduce_risk",
            "score_before": 0.412, "score_after": 0.455, "accepted": True,
            "reason": "max_drawdown was 0.31, above 0.25, so reduce_risk was tried: held-out score 0.412 before, 0.455 "
            "after: accepted",
        },
        shared | {
            "rule": "stale", "metric": "sharpe", "value": -0.2, "action": "search_architecture", "score_before": 0.455,
            "score_after": 0.31, "accepted": False, "reason": "sharpe was -0.2, so search_architecture was tried",
        },
        shared | {
            "rule": "calm", "metric": "sharpe", "value": None, "action": "reduce_risk", "ends": True,
            "score_before": 0.455, "score_after": None, "accepted": False, "reason": "it failed",
        },
    ]  # fmt: skip


def _lineage(records: list[dict[str, Any]], name: str) -> list[str]:
    parents = {record["name"]: record["parent"] for record in records}
    line = [name]
    while (parent := parents.get(line[0])) is not None:
        line.insert(0, parent)
    return line
