"""The rules of docs/explanation/security.md, each broken on purpose."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
import xarray as xr
import yaml
from rich.console import Console

from stacbuild.building import build
from stacbuild.cli.console import TerminalReporter
from stacbuild.config import load_config
from stacbuild.errors import ConfigError, IntegrityError, RemoteError
from stacbuild.formats.geotiff import RasterFile
from stacbuild.formats.zarr_store import open_group
from stacbuild.loading.pool import release
from stacbuild.net import http
from stacbuild.net.hrefs import Allowed, Zone, check, check_form, leads_inwards, zone_of
from stacbuild.safe_text import clean, redact, remember_secret, watch_logs
from stacbuild.sources import harvest
from tests.standins.s3 import S3Server
from tests.standins.zenodo import Record, ZenodoServer
from tests.support.cli import Json, command, configuration, errors, geotiff, stacbuild
from tests.support.clms import Recorder
from tests.support.file_server import FileServer, redirect

CANARY = "canary-of-a-file-that-nobody-may-read"
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
GOOD = {"identifier": "good", "store": "local", "data_id": "good.tif"}
METADATA = "http://169.254.169.254/latest/meta-data"

Edit = Callable[[Json], None]


# --- hrefs in a catalog that somebody edited -----------------------------------------------------


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harvested")
    geotiff(folder / "in" / "src" / "good.tif")
    geotiff(folder / "outside" / "secret.tif")
    (folder / "outside" / "secret.txt").write_text(CANARY)
    cube = xr.Dataset({"a": (("lat", "lon"), [[1]])}, {"lat": [45.0], "lon": [10.0]})
    cube.to_zarr(folder / "outside" / "secret.zarr", zarr_format=2)
    config = configuration(folder / "in", [GOOD], [SOURCE])
    harvest(load_config(config), folder / "in" / "catalogs")
    return folder


@pytest.fixture
def project(tmp_path: Path, harvested: Path) -> Path:
    """A configuration whose sources are harvested, and beside it files that are none of it."""
    shutil.copytree(harvested, tmp_path, dirs_exist_ok=True)
    return tmp_path / "in" / "c_config.yml"


def item_of(config: Path) -> Path:
    (path,) = config.parent.glob("catalogs/file-*/good/good.json")
    return path


def edit(path: Path, change: Edit) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def lead_to(href: str, media_type: str | None = None) -> Edit:
    def change(item: Json) -> None:
        item["assets"]["data"]["href"] = href
        if media_type:
            item["assets"]["data"]["type"] = media_type

    return change


# `{outside}` is a folder that the configuration does not name, `{server}` one that it does not.
HOSTILE = {
    "a file": "{outside}/secret.txt",
    "a raster": "{outside}/secret.tif",
    "a Zarr store": "{outside}/secret.zarr",
    "up and out": "../../../../outside/secret.tif",
    "down, up and out": "{inside}/src/../../outside/secret.tif",
    "a system file": "/etc/passwd",
    "a file URL": "file:///etc/passwd",
    "a file URL of a raster": "file://{outside}/secret.tif",
    "curl of GDAL": "/vsicurl/{server}/a.tif",
    "zip of GDAL": "/vsizip/{outside}/secret.zip/a.tif",
    "memory of GDAL": "//vsimem/a.tif",
    "a VRT URL": "vrt://{outside}/secret.tif",
    "a VRT": "<VRTDataset><SourceFilename>{outside}/secret.tif</SourceFilename></VRTDataset>",
    "a driver": 'NETCDF:"{outside}/secret.txt":a',
    "a driver in small letters": "gtiff_dir:1:{outside}/secret.tif",
    "a chain of fsspec": "simplecache::file://{outside}/secret.zarr",
    "a chain behind a URL": "{server}/a.zarr::file://{outside}/secret.zarr",
    "a line break": "{inside}/src/good.tif\n{outside}/secret.tif",
    "a NUL": "{inside}/src/good.tif\0.tif",
    "a server of this machine": "{server}/a.tif",
    "a metadata service": METADATA,
    "a percent-encoded address": "http://%31%32%37.0.0.1:{port}/a.tif",
    "a percent-encoded name": "http://loc%61lhost:{port}/a.tif",
    "digits of full width": "http://\uff11\uff12\uff17.0.0.1:{port}/a.tif",
    "a host with a NUL": "http://127.0.0.1%00.example.org:{port}/a.tif",
    "a name with a soft hyphen": "http://local%C2%ADhost:{port}/a.tif",
    "a metadata service of Oracle": "http://192.0.0.192/opc/v2",
    "a metadata service of Azure": "http://168.63.129.16/metadata",
    "a metadata service of Alibaba": "http://100.100.100.200/latest",
    "the same as a number": "http://2852039166/latest/meta-data",
    "the same in IPv6": "http://[::ffff:169.254.169.254]/latest",
    "somebody's credentials": "https://user:canary-password@127.0.0.1/a.tif",
    "a bucket with the user's credentials": "s3://somebody-elses/a.tif",
    "another scheme": "ftp://127.0.0.1/a.tif",
    "a number": 5,
}


@pytest.mark.parametrize("kind", ["raster", "zarr"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_href_is_refused_and_nothing_read(project: Path, name: str, kind: str) -> None:
    inside, outside = project.parent, project.parent.parent / "outside"
    item = item_of(project)
    with FileServer({"/a.tif": (outside / "secret.tif").read_bytes()}) as server:
        href = HOSTILE[name]
        if isinstance(href, str):
            href = href.format(
                inside=inside,
                outside=outside,
                server=server.url,
                port=server.url.rpartition(":")[2],
            )
        edit(item, lead_to(href, "application/vnd.zarr" if kind == "zarr" else None))
        reporter = Recorder()
        config = load_config(project)
        (result,) = build(config, inside / "catalogs", reporter=reporter)  # type: ignore[arg-type]
        assert server.asked == []
    assert isinstance(result.error, IntegrityError)
    said = "\n".join([result.message, *reporter.lines])
    assert str(item) in said
    assert CANARY not in said
    assert "root:" not in said
    assert "canary-password" not in said
    assert clean(result.message) == result.message
    assert not (inside / "data" / "good.zarr").exists()


def test_the_command_ends_with_4_and_names_the_item(project: Path) -> None:
    outside = project.parent.parent / "outside"
    edit(item_of(project), lead_to(f"{outside}/secret.tif"))
    for name in ("plan", "cube"):
        done = stacbuild(name, project, code=4)
        assert f"{item_of(project)}: assets.data: the href '{outside}/secret.tif'" in done.stderr
        assert "is outside of the folders that the configuration names; refused" in done.stderr


def test_validate_opens_only_what_the_configuration_names(project: Path) -> None:
    stacbuild("cube", project)
    outside = project.parent.parent / "outside"
    (cube,) = project.parent.glob("catalogs/c/good/good.json")
    edit(cube, lead_to(f"{outside}/secret.zarr"))
    edit(item_of(project), lead_to(f"{outside}/secret.txt"))
    lines = errors(stacbuild("validate", project, "--deep", "--remote", code=4))
    for item, name in ((cube, "secret.zarr"), (item_of(project), "secret.txt")):
        assert any(
            f"{item}: assets.data: the href '{outside}/{name}' is outside of" in x for x in lines
        )


def test_only_a_cube_of_its_own_name_is_removed_from_a_bucket(
    tmp_path: Path, s3_server: S3Server
) -> None:
    """What a build replaces is removed, by a name that stands in the cube's item."""
    geotiff(tmp_path / "src" / "good.tif")
    s3_server.put("precious.zarr/zarr.json", b"{}", "security-1")
    options = {"key": "testing", "secret": "testing", "endpoint_url": s3_server.url}
    storage = {
        "store_id": "s3",
        "store_params": {"root": "security-1", "storage_options": options},
    }
    config = configuration(tmp_path, [GOOD], [SOURCE], storage=storage)
    stacbuild("cube", config)
    item = tmp_path / "catalogs" / "c" / "good" / "good.json"
    for name in ("precious.zarr", ""):
        edit(item, lead_to(f"{s3_server.url}/security-1/{name}"))
        stacbuild("cube", config, "--force")
        assert json.loads(item.read_text())["assets"]["data"]["href"].rpartition("/")[2] != name
        left = s3fs.S3FileSystem(**options, use_listings_cache=False).find("security-1")
        assert "security-1/precious.zarr/zarr.json" in left


