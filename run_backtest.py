"""Backtest a trained model or a baseline: `python run_backtest.py --symbol SP500`.

Without `--model` the champion of the symbol is used, and only it; while there is none, its newest stage model. A model
trades under the rules, costs and features saved in its file; a baseline under `config/training_sequence.yaml`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from src.errors import ConfigError, DataError, ModelFileError, TraderError

if TYPE_CHECKING:  # what is heavy is imported where it is used: --help and refusals answer at once
    from src.agents.champion import ModelFile
    from src.backtesting.engine import BacktestResult
    from src.config.schema import DataConfig
    from src.market.bars import BarSeries
    from src.market.splits import Splits
    from src.reporting.summary import Report
    from src.trading.agent import Agent
    from src.trading.rules import TradingRules

SPLIT_NAMES = ("train", "validation", "test", "all")

_EXAMPLES = """\
examples:
  python run_backtest.py --symbol SP500                                  the champion, or the newest stage model
  python run_backtest.py --symbol SP500 --model stage_1_ppo --split validation
  python run_backtest.py --symbol SP500 --model buy_and_hold costs.commission_bps=10
  python run_backtest.py --symbol BTC/USDT --data btc_1h.parquet --report reports/btc --json btc.json

baselines: flat, buy_and_hold, ma_cross, rsi_reversion, random"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    try:
        return _backtest(_parser().parse_intermixed_args(arguments))
    except TraderError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see run_backtest.py --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_backtest.py",
        description="Backtest a trained model or a baseline and write a report.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--symbol", required=True, help="market, such as SP500 or BTC/USDT")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a .pth file, a stage such as stage_1_ppo, an algorithm such as ppo, or a baseline",
    )
    parser.add_argument("--split", choices=SPLIT_NAMES, default="test", help="which part of the data (default: test)")
    parser.add_argument("--data", type=Path, metavar="FILE", help="bars to trade instead of those of the settings")
    parser.add_argument("--report", type=Path, metavar="DIR", help="default: reports/SYMBOL_MODEL_SPLIT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary to this file too")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", default=Path("checkpoints"), help="where models are")
    parser.add_argument("--config", type=Path, metavar="FILE", help="baselines: a sequence file of your own")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="baselines: settings to override")
    return parser


@dataclass(frozen=True)
class _Job:
    # Everything a backtest needs, and how to speak of it.
    agent: Agent
    label: str
    origin: str  # what the first line says was used
    bars: BarSeries
    splits: Splits
    rules: TradingRules
    config: dict[str, Any]
    note: str = ""
    sha256: str = ""
    trained: tuple[int, int] | None = None  # first and last closing time the model learned from


def _backtest(options: argparse.Namespace) -> int:
    _check_destinations(options)
    from src.agents.baselines import BASELINES

    job = _baseline_job(options) if options.model in BASELINES else _model_job(options, sorted(BASELINES))
    rows = _rows(job, options.split)

    from src.backtesting.engine import run_backtest
    from src.reporting.console import print_performance
    from src.reporting.summary import verdict

    first, last = (str(_day(int(job.bars.close_time[row]))) for row in (rows[0], rows[-1]))
    print(f"{job.origin}, {options.split} split of {options.symbol}: {len(rows)} bars, {first} to {last}")
    result = run_backtest(job.agent, job.bars, job.rules, rows)
    report = _report(job, options.split, result)
    written = _write(report, options)
    print_performance(f"{job.label}, {options.split} split", report.performance)
    print(verdict(report.performance, report.sharpe_interval))
    if seen := _seen_in_training(job, result):
        print(f"Careful: {seen}.")
    print(f"report: {written}")
    return 0


def _check_destinations(options: argparse.Namespace) -> None:
    if options.report is not None and options.report.exists() and not options.report.is_dir():
        raise ConfigError(f"--report {options.report} is not a folder; name a folder")
    if options.json is not None and options.json.is_dir():
        raise ConfigError(f"--json {options.json} is a folder; name a file")
    if options.data is not None and not options.data.is_file():
        raise DataError(f"--data {options.data} is not an existing file; check the path")


def _model_job(options: argparse.Namespace, baselines: Sequence[str]) -> _Job:
    if options.overrides or options.config is not None:
        given = options.overrides[0] if options.overrides else f"--config {options.config}"
        raise ConfigError(f"a model trades under the settings in its file; leave out '{given}' or choose a baseline")
    from src.agents.champion import load_model, require_match, resolve_model
    from src.agents.policy_agent import PolicyAgent
    from src.market.bars import symbol_id
    from src.market.sources import load_bars
    from src.trading.rules import TradingRules

    choice = resolve_model(options.symbol, options.model, options.checkpoints, baselines)
    file = load_model(choice.path)
    require_match(file, options.symbol, file.timeframe)
    agent = PolicyAgent.from_file(file)
    data = _saved_data(file, choice.path, options.data)
    bars = load_bars(options.symbol, data, int(file.config.get("seed", 0)))
    require_match(file, bars.symbol, bars.timeframe)
    return _Job(
        agent=agent,
        label=f"{symbol_id(file.symbol)} {file.stage}",
        origin=f"{choice.role} {choice.path}",
        bars=bars,
        splits=_saved_splits(file, bars, data, agent.warmup_bars),
        rules=TradingRules.from_plain(file.rules),
        config=file.config,
        note="" if choice.role == "champion" else f"{choice.role}, not the champion",
        sha256=_sha256(choice.path),
        trained=file.split.get("train", {}).get("time"),
    )


