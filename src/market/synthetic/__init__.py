"""Generated markets, and what the best policy would earn on them.

`optimal_policy`, `bayes_filters` and `regime_posterior` know how their markets are made. Tests and benchmarks hold what
was learned against them; nothing that learns or trades may import them.
"""