def test_a_hostile_item_harms_no_other_cube(project: Path) -> None:
    geotiff(project.parent / "src" / "other.tif")
    other = {"identifier": "other", "store": "local", "data_id": "other.tif"}
    config = configuration(project.parent, [GOOD, other], [SOURCE])
    stacbuild("harvest", config)
    edit(item_of(config), lead_to("/etc/passwd"))
    done = stacbuild("cube", config, code=4)
    assert [line.split(":")[1] for line in errors(done)] == [" good"]
    assert (project.parent / "data" / "other.zarr").is_dir()


def test_what_the_configuration_names_is_read(project: Path) -> None:
    link = project.parent.parent / "link"
    link.symlink_to(project.parent)
    # By a link of the user's own, and as harvested.
    for config in (link / project.name, project):
        (result,) = build(load_config(config), project.parent / "catalogs")
        release()
        assert result.error is None


def test_what_is_allowed_of_each_kind_of_store() -> None:
    web = Allowed((Path("/data"),), ("https://1.1.1.1/api",))
    check("https://1.1.1.1/a.tif", web)
    check("https://8.8.8.8/a.tif", web)
    check("/data/a.tif", web)
    for href in ("https://10.0.0.1/a", "http://127.0.0.1/a", "s3://a/b", "/database/a.tif"):
        with pytest.raises(IntegrityError, match="refused"):
            check(href, web)
    inner = Allowed((), ("http://10.0.0.1",), "s3://bucket/below/")
    check("http://10.0.0.2/a", inner)
    check("s3://bucket/below/a.zarr", inner)
    for href in ("http://127.0.0.1/a", METADATA, "s3://bucket/a.zarr", "s3://bucket/belowa"):
        with pytest.raises(IntegrityError, match="refused"):
            check(href, inner)


