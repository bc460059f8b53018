"""A body is too slow by its speed in each interval, not by its average."""

from __future__ import annotations

import pytest

from stacbuild.net import speed
from stacbuild.net.speed import Patience


def test_each_interval_is_measured_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(speed.time, "monotonic", lambda: now)
    measured = speed.Speed(Patience(min_speed=1000, seconds=10), done=7_000)
    now = 59.0
    assert measured.too_slow(7_000) is None
    now = 60.0
    assert measured.too_slow(17_000) is None
    now = 69.9
    assert measured.too_slow(17_000) is None
    now = 70.0
    assert measured.too_slow(26_999) == pytest.approx(999.9)


def test_an_interval_without_length_is_never_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed.time, "monotonic", lambda: 1.0)
    assert speed.Speed(Patience(seconds=0)).too_slow(0) is None
