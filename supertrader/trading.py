"""Backtests and comparisons: the same calls as the commands make, on values instead of files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from src.commands.backtest import backtest as run_job
from src.commands.compare import compare as compare_over_same_bars
from src.commands.find_job import jobs_of, make_job
from src.commands.job import Job, Request
from src.config.base import require
from src.config.load import load_settings
from src.config.risk import RiskLimits
from src.config.training import TrainingConfig
from src.market.bars import BarSeries, symbol_id
from src.reporting.summary import Report
from src.runs.catalog import read_model
from supertrader.models import Model
from supertrader.results import Backtest, Comparison
from supertrader.settings import Settings, load, overrides
from supertrader.strategies import Strategy, label_of, require_one_a_bar, resolved


def backtest(
    strategy: Strategy,
    bars: BarSeries | None = None,
    *,
    symbol: str | None = None,
    split: str = "test",
    costs: Mapping[str, float] | None = None,
    settings: Settings = (),
    risk: str | Path | None = None,
    checkpoints: str | Path = "checkpoints",
) -> Backtest:
    """Trade one strategy over bars it has not seen, after costs.

    Args:
        strategy: a baseline's or model's name, a `Model`, targets, a function of the bars, or an agent; see `Strategy`.
        bars: what is traded; unless given, what a model was trained on, or what the settings name.
        symbol: the market, where neither bars nor model say it; `SP500` for a baseline.
        split: which part of the bars: `train`, `validation`, `test` or `all`. They follow each other in time.
        costs: of `costs` in docs/configuration.md, such as `{"commission_bps": 5}`. A model brings its own.
        settings: any other setting by its dotted name. A model brings its own.
        risk: a risk file such as `config/risk.yaml`, whose limits every decision has to pass.
        checkpoints: the folder of models.

    Raises:
        ConfigError: a name or setting is unknown or impossible.
        DataError: the bars cannot be used or are too few, or targets are not one a bar.
        LookaheadError: a function's target changes with later bars.
        ModelFileError: a model is missing, damaged or made for something else.

    Example:
        >>> backtest("buy_and_hold", load_bars("SP500")).summary()
        >>> backtest(lambda bars: bars.close > bars.to_frame()["close"].rolling(200).mean(), bars)
        >>> backtest("ma_cross", symbol="NASDAQ", costs={"commission_bps": 10})
        >>> backtest(load_model(symbol="SP500")).verdict
    """
    request = _request([strategy], bars, symbol, costs, settings, checkpoints)
    job = make_job(resolved(strategy), request, label_of(strategy))
    require_one_a_bar(strategy, job.bars)
    rows = job.rows(split)
    return _backtest(job, run_job(job, split, rows, limits=_limits(risk)))


def compare(
    strategies: Mapping[str, Strategy] | Sequence[Strategy],
    bars: BarSeries | None = None,
    *,
    symbol: str | None = None,
    split: str = "test",
    costs: Mapping[str, float] | None = None,
    settings: Settings = (),
    risk: str | Path | None = None,
    checkpoints: str | Path = "checkpoints",
) -> Comparison:
    """Trade several strategies over the same bars and say whether luck could explain how each differs from the first.

    Where a model is among them, the others trade under its rules; `costs` and `settings` are for comparisons without.

    Args:
        strategies: two or more, by the names to call them; or in a list, called by their own names.

    The other arguments, and what is refused, are those of `backtest`.

    Example:
        >>> compare(["buy_and_hold", "ma_cross", "rsi_reversion"], load_bars("NASDAQ")).differences()
        >>> compare({"trained": load_model("ppo", symbol="SP500"), "market": "buy_and_hold"}).verdicts
    """
    given = [strategies] if isinstance(strategies, str) else strategies
    named = given if isinstance(given, Mapping) else _named(given)
    require(len(named) >= 2, f"a comparison needs two strategies or more, was {len(named)}; give another")
    request = _request(list(named.values()), bars, symbol, costs, settings, checkpoints)
    jobs = jobs_of({label: resolved(one) for label, one in named.items()}, request)
    for label, strategy in named.items():
        require_one_a_bar(strategy, jobs[label].bars)
    comparison = compare_over_same_bars(jobs, split, _limits(risk))
    reports = zip(jobs.items(), comparison.reports, strict=True)
    return Comparison({label: _backtest(job, report) for (label, job), report in reports}, comparison)


def _named(strategies: Sequence[Strategy]) -> dict[str, Strategy]:
    named = {label_of(one): one for one in strategies}
    shared = f"{len(strategies)} strategies share the names {', '.join(named)}; name each, as in {{'fast': ..., ...}}"
    require(len(named) == len(strategies), shared)
    return named


class _Request(Request):
    """Reads settings once for many backtests."""

    @cached_property
    def settings(self) -> TrainingConfig:
        return load(self.overrides)


def _request(
    strategies: Sequence[Strategy],
    bars: BarSeries | None,
    symbol: str | None,
    costs: Mapping[str, float] | None,
    settings: Settings,
    checkpoints: str | Path,
) -> Request:
    if bars is not None and symbol is not None:
        same = symbol_id(bars.symbol) == symbol_id(symbol)
        require(
            same, f"symbol={symbol} and bars of {bars.symbol} were both given; give one of them, or bars of {symbol}"
        )
    charged = overrides({f"costs.{name}": value for name, value in (costs or {}).items()})
    request = _Request(symbol or "", Path(checkpoints), data=bars, overrides=[*overrides(settings), *charged])
    return request if symbol else replace(request, symbol=_symbol(strategies, bars, request))


def _symbol(strategies: Sequence[Strategy], bars: BarSeries | None, request: Request) -> str:
    # Where nobody says it, bars know their market, then models, then the settings.
    if bars is not None:
        return bars.symbol
    for one in strategies:
        if isinstance(one, Model):
            return one.symbol
        if isinstance(one, Path) or (isinstance(one, str) and one.endswith(".pth")):
            return read_model(Path(one)).symbol
    return request.settings.symbol


def _limits(risk: str | Path | None) -> RiskLimits | None:
    return None if risk is None else load_settings(RiskLimits, Path(risk))


def _backtest(job: Job, report: Report) -> Backtest:
    return Backtest(report.description.model, report)
