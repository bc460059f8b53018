"""The items of a large collection as stac-geoparquet: complete, linked, never outdated by us."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pystac
import pytest
import rustac

from stacbuild.progress import reported_to
from stacbuild.stac import mirror
from stacbuild.stac.catalog import Catalog, read_json
from stacbuild.stac.mirror import MIRROR, MIRROR_KEY
from stacbuild.stac.parquet import write_parquet
from stacbuild.validation.validate import validate
from tests.support.many_items import ADDRESS, COLLECTION, COUNT, an_item, many_items, put
from tests.support.stac_documents import Told
from tests.support.stac_schemas import schema_problems

Json = dict[str, Any]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = many_items(tmp_path_factory.mktemp("many") / "catalogs")
    catalog.renew_mirrors()
    return catalog.root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "catalogs"))


def asset(root: Path) -> Json | None:
    content = read_json(root / COLLECTION / "collection.json")
    found: Json | None = content.get("assets", {}).get(MIRROR_KEY)
    return found


def rows(root: Path) -> dict[str, Json]:
    """Return the items in the Parquet file by id."""
    features = rustac.read_sync(str(root / COLLECTION / MIRROR))["features"]
    return {item["id"]: item for item in features}


def has_mirror(root: Path) -> bool:
    exists = (root / COLLECTION / MIRROR).exists()
    assert exists == (asset(root) is not None)
    return exists


def test_the_collection_links_to_it_as_the_specification_says(root: Path) -> None:
    found = asset(root)
    assert found is not None
    assert (found["href"], found["type"]) == (f"./{MIRROR}", "application/vnd.apache.parquet")
    assert found["roles"] == ["collection-mirror"]
    assert schema_problems(read_json(root / COLLECTION / "collection.json")) == []


def test_it_holds_every_item_with_hrefs_from_where_it_lies(root: Path) -> None:
    found = rows(root)
    assert len(found) == COUNT
    item = read_json(root / COLLECTION / "i_007" / "i_007.json")
    for key in ("stacbuild:store", "stacbuild:data_id", "datetime"):
        assert found["i_007"]["properties"][key] == item["properties"][key]
    assert found["i_007"]["geometry"] == item["geometry"]
    folder = root / COLLECTION
    href = found["i_007"]["assets"]["data"]["href"]
    own = item["assets"]["data"]["href"]
    assert (folder / href).resolve() == (folder / "i_007" / own).resolve()
    [canonical] = [link for link in found["i_007"]["links"] if link["rel"] == "canonical"]
    assert (folder / canonical["href"]).resolve() == folder / "i_007" / "i_007.json"


def test_no_value_is_lost_or_cut_to_the_type_of_the_first_item(root: Path) -> None:
    values = [1, 2.25, None, -3]
    items = [an_item(n, root, size=value, at=[1, value]) for n, value in enumerate(values)]
    put(Catalog(root), *items, an_item(50, root, later="only here"))
    Catalog(root).renew_mirrors()
    found = rows(root)
    assert [found[f"i_00{n}"]["properties"].get("size") for n in range(4)] == values
    assert found["i_001"]["properties"]["at"] == [1, 2.25]
    assert found["i_050"]["properties"]["later"] == "only here"
    assert len(found) == COUNT


def test_an_unchanged_harvest_keeps_it(root: Path) -> None:
    before = (root / COLLECTION / MIRROR).stat()
    assert not put(Catalog(root), *(an_item(number, root) for number in range(COUNT)))
    Catalog(root).renew_mirrors()
    after = (root / COLLECTION / MIRROR).stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)
    assert asset(root) is not None


def changed(root: Path, how: str) -> None:
    catalog = Catalog(root)
    if how == "changed":
        put(catalog, an_item(7, root, title="new"))
    elif how == "added":
        put(catalog, an_item(500, root))
    else:
        catalog.remove(COLLECTION, ["i_007"])


@pytest.mark.parametrize("how", ["changed", "added", "removed"])
def test_it_goes_when_items_change_and_comes_back_with_them(root: Path, how: str) -> None:
    changed(root, how)
    assert not has_mirror(root)
    Catalog(root).renew_mirrors()
    assert has_mirror(root)
    folder = root / COLLECTION
    assert rows(root).keys() == {path.stem for path in folder.glob("*/*.json")}


def test_it_is_gone_before_an_item_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object) -> None:
        assert not has_mirror(root)
        raise KeyboardInterrupt

    monkeypatch.setattr("stacbuild.stac.catalog.save_all", killed)
    with pytest.raises(KeyboardInterrupt):
        put(Catalog(root), an_item(7, root, title="new"))


def problems(root: Path) -> list[str]:
    return [str(each) for each in validate(root)[0].found.problems]


def test_a_change_by_hand_is_reported_and_the_next_run_renews_it(root: Path) -> None:
    assert problems(root) == []
    path = root / COLLECTION / "i_007" / "i_007.json"
    path.write_text(path.read_text().replace('"d_7"', '"d_8"'))
    [problem] = problems(root)
    assert problem.startswith(str(root / COLLECTION / MIRROR))
    Catalog(root).renew_mirrors()
    assert problems(root) == []
    assert rows(root)["i_007"]["properties"]["stacbuild:data_id"] == "d_8"


def test_a_file_of_somebody_else_is_left(root: Path) -> None:
    changed(root, "added")
    path = root / COLLECTION / MIRROR
    path.write_bytes(b"PAR1 mine PAR1")
    told = Told()
    with reported_to(told):
        Catalog(root).renew_mirrors()
        put(Catalog(root), an_item(7, root, title="newer"))
    assert [str(path) in warning for warning in told.warnings] == [True]
    assert path.read_bytes() == b"PAR1 mine PAR1"
    assert asset(root) is None


def test_without_rustac_an_old_one_goes_and_none_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "can_write_parquet", lambda: False)
    Catalog(root).renew_mirrors()
    assert has_mirror(root)
    changed(root, "changed")
    Catalog(root).renew_mirrors()
    assert not has_mirror(root)


def test_a_collection_with_an_item_without_a_geometry_has_none(root: Path) -> None:
    item = an_item(7, root)
    item.geometry = item.bbox = None
    put(Catalog(root), item)
    Catalog(root).renew_mirrors()
    assert not has_mirror(root)


def test_few_items_have_none(root: Path) -> None:
    Catalog(root).remove(COLLECTION, [f"i_{number:03d}" for number in range(20)])
    Catalog(root).renew_mirrors()
    assert not has_mirror(root)


def test_it_goes_with_its_collection(root: Path) -> None:
    Catalog(root).remove(COLLECTION, Catalog(root).item_ids(COLLECTION))
    assert not (root / COLLECTION).exists()


def test_what_rustac_cannot_write_is_no_failure(root: Path) -> None:
    # A column of Parquet has one type.
    put(Catalog(root), an_item(0, root, mixed="text"), an_item(1, root, mixed=1))
    Catalog(root).renew_mirrors()
    assert not has_mirror(root)
    assert json.loads((root / COLLECTION / "collection.json").read_text())["id"] == COLLECTION


def test_a_crs_without_code_is_beside_codes(tmp_path: Path) -> None:
    items = []
    for number, system in enumerate((6931, 'PROJCRS["unknown"]', 4326)):
        item = an_item(number, tmp_path).to_dict(transform_hrefs=False)
        x = {"type": "spatial", "axis": "x", "reference_system": system}
        item["properties"] = item["properties"] | {"cube:dimensions": {"x": x}}
        items.append(item)
    write_parquet(tmp_path / MIRROR, lambda: items)
    read = rustac.read_sync(str(tmp_path / MIRROR))["features"]
    found = [each["properties"]["cube:dimensions"]["x"]["reference_system"] for each in read]
    assert sorted(found) == ["EPSG:4326", "EPSG:6931", 'PROJCRS["unknown"]']


def test_items_of_scenes_are_in_it_and_in_the_index(root: Path) -> None:
    catalog = Catalog(root)
    scene = an_item(COUNT, root)
    del scene.assets["data"]
    grid = {"proj:code": "EPSG:32632", "proj:shape": [4, 4], "data_type": "uint16"}
    for key, side in (("red", 10), ("scl", 20)):
        fields = grid | {"proj:transform": [side, 0, 500000, 0, -side, 5400000]}
        href = str(root.parent / "src" / f"{key}.tif")
        scene.add_asset(key, pystac.Asset(href, roles=["data"], extra_fields=fields))
    put(catalog, scene)
    catalog.renew_mirrors()
    assert set(rows(root)[scene.id]["assets"]) == {"red", "scl"}
    [found] = Catalog(root).find(ADDRESS, f"d_{COUNT}")
    assert list(found.assets) == ["red", "scl"]
    assert all(check.well for check in validate(root) if check.name == "catalog")
