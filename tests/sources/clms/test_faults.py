"""What goes wrong with tokens, tasks and links of the CLMS, seen by a user of the command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stacbuild.errors import RemoteError
from stacbuild.net.http import session
from stacbuild.sources.clms.api import ClmsApi
from stacbuild.sources.clms.auth import read_credentials
from stacbuild.sources.clms.delivery import Delivery, Polling, deliver
from tests.standins.clms import ClmsServer
from tests.support.cli import catalogued, command, configuration, errors, stacbuild
from tests.support.clms import DATA_ID, FILE, SLUG, asked, product, two_tiles

REMOTE, AUTH, INTERRUPTED = 3, 7, 130
# Both tiles of the delivery, in metres of EPSG:3035.
GRID = {
    "identifier": "tiles",
    "crs": "EPSG:3035",
    "spatial_res": 20,
    "bbox": [3_400_100, 2_299_920, 3_400_300, 2_300_000],
}


def slow(value: object) -> object:
    """One more value of a parameter, of which the others tell most."""
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClmsServer]:
    with ClmsServer(product(two_tiles(tmp_path / "sent.zip"))) as running:
        running.script = ("Finished_ok",)
        yield running


@pytest.fixture
def config(server: ClmsServer, tmp_path: Path) -> Path:
    """A cube of the delivery, which has to be fetched first."""
    server.write_credentials(tmp_path / "me.json")
    store = {
        "identifier": "portal",
        "store_id": "clms",
        "store_params": {"endpoint_url": server.api, "credentials": "me.json"},
    }
    forest = {
        "identifier": "forest",
        "store": "portal",
        "data_id": DATA_ID,
        "grid_mapping": "tiles",
    }
    preload = [{"store": "portal", "data_ids": [DATA_ID]}]
    return configuration(tmp_path, [forest], [store], grids=[GRID], preload_datasets=preload)


@pytest.fixture
def secrets(server: ClmsServer) -> Callable[[], list[str]]:
    """What nobody may ever read: lines of the key, ids of the user, tokens, links."""

    def give() -> list[str]:
        known = server.credentials()
        key = known["private_key"].splitlines()[1:-1]
        links = [task.link for task in server.tasks.values() if task.link]
        return [*key, known["client_id"], known["key_id"], *server._tokens, *links]

    return give


def task_file(config: Path) -> Path:
    return config.parent / "clms_cache" / SLUG / FILE / "task.json"


def built(config: Path) -> None:
    done = stacbuild("cube", config)
    assert len(done.stdout.splitlines()) == 1
    assert catalogued(config.parent / "catalogs") == ["forest"]


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_that_expires_in_the_wait_is_renewed(config: Path, server: ClmsServer) -> None:
    server.script = ("Queued", "Queued", "Finished_ok")
    # Each token lives for less than the pauses between the polls.
    server.token_seconds = 0.3
    built(config)
    assert server.posts == 1
    assert asked(server, "oauth2-token") >= 3


def test_a_token_that_is_withdrawn_once_is_renewed_once(config: Path, server: ClmsServer) -> None:
    server.fail("@datarequest_status_get", status=401, times=1)
    built(config)
    assert asked(server, "oauth2-token") == 2


@pytest.mark.parametrize("debug", [slow(False), True])
@pytest.mark.parametrize(
    ("call", "status"),
    [("@datarequest_status_get", 401), ("@datarequest_post", 401), ("@datarequest_search", 403)],
)
def test_a_token_that_is_always_refused_is_renewed_once_and_no_key_is_told(
    config: Path,
    server: ClmsServer,
    secrets: Callable[[], list[str]],
    call: str,
    status: int,
    debug: bool,
) -> None:
    server.fail(call, status=status, times=-1)
    words = ["--debug"] * debug
    done = subprocess.run(
        command(*words, "harvest", config), capture_output=True, text=True, check=False
    )
    assert done.returncode == AUTH
    (line,) = errors(done)
    assert f"{config.parent / 'me.json'}: {server.api}/{call} refused a new token" in line
    assert f"HTTP {status}" in line
    assert "make new ones in your CLMS profile" in line
    # A 401 may be a token that is too old; a 403 is not.
    assert asked(server, "oauth2-token") == (2 if status == 401 else 1)
    said = done.stdout + done.stderr
    for path in (config.parent / "catalogs").rglob("*.json"):
        said += path.read_text()
    assert len(secrets()) > 20
    assert not [secret for secret in secrets() if secret in said]
    assert ("Traceback" in said) == debug


@pytest.mark.parametrize("hours", [slow(-2), 2])
def test_a_clock_that_is_wrong_is_named(config: Path, server: ClmsServer, hours: int) -> None:
    # A process whose clock is wrong; the server's is right.
    wrong = (
        "import time\n"
        f"right = time.time\ntime.time = lambda: right() + {hours * 3600}\n"
        "from stacbuild.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", wrong, "harvest", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == AUTH, done.stderr
    (line,) = errors(done)
    assert f"{server.token_uri} refused these credentials (HTTP 400)" in line
    assert f"this machine's clock is {hours * 60:+d} min from the server's" in line
    assert server.posts == 0
    built(config)


def test_a_clock_that_is_a_little_wrong_does_not_matter(config: Path, server: ClmsServer) -> None:
    ahead = (
        "import time\nright = time.time\ntime.time = lambda: right() + 40\n"
        "from stacbuild.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ahead, "harvest", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- tasks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, slow(signal.SIGINT), slow(signal.SIGTERM)])
def test_a_run_that_ends_in_the_queue_leaves_its_task_to_the_next(
    config: Path, server: ClmsServer, how: signal.Signals
) -> None:
    server.script = ("Queued",)
    with subprocess.Popen(
        command("harvest", config), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        deadline = time.monotonic() + 60
        while not asked(server, "@datarequest_status_get") and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(how)
        # It would wait for ever: the task stays in the queue.
        _, said = run.communicate(timeout=60)
    assert run.returncode == (-how if how == signal.SIGKILL else INTERRUPTED), said
    (task,) = server.tasks.values()
    assert json.loads(task_file(config).read_text())["task"] == task.id
    task.script = ("Finished_ok",)
    built(config)
    assert server.posts == 1
    assert asked(server, "@datarequest_post") == 1
    assert not task_file(config).exists()


@pytest.mark.parametrize("status", ["Rejected", slow("Finished_nok"), slow("Cancelled")])
def test_a_task_that_fails_ends_the_wait_and_is_asked_for_anew_by_the_next_run(
    config: Path, server: ClmsServer, status: str
) -> None:
    server.script = ("Queued", status)
    (line,) = errors(stacbuild("harvest", config, code=REMOTE))
    (task,) = server.tasks
    assert f"{DATA_ID}: task {task}: the status at the CLMS is {status}; run again" in line
    assert not task_file(config).exists()
    server.script = ("Finished_ok",)
    built(config)
    assert server.posts == 2


def test_a_task_that_is_queued_for_too_long_ends_the_wait_and_is_kept(
    config: Path, server: ClmsServer
) -> None:
    server.script = ("Queued",)
    # Not to be slept through: the server asks for three hours.
    server.fail("@datarequest_status_get", headers={"Retry-After": "10800"})
    (line,) = errors(stacbuild("harvest", config, code=REMOTE))
    (task,) = server.tasks.values()
    assert f"{DATA_ID}: task {task.id}: still Queued at the CLMS" in line
    assert "would end after 3 h" in line
    assert "run again later, the task is kept" in line
    task.script = ("Finished_ok",)
    built(config)
    assert server.posts == 1


def test_a_day_of_polls_is_the_limit(server: ClmsServer, tmp_path: Path) -> None:
    server.script = ("Queued",)
    forest = next(each for each in server.products if each.slug == SLUG)
    delivery = Delivery(DATA_ID, forest.uid, forest.file_id(FILE), None, tmp_path / "cache")
    slept: list[float] = []
    # Every pause is an hour's, so that a day is over soon.
    polling = Polling(first=3600, factor=1, longest=3600, sleep=slept.append)
    with session(tries=2, backoff=0.01) as http:
        api = ClmsApi(server.api, http, lambda: read_credentials(None, server.credentials()))
        with pytest.raises(RemoteError, match="still Queued at the CLMS") as caught:
            deliver(delivery, api, http, polling)
    assert slept == [3600.0] * 24
    assert "\n" not in str(caught.value)
    assert (tmp_path / "cache" / "task.json").exists()


# --- links ---------------------------------------------------------------------------------------


def test_a_link_that_expired_is_asked_for_again(config: Path, server: ClmsServer) -> None:
    server.fail(r"\.zip$", status=403, times=2)
    built(config)
    assert server.posts == 1


def test_a_link_that_expired_for_good_leads_to_one_new_task(
    config: Path, server: ClmsServer
) -> None:
    server.fail(r"\.zip$", status=410, times=4)
    done = stacbuild("harvest", config)
    assert f"{DATA_ID}: the download link has expired; requesting it again" in done.stderr
    assert server.posts == 2


def test_links_that_never_work_end_in_an_error_without_the_link(
    config: Path, server: ClmsServer, secrets: Callable[[], list[str]]
) -> None:
    server.fail(r"\.zip$", status=403, times=-1)
    done = stacbuild("harvest", config, code=REMOTE)
    (line,) = errors(done)
    assert f"{DATA_ID}: its download: the server answers 403 Forbidden" in line
    assert server.posts == 2
    assert not [secret for secret in secrets() if secret in done.stdout + done.stderr]


def test_a_delivery_that_is_cut_by_kill_goes_on_where_it_was(
    config: Path, server: ClmsServer
) -> None:
    # The first body ends early and the second trickles: there the run is killed.
    server.fail(r"\.zip$", cut_after=1000, times=1)
    server.fail(r"\.zip$", bytes_per_second=1, times=1)
    with subprocess.Popen(
        command("harvest", config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        deadline = time.monotonic() + 60
        while asked(server, ".zip") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    part = list((config.parent / "clms_cache").rglob("*.part"))
    assert [path.stat().st_size for path in part] == [1000]
    built(config)
    assert server.posts == 1
    ranges = [entry.range for entry in server.log if re.search(r"\.zip$", entry.path)]
    assert ranges[-1] == "bytes=1000-"
