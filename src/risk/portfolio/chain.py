"""The stations of a portfolio in the order in which decisions pass them."""

from collections.abc import Iterator

from src.config.portfolio.preferences import Preferences
from src.config.trading import RiskConfig
from src.risk.portfolio.caps import CashFloor, GrossCap, NetCap, PositionCap, SectorCap
from src.risk.portfolio.exits import StopLoss, TakeProfit, TrailingStop
from src.risk.portfolio.openings import CorrelationLimit, PositionCount, Tradable
from src.risk.stations.chain import StationChain
from src.risk.stations.guard_rules import guard_rules
from src.risk.stations.station import Station


def portfolio_chain(preferences: Preferences, risk: RiskConfig | None = None) -> StationChain:
    """Return the stations that preferences switch on: exits, then what chooses positions, then what scales them.

    Exits come first, so that they remember what was wanted of symbols that cannot trade now, too. Of the caps, the net
    cap comes last, because whatever shrinks one side alone may leave too much of the other; it takes from the larger
    side only, so no other limit is exceeded by it.

    Args:
        preferences: what a person allows.
        risk: rules of the session, which apply whatever passes here; daily loss and drawdown among them. Those that are
            on follow as stations, which say why.
    """
    rules = () if risk is None else guard_rules(risk)
    return StationChain([*_exits(preferences), Tradable(), *_choices(preferences), *_caps(preferences), *rules])


def _exits(preferences: Preferences) -> Iterator[Station]:
    if preferences.stop_loss_frac is not None:
        yield StopLoss(preferences.stop_loss_frac, preferences.exit_bars)
    if preferences.take_profit_frac is not None:
        yield TakeProfit(preferences.take_profit_frac, preferences.exit_bars)
    if preferences.trailing_stop_frac is not None:
        yield TrailingStop(preferences.trailing_stop_frac, preferences.exit_bars)


def _choices(preferences: Preferences) -> Iterator[Station]:
    if preferences.max_correlation is not None:
        yield CorrelationLimit(preferences.max_correlation)
    if preferences.max_positions is not None:
        yield PositionCount(preferences.max_positions)


def _caps(preferences: Preferences) -> Iterator[Station]:
    if preferences.max_position_frac is not None:
        yield PositionCap(preferences.max_position_frac)
    if preferences.max_sector_frac is not None:
        yield SectorCap(preferences.max_sector_frac)
    if preferences.max_gross is not None:
        yield GrossCap(preferences.max_gross)
    if preferences.min_cash_frac is not None:
        yield CashFloor(preferences.min_cash_frac)
    if preferences.max_net is not None:
        yield NetCap(preferences.max_net)
