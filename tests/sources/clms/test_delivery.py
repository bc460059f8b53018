"""From a request to tiles on disk, against the stand-in of the CLMS portal."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from stacbuild.errors import IntegrityError, RemoteError
from stacbuild.sources.clms.api import ClmsApi
from stacbuild.sources.clms.delivery import Delivery, Polling, present, request
from tests.standins.clms import ClmsServer, Product
from tests.support.clms import (
    DATA_ID,
    FILE,
    Recorder,
    Run,
    asked,
    pack,
    two_tiles,
)

JSON = {"Content-Type": "application/json"}


def test_a_delivery_becomes_tiles(run: Run, server: ClmsServer, delivery: Delivery) -> None:
    reporter = Recorder()
    tiles = run(reporter)
    assert [tile.path.name for tile in tiles] == [
        "FTY_2015_020m_E31N22_03035_d04.tif",
        "FTY_2015_020m_E32N22_03035_d04.tif",
    ]
    with rasterio.open(tiles[1].path, driver="GTiff") as file:
        assert np.unique(file.read(1)).tolist() == [2, 254]
    assert tiles == present(delivery)
    assert sorted(path.name for path in delivery.folder.glob("[!.]*")) == ["complete.json", "tiles"]
    assert server.posts == 1
    (task,) = server.tasks
    assert f"{DATA_ID}: requested, task {task}" in reporter.lines
    assert f"{DATA_ID}: task {task} [polls]" in reporter.lines
    assert {"Queued", "In_progress", "Finished_ok"} <= set(reporter.lines)
    assert f"{DATA_ID} [bytes]" in reporter.lines


@pytest.mark.parametrize("status", ["Rejected", "Finished_nok", "Cancelled"])
def test_a_task_that_fails_is_named_and_asked_for_anew(
    run: Run, server: ClmsServer, delivery: Delivery, status: str
) -> None:
    server.script = ("Queued", status)
    with pytest.raises(RemoteError, match=status) as caught:
        run()
    (task,) = server.tasks
    assert DATA_ID in str(caught.value)
    assert task in str(caught.value)
    assert present(delivery) is None
    server.script = ("Finished_ok",)
    assert len(run()) == 2
    assert server.posts == 2


def test_an_unknown_status_is_an_error_and_the_task_is_kept(run: Run, server: ClmsServer) -> None:
    server.script = ("Queued", "On_hold", "Finished_ok")
    with pytest.raises(RemoteError, match="'On_hold', which is unknown"):
        run()
    assert len(run()) == 2
    assert server.posts == 1


def test_finished_without_a_link_is_an_error(run: Run, server: ClmsServer) -> None:
    server.fail("@datarequest_status_get", body=b'{"Status": "Finished_ok"}', headers=JSON)
    with pytest.raises(RemoteError, match="without a DownloadURL"):
        run()


def test_pauses_grow_to_their_limit_and_the_server_may_ask_for_more(
    run: Run, server: ClmsServer
) -> None:
    server.script = ("Queued",) * 3 + ("In_progress",) * 4 + ("Finished_ok",)
    server.fail("@datarequest_status_get", headers={"Retry-After": "30"}, times=1, skip=1)
    slept: list[float] = []
    run(polling=Polling(first=1, factor=2, longest=10, sleep=slept.append))
    assert slept == [1, 30, 4, 8, 10, 10, 10]


def test_an_interrupted_wait_goes_on_with_one_request(
    run: Run, server: ClmsServer, delivery: Delivery
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(polling=Polling(sleep=interrupt))
    kept = json.loads((delivery.folder / "task.json").read_text())
    assert kept["task"] in server.tasks
    assert set(kept) == {"source", "task"}
    reporter = Recorder()
    assert len(run(reporter)) == 2
    assert server.posts == 1
    assert asked(server, "@datarequest_post") == 1
    assert not any("requested" in line for line in reporter.lines)


def test_a_run_killed_right_after_its_request_finds_the_task(
    run: Run, server: ClmsServer, api: ClmsApi, delivery: Delivery
) -> None:
    server.script = ("Queued", "Queued", "In_progress", "Finished_ok")
    request(delivery, api)
    (delivery.folder / "task.json").unlink()
    assert len(run()) == 2
    assert server.posts == 1


def test_a_token_that_ends_in_the_wait_is_renewed(run: Run, server: ClmsServer) -> None:
    server.script = ("Queued",) * 3 + ("Finished_ok",)
    run(polling=Polling(sleep=lambda _: server.expire_tokens()))
    assert asked(server, "oauth2-token") == 4


def test_a_task_that_the_portal_dropped_is_asked_for_anew(
    run: Run, server: ClmsServer, api: ClmsApi, delivery: Delivery
) -> None:
    request(delivery, api)
    server.tasks.clear()
    reporter = Recorder()
    assert len(run(reporter)) == 2
    assert server.posts == 2
    assert any("dropped the task" in line for line in reporter.lines)


def test_a_link_that_expired_once_is_asked_for_again(run: Run, server: ClmsServer) -> None:
    server.script = ("Finished_ok",)
    server.fail(r"\.zip$", status=403, times=2)  # the download, and the look at why
    assert len(run()) == 2
    assert server.posts == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410, 200])
def test_a_link_that_stays_expired_leads_to_one_new_request(
    run: Run, server: ClmsServer, status: int
) -> None:
    server.script = ("Finished_ok",)
    server.fail(r"\.zip$", status=status, times=4)  # 200: a page that asks to log in
    reporter = Recorder()
    assert len(run(reporter)) == 2
    assert server.posts == 2
    assert any("expired; requesting it again" in line for line in reporter.lines)


def test_links_that_never_work_end_in_an_error(run: Run, server: ClmsServer) -> None:
    server.fail(r"\.zip$", status=403, times=-1)
    with pytest.raises(RemoteError, match="403"):
        run()
    assert server.posts == 2


def test_a_server_in_trouble_is_no_expired_link(
    run: Run, server: ClmsServer, delivery: Delivery
) -> None:
    server.fail(r"\.zip$", status=500, times=-1)
    with pytest.raises(RemoteError, match="500"):
        run()
    assert server.posts == 1
    assert (delivery.folder / "task.json").exists()


def test_a_download_that_breaks_is_resumed(run: Run, server: ClmsServer) -> None:
    server.fail(r"\.zip$", cut_after=1000, times=1)
    assert len(run()) == 2
    assert [entry.range for entry in server.log if ".zip" in entry.path] == [None, "bytes=1000-"]


def test_a_file_of_another_size_is_refused(
    run: Run, server: ClmsServer, api: ClmsApi, delivery: Delivery
) -> None:
    server.script = ("Finished_ok",)
    state = api.status(request(delivery, api))
    content = {"Status": "Finished_ok", "DownloadURL": state.url, "FileSize": (state.size or 0) + 1}
    server.fail("@datarequest_status_get", body=json.dumps(content).encode(), headers=JSON)
    with pytest.raises((IntegrityError, RemoteError), match=str(content["FileSize"])):
        run()
    assert not (delivery.folder / "delivery.zip").exists()
    assert len(run()) == 2


def test_a_run_killed_after_its_download_does_not_download_again(
    run: Run, server: ClmsServer, api: ClmsApi, delivery: Delivery, tmp_path: Path
) -> None:
    request(delivery, api)
    task = delivery.folder / "task.json"
    task.write_text(json.dumps(json.loads(task.read_text()) | {"fetching": True}))
    (delivery.folder / "delivery.zip").write_bytes((tmp_path / "sent.zip").read_bytes())
    assert len(run()) == 2
    assert asked(server, ".zip") == 0


def test_a_hostile_delivery_leaves_nothing(
    run: Run, forest: Product, delivery: Delivery, tmp_path: Path
) -> None:
    pack(forest.deliveries[FILE], {"a/../../../../out.tif": b"x", "a/b.tif": b"x"})
    with pytest.raises(IntegrityError, match="refused"):
        run()
    assert list(tmp_path.rglob("*.tif")) == []
    assert not (delivery.folder / "delivery.zip").exists()
    two_tiles(forest.deliveries[FILE])
    assert len(run()) == 2


def test_a_delivery_without_a_raster_or_that_is_no_zip(
    run: Run, forest: Product, delivery: Delivery
) -> None:
    pack(forest.deliveries[FILE], {"readme.txt": b"nothing here"})
    with pytest.raises(IntegrityError, match="holds no GeoTIFF"):
        run()
    forest.deliveries[FILE].write_bytes(b"this is no archive")
    with pytest.raises(IntegrityError, match="not an archive"):
        run()
    assert present(delivery) is None


def test_a_zip_that_is_not_nested_will_do(run: Run, forest: Product) -> None:
    with zipfile.ZipFile(forest.deliveries[FILE], "w") as archive:
        archive.writestr("flat.TIF", b"x")
    assert [tile.path.name for tile in run()] == ["flat.TIF"]


def test_what_is_here_counts_only_if_whole_and_of_this_version(
    run: Run, delivery: Delivery
) -> None:
    tiles = run()
    newer = Delivery(delivery.data_id, delivery.dataset, delivery.file, "v2", delivery.folder)
    assert present(newer) is None
    assert present(delivery) == tiles
    tiles[0].path.write_bytes(b"cut")
    assert present(delivery) is None
    tiles[0].path.unlink()
    assert present(delivery) is None