def test_an_error_repeats_no_signature_and_no_document() -> None:
    with pytest.raises(IntegrityError) as caught:
        check_form("ftp://me:canary@host/a.tif?X-Amz-Signature=canary")
    assert "canary" not in str(caught.value)
    with pytest.raises(IntegrityError) as caught:
        check_form("<VRTDataset>" * 1000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("catalog.json", {"rel": "child", "href": "../../outside/collection.json"}),
        ("collection.json", {"rel": "item", "href": "../../../outside/item.json"}),
        ("collection.json", {"rel": "item", "href": "/etc/passwd"}),
    ],
)
def test_no_link_leads_out_of_the_catalog(project: Path, where: str, change: Json) -> None:
    (file,) = project.parent.rglob(where)
    edit(file, lambda content: content["links"].append(change))
    done = stacbuild("cube", project, code=4)
    (line,) = errors(done)
    assert f"{file}: links to {change['href']!r} outside of the catalog; refused" in line


def test_no_id_of_an_item_removes_another_folder(project: Path) -> None:
    """What a harvest replaces is removed, by a name that stands in the item."""
    victim = project.parent / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    item = item_of(project)
    old = item.parent.parent / "older" / "older.json"
    shutil.copytree(item.parent, old.parent)
    item.with_name("older.json").unlink(missing_ok=True)
    (old.parent / "good.json").rename(old)
    edit(old, lambda content: content.update(id="../../victim"))
    link = {"rel": "item", "href": "./older/older.json"}
    edit(item.parent.parent / "collection.json", lambda content: content["links"].append(link))
    done = stacbuild("harvest", project, code=4)
    assert "has the id '../../victim'; refused" in errors(done)[0]
    assert (victim / "precious").exists()


