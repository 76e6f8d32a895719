"""A member traded over a part of a panel, as a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from src.backtesting.panel_causality import require_no_look_ahead
from src.backtesting.portfolio import run_portfolio
from src.commands.backtest import seen_in_training, unadjusted_splits
from src.commands.find_member import FoundMember, find_member
from src.commands.job import Candidate
from src.commands.looks import sealed_look_at_panel
from src.commands.optimum import optimum_of_panel
from src.config.data import DataSource
from src.config.plain import to_plain
from src.config.portfolio.preferences import Preferences
from src.config.training import TrainingConfig
from src.errors import DataError
from src.market.panel import Panel
from src.market.panel_sources import load_panel, panel_source
from src.market.splits import Splits, chronological_splits
from src.reporting.portfolio.comparison import PortfolioComparison, compare_portfolios
from src.reporting.portfolio.summary import PortfolioDescription, PortfolioReport, make_portfolio_report
from src.seeding import generator
from src.trading.member import Member
from src.trading.rules import TradingRules, make_rules


@dataclass(frozen=True)
class PortfolioJob:
    """A panel, its parts, and the rules it is traded under."""

    panel: Panel
    splits: Splits
    rules: TradingRules
    config: TrainingConfig


def portfolio_job(symbols: Sequence[str], config: TrainingConfig, path: Path | None = None) -> PortfolioJob:
    """Load the panel and cut its rows in order of time.

    Args:
        symbols: of the portfolio, or one name of one that is built in.
        path: of files to trade instead of those of the settings; `{symbol}` stands for each.

    Raises:
        ConfigError, DataError: the bars cannot be used.
    """
    data = config.data
    if path is not None:
        data = replace(data, source=DataSource.files, path=str(path))
    source = panel_source(symbols[0]) if len(symbols) == 1 and path is None else None
    if source is not None:
        data = replace(data, source=source)
    name = "+".join(symbols)
    panel = load_panel(name, symbols if source is None else (), data, config.seed)
    splits = chronological_splits(range(len(panel)), data.split)
    moves = np.diff(np.log(panel.close[splits.train.start : splits.train.stop]), axis=0)
    moves = moves[np.isfinite(moves)]
    if len(moves) < 2 or not moves.std() > 0:
        raise DataError(f"{name}: the training part holds no two bars of a symbol that moves; use more data")
    rules = make_rules(config.environment, config.costs, config.risk, float(moves.std()), config.plugins)
    return PortfolioJob(panel, splits, rules, replace(config, data=data))


def portfolio_backtest(
    job: PortfolioJob, member_name: str, split: str, preferences: Preferences | None, checkpoints: Path
) -> PortfolioReport:
    """Trade a part of the panel and measure the account; the first rows that a member needs as history are left out.

    Raises:
        ConfigError, DataError, ModelFileError: there is no such member, or no row is left for it.
        LookaheadError: a decision rests on a later bar.
    """
    found = find_member(member_name, job.panel, job.rules, checkpoints)
    return _traded(job, found, _rows(job, found.member, split), split, preferences)


def compare_members(
    job: PortfolioJob, names: Sequence[str], split: str, preferences: Preferences | None, checkpoints: Path
) -> PortfolioComparison:
    """Trade the same rows by several members: those that are left to the one that needs the longest history.

    Raises:
        ConfigError, DataError, ModelFileError, LookaheadError: as `portfolio_backtest`.
    """
    members = [find_member(name, job.panel, job.rules, checkpoints) for name in names]
    longest = max((found.member for found in members), key=lambda member: member.warmup_bars)
    rows = _rows(job, longest, split)
    reports = [_traded(job, found, rows, split, preferences) for found in members]
    return compare_portfolios(reports, generator(0, "compare", "bootstrap"))


def _rows(job: PortfolioJob, member: Member, split: str) -> range:
    part = job.splits.named(split)
    rows = range(max(part.start, member.warmup_bars), part.stop)
    if len(rows) < 2:
        raise DataError(
            f"{job.panel.name}: {member.name} needs {member.warmup_bars} bars of history and the {split} split ends at "
            f"row {part.stop}; choose another split or more data"
        )
    return rows


def _traded(
    job: PortfolioJob, found: FoundMember, rows: range, split: str, preferences: Preferences | None
) -> PortfolioReport:
    member = found.member
    require_no_look_ahead(member, job.panel, rows, len(job.rules.account_inputs))
    result = run_portfolio(member, job.panel, job.rules, rows, preferences)
    description = PortfolioDescription(
        member=member.name,
        member_id=member.member_id,
        portfolio=job.panel.name,
        timeframe=job.panel.timeframe,
        split=split,
        data_fingerprint=job.panel.fingerprint,
        costs=job.rules.to_plain()["costs"],
        config=to_plain(job.config),
        preferences={} if preferences is None else to_plain(preferences),
        preferences_sha256="" if preferences is None else preferences.sha256,
        cautions=tuple(_cautions(job.panel, found, rows)),
        look=_look(job, found, rows),
    )
    return make_portfolio_report(
        description,
        result.records,
        result.wanted,
        result.traded,
        result.changes,
        result.initial_equity,
        generator(0, "backtest", "bootstrap"),
        optimum_of_panel(job.panel, rows, job.rules, result.records.target),
    )


def _cautions(panel: Panel, found: FoundMember, rows: range) -> Iterator[str]:
    # What a reader should know before believing it, one sentence each.
    if seen := seen_in_training(found.trained, panel.close_time[rows.start : rows.stop]):
        yield seen
    part = panel[rows.start : rows.stop]
    for number, symbol in enumerate(panel.symbols):
        if part.has_bar[:, number].sum() > 1:
            bars = part.series(symbol)
            if said := unadjusted_splits(bars, range(len(bars))):
                yield f"{symbol}: {said}"


def _look(job: PortfolioJob, found: FoundMember, rows: range) -> int | None:
    if not found.is_candidate:
        return None
    candidate = Candidate(f"member {found.member.member_id}", job.config.run)
    return sealed_look_at_panel(job.panel, job.splits.test, rows, candidate, job.config.data.source)
