"""Tests, mirroring `src`."""
