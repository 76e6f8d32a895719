"""The stations of a portfolio in the order in which decisions pass them."""

from collections.abc import Iterator

from src.config.portfolio.preferences import Preferences
from src.risk.portfolio.caps import CashFloor, GrossCap, NetCap, PositionCap, SectorCap
from src.risk.portfolio.exits import StopLoss, TakeProfit, TrailingStop
from src.risk.portfolio.openings import CorrelationLimit, PositionCount, Tradable
from src.risk.stations.chain import StationChain
from src.risk.stations.station import Station


def portfolio_chain(preferences: Preferences) -> StationChain:
    """Return the stations that preferences switch on: exits, then what chooses positions, then what scales them.

    The net cap comes last, because whatever shrinks one side alone may leave too much of the other; it takes from the
    larger side only, so no other limit is exceeded by it. Daily loss and drawdown follow: they are rules of the session
    (`risk.guard`), which flatten an account whatever passed here.
    """
    return StationChain([Tradable(), *_exits(preferences), *_choices(preferences), *_caps(preferences)])


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
