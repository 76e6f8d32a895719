"""Tables of scores: a line per classifier and seed, and the worst of the seeds."""

from collections.abc import Callable, Collection, Mapping

Score = dict[str, float]


def score_seeds(
    seeds: list[int], scores_of: Callable[[int], Mapping[str, Score]], places: Mapping[str, int]
) -> dict[str, list[Score]]:
    """Print and return the scores of every classifier, one for each seed.

    Args:
        scores_of: returns the scores of all classifiers on one seed.
        places: decimals of the figures that are not shown with three.
    """
    scores: dict[str, list[Score]] = {}
    for seed in seeds:
        for name, score in scores_of(seed).items():
            scores.setdefault(name, []).append(score)
            print(f"seed {seed}  {name:22s}{shown(score, places)}", flush=True)
    return scores


def print_worst(scores: Mapping[str, list[Score]], less_is_better: Collection[str], places: Mapping[str, int]) -> None:
    """Print of every classifier the worst of each figure."""
    print(f"worst of {len(next(iter(scores.values())))} seeds")
    for name, runs in scores.items():
        worst = {key: (max if key in less_is_better else min)(run[key] for run in runs) for key in runs[0]}
        print(f"        {name:22s}{shown(worst, places)}")


def shown(score: Score, places: Mapping[str, int]) -> str:
    """Write a score on one line."""
    return "  ".join(f"{key} {value:.{places.get(key, 3)}f}" for key, value in score.items())
