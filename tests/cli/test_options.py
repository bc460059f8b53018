"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from stacbuild.cli.options import catalog_folder, config_and_names, parse_bbox
from stacbuild.cli.program import run

CONTEXT = click.Context(click.Command("cube"))


def test_four_numbers_are_a_bbox() -> None:
    assert parse_bbox(CONTEXT, None, "-1.5, 43,2e0,44.5") == (-1.5, 43, 2, 44.5)
    assert parse_bbox(CONTEXT, None, None) is None


@pytest.mark.parametrize(
    "value", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "2,0,1,1", "0,1,1,1", "nan,0,1,1", "0,0,inf,1"]
)
def test_what_is_no_bbox_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_bbox(CONTEXT, None, value)


def test_the_catalog_is_beside_the_configuration_unless_given(tmp_path: Path) -> None:
    config: Any = SimpleNamespace(directory=tmp_path)
    assert catalog_folder(None, config) == tmp_path / "catalogs"
    assert catalog_folder(Path("here"), config) == Path.cwd() / "here"


CONFIG = "data_stores:\n- {identifier: a, store_id: file, store_params: {root: .}}\ndatasets: []\n"
COMMANDS = [
    ["harvest"], ["plan"], ["cube"], ["cube", "--dry-run"], ["remove", "senf", "--dry-run"],
    ["validate"], ["config", "show"],
]  # fmt: skip


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the errors of a command, which has to stop at its configuration."""
    assert run(words) == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_finds_the_same_configuration(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("compose.yml", "other.yaml", ".hidden.yml"):
        Path(name).write_text("services:\n  datasets: {}\n" if name[0] != "." else CONFIG)
    (line,) = said(words, capsys)
    assert "there is no configuration in this folder: neither stacbuild.yml nor" in line
    assert "stacbuild init" in line
    # What was read is named by the mistakes that are in it.
    for name, start in [
        ("b.yaml", "b.yaml:"),
        ("a.yml", "there are several configurations in this folder: a.yml, b.yaml; pass one"),
        ("stacbuild.yml", "stacbuild.yml:"),
    ]:
        Path(name).write_text(CONFIG)
        assert all(start in line for line in said(words, capsys))


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ([], ("mine.yml", ())),
        (["senf"], ("mine.yml", ("senf",))),
        (["site/a", "b"], ("mine.yml", ("site/a", "b"))),
        (["folder"], ("mine.yml", ("folder",))),
        (["absent.yml", "senf"], ("absent.yml", ("senf",))),
        (["a.yaml"], ("a.yaml", ())),
        (["plain", "senf"], ("plain", ("senf",))),
    ],
)
def test_the_first_word_is_the_configuration_if_it_is_a_yaml_file(
    words: list[str], split: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yml").write_text('{"datasets": []}')
    Path("plain").write_text(CONFIG)
    Path("folder").mkdir()
    assert config_and_names(words) == (Path(split[0]), split[1])


def test_a_word_that_is_no_file_is_named_where_there_is_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (line,) = said(["plan", "config.yaml.old"], capsys)
    assert line.startswith(
        "error: config.yaml.old: is not a YAML file, and there is no configuration"
    )
    assert "DATASET" in said(["remove", "a.yml"], capsys)[-1]
