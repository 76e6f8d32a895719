"""Lists the benchmarks: `python -m benchmarks`."""

from itertools import groupby

from benchmarks.catalogue import catalogue


def main() -> None:
    """Print a line per benchmark: what runs it, what it shows, and how long it takes on one core."""
    benchmarks = catalogue()
    name = max(len(one.module) for one in benchmarks)
    time = max(len(one.takes) for one in benchmarks)
    print("Run one with `python -m NAME`; `python -m NAME --help` says what it measures, and how.")
    for folder, group in groupby(benchmarks, key=lambda one: one.module.split(".")[1]):
        print(f"\n{folder}")
        for one in group:
            print(f"  {one.module:{name}s}  {one.takes:{time}s}  {one.shows}")


if __name__ == "__main__":
    main()
