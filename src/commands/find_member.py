"""From what a user writes behind `--member` to a `Member`: the name of a baseline, or a file of `config/members`."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from src.agents.baselines import BASELINES, make_baseline
from src.agents.one_symbol import OneSymbol, Sleeves
from src.agents.portfolio_baselines import PORTFOLIO_BASELINES, make_portfolio_baseline
from src.config.base import require_known
from src.config.load import load_settings
from src.config.portfolio.member import MemberConfig, MemberKind
from src.errors import ConfigError
from src.market.panel import Panel
from src.trading.member import Member
from src.trading.rules import TradingRules

CHAMPION = "champion"
MODEL = ".pth"
ROUNDING = 1e-9
_FILES = (".yaml", ".yml")


def is_member(name: str) -> bool:
    """Return whether a name is one of a member, and not of a model or a baseline of a single symbol."""
    return name.endswith(_FILES) or name in PORTFOLIO_BASELINES


class FoundMember(NamedTuple):
    """A member, and what to know of it before believing its results.

    Attributes:
        is_candidate: could be chosen by how it does on sealed bars, as everything but the project's own baselines.
        trained: first and last closing time its models learned from; None without any.
    """

    member: Member
    is_candidate: bool
    trained: tuple[int, int] | None = None


def find_member(name: str, panel: Panel, rules: TradingRules, checkpoints: Path) -> FoundMember:
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
        return FoundMember(make_portfolio_baseline(name), is_candidate=False)
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"--member {path} is not an existing file; name one, or one of {_baselines()}")
    config = load_settings(MemberConfig, path)
    if config.kind is MemberKind.baseline:
        return FoundMember(_baseline(config), is_candidate=True)
    return _sleeves(config, panel, rules, checkpoints)


def _baseline(config: MemberConfig) -> Member:
    usual = make_portfolio_baseline(config.name)
    member = replace(
        usual,
        lookback_bars=config.lookback_bars or usual.lookback_bars,
        every_bars=config.every_bars or usual.every_bars,
    )
    if member.member_id != usual.member_id:  # else a comparison would show two of one name
        member.name = f"{usual.name} {member.lookback_bars}/{member.every_bars or 'never'}"
    return member


def _sleeves(config: MemberConfig, panel: Panel, rules: TradingRules, checkpoints: Path) -> FoundMember:
    share = 1 / len(panel.symbols) if config.share is None else config.share
    count, most = len(panel.symbols), rules.action.max_leverage
    if share * count > most + ROUNDING:
        raise ConfigError(
            f"a share of {share:g} for each of {count} symbols is {share * count:g} times the equity, above "
            f"max_leverage={most:g}; set share to null, or to at most {most / count:.4g}"
        )
    if config.name != CHAMPION and not config.name.endswith(MODEL):
        require_known("agent of the sleeves", [config.name], [CHAMPION, *BASELINES])
        shown = rules.account_inputs
        sleeves = [OneSymbol(make_baseline(config.name, rules), one, share, shown=shown) for one in panel.symbols]
        return FoundMember(Sleeves(sleeves), is_candidate=True)
    models = [_sleeve(config.name, symbol, share, panel, rules, checkpoints) for symbol in panel.symbols]
    periods = [trained for _, trained in models if trained is not None]
    trained = (min(first for first, _ in periods), max(last for _, last in periods)) if periods else None
    return FoundMember(Sleeves([sleeve for sleeve, _ in models]), True, trained)


def _sleeve(
    name: str, symbol: str, share: float, panel: Panel, rules: TradingRules, checkpoints: Path
) -> tuple[OneSymbol, tuple[int, int] | None]:
    # A model's sleeve, and the first and last closing time it learned from.
    from src.agents.model_file import CHAMPION_STAGE, model_from_bytes, model_path, read_bytes, require_match  # torch
    from src.agents.registry import agent_from_file

    path = model_path(symbol, CHAMPION_STAGE, checkpoints) if name == CHAMPION else Path(name)
    data = read_bytes(path)
    file = model_from_bytes(path, data)
    require_match(file, symbol if name == CHAMPION else file.symbol, panel.timeframe)
    needs, spec = file.rules["account_inputs"], {"sha256": hashlib.sha256(data).hexdigest()}
    sleeve = OneSymbol(agent_from_file(file), symbol, share, spec, rules.account_inputs, needs)
    return sleeve, file.split.get("train", {}).get("time")


def _baselines() -> str:
    return ", ".join(PORTFOLIO_BASELINES)
