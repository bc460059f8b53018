"""What a catalog of somebody may consist of: broken links, saved searches, items by their path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr

from stacbuild.building import build
from stacbuild.config import load_config
from stacbuild.errors import NotFoundError, RemoteError, StacbuildError
from stacbuild.sources.first_configuration import Choice
from stacbuild.sources.listing import describe_data, first_configuration, list_data
from stacbuild.sources.stac.asset_kind import kind_of
from stacbuild.sources.stac.query import parse
from stacbuild.sources.stac.store import StacStore
from stacbuild.sources.stac.times import instant
from tests.support.built import variable_of
from tests.support.cli import ages, configuration, geotiff
from tests.support.stac_documents import (
    TIF,
    Json,
    Told,
    Web,
    collection,
    item,
    link,
    put_tiles,
    root,
    store,
    take,
)


def titles(where: StacStore, data_id: str, told: Told | None = None) -> list[str]:
    founds = take(where, data_id, reporter=told or Told())
    return sorted(item.properties["title"] for found in founds for item in found.items)


def saved(folder: Path, **documents: Json) -> Path:
    """Write documents into a folder that has the raster ``a.tif``."""
    geotiff(folder / "a.tif")
    for name, content in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


# --- links that lead to nothing ------------------------------------------------------------------


BROKEN: dict[str, Any] = {
    "gone": None,
    "no JSON": b"<!-- moved -->",
    "a list": [1],
    "a collection": collection("other"),
    "without id": {"type": "Feature", "assets": {}},
    "leads away": "file:///etc/hosts",
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_item_links_are_left_out_with_a_warning(web: Web, what: str) -> None:
    put_tiles(web)
    content = BROKEN[what]
    for name in ("one", "two", "three", "four"):
        href = content if isinstance(content, str) else f"./{name}.json"
        href += f"?{name}" if isinstance(content, str) else ""
        web.documents["products/forest.json"]["links"].insert(0, link("item", href))
        if content is not None:
            web.documents[f"products/{name}.json"] = content
    where, told = store(url=f"{web.url}/catalog.json"), Told()
    assert titles(where, "forest", told) == ["east", "west"]
    [warning] = told.warnings
    assert "4 links cannot be read and left out: " in warning
    assert warning.endswith("; ...")
    # Which of them does not matter to who names another item.
    told = Told()
    assert titles(where, "forest/west", told) == ["west"]
    assert told.warnings == []


def test_a_broken_link_is_an_error_to_who_names_its_item(web: Web) -> None:
    put_tiles(web)
    del web.documents["products/west.json"]
    where = store(url=f"{web.url}/catalog.json")
    with pytest.raises(
        NotFoundError, match=r"no item forest/west;.*products/west\.json: not found"
    ):
        titles(where, "forest/west")
    assert titles(where, "forest/east") == ["east"]


def test_a_server_that_fails_leaves_no_hole_in_a_search(web: Web) -> None:
    """A tile that is known to exist would be missing in a cube that looks whole."""
    put_tiles(web)
    where = store(url=f"{web.url}/catalog.json")
    web.fail(r"west\.json", times=-1, status=403)
    with pytest.raises(RemoteError, match=r"west\.json: the server answers 403"):
        titles(where, "forest")
    assert titles(where, "forest/east") == ["east"]
    with pytest.raises(RemoteError, match=r"west\.json: the server answers 403"):
        titles(where, "forest/west")


@pytest.mark.parametrize("content", [None, b"{", [1]])
def test_broken_child_catalogs_are_left_out_with_a_warning(web: Web, content: Any) -> None:
    put_tiles(web)
    web.documents["catalog.json"]["links"].insert(0, link("child", "./gone/catalog.json"))
    if content is not None:
        web.documents["gone/catalog.json"] = content
    told = Told()
    assert titles(store(url=f"{web.url}/catalog.json"), "forest", told) == ["east", "west"]
    [warning] = told.warnings
    assert "1 link cannot be read" in warning
    assert "gone/catalog.json" in warning


def test_children_in_circles_with_broken_ones(web: Web) -> None:
    put_tiles(web)
    web.documents["products/catalog.json"]["links"] += [
        link("child", "../catalog.json"),
        link("child", "../products/../products/catalog.json"),
        link("child", "../nowhere.json"),
    ]
    told = Told()
    assert titles(store(url=f"{web.url}/catalog.json"), "forest", told) == ["east", "west"]
    assert len(told.warnings) == 1


# --- saved searches, single items, collections without items -------------------------------------


def features(*items: Json, **more: Any) -> Json:
    return {"type": "FeatureCollection", "features": list(items), **more}


@pytest.mark.parametrize("data_id", ["c", "c/i", "i"])
def test_a_saved_search_is_a_catalog(tmp_path: Path, data_id: str) -> None:
    one, other = item("i", "./a.tif", collection="c"), item("j", "./gone.tif", collection="d")
    saved(tmp_path / "in", search=features(one, other, {"type": "Feature"}))
    told = Told()
    assert titles(store(root=str(tmp_path / "in" / "search.json")), data_id, told) == ["i"]
    warned = [line for line in told.warnings if "features[2]: is not a STAC item" in line]
    assert len(warned) == (data_id != "c/i")


def test_a_saved_search_by_box_and_time(tmp_path: Path) -> None:
    early = {"properties": {"datetime": "2017-01-01T00:00:00Z"}}
    search = features(item("i", "./a.tif"), item("j", "./a.tif", **early))
    saved(tmp_path / "in", search=search)
    where = store(root=str(tmp_path / "in" / "search.json"))
    # Items that name no collection are in one of the file's name.
    assert titles(where, "search") == ["i", "j"]
    assert titles(where, "search?datetime=2017") == ["j"]
    with pytest.raises(NotFoundError, match="no item of search in the requested bbox and time"):
        titles(where, "search?datetime=2010")
    with pytest.raises(NotFoundError, match="has no item of other;"):
        titles(where, "other")


def test_items_of_a_saved_search_start_from_their_own_address(web: Web, tmp_path: Path) -> None:
    """An API's relative hrefs are relative to each item, not to the file they are saved in."""
    put_tiles(web)
    own = link("self", f"{web.url}/products/west.json")
    search = features(item("west", "../files/west.tif", links=[own], collection="forest"))
    web.documents["saved/search.json"] = search
    [found] = take(store(url=f"{web.url}/saved/search.json"), "forest")
    assert found.items[0].assets["data"].href == f"{web.url}/files/west.tif"
    # Saved here together with its data, it is beside them.
    search["features"][0]["assets"]["map"]["href"] = "./a.tif"
    folder = saved(tmp_path / "in", search=search)
    [found] = take(store(root=str(folder / "search.json")), "forest")
    assert found.items[0].assets["data"].href == str(folder / "a.tif")


