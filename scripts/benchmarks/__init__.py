"""Measures stacbuild beside a floor and its peers; `scripts/bench` runs it."""
