"""How a backtest of a portfolio makes sure that no decision rests on a later bar.

At some drawn rows the member is shown the panel as it ends there, and must decide as it does in the whole panel.
"""

import numpy as np

from src.errors import LookaheadError
from src.market.bars import FloatArray
from src.market.panel import Panel
from src.seeding import generator
from src.trading.member import Member, require_sound
from src.trading.records import MarketState

_ROWS = 3
_SAME = 1e-6  # exposures; sums over longer series may round otherwise


def require_no_look_ahead(member: Member, panel: Panel, rows: range, account_inputs: int) -> None:
    """Prove it on rows drawn from those that are traded; the member is left prepared for the whole panel.

    Args:
        account_inputs: how many numbers a member is shown of each holding.

    Raises:
        DataError: what it decides is no number.
        LookaheadError: a decision changes with the bars after it.
    """
    drawn = sorted(set(generator(0, "look-ahead", panel.name).integers(rows.start, rows.stop, _ROWS).tolist()))
    flat = np.zeros((1, len(panel.symbols), account_inputs), np.float32)

    def decided(row: int) -> FloatArray:
        decision = member.act(MarketState(row, int(panel.close_time[row]), flat))
        require_sound(member.name, decision, panel, row)
        restored = np.zeros(decision.target.shape) if decision.restore is None else decision.restore
        return np.concatenate([decision.target, decision.confidence, restored])

    alone = []
    for row in drawn:
        member.prepare(panel[: row + 1])
        alone.append(decided(row))
    member.prepare(panel)
    for row, past in zip(drawn, alone, strict=True):
        difference = float(np.abs(decided(row) - past).max())
        if not difference <= _SAME:
            raise LookaheadError(
                f"{member.name} looks ahead: what it decides at row {row} of {panel.name} changes by {difference:.3g} "
                "with the bars after it; a row may depend on the bars up to its own only"
            )