@pytest.mark.parametrize("data_id", ["i", "c", "c/i"])
def test_an_item_alone_is_a_catalog(tmp_path: Path, data_id: str) -> None:
    links = [link("collection", "./c.json")]
    saved(tmp_path, i=item("i", "./a.tif", links=links), c=collection("c", license="CC0-1.0"))
    [found] = take(store(root=str(tmp_path / "i.json")), data_id)
    assert [each.properties["title"] for each in found.items] == ["i"]
    assert found.collection.license == "CC0-1.0"


def test_assets_of_a_collection_are_its_data(web: Web, tmp_path: Path) -> None:
    geotiff(web.root / "a.tif")
    preview = {"href": "./a.tif", "type": TIF, "roles": ["thumbnail"]}
    assets = {"map": {"href": "./a.tif", "type": TIF, "roles": ["data"]}, "preview": preview}
    web.documents |= {"catalog.json": root("./c.json"), "c.json": collection("c", assets=assets)}
    where = {"url": f"{web.url}/catalog.json"}
    path = configuration(
        tmp_path,
        [{"identifier": "cube", "store": "other", "data_id": "c"}],
        [{"identifier": "other", "store_id": "stac", "store_params": where}],
    )
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    cube = xr.open_zarr(tmp_path / "data" / "cube.zarr", mask_and_scale=False)
    with rasterio.open(web.root / "a.tif") as file:
        np.testing.assert_array_equal(variable_of(cube), file.read(1)[10:110, 10:110])
    [entry] = list_data("stac", where["url"])
    assert (entry.data_id, entry.type) == ("c", "GeoTIFF")
    # Of several the one is named.
    assets["other"] = dict(assets["map"])
    [one, two] = list_data("stac", where["url"])
    assert [one.data_id, two.data_id] == ["c?asset_names=map", "c?asset_names=other"]
    assert take(store(**where), two.data_id)


