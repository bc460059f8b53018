"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from stacbuild.cli.options import catalog_folder, parse_bbox

CONTEXT = click.Context(click.Command("cube"))


def test_four_numbers_are_a_bbox() -> None:
    assert parse_bbox(CONTEXT, None, "-1.5, 43,2e0,44.5") == (-1.5, 43, 2, 44.5)
    assert parse_bbox(CONTEXT, None, None) is None


@pytest.mark.parametrize(
    "value", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "2,0,1,1", "0,1,1,1", "nan,0,1,1"]
)
def test_what_is_no_bbox_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter):
        parse_bbox(CONTEXT, None, value)


def test_the_catalog_is_beside_the_configuration_unless_given(tmp_path: Path) -> None:
    config: Any = SimpleNamespace(directory=tmp_path)
    assert catalog_folder(None, config) == tmp_path / "catalogs"
    assert catalog_folder(Path("here"), config) == Path.cwd() / "here"
