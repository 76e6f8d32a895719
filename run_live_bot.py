"""Trade the champion of a symbol on closed candles: `python run_live_bot.py --symbol BTC/USDT`. On paper by default.

Loads `checkpoints/{symbol}_autonomous_final.pth` and nothing else. Settings come from `config/live.yaml`, limits from
`config/risk.yaml`; docs/live.md leads from a champion to a bot on a server.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import Parser, add_version, exit_code, found_file
from src.errors import ConfigError, TraderError

if TYPE_CHECKING:  # what is heavy is imported where it is used: --help and refusals answer at once
    from src.live.assembly import Options

COMMANDS = ("run", "doctor", "status", "explain", "replay", "pause", "resume", "close", "archive")
_WITH_ARGUMENT = {"explain": "a time, such as 2026-01-31T13:00", "replay": "a day, such as 2026-01-31"}

_EXAMPLES = """\
examples:
  python run_live_bot.py --symbol BTC/USDT                       paper, until it is told to stop
  python run_live_bot.py --symbol BTC/USDT ETH/USDT              several symbols, each for itself
  python run_live_bot.py doctor --symbol BTC/USDT                is everything ready?
  python run_live_bot.py status --symbol BTC/USDT
  python run_live_bot.py explain 2026-01-31T13:00 --symbol BTC/USDT
  python run_live_bot.py replay 2026-01-31 --symbol BTC/USDT     does the day come out the same again?
  python run_live_bot.py pause --symbol BTC/USDT                 open nothing more; `resume` lets it go on
  python run_live_bot.py close --symbol BTC/USDT                 halt and sell; `resume` lets it go on
  python run_live_bot.py archive --before 2026-01-01 --symbol BTC/USDT
  python run_live_bot.py --symbol BTC/USDT --live                real orders; docs/live.md says what else they need"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _dispatch(_parser().parse_intermixed_args(arguments)), shown=_redacted)


def _redacted(error: TraderError) -> str:
    from src.brokerage.redaction import redact

    return redact(error)


def _say(text: object) -> None:
    from src.brokerage.redaction import redact

    print(redact(text), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_live_bot.py",
        description="Trade the champion of each symbol on closed candles, on paper unless told otherwise.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="run", help="default: run")
    parser.add_argument("when", nargs="?", help="time of explain, day of replay, both UTC")
    parser.add_argument("--symbol", nargs="+", required=True, metavar="SYMBOL", help="markets, such as BTC/USDT")
    parser.add_argument("--live", action="store_true", help="real orders; also needs real_orders and the environment")
    parser.add_argument("--unpromoted", action="store_true", help="real orders for a champion that was not promoted")
    parser.add_argument("--config", type=Path, metavar="FILE", default=Path("config/live.yaml"), help="settings")
    parser.add_argument("--risk", type=Path, metavar="FILE", default=Path("config/risk.yaml"), help="limits")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where champions are"
    )
    parser.add_argument("--before", metavar="TIME", help="what archive moves, UTC, such as 2026-01-01")
    parser.add_argument("--journal", metavar="FILE", help="what explain and replay look into, such as an archive")
    add_version(parser)
    return parser


def _dispatch(given: argparse.Namespace) -> int:
    if (given.when is not None) != (given.command in _WITH_ARGUMENT):
        need = _WITH_ARGUMENT.get(given.command)
        raise ConfigError(f"{given.command} needs {need}" if need else f"{given.command} takes no '{given.when}'")
    if (given.before is not None) != (given.command == "archive"):
        raise ConfigError("archive, and nothing else, needs --before with a time, such as 2026-01-01")
    if given.journal is not None and given.command not in _WITH_ARGUMENT:
        raise ConfigError(f"--journal is for {' and '.join(_WITH_ARGUMENT)}; others take the `journal` of the settings")
    if swallowed := [symbol for symbol in given.symbol if symbol in COMMANDS]:
        raise ConfigError(f"'{swallowed[0]}' is a command; write it before --symbol, which takes all that follows")
    if given.command == "run":
        _require_champions(given.symbol, given.checkpoints)
    options = _options(given)
    if given.command == "run":
        return _run(options)
    if given.command == "doctor":
        return _doctor(options)
    if given.command in ("pause", "resume", "close"):
        return _asked(options, given.command)
    if given.command == "archive":
        return _archive(options, given.before)
    return _looked_at(options, given.command, given.when)


def _require_champions(symbols: Sequence[str], checkpoints: Path) -> None:
    from src.agents.model_file import require_champion
    from src.market.bars import SETTLED_IN, symbol_id

    for symbol in symbols:
        if SETTLED_IN in symbol_id(symbol):
            from src.live.assembly import require_spot

            require_spot([symbol])
        require_champion(symbol, checkpoints)


def _run(options: Options) -> int:
    from src.live.operator.start import start

    start(options)
    return 0


def _options(given: argparse.Namespace) -> Options:
    from src.config.live import LiveConfig
    from src.config.load import load_settings
    from src.config.risk import RiskLimits
    from src.live.assembly import read_options
    from src.market.bars import symbol_id

    config, limits = (
        load_settings(LiveConfig, found_file(given.config)),
        load_settings(RiskLimits, found_file(given.risk)),
    )
    if given.journal is not None:
        config = replace(config, journal=f"sqlite:///{found_file(Path(given.journal))}")
    symbols = tuple({symbol_id(symbol): symbol for symbol in given.symbol}.values())
    return read_options(symbols, config, limits, given.checkpoints, os.environ, given.live, given.unpromoted)


def _looked_at(options: Options, command: str, when: str | None) -> int:
    from src.live.operator.looks import looked_at

    lines, is_well = looked_at(options, command, when)
    for line in lines:
        _say(line)
    return 0 if is_well else 1


def _archive(options: Options, before: str) -> int:
    from src.live.operator.archive import archive

    for line in archive(options, before):
        _say(line)
    return 0


def _asked(options: Options, verb: str) -> int:
    from src.live.operator.ask import ask

    is_well = True
    for outcome in ask(options, verb):
        _say(outcome.text)
        is_well &= outcome.is_well
    return 0 if is_well else 1


def _doctor(options: Options) -> int:
    from src.brokerage.clock import SystemClock
    from src.live.watching.doctor import examine

    is_well = True
    for finding in examine(options, SystemClock()):
        is_well &= finding.is_well
        _say(f"{'ok' if finding.is_well else 'NO':3s} {finding.what:14s} {finding.text}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