def test_an_api_whose_collection_has_no_items(web: Web) -> None:
    geotiff(web.root / "a.tif")
    assets = {"map": {"href": f"{web.url}/a.tif", "type": TIF, "roles": ["data"]}}
    search = {"rel": "search", "type": "application/geo+json", "href": f"{web.url}/search"}
    web.documents |= {
        "": root()
        | {
            "conformsTo": ["https://api.stacspec.org/v1.0.0/item-search"],
            "links": [search, link("root", web.url)],
        },
        "collections": {"collections": [collection("c")]},
        "collections/c": collection("c", assets=assets),
        "search": features(links=[]),
    }
    assert titles(store(url=web.url), "c") == ["The c"]
    assert [entry.data_id for entry in list_data("stac", web.url, match="c/*")] == []
    assert [entry.data_id for entry in list_data("stac", web.url)] == ["c/"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (collection("c"), "has no items, and no assets"),
        (collection("c", assets={"x": {"href": "x.csv"}}), r"own assets \(x\) is a GeoTIFF, JPEG"),
        (collection("c", link("items", "./items")), "is a collection of a STAC API"),
        (root() | {"id": "c"}, "has no items, and no assets"),
    ],
)
def test_what_holds_nothing_is_told_as_what_it_is(web: Web, content: Json, said: str) -> None:
    web.documents["c.json"] = content
    with pytest.raises(StacbuildError, match=said):
        titles(store(url=f"{web.url}/c.json"), "c")
    with pytest.raises(StacbuildError, match=said):
        list_data("stac", f"{web.url}/c.json")


def test_looking_into_what_is_no_catalog(tmp_path: Path) -> None:
    one, other = item("i", "./a.tif", collection="c"), item("j", "./a.tif", collection="c")
    folder = saved(tmp_path, search=features(one, other), i=item("i", "./a.tif"))
    (folder / "root.json").write_text(json.dumps(root() | {"links": [link("item", "i.json")]}))

    def listed(name: str, match: str | None = None) -> list[str]:
        found = list_data("stac", str(folder / name), match=match)
        return [f"{entry.data_id} {entry.type}" for entry in found]

    assert listed("search.json") == ["c/ collection of 2 items"]
    assert listed("search.json", "c/*") == ["c/i GeoTIFF", "c/j GeoTIFF"]
    assert listed("i.json") == ["i/i GeoTIFF"]
    assert listed("root.json") == ["root/ collection of 1 item"]
    assert describe_data("stac", str(folder / "search.json"), "c/j")["shape"] == [120, 120]
    choice = Choice("stac", str(folder / "search.json"), "c/j")
    assert 'data_id: "c/j"' in first_configuration((10, 45, 10.1, 45.1), 0.001, [choice])


# --- data ids that are paths ---------------------------------------------------------------------


def put_deep(web: Web) -> None:
    """Publish a catalog whose items lie in folders of their own, with absolute self links."""
    ages(web.root / "age.zarr", zarr_format=2)
    one = item("AGE_v2", "../../../age.zarr", links=[link("collection", "../collection.json")])
    one["assets"]["map"]["type"] = "application/vnd.zarr"
    web.documents |= {
        "public/catalog.json": root("./structure/catalog.json"),
        "public/structure/catalog.json": root("./AGE/collection.json"),
        "public/structure/AGE/collection.json": collection(
            "AGE", link("item", "./AGE_v2/AGE_v2.json"), license="various"
        ),
        "public/structure/AGE/AGE_v2/AGE_v2.json": one,
    }
    one["assets"]["map"]["href"] = "../../../../age.zarr"


PATHS = [
    "structure/AGE/AGE_v2/AGE_v2.json",
    "structure/AGE/AGE_v2/AGE_v2",
    "structure/AGE/collection.json",
    "structure/AGE/collection",
    "structure/AGE/AGE_v2/AGE_v2.json?asset_names=map&datetime=2018",
]


