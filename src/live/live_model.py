"""`LiveModel`: the champion of a symbol, checked, ready to trade; and the watch for a newer one.

Loads `{symbol}_autonomous_final.pth` and nothing else. Torch, no ray.
"""

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.agents.model_file import (
    CHAMPION_STAGE,
    UNFIT,
    model_from_bytes,
    model_path,
    read_bytes,
    require_champion,
    require_match,
)
from src.agents.registry import agent_from_file
from src.agents.streaming_agent import StreamingAgent
from src.config.risk import RiskLimits
from src.errors import ConfigError, ModelFileError, TraderError
from src.evaluation.promotion import Verdict
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.market.bars import BarSeries
from src.signing.signature import signature_path, signers
from src.trading.records import MarketState
from src.trading.rules import TradingRules
from src.trading.session import Session

logger = logging.getLogger(__name__)

MOST_HISTORY_BARS = 100_000  # 69 days of minutes; an exchange sends so many in a hundred pages


@dataclass(frozen=True)
class LiveModel:
    """A model that may trade.

    Attributes:
        rules: costs and actions of its training; risk rules and equity of the live account.
        validation: statistics it was chosen by.
        sha256: of the file.
        signers: public keys of those who signed these very bytes.
    """

    symbol: str
    timeframe: str
    agent: StreamingAgent
    rules: TradingRules
    validation: dict[str, Any]
    verdict: str
    sha256: str
    signers: frozenset[str] = frozenset()

    def of(self, symbol: str) -> "LiveModel":
        """Return the same under the exchange's spelling of its symbol."""
        return replace(self, symbol=symbol)


def load_champion(
    symbol: str,
    checkpoints: Path,
    limits: RiskLimits,
    capital: float,
    require: Callable[[frozenset[str]], None] | None = None,
) -> LiveModel:
    """Load the champion of a symbol.

    Args:
        symbol: any spelling.
        checkpoints: where champions are.
        limits, capital: of the account.
        require: refuses, by raising, what these public keys signed. Asked before anything of the file is used: it names
            plug-ins, and they are imported.

    Raises:
        ModelFileError: it is missing, damaged, or of another symbol or feature set.
    """
    require_champion(symbol, checkpoints)
    path = model_path(symbol, CHAMPION_STAGE, checkpoints)
    data = read_bytes(path)  # once: what is loaded, hashed and found signed is the same
    signed_by = signers(path, data)
    if require is not None:
        require(signed_by)
    file = model_from_bytes(path, data)
    require_match(file, symbol, file.timeframe)
    agent, rules = agent_from_file(file), TradingRules.from_plain(file.rules)
    if agent.history_bars > MOST_HISTORY_BARS:
        raise ModelFileError(
            f"{path} looks back on {agent.history_bars:,} bars, and a bot on {MOST_HISTORY_BARS:,} at most; train anew"
        )
    return LiveModel(
        symbol=symbol,
        timeframe=file.timeframe,
        agent=StreamingAgent(agent),
        rules=replace(rules.under(limits), initial_equity=capital),
        validation=file.validation,
        verdict=file.verdict,
        sha256=hashlib.sha256(data).hexdigest(),
        signers=signed_by,
    )


def require_promoted(model: LiveModel) -> None:
    """Refuse real orders to a champion that was not promoted.

    Raises:
        ModelFileError: with its verdict.
    """
    if model.verdict != Verdict.promoted.value:
        raise ModelFileError(
            f"the champion of {model.symbol} was not promoted (verdict: '{model.verdict}') and trades on paper "
            "only; leave out --live, or add --unpromoted to override"
        )


def require_long_only(model: LiveModel) -> None:
    """Refuse real orders to a champion that needs a margin account.

    Raises:
        ModelFileError: it goes short, or takes exposures above 1.
    """
    low, high = model.rules.action.bounds
    if low < 0:
        raise ModelFileError(
            f"the champion of {model.symbol} goes short, and real orders are spot and long only; leave out --live to "
            "follow it on paper, or train with environment.action.allow_short=false"
        )
    if high > 1:
        raise ModelFileError(
            f"the champion of {model.symbol} takes exposures up to {high:g}, and real orders reach 1; leave out --live "
            "to follow it on paper, or train with environment.action.max_leverage=1 and a grid within it"
        )


def require_signed(symbol: str, signed_by: frozenset[str], key: str | None) -> None:
    """Refuse real orders to a champion that was not signed by a key.

    Args:
        signed_by: public keys of those who signed it.
        key: public, in base64; None where the settings name none.

    Raises:
        ConfigError: there is no key.
        ModelFileError: the champion was signed by nobody, or by others.
    """
    if key is None:
        raise ConfigError(
            "real orders need verification_key in the settings, so that nobody else's champion trades; "
            "`python -m src.signing` prints it where the champion was trained"
        )
    if key not in signed_by:
        by = f"signed by {', '.join(sorted(signed_by))} and not" if signed_by else "not signed"
        raise ModelFileError(
            f"the champion of {symbol} is {by} by verification_key {key}, and trades on paper only; bring its "
            ".pth and its .pth.sig from where it was trained, or sign it there: python -m src.signing FILE.pth"
        )


def require_decision(model: LiveModel, bars: BarSeries) -> None:
    """Have a model decide and explain once, as the first bar of an account would ask it.

    Args:
        bars: its history at least.

    Raises:
        ModelFileError: it fails, or what it wants is no number.
    """
    session = Session(model.rules, scalar)
    session.open(open_accounts(scalar, (), model.rules.initial_equity, bars.close.item(-1)))
    market_state = MarketState(len(bars) - 1, int(bars.close_time[-1]), session.account_inputs()[None])
    try:
        model.agent.prepare(bars)
        decision = model.agent.act(market_state)
        model.agent.explain(market_state)
        wanted, confidence = decision.target.item(), decision.confidence.item()
    except (TraderError, *UNFIT) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"the champion of {model.symbol} fails at a first decision ({type(error).__name__} {reason}); train anew"
        ) from error
    if not (math.isfinite(wanted) and math.isfinite(confidence)):
        raise ModelFileError(
            f"the champion of {model.symbol} wants {wanted} at a first decision, with a confidence of {confidence}; "
            "train anew"
        )


class ChampionWatch:
    """Looks whether the champion's file, or what is signed of it, was replaced.

    Args:
        load: loads and checks the file.
        complain: told once about each file that does not pass.
    """

    def __init__(self, path: Path, load: Callable[[], LiveModel], complain: Callable[[str], None]) -> None:
        self._path, self._load, self._complain = path, load, complain
        self._seen = self._version()

    def newer(self, current: LiveModel) -> LiveModel | None:
        """Return a newer champion that passed its checks and trades the same bars; None to stay with the current."""
        version = self._version()
        if version == self._seen:
            return None
        self._seen = version
        try:
            model = self._load()
            if model.timeframe != current.timeframe:
                raise ModelFileError(
                    f"{self._path} trades {model.timeframe} bars, not {current.timeframe}; restart for it"
                )
        except TraderError as error:
            self._complain(f"{current.symbol}: a new champion was not taken up: {error}")
            return None
        return model.of(current.symbol) if model.sha256 != current.sha256 else None

    def _version(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(map(_version_of, (self._path, signature_path(self._path))))


def _version_of(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_ino, status.st_size)
