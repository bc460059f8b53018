"""What is remembered of a run ends with it."""

from __future__ import annotations

from stacbuild import runs


def test_a_part_of_a_run_shares_what_it_remembers() -> None:
    with runs.one_run() as run:
        run.given_up.add("host:80")
        assert runs.is_first("a warning")
        with runs.one_run() as part:
            assert part is run
            assert not runs.is_first("a warning")
        assert runs.current() is run
    assert runs.current().given_up == set()
    with runs.one_run():
        assert runs.is_first("a warning")


def test_outside_of_a_run_nothing_is_remembered() -> None:
    assert runs.is_first("a warning")
    assert runs.is_first("a warning")
    runs.current().told.add("x")
    assert runs.current().told == set()
