"""What a backtest on a generated market earned beside the market's optimal policy.

The one place outside of tests and benchmarks that knows an optimum: it sees decisions that have all been taken.
"""

import numpy as np

from src.config.trading import CostsConfig
from src.execution.costs import BPS
from src.market.bars import BarSeries, FloatArray
from src.market.panel import Panel
from src.market.synthetic.known_markets import generated_market, market_costs, score
from src.market.synthetic.optimal_policy import optimal_targets
from src.market.synthetic.optimal_portfolios import best_targets, score_portfolio
from src.market.synthetic.planted_panels import MomentumPanel, generated_panel
from src.reporting.optimum import Optimum
from src.trading.portfolio_session import DELISTING_HAIRCUT_FRAC
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


def optimum_of_panel(panel: Panel, rows: range, rules: TradingRules, targets: FloatArray) -> Optimum | None:
    """Score the targets (T, S) decided at `rows` beside those of the best policy known.

    None where there is none, or where it is one in Sharpe ratio: a policy that is free in the size of its positions.
    """
    planted = generated_panel(panel)
    if planted is None or isinstance(planted, MomentumPanel) or rules.costs != _commission(planted.cost_frac):
        return None
    part, best = panel[rows.start : rows.stop], best_targets(planted, panel)[rows.start : rows.stop]
    scored = [
        score_portfolio(np.asarray(each), part, planted.cost_frac, DELISTING_HAIRCUT_FRAC) for each in (targets, best)
    ]
    return Optimum(panel.name, *(float(earned.mean() / BPS) for earned in scored))


def _commission(cost_frac: float) -> CostsConfig:
    # All costs as commission, none for holding.
    none = dict.fromkeys(("half_spread_bps", "slippage_bps", "borrow_bps_per_year", "financing_bps_per_year"), 0.0)
    return CostsConfig(commission_bps=cost_frac / BPS, **none)
