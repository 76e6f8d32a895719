"""What a backtest on a generated market earned beside the market's optimal policy.

The one place outside of tests and benchmarks that knows an optimum: it sees decisions that have all been taken.
"""

import numpy as np

from src.execution.costs import BPS
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import generated_market, market_costs, score
from src.market.synthetic.optimal_policy import optimal_targets
from src.reporting.optimum import Optimum
from src.trading.rules import TradingRules


def optimum_of(bars: BarSeries, rows: range, rules: TradingRules, targets: FloatArray) -> Optimum | None:
    """Score the targets (T,) decided at `rows` beside those of the optimal policy.

    None where no optimum is known: the bars are not generated, or the account pays other costs or may hold more than
    the optimal policy does.
    """
    market = generated_market(bars)
    if market is None or rules.costs != market_costs(market) or max(map(abs, rules.action.bounds)) > 1.0:
        return None
    closes, fee = bars.close[rows.start : rows.stop], rules.costs.commission_bps * BPS
    best = optimal_targets(market, bars)[rows.start : rows.stop]
    return Optimum(market, *(float(score(one, closes, fee) / BPS) for one in (np.asarray(targets), best)))
