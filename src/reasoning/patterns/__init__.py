"""Chart patterns: their shapes, generated examples, and the network that reads them."""