# --- what servers say ----------------------------------------------------------------------------


def test_a_vrt_under_the_name_of_a_tiff_is_not_opened(tmp_path: Path) -> None:
    secret = geotiff(tmp_path / "outside" / "secret.tif")
    vrt = (
        '<VRTDataset rasterXSize="120" rasterYSize="120"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    path = tmp_path / "a.tif"
    path.write_text(vrt)
    with (
        FileServer({"/a.tif": vrt.encode()}) as server,
        http.session() as session,
    ):
        for file in (RasterFile(path), RasterFile(f"{server.url}/a.tif", session=session)):
            with pytest.raises(IntegrityError, match="is not a TIFF"):
                file.open()
    path.write_bytes(b"II*\0" + vrt.encode())
    with pytest.raises(IntegrityError, match="cannot be opened as a GeoTIFF"):
        RasterFile(path).open()


def test_files_beside_a_raster_change_nothing(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif")
    with RasterFile(path).open() as dataset:
        before = (dataset.transform, dataset.tags(), dataset.nodata)
    (tmp_path / "a.tfw").write_text("9\n0\n0\n-9\n1\n1\n")
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><Metadata><MDI key='evil'>1</MDI></Metadata></PAMDataset>"
    )
    with RasterFile(path).open() as dataset:
        assert (dataset.transform, dataset.tags(), dataset.nodata) == before


@pytest.mark.parametrize(
    "target",
    [
        METADATA,
        "http://[fe80::1]/a",
        "http://0.0.0.0/a",
        "http://%31%36%39.254.169.254/a",
        "http://192.0.0.192/a",
        "http://168.63.129.16/a",
    ],
)
def test_no_redirect_leads_to_an_address_of_the_link(target: str) -> None:
    with FileServer(faults=[redirect(target)] * 20) as server, http.session() as session:
        with pytest.raises(RemoteError, match="an address of a private network, which is refused"):
            http.get_json(session, f"{server.url}/a")
        with pytest.raises(RemoteError, match="an address of a private network, which is refused"):
            RasterFile(f"{server.url}/a.tif", session=session)
        with pytest.raises(RemoteError, match="an address of a private network, which is refused"):
            open_group(f"{server.url}/a.zarr")


def test_a_redirect_within_this_machine_is_followed() -> None:
    with (
        FileServer({"/b": b"1"}) as other,
        FileServer(faults=[redirect(f"{other.url}/b")]) as server,
        http.session() as session,
    ):
        assert http.get_json(session, f"{server.url}/a") == 1


@pytest.mark.parametrize(
    ("source", "target", "inwards"),
    [
        ("https://1.1.1.1", "https://8.8.8.8", False),
        ("https://1.1.1.1", "https://10.1.2.3", True),
        ("https://1.1.1.1", "https://192.168.1.1", True),
        ("https://1.1.1.1", "https://100.64.0.1", True),
        ("https://1.1.1.1", "https://127.0.0.1", True),
        ("https://1.1.1.1", "https://localhost", True),
        ("https://1.1.1.1", "https://[::1]", True),
        ("https://1.1.1.1", "https://[::ffff:10.0.0.1]", True),
        ("https://1.1.1.1", "https://[fd00::1]", True),
        ("https://1.1.1.1", "https://0x7f.1", True),
        ("https://10.0.0.1", "https://10.0.0.2", False),
        ("https://10.0.0.1", "https://127.0.0.1", True),
        ("https://10.0.0.1", "https://1.1.1.1", False),
        ("http://127.0.0.1:1", "http://localhost:2", False),
        ("http://127.0.0.1:1", "http://10.0.0.1", False),
        ("http://127.0.0.1:1", METADATA, True),
        (METADATA, METADATA + "/a", False),
    ],
)
def test_what_leads_inwards(source: str, target: str, inwards: bool) -> None:
    assert leads_inwards(source, target) is inwards


def test_an_unknown_name_is_for_a_proxy_to_know() -> None:
    assert zone_of("no-such-host.invalid") is Zone.WEB


def test_a_record_whose_files_lie_in_the_network_is_refused(
    tmp_path: Path, zenodo_server: ZenodoServer
) -> None:
    tif = geotiff(tmp_path / "a.tif")
    zenodo_server.records["1"] = Record("1", "Cover", {"a.tif": tif})
    config = configuration(
        tmp_path, [{"identifier": "x", "store": "z", "data_id": "a.tif"}],
        [{"identifier": "z", "store_id": "zenodo",
          "store_params": {"root": "1", "endpoint_url": zenodo_server.api}}],
    )  # fmt: skip
    answer = http.get_json(http.session(), f"{zenodo_server.api}/records/1")
    for file in answer["files"]:
        file["links"] = {"self": f"{METADATA}/a.tif"}
    body = json.dumps(answer).encode()
    headers = {"Content-Type": "application/json"}
    zenodo_server.fail("/records/1$", times=-1, body=body, headers=headers)
    (result,) = harvest(load_config(config), tmp_path / "catalogs")
    assert result.error is not None
    assert f"a.tif lies at {METADATA}/a.tif" in result.message


# --- YAML ----------------------------------------------------------------------------------------

_ALIASES = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_ALIASES, "its aliases expand to more than 50,000 values"),
        ("a: [" + "x, " * 200_000 + "x]", "is too long"),
        ("a: " + "x" * 2_000_000, "is larger than 1,000,000 bytes"),
        ("{a: " * 5_000, "nests too deeply"),
        ("- " * 5_000, "nests too deeply"),
        ("datasets: []\ndatasets: []", "is a duplicate key (first in line 1)"),
        ("datasets: !!python/object/apply:os.system ['touch pwned']", "tag !!python/object/apply"),
        ("datasets: !!python/name:os.system", "is not allowed"),
        ("datasets: !evil x", "is not allowed"),
        ("datasets: &a [*a]", "nests too deeply"),
    ],
)
def test_hostile_yaml_is_refused_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yml").write_text(text)
    begin = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "c.yml")
    # Seconds where hours, or all memory, would be the alternative.
    assert time.monotonic() - begin < 120
    assert any(says in line for line in caught.value.problems)
    assert all(clean(line) == line and len(line) < 1000 for line in caught.value.problems)
    assert not (tmp_path / "pwned").exists()