@pytest.mark.parametrize("data_id", [*PATHS, "AGE/AGE_v2", "AGE", "AGE_v2"])
@pytest.mark.parametrize("local", [False, True])
def test_a_data_id_may_be_the_path_of_a_document(
    web: Web, tmp_path: Path, data_id: str, local: bool
) -> None:
    put_deep(web)
    where = store(url=f"{web.url}/public/catalog.json")
    if local:
        for name, content in web.documents.items():
            path = web.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        # A folder of files leads to what is below it.
        (web.root / "age.zarr").rename(web.root / "public" / "age.zarr")
        path = web.root / "public/structure/AGE/AGE_v2/AGE_v2.json"
        path.write_text(path.read_text().replace("../../../../age", "../../../age"))
        where = store(root=str(web.root / "public"))
    [found] = take(where, data_id)
    [one] = found.items
    assert one.properties["title"] == "AGE_v2"
    assert (found.collection.title, found.collection.license) == ("The AGE", "other")
    if not local and data_id in PATHS:
        # It goes there, not through the catalog.
        documents = [entry.path for entry in web.log if entry.path.endswith(".json")]
        assert "/public/structure/catalog.json" not in documents or data_id.endswith("/collection")


@pytest.mark.parametrize(
    "data_id",
    [
        "structure/AGE/AGE_v3/AGE_v3.json",
        "structure/AGE/AGE_v3/AGE_v3",
        "structure%2f..%2f..%2fx/y/z",
    ],
)
def test_a_path_that_leads_to_nothing(web: Web, data_id: str) -> None:
    put_deep(web)
    with pytest.raises(StacbuildError) as caught:
        titles(store(url=f"{web.url}/public/catalog.json"), data_id)
    assert data_id.partition(".json")[0] in str(caught.value) or ".." in str(caught.value)
    assert all(entry.path.startswith("/public/") for entry in web.log)


def test_an_unknown_collection_is_not_the_item_of_its_name(web: Web) -> None:
    put_tiles(web)
    with pytest.raises(NotFoundError, match="no item west/other"):
        titles(store(url=f"{web.url}/catalog.json"), "west/other")


# --- times and media types -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "taken"),
    [
        ("2020-12-31T23:59:59.5Z", True),
        ("2020-12-31T23:59:59.999999999Z", True),
        ("2020-12-31t23:59:59.5z", True),
        ("2021-01-01T00:30:00+01:00", True),
        ("2020-12-31T23:30:00-01:00", False),
        ("2020-12-31T23:59:60Z", False),
        ("2021-01-01T00:00:00Z", False),
        ("2020-01-01T00:00:00+00:00", True),
        ("2019-12-31T23:59:59.999999Z", False),
    ],
)
@pytest.mark.parametrize("interval", ["2020", "2020-01/2020-12", "2020-01-01/2020-12-31"])
def test_the_last_day_counts_to_its_end(when: str, taken: bool, interval: str) -> None:
    query = parse(f"c?datetime={interval}")
    assert query.takes({"properties": {"datetime": when}}) is taken
    assert query.datetime == "2020-01-01T00:00:00Z/2021-01-01T00:00:00Z"


def test_periods_and_open_ends() -> None:
    period = {"start_datetime": "2019-01-01T00:00:00Z", "end_datetime": "2020-01-01T00:00:00Z"}
    one = {"properties": {"datetime": None} | period}
    for interval in ("2020", "2018/2019", "2018/..", "../2019", "/2019", "2020-01-01/"):
        assert parse(f"c?datetime={interval}").takes(one), interval
    for interval in ("2021", "2018", "../2018", "2020-01-02/.."):
        assert not parse(f"c?datetime={interval}").takes(one), interval
    assert parse("c?datetime=../2019").datetime == "../2020-01-01T00:00:00Z"
    assert parse("c?datetime=9999").takes({"properties": {"datetime": "9999-12-31T23:59:59.9Z"}})
    # What says nothing of its time is no reason to leave it out.
    assert parse("c?datetime=2020").takes({"properties": {"datetime": None}})


def test_an_open_end_is_no_folder(tmp_path: Path) -> None:
    entry = {"identifier": "cube", "store": "other", "data_id": "c?datetime=2020/.."}
    other = {"identifier": "other", "store_id": "stac", "store_params": {"root": "in"}}
    config = load_config(configuration(tmp_path, [entry], [other]))
    assert config.datasets[0].variables[0].data_id == "c?datetime=2020/.."


