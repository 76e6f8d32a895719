"""Training stages on Ray RLlib. The only package that imports ray."""
