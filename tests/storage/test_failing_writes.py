"""Each single write, folder and rename that a run makes fails once: nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.forked import Runs
from tests.support.killing import check_visible, contents, fresh, small

# Of all places where a run can fail, so many steps apart are tried; the slow suite tries each.
_STEP = 29


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> dict[str, Path]:
    """A project before its harvest, after its cube was built, and after another one replaced it."""
    base = tmp_path_factory.mktemp("states")
    start = base / "start"
    config = small(start)
    built = fresh(start, base / "built")
    assert runs("cube", built / config.name).code == 0
    content = yaml.safe_load((built / config.name).read_text())
    content["datasets"][0]["data_id"] = "other.tif"
    changed = fresh(built, base / "changed")
    (changed / config.name).write_text(yaml.safe_dump(content, sort_keys=False))
    replaced = fresh(changed, base / "replaced")
    assert runs("cube", replaced / config.name).code == 0
    return {"start": start, "built": built, "changed": changed, "replaced": replaced}


def fails(directory: Path, before: Path, after: Path, runs: Runs, number: int) -> bool:
    """Let write *number* of a build fail; check what is seen, and what the next run makes of it."""
    fresh(before, directory)
    config = directory / "c_config.yml"
    ended = runs("cube", config, fail_at=number, within=directory)
    if not ended.failed:
        assert ended.code == 0, ended.stderr
        return False
    told = f"{number}: {ended.failed}"
    assert ended.code in (0, 5), (told, ended.stderr)
    assert "please report" not in ended.stderr, (told, ended.stderr)
    if ended.code:
        assert "error: " in ended.stderr, told
    check_visible(directory)
    again = runs("cube", config)
    assert again.code == 0, (told, again.stderr)
    found, expected = contents(directory), contents(after)
    assert found.keys() == expected.keys(), told
    assert [name for name in found if found[name] != expected[name]] == [], told
    return True


@pytest.mark.parametrize(("before", "after"), [("start", "built"), ("changed", "replaced")])
@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow, id="each"), pytest.param(_STEP, id="some")]
)
def test_a_write_that_fails_loses_nothing(
    states: dict[str, Path], runs: Runs, tmp_path: Path, before: str, after: str, step: int
) -> None:
    number = 1
    while fails(tmp_path / "project", states[before], states[after], runs, number):
        number += step
    assert number > 60, "hardly anything was written"
