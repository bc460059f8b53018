"""Credentials in a whole run, at the highest verbosity: searched for in every byte written."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import s3fs
import yaml

from stacbuild.config import load_config
from stacbuild.geo.grid import PixelGrid
from stacbuild.geo.validity import NoData
from stacbuild.loading.reader import RasterSource, Tile
from tests.standins.clms import ClmsServer
from tests.standins.s3 import S3Server
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import Json, ages, configuration, geotiff
from tests.support.clms import FILE, SLUG, product, two_tiles

# Characters that a URL, a shell or a regular expression would write otherwise.
KEY, SECRET = "CANARYKEY0123456789", "Canary/sec+ret=0123456789&abcdefghij"
SESSION, ZENODO = "CanarySession/0123456789+x==", "CanaryZenodoToken0123456789"
# What boto finds by itself, of a store that names none.
AWS = {
    "AWS_ACCESS_KEY_ID": "CANARYAWS0123456789",
    "AWS_SECRET_ACCESS_KEY": "CanaryAws/secret+0123456789",
    "AWS_SESSION_TOKEN": "CanaryAwsSession+0123456789",
}
LITERAL = "CanaryThatStandsInTheFile0123"

# As an application would do it that wants to know everything.
DRIVER = """\
import json, logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logging.getLogger().addHandler(logging.FileHandler(sys.argv.pop(1)))
names = "asyncio aiohttp aiobotocore botocore dask distributed fsspec rasterio s3fs urllib3"
for name in [*names.split(), "botocore.auth", "botocore.endpoint", "botocore.hooks"]:
    logging.getLogger(name).setLevel(logging.DEBUG)
from stacbuild.cli import main
for words in json.loads(sys.argv.pop()):
    sys.argv[1:] = ["--debug", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


@pytest.fixture
def clms(tmp_path: Path) -> Iterator[ClmsServer]:
    (tmp_path / "remote").mkdir()
    with ClmsServer(product(two_tiles(tmp_path / "remote" / "delivery.zip"))) as server:
        yield server


@pytest.fixture
def project(
    tmp_path: Path, clms: ClmsServer, s3_server: S3Server, zenodo_server: ZenodoServer
) -> Path:
    """A configuration of all kinds of stores with credentials, and its environment's names."""
    tif = geotiff(tmp_path / "remote" / "a.tif")
    zenodo_server.records["1"] = Record("1", "Cover", {"a.tif": tif})
    s3_server.put("in/a.tif", tif.read_bytes(), "canary-bucket")
    s3_server.upload(ages(tmp_path / "remote" / "ages.zarr"), "ages.zarr", "canary-ages")
    s3 = {"key": "${C_KEY}", "secret": "${C_SECRET}", "token": "${C_SESSION}"}
    s3["endpoint_url"] = s3_server.url
    clms.write_credentials(tmp_path / "me.json")
    stores: list[Json] = [
        {
            "identifier": "zenodo",
            "store_id": "zenodo",
            "store_params": {
                "root": "1",
                "endpoint_url": zenodo_server.api,
                "access_token": "${C_ZENODO}",
            },
        },
        {
            "identifier": "bucket",
            "store_id": "s3",
            "store_params": {"root": "canary-bucket/in", "storage_options": s3},
        },
        {
            "identifier": "own",
            "store_id": "s3",
            "store_params": {
                "root": "canary-ages",
                "storage_options": {"endpoint_url": s3_server.url},
            },
        },
        {
            "identifier": "clms",
            "store_id": "clms",
            "store_params": {"endpoint_url": clms.api, "credentials": "me.json"},
        },
        {
            "identifier": "unused",
            "store_id": "s3",
            "store_params": {
                "root": "canary-bucket",
                "storage_options": {"key": LITERAL, "secret": LITERAL},
            },
        },
    ]
    storage = {
        "store_id": "s3",
        "store_params": {"root": "canary-bucket/out", "storage_options": s3},
    }
    tiles = {
        "identifier": "tiles",
        "crs": "EPSG:3035",
        "bbox": [3400100, 2299920, 3400300, 2300000],
    }
    datasets: list[Json] = [
        {"identifier": "record", "store": "zenodo", "data_id": "a.tif"},
        {"identifier": "object", "store": "bucket", "data_id": "a.tif"},
        {"identifier": "ages", "store": "own", "data_id": "ages.zarr"},
        {
            "identifier": "types",
            "store": "clms",
            "data_id": f"{SLUG}|{FILE}",
            "grid_mapping": "tiles",
        },
    ]
    return configuration(
        tmp_path / "project",
        datasets,
        stores,
        storage=storage,
        grids=[tiles | {"spatial_res": 20}],
    )


def run(config: Path, *commands: list[str], code: int) -> bytes:
    """Run commands in folders of their own, up to one that fails; give all that they printed."""
    folder = config.parent
    for name in ("tmp", "home"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "me.json").exists():
        (folder / "me.json").symlink_to(folder.parent / "me.json")
    environment = os.environ | {
        "C_KEY": KEY,
        "C_SECRET": SECRET,
        "C_SESSION": SESSION,
        "C_ZENODO": ZENODO,
        **AWS,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "S3FS_LOGGING_LEVEL": "DEBUG",
        "DASK_TEMPORARY_DIRECTORY": str(folder / "tmp"),
    }
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder / "log"), json.dumps(commands)],
        capture_output=True,
        check=False,
        timeout=300,
        env=environment,
        cwd=folder,
    )
    assert done.returncode == code, (done.returncode, done.stderr[-3000:].decode())
    return done.stdout + b"\n" + done.stderr


