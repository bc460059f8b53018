"""What is remembered of a run ends with it."""

from __future__ import annotations

from stacbuild import runs


def test_a_part_of_a_run_shares_what_it_remembers() -> None:
    with runs.one_run() as run:
        run.given_up.add("host:80")
        with runs.one_run() as part:
            assert part is run
        assert runs.current() is run
    assert runs.current().given_up == set()


def test_outside_of_a_run_nothing_is_remembered() -> None:
    runs.current().given_up.add("x")
    assert runs.current().given_up == set()
