"""Tests of stacbuild; the stand-ins for its sources are in ``tests.standins``."""
