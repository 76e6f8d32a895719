"""Backtest a trained model or a baseline: `python run_backtest.py --symbol SP500`; or compare several.

`python run_backtest.py inspect FILE` says what is inside a model file, `python run_backtest.py list` what there is.

Without `--model` the champion of the symbol is used, and only it; while there is none, its newest stage model. A model
trades under the rules, costs and features saved in its file; a baseline under `config/training_sequence.yaml`, or, in
a comparison, under those of the first model.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import Parser, add_version, exit_code, found_file
from src.commands.report_output import headline, progress_of, write_report_folder
from src.config.baselines import BASELINE_NAMES
from src.errors import ConfigError, DataError

if TYPE_CHECKING:  # what is heavy is imported where it is used: --help and refusals answer at once
    from src.commands.job import Job, Request
    from src.config.risk import RiskLimits

SPLIT_NAMES = ("train", "validation", "test", "all")

_EXAMPLES = """\
examples:
  python run_backtest.py --symbol SP500                                  the champion, or the newest stage model
  python run_backtest.py --symbol SP500 --model stage_1_ppo --split validation
  python run_backtest.py --symbol SP500 --model buy_and_hold costs.commission_bps=10
  python run_backtest.py --symbol SP500 --compare buy_and_hold ma_cross stage_1_ppo
  python run_backtest.py --symbol SP500 --costs commission_bps=10        what if trading were dearer?
  python run_backtest.py --symbol SP500 --risk config/risk.yaml          under the limits a bot would have
  python run_backtest.py --symbol SP500 --risk config/risk.yaml --protective-stop   and with its stop at the exchange
  python run_backtest.py --symbol US5 --member momentum                  a portfolio of five embedded shares
  python run_backtest.py --symbol AAPL MSFT IBM --member config/members/sleeves.yaml
  python run_backtest.py --symbol SP500 --check-lookahead                does it see the future?
  python run_backtest.py --symbol BTC/USDT --data btc_1h.parquet --report reports/btc --json btc.json
  python run_backtest.py inspect checkpoints/SP500_autonomous_final.pth   what is inside a model file
  python run_backtest.py list                                            models, reports, baselines and data