# --- text from elsewhere on a terminal -----------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\r\nerror: forged\x00\u2028x"


def test_a_hostile_record_writes_nothing_but_text(
    tmp_path: Path, zenodo_server: ZenodoServer
) -> None:
    tif = geotiff(tmp_path / "a.tif")
    key = "b\x1b[31m\u202e\nerror: forged.tif"
    zenodo_server.records["1"] = Record(
        "1", EVIL, {"a.tif": tif, key: tif}, creators=({"name": EVIL},), newer="2"
    )
    zenodo_server.records["2"] = Record("2", EVIL, {})
    params = {"root": "1", "endpoint_url": zenodo_server.api}
    config = configuration(
        tmp_path,
        [{"identifier": "x", "store": "z", "data_id": "a.tif"},
         {"identifier": "y", "store": "z", "data_id": "b.tif"}],
        [{"identifier": "z", "store_id": "zenodo", "store_params": params}],
    )  # fmt: skip
    for name in ("harvest", "cube"):
        done = subprocess.run(
            command("--debug", name, config),
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip
        shown = (done.stdout + done.stderr).decode()
        assert done.returncode not in (0, 2)
        assert "b.tif" in shown
        for line in re.split(r"[\n]", shown):
            assert line.replace("\t", " ").isprintable(), ascii(line)
            assert not line.startswith("error: forged")


def test_a_hostile_title_on_a_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, color_system=None)
    with TerminalReporter(console) as reporter:
        reporter.say(EVIL)
        reporter.warn(EVIL)
        with reporter.task(EVIL, total=2) as task:
            task.update(done=1, note=EVIL)
    shown = stream.getvalue()
    assert shown.count("owned") >= 3
    for sequence in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\x00", "\u202e", "\u2066", "\u2028"):
        assert sequence not in shown
    assert not re.search(r"^error: forged", shown, re.MULTILINE)


