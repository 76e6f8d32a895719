"""`AdaptivePolicyAgent`: a policy that learns again, from the bars just closed, while it trades.

Every `adapt_every` bars the inner loop of its `MAMLModel` starts from the meta-parameters and climbs the expected
reward of the last `support_bars` decisions, whose rewards are all known by then; the result decides until the next
adaptation. Nothing is carried from one adaptation to the next, so a decision depends on a bounded number of bars.

The schedule follows the calendar, not rows: time since 1970 is cut into periods of `adapt_every` bar lengths, and the
first bar to open in a period adapts. So neither the start of a backtest nor the history a bot loads after a restart
moves it. Where markets close at times, a period holds fewer bars, never more.

All adaptations of a series are known once its bars are, and are computed side by side in `prepare`.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from src.agents.adapted_series import AdaptedSeries, adapt_series
from src.agents.policy_agent import NumpyHead, PolicyAgent, Side
from src.execution.tape import build_tape
from src.market.bars import BarSeries, timeframe_ms
from src.models.all_action import enumerated_rewards, position_chain
from src.models.maml_model import MAMLModel
from src.models.position_grid import PositionGrid, linear_terms, position_grid
from src.trading.prepared_market import FittedPipeline
from src.trading.records import MarketState
from src.trading.rules import TradingRules

_HEAD = "policy_head."


class AdaptivePolicyAgent(PolicyAgent):
    """Trades a `MAMLModel`, adapted to trailing bars.

    With `mirror`, each direction of the market has adaptations of its own, and the two outputs are averaged.

    Args:
        model, ...: as in `PolicyAgent`.

    Raises:
        ConfigError: as in `PolicyAgent`, or actions are continuous.
    """

    def __init__(
        self,
        model: MAMLModel,
        pipeline: FittedPipeline,
        rules: TradingRules,
        name: str = "policy",
        mirror: bool = False,
    ) -> None:
        self._grid = position_grid(rules)
        super().__init__(model, pipeline, rules, name, mirror)
        self._adaptive, self._rules = model, rules

    @property
    def warmup_bars(self) -> int:
        """Bars before the first that surely follows an adaptation whose whole history holds valid features."""
        return self._first_adaptation + self._adaptive.adaptation.adapt_every - 1

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that determine a decision, up to rounding."""
        return self._pipeline.history_bars + self._adaptive.history_bars + self._adaptive.adaptation.adapt_every - 1

    @property
    def _first_adaptation(self) -> int:
        return self._pipeline.warmup_bars + self._adaptive.history_bars

    def prepare(self, bars: BarSeries) -> None:
        """Adapt at every point of the schedule and encode every bar, of the mirrored series too where asked."""
        points = self._cadence(bars)
        sides = [bars, bars.mirrored()] if self._mirror else [bars]
        features = [self._pipeline.transform(side) for side in sides]
        adapted = [self._adapted(*side, points) for side in zip(sides, features, strict=True)]
        self._features = features[0]  # (T, F)
        self._serving = adapted[0].serving.tolist()
        self._parts = [side.part[:, None].cpu().numpy() for side in adapted]  # (T, 1, H) each
        self._heads = [self._copied_heads(*pair) for pair in zip(adapted, self._sides, strict=True)]

    def prepare_last(self, bars: BarSeries) -> None:
        """Prepare the whole window: adaptations are made along it."""
        self.prepare(bars)

    def outputs(self, market_state: MarketState) -> NDArray[np.float32]:
        """Return the outputs of the heads in force, (N, A): logits over the targets."""
        row, serving = market_state.row, self._serving[market_state.row]
        each = [
            heads[serving](part[row], market_state.account)
            for part, heads in zip(self._parts, self._heads, strict=True)
        ]
        outputs: NDArray[np.float32] = each[0] if len(each) == 1 else np.mean(each, axis=0)
        return outputs

    @torch.no_grad()
    def diagnose(self, bars: BarSeries, rows: range) -> dict[str, float]:
        """Return what adaptation adds to the expected linear reward per bar on decided rows: `maml/gain`."""
        decided, accounts = range(rows.start, rows.stop - 1), self._grid.accounts.numpy()
        outputs = [self._heads[0][self._serving[row]](self._parts[0][row], accounts) for row in decided]
        unadapted = torch.from_numpy(self._policy_part(self._embedded(self._features))[rows.start : rows.stop - 1])
        head = copy.deepcopy(self._adaptive.policy_head).cpu()
        logits = torch.stack([torch.from_numpy(np.stack(outputs)), head(unadapted[:, None], self._grid.accounts)])
        terms = linear_terms(build_tape(bars, self._rules.costs), self._rules)
        paid = (torch.from_numpy(column[rows.start + 1 : rows.stop]) for column in terms)
        probs, rewards = logits.softmax(-1), enumerated_rewards(self._grid.targets, *paid)  # (2, T, P, A), (T, P, A)
        earned = (position_chain(probs)[..., None] * probs * rewards).sum((-2, -1)).mean(-1)
        return {"maml/gain": float(earned[0] - earned[1])}

    def _cadence(self, bars: BarSeries) -> torch.Tensor:
        # Rows at whose close the policy adapts.
        stretch = bars.open_time // (timeframe_ms(bars.timeframe) * self._adaptive.adaptation.adapt_every)
        opens = np.flatnonzero(np.diff(stretch)) + 1
        return torch.from_numpy(opens[opens >= self._first_adaptation])

    def _adapted(self, bars: BarSeries, features: NDArray[np.float32], points: torch.Tensor) -> AdaptedSeries:
        device = next(self._adaptive.parameters()).device
        log_return, cost_frac = linear_terms(build_tape(bars, self._rules.costs), self._rules)
        inputs, returned, cost = (torch.from_numpy(column).to(device) for column in (features, log_return, cost_frac))
        grid = PositionGrid(*(column.to(device) for column in self._grid))
        return adapt_series(self._adaptive, inputs, returned, cost, grid, points.to(device))

    def _copied_heads(self, adapted: AdaptedSeries, side: Side) -> list[NumpyHead]:
        own = {
            name.removeprefix(_HEAD): value.cpu().numpy()
            for name, value in adapted.parameters.items()
            if name.startswith(_HEAD)
        }
        count = len(next(iter(own.values()), ()))
        return [NumpyHead({name: value[index] for name, value in own.items()}, [side]) for index in range(count)]
