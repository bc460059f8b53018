"""Benchmarks of stacbuild, a hand-written minimum and other tools; see `scripts/bench`."""
