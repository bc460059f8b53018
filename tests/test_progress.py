"""Who is told of progress is a context variable, and the log by default."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacbuild import progress


class Heard(progress.Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(f"! {message}")


def test_messages_go_to_the_innermost_reporter() -> None:
    outer, inner = Heard(), Heard()
    with progress.reported_to(outer):
        progress.say("1")
        with progress.reported_to(inner):
            progress.warn("2")
            with progress.reported_to(None):
                progress.say("3")
        progress.say("4")
    assert outer.lines == ["1", "4"]
    assert inner.lines == ["! 2", "3"]


def test_a_thread_is_told_apart_and_takes_the_reporter_along() -> None:
    heard = Heard()
    with progress.reported_to(heard), ThreadPoolExecutor(1) as pool:
        assert pool.submit(progress.current).result() is not heard
        pool.submit(progress.current().say, "from a thread").result()
    assert heard.lines == ["from a thread"]


def test_by_default_clean_lines_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "stacbuild"):
        progress.say("one\ntwo\x1b[1m")
        progress.warn("three")
    assert caplog.record_tuples == [
        ("stacbuild", logging.INFO, "one two\\x1b[1m"),
        ("stacbuild", logging.WARNING, "three"),
    ]
    with progress.task("a cube", total=3, unit="chunks") as task:
        task.advance()
        task.update(done=3, note="done")


def test_the_reporter_is_put_back_after_a_failure() -> None:
    before = progress.current()
    with pytest.raises(ValueError, match="x"), progress.reported_to(Heard()):
        raise ValueError("x")
    assert progress.current() is before


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00:00"), (1488.2, "0:24:48")])
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text