def _baseline_job(options: argparse.Namespace) -> _Job:
    from src.agents.baselines import BASELINES
    from src.config.load import load_training_config, to_plain
    from src.config.schema import Source
    from src.features.pipeline import FeaturePipeline
    from src.market.sources import load_bars
    from src.trading.rules import make_rules

    config = load_training_config(options.overrides, config_file=options.config)
    data = config.data if options.data is None else replace(config.data, source=Source.files, path=str(options.data))
    config = replace(config, symbol=options.symbol, data=data)
    bars = load_bars(config.symbol, data, config.seed)
    # The rows a model of the same settings would get, so that the two compare.
    pipeline = FeaturePipeline(config.features.names, config.features.clip)
    splits = _split(bars, pipeline.warmup_bars + config.model.core.window - 1, data)
    moves = bars.log_returns[splits.train.start + 1 : splits.train.stop]
    rules = make_rules(config.environment, config.costs, config.risk, float(moves.std()))
    return _Job(
        agent=BASELINES[options.model](rules, seed=config.seed),
        label=options.model,
        origin=f"baseline {options.model}",
        bars=bars,
        splits=splits,
        rules=rules,
        config=to_plain(config),
        note="baseline",
    )


def _saved_data(file: ModelFile, path: Path, other: Path | None) -> DataConfig:
    from src.config.schema import DataConfig, Source, SplitConfig, SyntheticConfig

    try:
        plain = dict(file.config["data"])
        data = DataConfig(
            **plain
            | {
                "source": Source(plain["source"]),
                "split": SplitConfig(**plain["split"]),
                "synthetic": SyntheticConfig(**plain["synthetic"]),
            }
        )
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} does not say which data it was trained on ({error}); train anew") from error
    if other is None:
        return data
    columns = data.columns if data.source is Source.files else {}
    return DataConfig(source=Source.files, path=str(other), columns=columns, split=data.split)


def _saved_splits(file: ModelFile, bars: BarSeries, data: DataConfig, warmup_bars: int) -> Splits:
    # On the data of the training: its very rows. On other data: the same fractions.
    from src.market.splits import Splits

    if bars.fingerprint != file.data_fingerprint:
        return _split(bars, warmup_bars, data)
    train, validation, test = (range(*file.split[name]["rows"]) for name in SPLIT_NAMES[:3])
    return Splits(train, validation, test, range(train.start, test.stop))


def _split(bars: BarSeries, warmup_bars: int, data: DataConfig) -> Splits:
    from src.market.splits import chronological_splits

    if warmup_bars >= len(bars):
        raise DataError(
            f"{bars.symbol}: {len(bars)} bars do not outlast the {warmup_bars} bars of warm-up; give more bars"
        )
    return chronological_splits(range(warmup_bars, len(bars)), data.split)


def _rows(job: _Job, split: str) -> range:
    rows = job.splits.named(split)
    if len(rows) < 2:
        raise DataError(
            f"the {split} split of {job.bars.symbol} holds {len(rows)} bars; choose another split or more data"
        )
    return rows


def _report(job: _Job, split: str, result: BacktestResult) -> Report:
    from src.reporting.summary import Description, make_report
    from src.seeding import generator

    description = Description(
        model=job.label,
        symbol=job.bars.symbol,
        timeframe=job.bars.timeframe,
        split=split,
        note="; ".join(filter(None, (job.note, _seen_in_training(job, result)))),
        data_fingerprint=job.bars.fingerprint,
        model_sha256=job.sha256,
        costs=job.rules.to_plain()["costs"],
        config=job.config,
    )
    rng = generator(0, "backtest", "bootstrap")
    return make_report(description, result.records, result.closes, result.bars_per_year, result.initial_equity, rng)


def _seen_in_training(job: _Job, result: BacktestResult) -> str:
    if job.trained is None:
        return ""
    times = result.records.close_time
    seen = int(((times >= job.trained[0]) & (times <= job.trained[1])).sum())
    return f"{seen} of {len(times)} bars lie in the period the model was trained on" if seen else ""


def _write(report: Report, options: argparse.Namespace) -> Path:
    # All files are made in a folder beside the final one, then moved: an error leaves nothing half-written.
    import shutil
    import tempfile

    from src.market.bars import symbol_id
    from src.reporting.report import write_result, write_summary

    label = report.description.model.replace(" ", "_").removeprefix(f"{symbol_id(options.symbol)}_")
    folder: Path = options.report or Path("reports") / f"{symbol_id(options.symbol)}_{label}_{options.split}"
    draft: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        write_result(draft, report)
        if options.json is not None:
            write_summary(options.json, report)
        folder.mkdir(exist_ok=True)
        for path in draft.iterdir():
            path.replace(folder / path.name)
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {folder} ({error}); name another with --report") from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
    return folder / "report.html"


def _day(time_ms: int) -> Any:
    # The last millisecond of the bar: a daily bar that closes at midnight belongs to the day it covers.
    import numpy as np

    return np.datetime64(time_ms - 1, "ms").astype("datetime64[D]")


def _sha256(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
