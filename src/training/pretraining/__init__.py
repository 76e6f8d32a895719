"""Networks trained before a population is: the world model, and the supernet that advises the search."""
