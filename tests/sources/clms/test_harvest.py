"""CLMS products as collections and items, against the stand-in of the portal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stacbuild.errors import AuthError, Failures, NotFoundError, RemoteError
from stacbuild.profiles import Profiles
from stacbuild.progress import reported_to
from stacbuild.sources.base import Wanted
from stacbuild.sources.clms.harvest import canonical_data_id, harvest
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.stac.catalog import Catalog, Harvest
from tests.standins.clms import ClmsServer
from tests.support.clms import AT_ONCE, DATA_ID, FILE, SLUG, Recorder, asked, product, two_tiles
from tests.support.stac_schemas import stac_problems

COVER = "tree-cover-density-2015|TCD_2015_020m_eu_03035_d05_E30N20"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClmsServer]:
    forest = product(two_tiles(tmp_path / "fty.zip"))
    slug, _, file = COVER.partition("|")
    cover = product(
        two_tiles(tmp_path / "tcd.zip", file),
        slug=slug,
        title="Tree Cover Density 2015",
        deliveries={file: tmp_path / "tcd.zip"},
    )
    with ClmsServer(forest, cover) as running:
        yield running


@pytest.fixture
def store(server: ClmsServer, tmp_path: Path) -> ClmsStore:
    return ClmsStore.model_validate(
        {
            "identifier": "clms",
            "store_id": "clms",
            "store_params": {
                "endpoint_url": server.api,
                "credentials": str(server.write_credentials(tmp_path / "credentials.json")),
                "cache_store_params": {"root": str(tmp_path / "clms_cache")},
            },
        }
    )


def run(
    store: ClmsStore,
    wanted: Wanted,
    reporter: Recorder | None = None,
    catalog: Path | None = None,
    found: list[Harvest] | None = None,
) -> list[Harvest]:
    """Harvest; *found* keeps what came before an error."""
    found = [] if found is None else found
    with reported_to(reporter):
        for one in harvest(store, wanted, Profiles.load(), polling=AT_ONCE):
            found.append(one)
            if catalog is not None:
                Catalog(catalog).put(one)
    return found


def test_a_preloaded_file_becomes_one_item_a_tile(store: ClmsStore, server: ClmsServer) -> None:
    (found,) = run(store, Wanted((f"{DATA_ID}.zarr",), (DATA_ID,)))
    assert [item.id for item in found.items] == [
        "FTY_2015_020m_E31N22_03035_d04",
        "FTY_2015_020m_E32N22_03035_d04",
    ]
    item = found.items[0]
    assert item.properties["stacbuild:store"] == "clms"
    assert item.properties["stacbuild:data_id"] == DATA_ID == canonical_data_id(f"{DATA_ID}.zarr")
    assert item.properties["title"] == "Forest type: FTY_2015_020m_E31N22_03035_d04"
    assert item.properties["start_datetime"] == "2015-01-01T00:00:00Z"
    assert item.properties["end_datetime"] == "2015-12-31T23:59:59Z"
    assert item.properties["proj:code"] == "EPSG:3035"
    assert item.properties["proj:shape"] == [4, 5]
    asset = item.assets["data"]
    assert Path(asset.href).is_file()
    assert Path(asset.href).is_relative_to(store.cache)
    assert asset.extra_fields["file:size"] == Path(asset.href).stat().st_size
    assert asset.extra_fields["file:checksum"].startswith("1220")
    assert asset.extra_fields["nodata"] == 255
    classes = {each["value"]: each for each in asset.extra_fields["classification:classes"]}
    assert list(classes) == [0, 1, 2, 254, 255]
    assert [value for value, each in classes.items() if each.get("nodata")] == [254, 255]


def test_a_product_is_described_from_the_search(store: ClmsStore, server: ClmsServer) -> None:
    (found,) = run(store, Wanted((DATA_ID,)))
    collection = found.collection
    assert found.items == ()
    assert collection.id == SLUG
    assert collection.title == "Forest Type 2015"
    assert collection.description == "Forest Type 2015: stand-in."
    assert collection.license == "other"
    assert [provider.name for provider in collection.providers or ()] == [
        "Copernicus Land Monitoring Service",
        "European Environment Agency",
    ]
    assert collection.extent.spatial.bboxes == [[-31.5, 27.4, 44.8, 71.2]]
    (period,) = collection.extent.to_dict()["temporal"]["interval"]
    assert period == ["2015-01-01T00:00:00Z", "2015-12-31T23:59:59Z"]
    links = {link.rel: link.get_href() for link in collection.links}
    assert links["via"] == f"{server.api}/en/products/{SLUG}"
    assert links["license"] == "https://land.copernicus.eu/en/data-policy"
    # Nothing was asked for, so no credentials were needed.
    assert {entry.path.partition("?")[0] for entry in server.log} == {"/api/@search"}


def test_what_is_here_is_not_asked_for_again_and_changes_no_byte(
    store: ClmsStore, server: ClmsServer, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalogs"
    wanted = Wanted((COVER, DATA_ID), (COVER, DATA_ID))
    run(store, wanted, catalog=catalog)
    before = {path: path.read_bytes() for path in catalog.rglob("*.json")}
    assert len(before) == 1 + 2 + 4
    server.log.clear()
    (again, *_) = run(store, wanted, catalog=catalog)
    assert len(again.items) == 2
    assert {path: path.read_bytes() for path in catalog.rglob("*.json")} == before
    assert {entry.path.partition("?")[0] for entry in server.log} == {"/api/@search"}
    # Tiles that are here are items also when nobody asks to preload them.
    assert len(run(store, Wanted((DATA_ID,)))[0].items) == 2
    assert [item.id for item in Catalog(catalog).find("clms", DATA_ID)] == [
        "FTY_2015_020m_E31N22_03035_d04",
        "FTY_2015_020m_E32N22_03035_d04",
    ]


def test_force_fetches_again(store: ClmsStore, server: ClmsServer) -> None:
    run(store, Wanted((DATA_ID,), (DATA_ID,)))
    run(store, Wanted((DATA_ID,), (DATA_ID,), force=True))
    assert server.posts == 2
    assert asked(server, ".zip") == 2


def test_all_is_requested_before_anything_is_waited_for(
    store: ClmsStore, server: ClmsServer
) -> None:
    run(store, Wanted((COVER, DATA_ID), (COVER, DATA_ID)))
    calls = [entry.path.partition("?")[0].rpartition("@")[2] for entry in server.log]
    last_post = max(i for i, call in enumerate(calls) if call == "datarequest_post")
    assert server.posts == 2
    assert last_post < calls.index("datarequest_status_get")


def test_one_product_that_fails_does_not_stop_another(store: ClmsStore, server: ClmsServer) -> None:
    server.scripts[FILE] = ("Queued", "Rejected")
    found: list[Harvest] = []
    with pytest.raises(RemoteError, match=r"forest-type-2015.*Rejected"):
        run(store, Wanted((COVER, DATA_ID), (COVER, DATA_ID)), found=found)
    assert {one.collection.id: len(one.items) for one in found} == {
        SLUG: 0,
        "tree-cover-density-2015": 2,
    }


@pytest.mark.parametrize(
    ("data_id", "hint"),
    [
        ("forest-typ-2015|x", "there is no product 'forest-typ-2015' (did you mean 'forest-type"),
        (DATA_ID.replace("d04", "d05"), f"(did you mean '{FILE}'"),
        (SLUG, "a data id is <product>|<file>"),
    ],
)
def test_what_is_not_there_comes_with_what_is_close(
    store: ClmsStore, data_id: str, hint: str
) -> None:
    with pytest.raises(NotFoundError) as caught:
        run(store, Wanted((data_id,)))
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(Failures):
        run(store, Wanted((data_id, "none|none")))


def test_tiles_of_one_name_in_two_files_stay_two_items(tmp_path: Path) -> None:
    other = "FTY_2015_020m_eu_03035_d05_E30N20"
    both = product(
        tmp_path,
        deliveries={
            FILE: two_tiles(tmp_path / "one.zip"),
            other: two_tiles(tmp_path / "two.zip", other),
        },
    )
    with ClmsServer(both) as server:
        store = ClmsStore.model_validate(
            {
                "identifier": "clms",
                "store_id": "clms",
                "store_params": {
                    "endpoint_url": server.api,
                    "credentials": server.credentials() | {"ip_range": "none"},
                    "cache_store_params": {"root": str(tmp_path / "cache")},
                },
            }
        )
        wanted = (DATA_ID, f"{SLUG}|{other}")
        (found,) = run(store, Wanted(wanted, wanted))
    assert len({item.id for item in found.items}) == 4


def test_refused_credentials_stop_the_requests_but_not_what_is_here(
    store: ClmsStore, server: ClmsServer
) -> None:
    run(store, Wanted((DATA_ID,), (DATA_ID,)))
    server.reset()
    server.fail("oauth2-token", status=400, times=-1)
    found: list[Harvest] = []
    with pytest.raises(AuthError, match="refused these credentials"):
        run(store, Wanted((DATA_ID, COVER), (DATA_ID, COVER)), found=found)
    assert [len(one.items) for one in found] == [2, 0]
    assert asked(server, "oauth2-token") == 1


def test_no_secret_is_written_or_said(
    store: ClmsStore, server: ClmsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reporter = Recorder()
    catalog = tmp_path / "catalogs"
    server.script = ("Queued", "Finished_ok")
    run(store, Wanted((COVER,), (COVER,)), reporter, catalog)
    server.scripts[FILE] = ("Queued", "Finished_nok")
    with pytest.raises(RemoteError) as caught:
        run(store, Wanted((DATA_ID,), (DATA_ID,)), reporter, catalog)
    credentials = server.credentials()
    key = "".join(credentials["private_key"].splitlines()[1:3])
    secrets = [key[:64], credentials["client_id"], *server._tokens]
    links = [task.link for task in server.tasks.values() if task.link]
    assert len(secrets) > 2
    assert links
    said = "\n".join([*reporter.lines, str(caught.value), repr(store)])
    for path in (*catalog.rglob("*"), *store.cache.rglob("*.json")):
        if path.is_file():
            said += path.read_text()
    assert not [secret for secret in (*secrets, *links) if secret in said]
    assert not [secret for secret in secrets if secret in caplog.text]


def test_the_catalog_is_valid_stac(store: ClmsStore, tmp_path: Path) -> None:
    catalog = tmp_path / "catalogs"
    run(store, Wanted((COVER, DATA_ID), (COVER, DATA_ID)), catalog=catalog)
    assert stac_problems(catalog / "catalog.json") == []
    item = next((catalog / SLUG).rglob("FTY*.json"))
    assert not json.loads(item.read_text())["assets"]["data"]["href"].startswith("/")
