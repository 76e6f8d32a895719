"""Train the configured sequence of stages: `python run_training.py [key=value ...]`.

Settings come from `config/training_sequence.yaml`; every key can be overridden on the command line. The same command
resumes an interrupted run and says so when there is nothing left to do.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import Parser, add_version, exit_code, program

if TYPE_CHECKING:
    from src.config.training import TrainingConfig
    from src.training.training_data import TrainingData

_EXAMPLES = """\
examples:
  python run_training.py
  python run_training.py symbol=NASDAQ sequence.stage_1_ppo.iterations=50
  python run_training.py symbol=BTCUSDT data.source=files "data.path='data/{symbol}_1h.parquet'" data.timeframe=1h
  python run_training.py +experiment=market_a4 seed=1
  python run_training.py --dry-run               what would run, on which data, and about how long
  python run_training.py run.fresh=true          train anew instead of resuming
  python run_training.py run.name=mine "run.note='wider grid'"   publish to checkpoints/mine/, and remember why
  python run_training.py --rolling 4             retrain four times ahead of the bars traded, one record of them all

Every key is described in docs/configuration.md."""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(arguments), "interrupted; the same command resumes from the last saved state")


def _run(arguments: Sequence[str]) -> int:
    options = _parser().parse_intermixed_args(arguments)  # settings may stand before and after options
    settings = [*options.overrides, *(["run.publish=true"] if options.publish else [])]
    again = [word for word in arguments if not word.startswith("run.fresh=")]  # publishing does not train anew
    return _train(options, settings, shlex.join(again))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_training.py",
        description="Train the sequence of stages in config/training_sequence.yaml.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="a sequence file of your own")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and how long; write nothing")
    parser.add_argument(
        "--rolling", type=int, metavar="STEPS", help="walk forward through the test split, retraining before each step"
    )
    parser.add_argument("--publish", action="store_true", help="replace a champion of a stronger verdict, too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to override")
    add_version(parser)
    return parser


def _train(options: argparse.Namespace, settings: Sequence[str], arguments: str) -> int:
    # Imports follow the checks: a wrong name is refused before torch and ray are loaded, unless plug-ins load them.
    from src.config.base import require_at_least
    from src.config.load import load_training_config
    from src.training.requirements.names import refuse_outside_models
    from src.training.requirements.run import check_run
    from src.training.rllib.environment_variables import set_environment_variables

    set_environment_variables()
    config = load_training_config(settings, config_file=options.config)
    if options.rolling is not None:
        require_at_least("--rolling", options.rolling, 1)
        refuse_outside_models(config)
    check_run(config)

    from src.reporting.terminal.log_lines import set_up_logging
    from src.reporting.terminal.progress import RunProgress

    set_up_logging()
    is_sequence = options.rolling is None and not options.dry_run
    with RunProgress(config.tracking.progress) as progress:
        if is_sequence:
            progress.step("reading bars and fitting features")
            from src.training.training_data import prepare_data

            data = prepare_data(config)  # what is wrong with a file is said before torch and ray are loaded, too
        progress.step("loading libraries")
        import src.training.pipeline  # noqa: F401
    if is_sequence:
        return _run_sequence(config, data, arguments)
    return _describe(config, options.rolling) if options.dry_run else _roll(config, options.rolling)


def _describe(config: TrainingConfig, rolling: int | None) -> int:
    from src.training.plan import describe_run
    from src.training.rolling import describe_rolling

    for line in describe_run(config) if rolling is None else describe_rolling(config, rolling):
        print(line, flush=True)
    return 0


def _run_sequence(config: TrainingConfig, data: TrainingData, arguments: str) -> int:
    from src.training.pipeline import run_sequence
    from src.training.stage_table import print_summary

    print_summary(config, data, run_sequence(config, data), f"{program('run_training.py')} {arguments}".strip())
    return 0


def _roll(config: TrainingConfig, steps: int) -> int:
    from src.reporting.terminal.tables import print_rolling
    from src.training.rolling import run_rolling

    record, page = run_rolling(config, steps)
    print_rolling(record)
    print(f"page: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