def test_what_libraries_say_is_cleaned_too() -> None:
    program = (
        "import logging, warnings\n"
        "from stacbuild.safe_text import clean_library_messages\n"
        "clean_library_messages()\n"
        f"evil = {EVIL!r}\n"
        "warnings.warn(evil)\n"
        "logging.getLogger('rasterio').warning('%s', evil)\n"
        "try:\n    raise ValueError(evil)\n"
        "except ValueError:\n    logging.getLogger('dask').exception('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    lines = done.stderr.decode().split("\n")
    assert all(line.isprintable() for line in lines), lines
    assert lines[0].startswith("warning: UserWarning: \\x1b]0;owned\\x07")
    assert sum("error: forged" in line for line in lines) == 3
    assert not any(line.startswith("\\x00") for line in lines)


@pytest.fixture
def _watched_logs() -> Iterator[None]:
    """Take credentials out of log records, as the program does, for one test."""
    before = logging.getLogRecordFactory()
    watch_logs()
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.usefixtures("_watched_logs")
def test_a_secret_is_masked_in_whatever_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    remember_secret("Canary/of+this=test")
    assert clean("a Canary/of+this=test b") == "a *** b"
    assert redact("x=Canary%2Fof%2Bthis%3Dtest&y") == "x=***&y"
    remember_secret("short")
    assert redact("short") == "short"
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("library").debug("sent %r", {"key": "Canary/of+this=test"})
        logging.getLogger("library").debug("Authorization: Bearer abc, Credential=AKIA/2024/x")
        try:
            raise ValueError("Canary/of+this=test")
        except ValueError:
            logging.getLogger("library").exception("no %s", "way")
    assert "Canary/of" not in caplog.text
    assert "Bearer ***" in caplog.text
    assert "Credential=***/2024/x" in caplog.text


# --- credentials by the environment --------------------------------------------------------------


def s3_config(directory: Path, **options: Any) -> Path:
    params = {"root": "bucket", "storage_options": options}
    store = {"identifier": "s3", "store_id": "s3", "store_params": params}
    return configuration(directory, [GOOD | {"store": "s3"}], [store])


def problems(config: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    return caught.value.problems


def test_parameters_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "canary-key")
    monkeypatch.setenv("MY_SECRET", "canary-${MY_KEY}")
    monkeypatch.setenv("HOST", "s3.example.org")
    config = load_config(
        s3_config(
            tmp_path,
            key="${MY_KEY}",
            secret="${MY_SECRET}",
            token="a$${b}${MY_KEY}",
            endpoint_url="https://${HOST}:9000",
        )
    )
    options = config.store("s3").storage_options
    # What a variable holds is not looked into again.
    assert (options["key"], options["secret"]) == ("canary-key", "canary-${MY_KEY}")
    assert options["token"] == "a${b}canary-key"
    assert options["endpoint_url"] == "https://s3.example.org:9000"
    assert "canary" not in f"{config!r} {config.resolved()}"
    assert caplog.text == ""


def test_a_variable_that_is_not_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("EMPTY", "")
    lines = problems(s3_config(tmp_path, key="${NOT_SET}", secret="${EMPTY}"))
    assert len(lines) == 2
    for line, (key, name) in zip(lines, (("key", "NOT_SET"), ("secret", "EMPTY")), strict=True):
        place, _, said = line.partition(f": data_stores.1.store_params.storage_options.{key}: ")
        assert re.fullmatch(rf"{re.escape(str(tmp_path))}/c_config\.yml:\d+:\d+", place)
        assert said == f"the environment variable {name} is not set, or is empty"


@pytest.mark.parametrize("value", ["${", "canary${x", "${MY-KEY}", "${}", "${1}"])
def test_what_is_no_reference_is_not_repeated(tmp_path: Path, value: str) -> None:
    (line,) = problems(s3_config(tmp_path, key=value, secret="x"))
    assert "'${' is not the start of ${NAME}; for a literal '${' write '$${'" in line
    assert "canary" not in line


@pytest.mark.parametrize(
    "options",
    [
        {"anon": "${SOME}"},
        {"endpoint_url": "${SOME}"},
        {"endpoint_url": "https://${SOME}@host"},
        {"client_kwargs": "${SOME}"},
        {"client_kwargs": {"region_name": "${LINES}"}},
    ],
)
def test_an_error_does_not_show_the_value_of_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Json
) -> None:
    monkeypatch.setenv("SOME", "canary" * 30)
    monkeypatch.setenv("LINES", "canary\ncanary")
    (line,) = problems(s3_config(tmp_path, **options))
    assert "canary" not in line


