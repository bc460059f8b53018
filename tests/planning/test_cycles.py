"""A cube that was made from a cube that was made from it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pystac
import pytest

from stacbuild.errors import ConflictError
from stacbuild.planning.cycles import check_cycle
from stacbuild.stac.catalog import Catalog
from stacbuild.storage.output import Output


def write(root: Path, name: str, **links: str) -> Path:
    path = root / "c" / name / f"{name}.json"
    path.parent.mkdir(parents=True)
    content: dict[str, Any] = {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "geometry": None, "assets": {},
        "properties": {"datetime": "2020-01-01T00:00:00Z", "title": name.upper()},
        "links": [{"rel": rel, "href": href} for rel, href in links.items()],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def check(root: Path, *paths: Path) -> None:
    output = SimpleNamespace(catalog=Catalog(root), collection="c", identifier="cube")
    check_cycle(cast(Output, output), [pystac.Item.from_file(str(path)) for path in paths])


def test_sources_of_others(tmp_path: Path) -> None:
    write(tmp_path, "cube", derived_from="../a/a.json")
    first = write(tmp_path, "a", via="https://host.example/cube.json")
    second = write(tmp_path, "b", derived_from="../a/a.json", via="../gone/gone.json")
    # Links that lead out of the catalog are not followed.
    third = write(tmp_path, "d", derived_from="../../../elsewhere.json")
    check(tmp_path, first, second, third)


def test_a_loop_that_the_cube_is_not_in_ends(tmp_path: Path) -> None:
    first = write(tmp_path, "a", derived_from="../b/b.json")
    write(tmp_path, "b", derived_from="../a/a.json")
    check(tmp_path, first)


@pytest.mark.parametrize("rel", ["derived_from", "via"])
def test_the_cube_is_found_however_far(tmp_path: Path, rel: str) -> None:
    write(tmp_path, "cube")
    write(tmp_path, "a", **{rel: "../cube/cube.json"})
    write(tmp_path, "b", **{rel: "../a/a.json"})
    last = write(tmp_path, "e", **{rel: "../b/b.json"})
    with pytest.raises(ConflictError, match=r"cube: its source 'E' .* was itself made from this"):
        check(tmp_path, last)