def test_an_item_in_the_last_second_becomes_a_time(tmp_path: Path) -> None:
    geotiff(tmp_path / "in" / "b.tif")
    late = {"properties": {"datetime": "2018-12-31T23:59:59.500Z"}}
    links = [link("item", "i.json"), link("item", "j.json")]
    saved(
        tmp_path / "in",
        catalog=collection("c", *links),
        i=item("i", "./a.tif"),
        j=item("j", "./b.tif", **late),
    )
    path = configuration(
        tmp_path,
        [{"identifier": "cube", "store": "other", "data_id": "c?datetime=2018"}],
        [{"identifier": "other", "store_id": "stac", "store_params": {"root": "in"}}],
    )
    [result] = build(load_config(path), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    times = xr.open_zarr(tmp_path / "data" / "cube.zarr")["time"].values
    assert times.tolist() == [
        np.datetime64("2018-06-01", "ns").astype(int),
        np.datetime64("2018-12-31T23:59:59.5", "ns").astype(int),
    ]


def test_times_as_items_write_them() -> None:
    same = "2020-06-01T10:00:00"
    for text in (f"{same}Z", f"{same}z", "2020-06-01t12:00:00+02:00", f"{same}.000000000Z", same):
        assert str(instant(text)) == "2020-06-01 10:00:00+00:00", text
    for text in ("soon", "", "2020-13-01", None, 2020, "1" * 80):
        assert instant(text) is None


@pytest.mark.parametrize(
    ("media", "href", "kind"),
    [
        ("image/tiff; application=geotiff; profile=cloud-optimized", "x", "raster"),
        ("image/tiff;application=geotiff", "x", "raster"),
        ("IMAGE/TIFF", "x", "raster"),
        ("image/geotiff", "x", "raster"),
        ("application/geotiff", "x", "raster"),
        ("application/x-geotiff", "x", "raster"),
        ("image/x.geotiff", "x", "raster"),
        ("image/vnd.stac.geotiff; cloud-optimized=true", "x", "raster"),
        ("application/x-zarr", "x", "zarr"),
        ("application/vnd.zarr; version=3", "x", "zarr"),
        ("application/vnd+zarr", "x", "zarr"),
        ("Application/Vnd.Zarr;version=2", "x", "zarr"),
        (None, "x/a.TIF", "raster"),
        (None, "https://example.org/a.tif?token=1", "raster"),
        ("binary/octet-stream", "https://example.org/a.zarr/?x=1", "zarr"),
        ("image/png", "a.tif", None),
        ("image/jp2", "a.jp2", "raster"),
        ("application/x-netcdf", "a", "zarr"),
        ("application/x-hdf5", "a.h5", "zarr"),
        (None, "a.nc", "zarr"),
        ("text/html", "a.tif", None),
        (None, "http://[::1", None),
        (None, None, None),
    ],
)
def test_media_types_as_catalogs_write_them(media: str | None, href: Any, kind: str | None) -> None:
    assert kind_of({"type": media, "href": href}) == kind


@pytest.mark.parametrize("media", ["image/jp2", "application/octet-stream"])
def test_jpeg_2000_is_harvested_and_built(tmp_path: Path, web: Web, media: str) -> None:
    path = web.root / "b.jp2"
    web.root.mkdir(exist_ok=True)
    values = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", count=1, dtype="uint16", width=64, height=64,
        crs="EPSG:32632", transform=rasterio.Affine(10, 0, 600000, 0, -10, 5000000),
        QUALITY="100", REVERSIBLE="YES",
    ) as file:  # fmt: skip
        file.write(values, 1)
    assets = {"b": {"href": "./b.jp2", "type": media, "roles": ["data"]}}
    web.documents |= {
        "c.json": collection("c", link("item", "./i.json")),
        "i.json": item("i", "./b.jp2") | {"assets": assets},
    }
    where = {
        "identifier": "other",
        "store_id": "stac",
        "store_params": {"url": web.url + "/c.json"},
    }
    [entry] = list_data("stac", web.url + "/c.json", match="c/*")
    assert (entry.data_id, entry.type) == ("c/i", "JPEG 2000")
    one = {"identifier": "cube", "store": "other", "data_id": "c", "grid_mapping": None}
    [result] = build(load_config(configuration(tmp_path, [one], [where])), tmp_path / "catalogs")
    assert result.status == "COMPLETED", result.message
    cube = xr.open_zarr(result.href, mask_and_scale=False)
    assert np.array_equal(cube["cube"].values, values)


def test_jpeg_2000_beside_other_data_is_their_original() -> None:
    from stacbuild.sources.stac.asset_kind import readable

    both = {"a": {"href": "a.tif", "type": TIF}, "o": {"href": "a.jp2", "type": "image/jp2"}}
    assert readable(both) == {"a": "raster"}
    assert readable({"o": both["o"]}) == {"o": "raster"}
