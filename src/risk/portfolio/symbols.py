"""`SymbolViews`: what stations know of the symbols of a panel at each of its rows."""

import numpy as np

from src.market.bars import FloatArray
from src.market.panel import Panel
from src.risk.portfolio.view import PortfolioView

MIN_VARIANCE = 1e-18  # of log-returns; below it a symbol does not move


class SymbolViews:
    """Views of a panel, row by row; each rests on rows up to its own only.

    Args:
        panel: the symbols.
        correlation_bars: rows that correlations are taken from, the current one included. Symbols that lack a bar in
            one of them, or do not move, correlate with none.
    """

    def __init__(self, panel: Panel, correlation_bars: int) -> None:
        self._can_trade = panel.has_bar & panel.listed
        known = [fact.sector or f"unknown {number}" for number, fact in enumerate(panel.facts)]
        self._sectors = np.unique(known, return_inverse=True)[1]
        self._returns = np.diff(np.log(panel.close), axis=0, prepend=np.nan)
        self._bars = correlation_bars

    def at(self, row: int) -> PortfolioView:
        """Return the view at the close of a row."""
        return PortfolioView(self._can_trade[row], self._sectors, self._correlation(row))

    def _correlation(self, row: int) -> FloatArray:
        matrix = np.eye(self._returns.shape[1])
        if row + 1 < self._bars:
            return matrix
        window = self._returns[row + 1 - self._bars : row + 1]
        apart = window - window.mean(axis=0)
        variance = (apart**2).mean(axis=0)
        usable = np.flatnonzero(variance > MIN_VARIANCE)  # NaN is not
        scaled = apart[:, usable] / np.sqrt(variance[usable])
        matrix[np.ix_(usable, usable)] = scaled.T @ scaled / self._bars
        return matrix
