"""Records become collections and items; large files are described in place or fetched once."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import rasterio
import requests
from rasterio.windows import Window

from stacbuild.errors import IntegrityError, NotFoundError, RemoteError, StacbuildError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.net import http
from stacbuild.profiles import CollectionProfile, Profiles
from stacbuild.progress import reported_to
from stacbuild.sources.base import Wanted
from stacbuild.sources.zenodo.collection import record_collection
from stacbuild.sources.zenodo.harvest import harvest
from stacbuild.sources.zenodo.record import fetch_record, plain_text
from stacbuild.stac.catalog import Catalog, Harvest
from tests.standins.demo import Servers
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.file_server import FileServer
from tests.support.stac_schemas import stac_problems
from tests.support.zenodo import Told, contents, harvested, store_of

ANNUAL = "france/annual_disturbances_1985_2023_france.tif"
COVER = "planet_canopy_cover_30m_v0.1.tif"


def by_data_id(found: Harvest) -> dict[str, Any]:
    return {item.properties["stacbuild:data_id"]: item for item in found.items}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "a b.tif"
    path.parent.mkdir()
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", width=8, height=6,
        crs="EPSG:3035", transform=rasterio.Affine(30, 0, 4e6, 0, -30, 3e6),
    ):  # fmt: skip
        pass
    return path


# --- records ---


def test_both_shapes_say_the_same(standins: Servers) -> None:
    with http.session() as session:
        plain = fetch_record(session, standins.zenodo.api, "13333034")
        session.headers["Accept"] = "application/vnd.inveniordm.v1+json"
        other = _rdm(standins.zenodo, "13333034")
    assert dataclasses.replace(other, license_url=None) == plain
    assert other.license_url == "https://creativecommons.org/licenses/by/4.0/legalcode"
    assert plain.version == "2.1.1"
    assert [creator.name for creator in plain.creators] == ["Viana-Soto, Alba", "Senf, Cornelius"]
    assert plain.description.startswith("The European Forest Disturbance Atlas maps annual")
    assert "30\u00a0m" not in plain.description
    assert "\n- annual disturbances\n" in plain.description


def _rdm(server: ZenodoServer, record: str) -> Any:
    """Ask as a server answers that knows only the newer shape."""
    url = f"{server.api}/records/{record}"
    answer = requests.get(
        url, headers={"Accept": "application/vnd.inveniordm.v1+json"}, timeout=30
    ).content
    with FileServer({f"/api/records/{record}": answer}) as only, http.session() as session:
        return fetch_record(session, f"{only.url}/api", record)


def test_a_real_record(realdata: Path) -> None:
    answer = (realdata / "zenodo" / "record_3490058_notebookprint.json").read_bytes()
    with FileServer({"/api/records/3490058": answer}) as server, http.session() as session:
        record = fetch_record(session, f"{server.url}/api", "3490058")
    assert (record.id, record.version, record.newer) == ("3490058", "1.0", None)
    assert record.creators[0].orcid == "0000-0002-6363-0064"
    assert record.files[0].size == 433244
    assert record.files[0].md5 == "a1399249c4b1368107959c5cc897ae2d"
    collection = record_collection(record, CollectionProfile(), "zenodo:3490058")
    assert collection.license == "CC-BY-4.0"
    assert collection.get_single_link("cite-as").href == "https://doi.org/10.5281/zenodo.3490058"  # type: ignore[union-attr]


def test_markup_becomes_text() -> None:
    markup = (
        "<p>One&nbsp;two &amp; <em>three</em>.</p>\n<script>x</script><ul><li>a</li><li>b</li></ul>"
    )
    assert plain_text(markup) == "One two & three.\n\n- a\n- b"


def test_the_collection_says_whose_and_on_which_terms(standins: Servers, tmp_path: Path) -> None:
    collection = harvested(store_of(standins.zenodo, "13333034", tmp_path), ANNUAL).collection
    assert (collection.id, collection.license) == ("zenodo-13333034", "CC-BY-4.0")
    assert collection.title == "European Forest Disturbance Atlas"
    assert [p.name for p in collection.providers or ()][-1] == "Zenodo"
    fields = collection.extra_fields
    assert (fields["sci:doi"], fields["version"]) == ("10.5281/zenodo.13333034", "2.1.1")
    assert fields["sci:citation"] == (
        "Viana-Soto, Alba; Senf, Cornelius (2024). European Forest Disturbance Atlas (2.1.1). "
        "Zenodo. https://doi.org/10.5281/zenodo.13333034"
    )
    asset = collection.assets["france.zip"]
    file = standins.zenodo.records["13333034"].files["france.zip"]
    assert asset.extra_fields["file:size"] == file.stat().st_size
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    assert asset.extra_fields["file:checksum"] == f"d50110{digest}"


def test_the_profile_corrects_the_licence(standins: Servers, tmp_path: Path) -> None:
    collection = harvested(store_of(standins.zenodo, "8154445", tmp_path), COVER).collection
    assert collection.license == "other"
    (link,) = collection.get_links("license")
    assert link.href == "https://zenodo.org/records/8154445"


def test_a_newer_version_is_told_and_linked(standins: Servers, tmp_path: Path) -> None:
    record = standins.zenodo.records["8154445"]
    standins.zenodo.records["8154445"] = dataclasses.replace(record, newer="13333034")
    told = Told()
    store = store_of(standins.zenodo, "8154445", tmp_path)
    with reported_to(told):
        (found,) = harvest(store, Wanted((COVER,)), Profiles.load())
    assert "there is a newer version of this record" in told.warned[0]
    (link,) = found.collection.get_links("latest-version")
    assert link.href.endswith("/records/8154445/latest")


# --- in place ---


def test_a_large_geotiff_is_described_in_place(standins: Servers, tmp_path: Path) -> None:
    found = harvested(store_of(standins.zenodo, "8154445", tmp_path / "cache"), COVER)
    assert standins.zenodo.requests < 20
    assert standins.zenodo.bytes_sent < 5_000_000
    (item,) = found.items
    assert item.id == "planet_canopy_cover_30m_v0.1"
    assert item.properties["proj:shape"] == [149363, 170397]
    assert item.properties["start_datetime"] == "2019-01-01T00:00:00Z"
    asset = item.assets["data"]
    assert asset.href.startswith(f"{standins.zenodo.api}/records/8154445/files/")
    assert asset.extra_fields["unit"] == "%"
    assert asset.extra_fields["file:checksum"].startswith("d50110")
    assert not (tmp_path / "cache").exists()


def test_members_of_a_zip_are_listed_in_place(standins: Servers, tmp_path: Path) -> None:
    found = harvested(store_of(standins.zenodo, "13333034", tmp_path / "cache"), ANNUAL)
    assert len(found.items) == 9
    item = by_data_id(found)[ANNUAL]
    asset = item.assets["data"]
    assert item.geometry is None
    assert asset.media_type == "application/zip"
    assert asset.href.endswith("/france.zip/content")
    assert asset.extra_fields["archive"][0]["href"].endswith(ANNUAL.partition("/")[2])
    assert not [name for name in item.properties if name.startswith("proj:")]
    assert standins.zenodo.requests <= 4
    assert not (tmp_path / "cache").exists()


# --- preloaded ---


@pytest.mark.parametrize("named", ["france.zip", ANNUAL])
def test_an_archive_is_fetched_unpacked_and_described(
    standins: Servers, tmp_path: Path, named: str
) -> None:
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    found = harvested(store, ANNUAL, preload=(named,))
    item = by_data_id(found)[ANNUAL]
    asset = item.assets["data"]
    path = Path(asset.href)
    assert path.is_relative_to(tmp_path / "cache" / "13333034" / "france")
    assert len(found.items) == 9
    assert item.id == "france-annual_disturbances_1985_2023_france"
    assert item.properties["title"] == "Annual forest disturbance (france)"
    assert [band["name"] for band in asset.extra_fields["bands"]][::38] == ["1985", "2023"]
    assert asset.extra_fields["file:size"] == path.stat().st_size
    assert asset.extra_fields["file:checksum"] == (
        "d50110" + hashlib.md5(path.read_bytes()).hexdigest()
    )
    archive = asset.extra_fields["alternate"]["archive"]
    assert archive["href"].endswith("/france.zip/content")
    assert archive["archive"][0]["href"].endswith(path.name)
    # What was unpacked is kept, the archive is not.
    assert not (tmp_path / "cache" / "13333034" / "france.zip").exists()


@pytest.mark.parametrize("preload", [("france.zip",), ()])
def test_what_is_here_is_not_fetched_again(
    standins: Servers, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    catalog = Catalog(tmp_path / "catalogs")
    assert catalog.put(harvested(store, ANNUAL, preload=("france.zip",)))
    before = bytes_of(catalog.root)
    standins.zenodo.reset()
    assert not catalog.put(harvested(store, ANNUAL, preload=preload))
    assert contents(standins.zenodo) == []
    assert bytes_of(catalog.root) == before


def test_force_and_damage_and_change_fetch_again(standins: Servers, tmp_path: Path) -> None:
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    found = harvested(store, ANNUAL, preload=("france.zip",))
    path = Path(by_data_id(found)[ANNUAL].assets["data"].href)
    standins.zenodo.reset()
    harvested(store, preload=("france.zip",), force=True)
    assert len(contents(standins.zenodo)) == 1
    path.write_bytes(path.read_bytes()[:-1])
    harvested(store, preload=("france.zip",))
    assert len(contents(standins.zenodo)) == 2
    other = tmp_path / "france.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.write(path, "new.tif")
    record = standins.zenodo.records["13333034"]
    standins.zenodo.records["13333034"] = dataclasses.replace(record, files={"france.zip": other})
    assert list(by_data_id(harvested(store, preload=("france.zip",)))) == ["france/new.tif"]
    assert not path.exists()


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("folder", ["", "x/"])
def test_archives_of_all_kinds(
    zenodo_server: ZenodoServer, tmp_path: Path, tiny: Path, suffix: str, folder: str
) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tiny, f"{folder}deep/a b.tif")
            archive.writestr(f"{folder}readme.txt", "r")
    else:
        with tarfile.open(path, "w:gz" if "gz" in suffix else "w") as packed:
            packed.add(tiny, f"{folder}deep/a b.tif")
    zenodo_server.records["7"] = Record("7", "Seven", {path.name: path})
    store = store_of(zenodo_server, "7", tmp_path / "cache")
    before = harvested(store, "x/deep/a b.tif").items
    if suffix == "zip":
        (pointing,) = before
        assert pointing.id == "x-deep-a-b"
        assert pointing.assets["data"].href.endswith(f"/x.{suffix}/content")
    else:
        assert before == (), "a tar shows its members only when it is here"
    (item,) = harvested(store, "x/deep/a b.tif", preload=(path.name,)).items
    assert item.id == "x-deep-a-b"
    assert item.properties["stacbuild:data_id"] == "x/deep/a b.tif"
    assert item.datetime == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert Path(item.assets["data"].href).is_file()


def test_a_geotiff_may_be_preloaded_too(
    zenodo_server: ZenodoServer, tmp_path: Path, tiny: Path
) -> None:
    zenodo_server.records["7"] = Record("7", "Seven", {"a b.tif": tiny})
    store = store_of(zenodo_server, "7", tmp_path / "cache")
    (item,) = harvested(store, preload=("a b.tif",)).items
    asset = item.assets["data"]
    assert Path(asset.href).read_bytes() == tiny.read_bytes()
    remote = asset.extra_fields["alternate"]["remote"]["href"]
    assert remote == f"{zenodo_server.api}/records/7/files/a%20b.tif/content"
    zenodo_server.reset()
    (again,) = harvested(store, "a b.tif").items
    assert again.to_dict() == item.to_dict()
    assert contents(zenodo_server) == []


def test_an_interrupted_preload_goes_on(standins: Servers, tmp_path: Path) -> None:
    size = standins.zenodo.records["13333034"].files["france.zip"].stat().st_size
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    standins.zenodo.fail(r"france\.zip/content", cut_after=size // 2)
    harvested(store, preload=("france.zip",))
    ranges = [entry.range for entry in standins.zenodo.log if "/content" in entry.path]
    assert ranges == [None, f"bytes={size // 2}-"]


def test_a_download_that_was_not_unpacked_is_used(standins: Servers, tmp_path: Path) -> None:
    source = standins.zenodo.records["13333034"].files["france.zip"]
    target = tmp_path / "cache" / "13333034" / "france.zip"
    target.parent.mkdir(parents=True)
    target.write_bytes(source.read_bytes())
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    assert len(harvested(store, preload=("france.zip",)).items) == 9
    assert contents(standins.zenodo) == []


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("record", "data_id", "message"),
    [
        ("99", "a.tif", r"/records/99: not found"),
        ("8154445", "planet_canopy_cover_30m.tif", "did you mean 'planet_canopy_cover_30m_v0.1"),
        ("13333034", "germany/annual.tif", r"there is no 'germany/annual.tif' in the record"),
        ("13333034", ANNUAL.replace("annual", "anual"), "did you mean 'france/annual_dist"),
    ],
)
def test_what_is_not_there_is_named(
    standins: Servers, tmp_path: Path, record: str, data_id: str, message: str
) -> None:
    store = store_of(standins.zenodo, record, tmp_path)
    with pytest.raises(NotFoundError, match=message) as caught:
        harvested(store, data_id)
    assert "\n" not in str(caught.value)
    if record == "13333034":
        with pytest.raises(NotFoundError, match=message):
            harvested(store, data_id, preload=("france.zip",))


def test_a_file_of_another_kind_is_refused(
    zenodo_server: ZenodoServer, tmp_path: Path, tiny: Path
) -> None:
    zenodo_server.records["7"] = Record("7", "Seven", {"a.pdf": tiny})
    with pytest.raises(
        NotFoundError, match=r"a\.pdf is neither an archive nor .*GeoTIFF, GRIB, HDF5"
    ):
        harvested(store_of(zenodo_server, "7", tmp_path), "a.pdf")


def test_a_restricted_record_is_named_so(zenodo_server: ZenodoServer, tmp_path: Path) -> None:
    zenodo_server.records["7"] = Record("7", "Seven", access_right="restricted")
    with pytest.raises(NotFoundError, match=r"shows no files \(access: restricted\)"):
        harvested(store_of(zenodo_server, "7", tmp_path), "a.tif")


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ({"body": b"<html>"}, RemoteError, "HTML page instead of JSON"),
        ({"status": 403}, RemoteError, "403 Forbidden"),
        ({"status": 410}, NotFoundError, "410 Gone"),
    ],
)
def test_a_record_that_is_none(
    standins: Servers,
    tmp_path: Path,
    fault: dict[str, Any],
    error: type[StacbuildError],
    message: str,
) -> None:
    standins.zenodo.fail("/records/8154445$", times=-1, **fault)
    with pytest.raises(error, match=message):
        harvested(store_of(standins.zenodo, "8154445", tmp_path), COVER)


def test_json_that_is_no_record(tmp_path: Path) -> None:
    with (
        FileServer({"/api/records/7": b'{"hits": []}'}) as server,
        http.session() as session,
        pytest.raises(RemoteError, match="not that of a Zenodo record"),
    ):
        fetch_record(session, f"{server.url}/api", "7")


def test_a_wrong_md5_keeps_nothing(standins: Servers, tmp_path: Path) -> None:
    standins.zenodo.fail(r"france\.zip/content", times=2, flip_at=100)
    store = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    with pytest.raises(
        IntegrityError, match=r"france.zip/content: has md5 \w{32} instead of \w{32}"
    ):
        harvested(store, preload=("france.zip",))
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert [name for name in left if not name.startswith(".")] == []


def test_a_hostile_archive_leaves_nothing(zenodo_server: ZenodoServer, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.tif", b"II*\0")
    zenodo_server.records["7"] = Record("7", "Seven", {"x.zip": path})
    with pytest.raises(IntegrityError, match=r"x\.zip: refused"):
        harvested(store_of(zenodo_server, "7", tmp_path / "cache"), preload=("x.zip",))
    assert not list(tmp_path.rglob("evil.tif"))
    assert not (tmp_path / "cache" / "7" / "x").exists()


def test_a_key_that_leaves_the_cache_is_refused(
    zenodo_server: ZenodoServer, tmp_path: Path, tiny: Path
) -> None:
    zenodo_server.records["7"] = Record("7", "Seven", {"../evil.tif": tiny})
    with pytest.raises(IntegrityError, match="would leave"):
        harvested(store_of(zenodo_server, "7", tmp_path / "cache"), preload=("../evil.tif",))


def test_a_truncated_geotiff_is_named(
    zenodo_server: ZenodoServer, tmp_path: Path, tiny: Path
) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-10])
    zenodo_server.records["7"] = Record("7", "Seven", {"a b.tif": tiny})
    with pytest.raises(IntegrityError, match=r"a%20b\.tif/content: "):
        harvested(store_of(zenodo_server, "7", tmp_path / "cache"), "a b.tif")


def test_429_is_waited_for_and_said(standins: Servers, tmp_path: Path) -> None:
    standins.zenodo.fail("/content", status=429, headers={"Retry-After": "0"})
    told = Told()
    store = store_of(standins.zenodo, "8154445", tmp_path)
    with reported_to(told):
        assert list(harvest(store, Wanted((COVER,)), Profiles.load()))
    assert told.said == ["127.0.0.1 answers 429 Too Many Requests; trying again in 0 s"]


def test_the_token_goes_to_the_api_only_and_stands_nowhere(tmp_path: Path, tiny: Path) -> None:
    record = Record("7", "Seven", {"a b.tif": tiny})
    with ZenodoServer(record, redirect=True) as server:
        store = store_of(server, "7", tmp_path / "cache", access_token="canary")
        catalog = Catalog(tmp_path / "catalogs")
        catalog.put(harvested(store, "a b.tif", preload=("a b.tif",)))
        sent = {entry.path.split("/")[1]: entry.authorized for entry in server.log}
    assert sent == {"api": True, "storage": False}
    written = bytes_of(tmp_path / "catalogs") | bytes_of(tmp_path / "cache")
    assert not [name for name, content in written.items() if b"canary" in content]


# --- the catalog, and reading from it ---


def test_the_catalog_is_valid(standins: Servers, tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalogs")
    atlas = store_of(standins.zenodo, "13333034", tmp_path / "cache")
    for preload in ((), ("france.zip",)):
        catalog.put(harvested(atlas, ANNUAL, preload=preload))
        catalog.put(harvested(store_of(standins.zenodo, "8154445", tmp_path / "cache"), COVER))
        assert stac_problems(catalog.path) == []
    item = json.loads(
        catalog.item_path("zenodo-8154445", "planet_canopy_cover_30m_v0.1").read_text()
    )
    assert "://" in item["assets"]["data"]["href"]
    assert str(tmp_path) not in json.dumps(item)


def test_a_window_of_a_large_file_comes_in_few_requests(standins: Servers, tmp_path: Path) -> None:
    (item,) = harvested(store_of(standins.zenodo, "8154445", tmp_path), COVER).items
    asset = item.assets["data"]
    standins.zenodo.reset()
    with http.session() as session:
        file = RasterFile(asset.href, session=session, size=asset.extra_fields["file:size"])
        with file.open() as dataset:
            opened = standins.zenodo.requests
            height, width = dataset.block_shapes[0]
            window = Window(80 * width if width < 9999 else 0, 90000, 2000, 3 * min(height, 500))
            file.read(dataset, window)
    assert standins.zenodo.requests - opened <= 20