def forms(secret: str) -> set[bytes]:
    """Return *secret* as it may be written: plain, quoted, escaped, in base64 at any offset."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote(secret).encode(), raw.hex().encode()}
    found |= {json.dumps(secret)[1:-1].encode(), secret.replace("\n", "\\n").encode()}
    for shift in range(3):
        # Without what depends on the bytes before and behind.
        found.add(base64.b64encode(bytes(shift) + raw)[4:-4])
        found.add(base64.urlsafe_b64encode(bytes(shift) + raw)[4:-4])
    return found


def secrets_of(clms: ClmsServer) -> list[str]:
    # All lines of the key but the last, which may be short enough to be there by chance.
    lines = clms.credentials()["private_key"].split("\n")[1:-2]
    return [KEY, SECRET, SESSION, ZENODO, *AWS.values(), *lines[:-1], *clms._tokens]


def leaks(written: dict[str, bytes], secrets: list[str]) -> list[str]:
    """Return where something was found, and the line without it."""
    found = []
    for place, content in written.items():
        for secret in secrets:
            for form in forms(secret):
                if (at := content.find(form)) >= 0:
                    before = content[max(0, at - 150) : at].decode(errors="replace")
                    found.append(f"{place}: {secret[:12]}... after {before!r}")
    return found


def written_below(folder: Path) -> dict[str, bytes]:
    # The input itself is no finding.
    given = {"c_config.yml", "me.json"}
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in given
    }


def objects(server: S3Server) -> dict[str, bytes]:
    fs = s3fs.S3FileSystem(
        key="testing", secret="testing", endpoint_url=server.url, use_listings_cache=False
    )
    return {f"s3://{path}": fs.cat_file(path) for path in fs.find("canary-bucket/out")}


def test_no_credential_is_written_when_all_goes_well(
    project: Path, clms: ClmsServer, s3_server: S3Server
) -> None:
    said = run(
        project,
        ["plan", str(project), "--json"],
        ["cube", str(project)],
        ["validate", str(project), "--deep", "--remote"],
        code=0,
    )
    cubes = objects(s3_server)
    assert {path.split("/")[4].rpartition("-")[0] for path in cubes} == {
        "record", "object", "ages", "types"
    }  # fmt: skip
    assert any(read.signed for read in s3_server.log), "the credentials were not used at all"
    # Only to see that the run was as verbose as it should be.
    assert b"botocore" in said
    assert b"s3fs" in said
    assert b"urllib3" in said
    everything = {"said": said} | written_below(project.parent) | cubes
    assert any("catalog.json" in place for place in everything)
    assert any(place.endswith("/log") for place in everything)
    assert leaks(everything, [*secrets_of(clms), LITERAL]) == []
    assert said.count(b"storage_options.key: is a credential in plain text") >= 1
    assert not [place for place in everything if place.endswith((".pkl", ".pickle"))]


def test_no_credential_is_written_when_all_fails(
    project: Path, clms: ClmsServer, s3_server: S3Server, zenodo_server: ZenodoServer
) -> None:
    s3_server.fail("canary-bucket", status=403, times=-1)
    s3_server.fail("canary-ages", status=403, times=-1)
    clms.fail("oauth2-token", times=-1, status=403, body=b"refused")
    zenodo_server.fail("records", times=-1, status=403, body=b"refused")
    said = run(project, ["cube", str(project)], code=1)
    assert b"Traceback" in said
    everything = {"said": said} | written_below(project.parent)
    assert leaks(everything, [*secrets_of(clms), LITERAL]) == []


def test_the_search_finds_a_canary(project: Path, clms: ClmsServer) -> None:
    for secret in secrets_of(clms):
        for text in (
            f"x{secret}y".encode(),
            base64.b64encode(f"ab{secret}cd".encode()),
            quote(f"/{secret}/").encode(),
        ):
            assert leaks({"a": text}, [secret]), secret


def test_nothing_that_holds_credentials_shows_them(
    project: Path, clms: ClmsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("KEY", KEY), ("SECRET", SECRET), ("SESSION", SESSION), ("ZENODO", ZENODO)):
        monkeypatch.setenv(f"C_{name}", value)
    text = yaml.safe_load(project.read_text())
    for store in text["data_stores"]:
        if store["store_id"] == "clms":
            store["store_params"]["credentials"] = clms.credentials()
    project.write_text(yaml.safe_dump(text))
    config = load_config(project)
    options = config.store("bucket").storage_options
    assert options["secret"] == SECRET
    grid = PixelGrid("EPSG:4326", (1, 0, 0, 0, -1, 0), (1, 1))
    source = RasterSource(
        tiles=(Tile("s3://a/b.tif", grid),),
        target=grid,
        method="nearest",
        dtype="uint8",
        bands=(1,),
        nodata=(NoData(0),),
        options=options,
    )
    shown: dict[str, Any] = {
        "config": config,
        "stores": [config.store(store.identifier) for store in config.data_stores],
        "resolved": json.dumps(config.resolved()),
        "json": config.model_dump_json(),
        "source": source,
    }
    written = {name: f"{value!r} {value!s}".encode() for name, value in shown.items()}
    assert leaks(written, [*secrets_of(clms), LITERAL]) == []
    # A graph that goes to another process has to hold them, so it must stay out of files.
    assert SECRET.encode() in pickle.dumps(source)
