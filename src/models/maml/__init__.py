"""The inner loop: how a policy adapts to the bars it has just seen."""