def test_only_store_parameters_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "canary")
    config = configuration(tmp_path, [GOOD | {"data_id": "${NAME}.tif"}], [SOURCE])
    assert load_config(config).datasets[0].variables[0].data_id == "${NAME}.tif"


def test_a_credential_in_the_file_is_warned_of(tmp_path: Path) -> None:
    key, secret = "CANARYKEYCANARY", "canary-secret-canary"
    config = s3_config(tmp_path, key=key, secret=secret)
    row = next(n for n, line in enumerate(config.read_text().splitlines(), 1) if key in line)
    inline = {"client_id": "i", "private_key": "canary-private"}
    content = yaml.safe_load(config.read_text())
    content["data_stores"].append(
        {"identifier": "c", "store_id": "clms", "store_params": {"credentials": inline}}
    )
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    done = stacbuild("plan", config)
    warned = [line for line in done.stderr.splitlines() if "in plain text" in line]
    assert [line.split(": ")[2] for line in warned] == [
        "data_stores.1.store_params.storage_options.key",
        "data_stores.1.store_params.storage_options.secret",
        "data_stores.2.store_params.credentials.private_key",
    ]
    assert warned[0].startswith(f"warning: {config}:{row}:")
    assert "write ${NAME} instead" in warned[0]
    assert "canary" not in (done.stdout + done.stderr).lower().replace(str(tmp_path).lower(), "")


# --- custom code ---------------------------------------------------------------------------------


def custom(module: str) -> Json:
    return GOOD | {"custom_processing": {"module_path": module, "function_name": "run"}}


def test_custom_code_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from pathlib import Path\nPath('ran').touch()\ndef run(ds): return ds\n"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "evil.py").write_text(code)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "link.py").symlink_to(tmp_path / "outside" / "evil.py")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "sub" / "fine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    for module, says in {
        "../outside/evil": "relative to the configuration, without '..'",
        "sub/../../outside/evil": "relative to the configuration, without '..'",
        str(tmp_path / "outside" / "evil.py"): "relative to the configuration, without '..'",
        "~/evil": "relative to the configuration, without '..'",
        "link": "is a link out of the folder of the configuration",
        "folder/evil": "is a link out of the folder of the configuration",
        "https://example.org/evil.py": "there is no file 'https:/example.org/evil.py'",
    }.items():
        config = configuration(tmp_path / "in", [custom(module)], [SOURCE])
        (line,) = problems(config)
        assert says in line
        assert "custom_processing.module_path: " in line
    config = configuration(tmp_path / "in", [custom("sub/fine")], [SOURCE])
    assert load_config(config).datasets[0].variables[0].custom_processing is not None
    assert not (tmp_path / "ran").exists(), "reading a configuration runs nothing"


def test_a_mapping_runs_code_only_from_a_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def run(ds): return ds\n")
    content = yaml.safe_load(configuration(tmp_path, [custom("mine")], [SOURCE]).read_text())
    with pytest.raises(ConfigError, match="load a file, or pass base_dir"):
        load_config(content)
    assert load_config(content, base_dir=tmp_path).directory == tmp_path