baselines: """ + ", ".join(BASELINE_NAMES)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    return exit_code(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == "inspect":
        return _inspect(arguments[1:])
    if arguments and arguments[0] == "list":
        return _list(arguments[1:])
    parser = _parser()
    parser.epilog = _epilog(arguments)
    options = parser.parse_intermixed_args(arguments)
    symbols = [word for word in options.symbol if "=" not in word]  # settings may follow the names
    options.overrides = [*options.overrides, *(word for word in options.symbol if "=" in word)]
    _check_destinations(options)
    if not symbols:
        raise ConfigError(f"--symbol names no market, only settings: {' '.join(options.symbol)}; name one before them")
    if options.member is not None or len(symbols) > 1 or _are_members(options.compare):
        from src.commands.member_commands import compare_by_members, trade_by_member

        return compare_by_members(options, symbols) if options.compare else trade_by_member(options, symbols)
    options.symbol = symbols[0]
    if options.check_lookahead:
        return _check_lookahead(options)
    return _compare(options) if options.compare else _backtest(options)


def _are_members(names: Sequence[str] | None) -> bool:
    if not names:
        return False
    from src.commands.find_member import is_member

    return all(is_member(name) for name in names if "=" not in name)


def _epilog(arguments: Sequence[str]) -> str:
    # Ends with the names of baselines; those of plug-ins are looked up where --help asks for them and there are some.
    if not {"-h", "--help"} & set(arguments):
        return _EXAMPLES
    options = Parser(add_help=False)
    options.add_argument("--config", type=Path, default=Path(__file__).parent / "config/training_sequence.yaml")
    file: Path = options.parse_known_args(arguments)[0].config
    given = [argument for argument in arguments if argument.startswith("plugins=")]
    if not given and not (file.is_file() and re.search(r"^plugins:(?! *\[\])", file.read_text(), re.MULTILINE)):
        return _EXAMPLES
    from src.config.load import load_training_config
    from src.plugins import plugged_in

    try:
        names = plugged_in("baseline", load_training_config(given, config_file=file).plugins)
    except ConfigError as error:
        return f"{_EXAMPLES}, and those of plug-ins ({error})"
    return ", ".join([_EXAMPLES, *names])


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_backtest.py",
        description="Backtest a trained model or a baseline and write a report, or compare several.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--symbol", required=True, nargs="+", metavar="SYMBOL", help="market, such as SP500 or BTC/USDT; or a portfolio"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        metavar="NAME",
        help="a .pth file, a stage such as stage_1_ppo, an algorithm such as ppo, or a baseline",
    )
    which.add_argument("--compare", nargs="+", metavar="NAME", help="two or more of these, over the same bars")
    which.add_argument(
        "--member", metavar="NAME", help="who trades a portfolio: a baseline such as equal_weight, or a YAML file"
    )
    parser.add_argument("--split", choices=SPLIT_NAMES, default="test", help="which part of the data (default: test)")
    parser.add_argument("--data", type=Path, metavar="FILE", help="bars to trade instead of those of the settings")
    parser.add_argument(
        "--costs",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="costs to charge instead, such as commission_bps=10",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="default: reports/SYMBOL_MODEL_SPLIT, the newest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary to this file too")
    _add_checkpoints(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="baselines: a sequence file of your own")
    parser.add_argument(
        "--preferences", type=Path, metavar="FILE", default=Path("config/preferences.yaml"), help="limits of members"
    )
    parser.add_argument("--risk", type=Path, metavar="FILE", help="a risk file such as the bot's, config/risk.yaml")
    parser.add_argument(
        "--protective-stop",
        action="store_true",
        help="positions are closed within a bar as the bot's stop at the exchange would; a multiple of a loss limit",
    )
    parser.add_argument(
        "--check-lookahead", action="store_true", help="instead of a report: does anything of the model see the future?"
    )
    parser.add_argument("--progress", action="store_true", help="say what is under way where there is no terminal, too")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of baselines, or how to read FILE")
    add_version(parser)
    return parser


def _inspect(arguments: Sequence[str]) -> int:
    parser = Parser(prog="run_backtest.py inspect", description="Say what is inside a model file.")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .pth written by run_training.py")
    path: Path = parser.parse_args(arguments).file
    from src.reporting.terminal.plain_output import print_sections
    from src.runs.model_content import describe_model

    print_sections(describe_model(path))
    return 0


def _list(arguments: Sequence[str]) -> int:
    parser = Parser(prog="run_backtest.py list", description="List models, reports, baselines and data.")
    parser.add_argument("--symbol", help="only models and reports of this market")
    _add_checkpoints(parser)
    parser.add_argument("--reports", type=Path, metavar="DIR", default=Path("reports"), help="where reports are")
    options = parser.parse_args(arguments)
    from src.runs.listing import Places, show_what_can_be_tested

    show_what_can_be_tested(Places(Path("runs"), options.checkpoints, options.reports), options.symbol)
    return 0


def _add_checkpoints(parser: Parser) -> None:
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where models are")


def _check_destinations(options: argparse.Namespace) -> None:
    if options.report is not None and options.report.exists() and not options.report.is_dir():
        raise ConfigError(f"--report {options.report} is not a folder; name a folder")
    for inside in () if options.report is None else options.report.parents:
        if inside.is_file():
            raise ConfigError(f"--report {options.report} cannot be written, {inside} is a file; name another folder")
    if options.json is not None and options.json.is_dir():
        raise ConfigError(f"--json {options.json} is a folder; name a file")
    if options.data is not None and "{symbol}" not in str(options.data) and not options.data.is_file():
        raise DataError(f"--data {options.data} is not an existing file; check the path")


def _backtest(options: argparse.Namespace) -> int:
    with progress_of(options) as progress:
        job = _job(options)
        rows, limits = job.rows(options.split), _limits(options)
        stop = _protective_stop(options, limits)
        from src.commands.backtest import backtest
        from src.market.bars import symbol_id
        from src.reporting.report import REPORT_FILE, write_result, write_summary
        from src.reporting.stations import stations_sentence
        from src.reporting.summary import look_sentence, stop_sentence, verdict
        from src.reporting.terminal.tables import print_performance

        progress.step("trading the bars")
        report = backtest(job, options.split, rows, limits=limits, protective_stop=stop)
        progress.step("writing the report")
        label = re.sub("[ ,]+", "_", job.label).removeprefix(f"{symbol_id(options.symbol)}_")
        written = write_report_folder(
            options, label, lambda draft: write_result(draft, report), lambda path: write_summary(path, report)
        )
    print(headline(job.origin, options, len(rows), report.period))
    print_performance(f"{job.label}, {options.split} split", report.performance)
    print(verdict(report))
    if report.optimum is not None:
        print(report.optimum.sentence)
    if report.reviews is not None:
        print(stations_sentence(report.reviews))
    if report.description.protective_stop is not None:
        print(stop_sentence(report))
    for caution in report.description.cautions:
        print(f"Careful: {caution}.")
    if report.description.look is not None:
        print(look_sentence(report.description.look))
    written.say(REPORT_FILE)
    return 0


def _check_lookahead(options: argparse.Namespace) -> int:
    if options.compare:
        raise ConfigError("--check-lookahead looks at one model; name it with --model instead of --compare")
    with progress_of(options) as progress:
        job = _job(options)
        rows = job.rows(options.split)
        from src.commands.lookahead import check_lookahead

        progress.step("computing again without the later bars")
        checked = list(check_lookahead(job, rows))
    print(f"{job.origin}, {options.split} split of {options.symbol}: {len(rows)} bars")
    for what, culprit in checked:
        print(f"{'NO' if culprit else 'ok':3s} {culprit or what}")
    is_clean = not any(culprit for _, culprit in checked)
    print(
        "no look-ahead found"
        if is_clean
        else "look-ahead found: what it earns in a backtest, it cannot earn in trading"
    )
    return 0 if is_clean else 1


def _compare(options: argparse.Namespace) -> int:
    # Settings may follow the names, which argparse cannot tell apart.
    names = [name for name in options.compare if "=" not in name or name.endswith(".pth")]
    settings = [name for name in options.compare if name not in names]
    with progress_of(options) as progress:
        from src.commands.find_job import jobs_by_name

        request = _request(options, names, [*options.overrides, *settings])
        jobs, limits = jobs_by_name(names, request), _limits(options)
        from src.commands.compare import compare
        from src.reporting.html.comparison_page import PAGE_FILE, write_comparison, write_comparison_plain
        from src.reporting.summary import look_sentence
        from src.reporting.terminal.tables import print_comparison

        progress.step("trading the bars")
        comparison = compare(jobs, options.split, limits, _protective_stop(options, limits))
        progress.step("writing the report")
        written = write_report_folder(
            options,
            "comparison",
            lambda draft: write_comparison(draft, comparison),
            lambda path: write_comparison_plain(path, comparison),
        )
    bars = len(comparison.first.closes)
    print(headline(f"{len(names)} models", options, bars, comparison.first.period))
    print_comparison(comparison)
    if looks := [look for report in comparison.reports if (look := report.description.look) is not None]:
        print(look_sentence(max(looks)))
    written.say(PAGE_FILE)
    return 0


def _job(options: argparse.Namespace) -> Job:
    from src.commands.find_job import make_job

    return make_job(options.model, _request(options, [options.model], options.overrides))


def _request(options: argparse.Namespace, names: Sequence[str | None], overrides: Sequence[str]) -> Request:
    # Refuses wrong names, before torch and what reports need are loaded.
    from src.commands.find_job import require_found
    from src.commands.job import Request
    from src.commands.other_costs import OtherCosts

    costs = OtherCosts.parse(options.costs)
    request = Request(options.symbol, options.checkpoints, options.data, options.config, overrides, costs)
    require_found(names, request)
    return request


def _limits(options: argparse.Namespace) -> RiskLimits | None:
    if options.risk is None:
        return None
    from src.config.load import load_settings
    from src.config.risk import RiskLimits

    return load_settings(RiskLimits, found_file(options.risk))


def _protective_stop(options: argparse.Namespace, limits: RiskLimits | None) -> float | None:
    # The multiple, if stops are asked for.
    if not options.protective_stop:
        return None
    from src.config.risk import RiskLimits

    multiple = RiskLimits().protective_stop if limits is None else limits.protective_stop
    if not multiple:
        raise ConfigError(
            f"--protective-stop: {options.risk} switches it off; set protective_stop in it, 2 for example"
        )
    return multiple


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
