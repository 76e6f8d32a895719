"""SuperTrader for notebooks: load bars, train, load a model, backtest, compare, plot.

    import supertrader as st

    bars = st.load_bars("SP500")                               # or a file, or a DataFrame
    market = st.backtest("buy_and_hold", bars)                 # a baseline, a model, your own targets or agent
    run = st.train({"symbol": "SP500"}, experiment="smoke")    # the only call that needs ray
    model = run.models["stage_1_ppo"]
    comparison = st.compare([model, "buy_and_hold", "ma_cross"], bars)
    print(comparison.verdicts)                                 # could luck explain it?
    st.plot_equity(comparison)

Every call does what the command of the same purpose does, with the same results and the same refusals. What is not
listed in `__all__` is no part of this interface and may change. docs/api.md is a short tour.
"""

from src.errors import ConfigError, DataError, LookaheadError, ModelFileError, RunLocked, TraderError
from src.market.bars import BarSeries
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState
from supertrader.bars import load_bars
from supertrader.listing import list_baselines, list_models, list_reports, list_runs
from supertrader.models import Model, load_model
from supertrader.plots import plot_drawdown, plot_equity, plot_exposure
from supertrader.results import Backtest, Comparison
from supertrader.settings import Settings
from supertrader.strategies import Strategy
from supertrader.trading import backtest, compare
from supertrader.training import Run, load_run, train

__all__ = [
    "Agent",
    "Backtest",
    "BarSeries",
    "Comparison",
    "ConfigError",
    "DataError",
    "Decision",
    "LookaheadError",
    "MarketState",
    "Model",
    "ModelFileError",
    "Run",
    "RunLocked",
    "Settings",
    "Strategy",
    "TraderError",
    "backtest",
    "compare",
    "list_baselines",
    "list_models",
    "list_reports",
    "list_runs",
    "load_bars",
    "load_model",
    "load_run",
    "plot_drawdown",
    "plot_equity",
    "plot_exposure",
    "train",
]
