"""Names of the project's baselines, for whoever only speaks of them; `src/agents/baselines.py` builds them."""

BASELINE_NAMES = ("flat", "buy_and_hold", "ma_cross", "rsi_reversion", "random")
