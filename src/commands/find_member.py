"""From what a user writes behind `--member` to a `Member`: the name of a baseline, or a file of `config/members`."""

from dataclasses import replace
from pathlib import Path

from src.agents.baselines import BASELINES, make_baseline
from src.agents.one_symbol import OneSymbol, Sleeves
from src.agents.portfolio_baselines import PORTFOLIO_BASELINES, make_portfolio_baseline
from src.config.base import require_known
from src.config.load import load_settings
from src.config.portfolio.member import MemberConfig, MemberKind
from src.errors import ConfigError
from src.market.panel import Panel
from src.trading.agent import Agent
from src.trading.member import Member
from src.trading.rules import TradingRules

CHAMPION = "champion"
_FILES = (".yaml", ".yml")


def find_member(name: str, panel: Panel, rules: TradingRules, checkpoints: Path) -> Member:
    """Return the member of a name.

    Args:
        name: of a baseline of portfolios, or of a file.
        panel: that it is to trade.
        rules: of the run.
        checkpoints: where champions are.

    Raises:
        ConfigError: there is no such baseline, file or kind.
        ModelFileError: a champion is missing or damaged.
    """
    if not name.endswith(_FILES):
        require_known("member", [name], PORTFOLIO_BASELINES)
        return make_portfolio_baseline(name)
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"--member {path} is not an existing file; name one, or one of {_baselines()}")
    config = load_settings(MemberConfig, path)
    return _baseline(config) if config.kind is MemberKind.baseline else _sleeves(config, panel, rules, checkpoints)


def _baseline(config: MemberConfig) -> Member:
    member = make_portfolio_baseline(config.name)
    return replace(
        member,
        lookback_bars=config.lookback_bars or member.lookback_bars,
        every_bars=config.every_bars or member.every_bars,
    )


def _sleeves(config: MemberConfig, panel: Panel, rules: TradingRules, checkpoints: Path) -> Member:
    share = 1 / len(panel.symbols) if config.share is None else config.share
    require_known("agent of the sleeves", [config.name], [CHAMPION, *BASELINES])
    agents = {symbol: _agent(config.name, symbol, rules, checkpoints) for symbol in panel.symbols}
    return Sleeves([OneSymbol(agent, symbol, share) for symbol, agent in agents.items()])


def _agent(name: str, symbol: str, rules: TradingRules, checkpoints: Path) -> Agent:
    if name != CHAMPION:
        return make_baseline(name, rules)
    from src.agents.model_file import CHAMPION_STAGE, load_model, model_path, require_match  # loads torch
    from src.agents.registry import agent_from_file

    file = load_model(model_path(symbol, CHAMPION_STAGE, checkpoints))
    require_match(file, symbol, file.timeframe)
    return agent_from_file(file)


def _baselines() -> str:
    return ", ".join(PORTFOLIO_BASELINES)
