"""`run_backtest.py` with members: a portfolio traded by one, or by several side by side."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.command_line import found_file
from src.commands.report_output import headline, progress_of, write_report_folder
from src.errors import ConfigError

if TYPE_CHECKING:  # what is heavy is imported where it is used: refusals answer at once
    from src.commands.portfolio import PortfolioJob
    from src.config.portfolio.preferences import Preferences


def trade_by_member(options: argparse.Namespace, symbols: Sequence[str]) -> int:
    """Trade a portfolio by `--member`, print its figures and write its report; returns the exit code.

    Raises:
        ConfigError, DataError, ModelFileError, LookaheadError: one sentence each.
    """
    if options.member is None:
        raise ConfigError("a portfolio is traded by a member; name one with --member, such as --member equal_weight")
    with progress_of(options) as progress:
        job, preferences = _portfolio_job(options, symbols, options.overrides)
        from src.commands.portfolio import portfolio_backtest
        from src.reporting.figures_file import write_figures
        from src.reporting.portfolio.page import write_portfolio
        from src.reporting.portfolio.summary import portfolio_plain, portfolio_verdict
        from src.reporting.report import REPORT_FILE
        from src.reporting.summary import look_sentence
        from src.reporting.terminal.plain_output import say
        from src.reporting.terminal.tables import print_portfolio

        progress.step("trading the bars")
        report = portfolio_backtest(job, options.member, options.split, preferences, options.checkpoints)
        progress.step("writing the report")
        options.symbol = report.panel.name
        written = write_report_folder(
            options,
            Path(options.member).stem,
            lambda draft: write_portfolio(draft, report),
            lambda path: write_figures(path, portfolio_plain(report)),
        )
    say(headline(f"member {report.description.member}", options, len(report.panel), report.period))
    print_portfolio(report)
    say(portfolio_verdict(report))
    for caution in report.description.cautions:
        say(f"Careful: {caution}.")
    if report.description.look is not None:
        say(look_sentence(report.description.look))
    written.say(REPORT_FILE)
    return 0


def compare_by_members(options: argparse.Namespace, symbols: Sequence[str]) -> int:
    """Trade a portfolio by each member of `--compare`, print and write the comparison; returns the exit code.

    Raises:
        ConfigError, DataError, ModelFileError, LookaheadError: one sentence each.
    """
    names = [name for name in options.compare if "=" not in name]
    settings = [name for name in options.compare if name not in names]
    if len(set(names)) < max(2, len(names)):
        raise ConfigError(f"--compare needs at least two members, each once, was {' '.join(names)}")
    with progress_of(options) as progress:
        job, preferences = _portfolio_job(options, symbols, [*options.overrides, *settings])
        from src.commands.portfolio import compare_members
        from src.reporting.figures_file import write_figures
        from src.reporting.html.comparison_page import PAGE_FILE
        from src.reporting.portfolio.comparison import comparison_figures, write_portfolio_comparison
        from src.reporting.summary import look_sentence
        from src.reporting.terminal.plain_output import say
        from src.reporting.terminal.tables import print_portfolio_comparison

        progress.step("trading the bars")
        comparison = compare_members(job, names, options.split, preferences, options.checkpoints)
        progress.step("writing the report")
        options.symbol = job.panel.name
        written = write_report_folder(
            options,
            "comparison",
            lambda draft: write_portfolio_comparison(draft, comparison),
            lambda path: write_figures(path, comparison_figures(comparison)),
        )
    first = comparison.reports[0]
    say(headline(f"{len(names)} members", options, len(first.panel), first.period))
    print_portfolio_comparison(comparison)
    if looks := [look for report in comparison.reports if (look := report.description.look) is not None]:
        say(look_sentence(max(looks)))
    written.say(PAGE_FILE)
    return 0


def _portfolio_job(
    options: argparse.Namespace, symbols: Sequence[str], overrides: Sequence[str]
) -> "tuple[PortfolioJob, Preferences]":
    if options.protective_stop:
        raise ConfigError("--protective-stop is modelled for single symbols only; leave it out")
    if options.risk is not None or options.check_lookahead:
        raise ConfigError(
            "a member trades under --preferences instead of --risk, and is always checked for look-ahead; leave out "
            "--risk and --check-lookahead"
        )
    from src.commands.other_costs import OtherCosts
    from src.commands.portfolio import portfolio_job
    from src.config.load import load_settings, load_training_config
    from src.config.portfolio.preferences import Preferences

    config = load_training_config(overrides, config_file=options.config)
    config = replace(config, costs=OtherCosts.parse(options.costs).in_place_of(config.costs))
    preferences = load_settings(Preferences, found_file(options.preferences))
    return portfolio_job(symbols, config, options.data), preferences
