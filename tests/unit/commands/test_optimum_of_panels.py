"""What a portfolio earned beside the best policy known: both pay what the account pays."""

import math

import numpy as np
import pytest

from src.commands.optimum import optimum_of_panel
from src.market.synthetic.planted_panels import generate_panel
from tests.support.trading_cases import FREE, rules_of


def test_who_holds_what_is_delisted_loses_the_haircut_of_the_account() -> None:
    panel = generate_panel("D20", 3000, np.random.default_rng(0))
    gone = int(np.flatnonzero(~panel.listed[-1])[0])
    last = int(np.flatnonzero(panel.listed[:, gone])[-1])
    targets = np.zeros(panel.close.shape)
    targets[last - 5 : last + 1, gone] = 1.0
    found = optimum_of_panel(panel, range(len(panel)), rules_of(FREE), targets)
    assert found is not None
    moved = math.log(panel.close[last, gone] / panel.close[last - 5, gone]) + math.log(0.7)
    assert found.earned_bps * (len(panel) - 1) / 1e4 == pytest.approx(moved)
