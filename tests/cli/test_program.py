"""Exit codes by kind of failure, one failure that stops no other, and no stack without --debug."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import xarray as xr

from stacbuild import generate
from stacbuild.building import build
from stacbuild.cli import run
from stacbuild.cli.program import cli
from stacbuild.config import load_config
from stacbuild.errors import (
    AuthError,
    BuildError,
    ConfigError,
    Failures,
    IntegrityError,
    LocalError,
    LockedError,
    MissingError,
    NotFoundError,
    RemoteError,
    StacbuildError,
)
from stacbuild.sources import harvest
from stacbuild.sources.file import harvest as of_files
from tests.standins.clms import ClmsServer
from tests.standins.zenodo import ZenodoServer
from tests.support.built import variable_of
from tests.support.cli import Json, configuration, geotiff, stacbuild
from tests.support.clms import FILE, SLUG, product, two_tiles

FAILED, USAGE, REMOTE, DAMAGED, LOCAL, LOCKED, AUTH = range(1, 8)
SOURCE = {"identifier": "local", "store_id": "file", "store_params": {"root": "src"}}
GOOD = {"identifier": "good", "store": "local", "data_id": "good.tif"}
FAR = {"identifier": "far", "bbox": [100, 10, 100.1, 10.1], "spatial_res": 0.01, "crs": "EPSG:4326"}

CUSTOM = """\
import sys
import numpy as np
import xarray as xr

def lazily(function):
    return lambda ds: xr.apply_ufunc(function, ds, dask="parallelized", output_dtypes=["uint8"])

def raises(ds):
    raise ValueError("of\\nmine")

@lazily
def late(values):
    raise ValueError("of mine")

@lazily
def late_exit(values):
    if values.any():
        sys.exit(0)
    return values

@lazily
def cut(values):
    return values[:-1]

@lazily
def text(values):
    return np.full(values.shape, "x")

@lazily
def none(values):
    return None

def dims(ds):
    return ds.rename(x="a", y="b")

def more(ds):
    return ds.assign(flags=("n", ["a", "b"]))

def moved(ds):
    return ds.assign_coords(x=ds.x + 1)

def turned(ds):
    return ds.sortby("y")

def objects(ds):
    return ds.astype(object)

def recursion(ds):
    return recursion(ds)

def slashes(ds):
    return ds.rename(band_data="../../escaped")

not_a_function = 5
"""


@pytest.fixture
def clms(tmp_path: Path) -> Iterator[ClmsServer]:
    (tmp_path / "remote").mkdir()
    with ClmsServer(product(two_tiles(tmp_path / "remote" / "delivery.zip"))) as server:
        yield server


def custom(name: str) -> Json:
    return {
        "store": "local",
        "data_id": "good.tif",
        "custom_processing": {"module_path": "modify", "function_name": name},
    }


def prepare(folder: Path, bad: Json, *stores: Json, also: Sequence[Json] = ()) -> Path:
    """Write sources, and a configuration of a cube that cannot be built between two that can."""
    geotiff(folder / "src" / "good.tif")
    (folder / "src" / "page.tif").write_text("<html>")
    cut = geotiff(folder / "src" / "cut.tif")
    cut.write_bytes(cut.read_bytes()[:-100])
    geotiff(folder / "src" / "bare.tif", crs=None)
    (folder / "src" / "empty.zarr").mkdir()
    (folder / "modify.py").write_text(CUSTOM)
    datasets = [GOOD, {"identifier": "bad"} | bad, *also, GOOD | {"identifier": "last"}]
    return configuration(folder, datasets, [SOURCE, *stores], grids=[FAR])


FAULTS: dict[str, tuple[int, Json]] = {
    "a box outside the data": (FAILED, GOOD | {"identifier": "bad", "grid_mapping": "far"}),
    "a function that raises": (FAILED, custom("raises")),
    "a function that raises late": (FAILED, custom("late")),
    "no such file": (LOCAL, {"store": "local", "data_id": "absent.tif"}),
    "no such group": (LOCAL, {"store": "local", "data_id": "absent.zarr"}),
    "an empty folder": (LOCAL, {"store": "local", "data_id": "empty.zarr"}),
    "a page": (DAMAGED, {"store": "local", "data_id": "page.tif"}),
    "a file that is cut off": (DAMAGED, {"store": "local", "data_id": "cut.tif"}),
    "a file that lies nowhere": (DAMAGED, {"store": "local", "data_id": "bare.tif"}),
}  # fmt: skip


def check_one_failed(
    folder: Path, capsys: pytest.CaptureFixture[str], config: Path, code: int
) -> str:
    """Check what stands there when one of three cubes failed; give the error's line."""
    capsys.readouterr()
    assert run(["cube", str(config)]) == code
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        str(folder / "data" / f"{name}.zarr") for name in ("good", "last")
    ]
    for name in ("good", "last"):
        with xr.open_zarr(folder / "data" / f"{name}.zarr") as cube:
            assert variable_of(cube).notnull().all()
    assert not (folder / "data" / "bad.zarr").exists()
    assert "Traceback" not in err
    assert 'File "' not in err
    table = [line for line in err.splitlines() if "| FAILED" in line or "| COMPLETED" in line]
    assert [line.split("|")[1].strip() for line in table] == ["good", "bad", "last"]
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: bad: ")
    assert "internal error" not in err
    # Where it arose is told to who asks.
    assert run(["--debug", "cube", str(config), "bad"]) == code
    assert "Traceback" in capsys.readouterr().err
    return line


@pytest.mark.parametrize("fault", FAULTS)
def test_one_of_three_cubes_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    code, bad = FAULTS[fault]
    check_one_failed(tmp_path, capsys, prepare(tmp_path, bad), code)


def test_a_record_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zenodo_server: ZenodoServer
) -> None:
    params = {"root": "7654321", "endpoint_url": zenodo_server.api}
    store = {"identifier": "other", "store_id": "zenodo", "store_params": params}
    config = prepare(tmp_path, {"store": "other", "data_id": "a.tif"}, store)
    check_one_failed(tmp_path, capsys, config, REMOTE)


def test_credentials_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clms: ClmsServer
) -> None:
    params = {"endpoint_url": clms.api, "credentials": "me.json"}
    store = {"identifier": "other", "store_id": "clms", "store_params": params}
    config = prepare(tmp_path, {"store": "other", "data_id": f"{SLUG}|{FILE}"}, store)
    check_one_failed(tmp_path, capsys, config, AUTH)


@pytest.mark.parametrize(
    "words",
    [
        ("cube", "absent.yml"),
        ("cube", "bad.yml"),
        ("harvest", "bad.yml"),
        ("validate", "bad.yml"),
        ("cube", "c_config.yml", "nobody"),
        ("validate", "c_config.yml", "nobody"),
        ("harvest", "c_config.yml", "--store", "nobody"),
        ("cube", "c_config.yml", "--bbox", "1,2,3"),
        ("cube", "c_config.yml", "--no-such-option"),
        ("no-such-command",),
        ("cube",),
    ],
    ids=" ".join,
)
def test_wrong_usage_fetches_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    prepare(tmp_path, custom("late"))
    (tmp_path / "bad.yml").write_text("datasets: [")
    monkeypatch.chdir(tmp_path)
    if words[0] == "validate" and words[1] == "c_config.yml":
        (tmp_path / "catalogs").mkdir()
        (tmp_path / "catalogs" / "catalog.json").write_text('{"type": "Catalog", "links": []}')
    assert run(words) == USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()


def test_no_catalog_to_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--catalog", str(tmp_path)]) == LOCAL
    assert "there is no catalog" in capsys.readouterr().err


def test_failures_of_several_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    also = [
        {"identifier": "b"} | FAULTS["no such group"][1],
        {"identifier": "c"} | FAULTS["a page"][1],
    ]
    config = prepare(tmp_path, FAULTS["no such file"][1], also=also)
    assert run(["cube", str(config), "bad", "b"]) == LOCAL
    assert run(["cube", str(config), "c"]) == DAMAGED
    capsys.readouterr()
    assert run(["cube", str(config)]) == FAILED
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 3
    # Harvesting is one of the kinds that failed, each file on its own.
    assert run(["harvest", str(config)]) == FAILED
    out, err = capsys.readouterr()
    assert out == "file-src\t1\n"
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 3


# --- functions of the user's ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raises", "modify.py:raises raised ValueError at modify.py:9: of mine"),
        ("late", "modify.py:late raised ValueError at modify.py:13: of mine"),
        ("late_exit", "modify.py:late_exit raised SystemExit at modify.py:18: 0"),
        ("cut", "modify.py:cut gave a chunk of band_data of shape (99, 100), not (100, 100)"),
        ("text", "modify.py:text gave a chunk of band_data of <U1, not uint8 as announced"),
        ("none", "after custom_processing by modify.py:none: ValueError: "),
        ("dims", "after custom_processing there is no dimension"),
        ("more", "modify.py:more gave flags the dtype <U1; a cube holds numbers"),
        ("moved", "after custom_processing the coordinates of x are not the grid's"),
        ("turned", "after custom_processing the coordinates of y are not the grid's"),
        ("objects", "modify.py:objects gave band_data the dtype object; a cube holds numbers"),
        ("recursion", "modify.py:recursion raised RecursionError at modify.py:"),
        ("slashes", "modify.py:slashes gave a variable the name '../../escaped'"),
    ],
)
def test_a_function_of_the_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, expected: str
) -> None:
    line = check_one_failed(tmp_path, capsys, prepare(tmp_path, custom(name)), FAILED)
    assert expected in line
    assert not list(tmp_path.rglob("*escaped*"))


def test_leaving_the_process_from_a_function_is_a_failure(tmp_path: Path) -> None:
    config = prepare(tmp_path, custom("late_exit"))
    done = stacbuild("cube", config, code=FAILED)
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("name", ["not_a_function", "absent"])
def test_a_function_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    config = prepare(tmp_path, custom(name))
    code = run(["cube", str(config)])
    out, err = capsys.readouterr()
    # Found by reading the file, or when it is called; never by running it first.
    assert code in (USAGE, FAILED)
    assert f"{name!r}" in err
    assert "Traceback" not in err
    assert len(out.splitlines()) == (0 if code == USAGE else 2)


# --- what nobody foresaw -------------------------------------------------------------------------


def test_a_bug_in_one_store_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    geotiff(tmp_path / "src2" / "good.tif")
    other = {"identifier": "other", "store_id": "file", "store_params": {"root": "src2"}}
    config = prepare(tmp_path, {"store": "other", "data_id": "good.tif"}, other)
    known: Callable[..., Any] = of_files.harvest

    def broken(store: Any, *rest: Any) -> Any:
        if store.identifier == "other":
            return 1 / 0
        return known(store, *rest)

    monkeypatch.setattr(of_files, "harvest", broken)
    assert run(["harvest", str(config)]) == FAILED
    out, err = capsys.readouterr()
    assert out == "file-src\t1\n"
    assert "error: other: ZeroDivisionError: division by zero; if the data are as" in err
    assert "Traceback" not in err
    line = check_one_failed(tmp_path, capsys, config, FAILED)
    assert "ZeroDivisionError" in line


def test_a_bug_in_the_program_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = prepare(tmp_path, custom("late"))
    monkeypatch.setattr("stacbuild.building.build", lambda *_, **__: 1 / 0)
    assert run(["cube", str(config)]) == FAILED
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("internal error: ZeroDivisionError: division by zero; run again with")
    assert run(["--debug", "cube", str(config)]) == FAILED
    assert "Traceback" in capsys.readouterr().err


# --- as a library --------------------------------------------------------------------------------


def test_calls_give_results(tmp_path: Path) -> None:
    config = load_config(prepare(tmp_path, FAULTS["a page"][1]))
    results = build(config, tmp_path / "catalogs")
    assert [result.status for result in results] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert [type(result.error) for result in results] == [type(None), IntegrityError, type(None)]
    harvested = harvest(config, tmp_path / "catalogs")
    assert [result.status for result in harvested] == ["COMPLETED", "FAILED"]


def test_generate_raises_one_error_of_all_that_failed(tmp_path: Path) -> None:
    worse = {"identifier": "worse"} | FAULTS["no such group"][1]
    path = prepare(tmp_path, FAULTS["a page"][1], also=[worse])
    with pytest.raises(Failures) as caught:
        generate(path)
    assert [(name, type(error)) for name, error in caught.value.failures] == [
        ("bad", IntegrityError),
        ("worse", MissingError),
    ]
    assert caught.value.exit_code == FAILED
    bad, worse = str(caught.value).splitlines()
    assert "page.tif: is not a TIFF" in bad
    assert "absent.zarr" in worse
    assert (tmp_path / "data" / "good.zarr").exists()
    (good,) = generate(path, datasets=["good"])
    assert good.status in ("COMPLETED", "UP TO DATE")
    with pytest.raises(ConfigError):
        generate({"datasets": []})


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (StacbuildError, FAILED),
        (BuildError, FAILED),
        (ConfigError, USAGE),
        (RemoteError, REMOTE),
        (NotFoundError, REMOTE),
        (IntegrityError, DAMAGED),
        (LocalError, LOCAL),
        (MissingError, LOCAL),
        (LockedError, LOCKED),
        (AuthError, AUTH),
    ],
)
def test_every_error_has_its_code(kind: type[StacbuildError], code: int) -> None:
    assert kind("x").exit_code == code
    assert Failures([("a", kind("x")), ("b", kind("y"))]).exit_code == code
    other = LocalError("y") if code != LOCAL else RemoteError("y")
    both = Failures([("a", kind("x")), ("b", other)])
    assert both.exit_code == FAILED
    assert str(both) == "a: x\nb: y"


def test_summaries_of_commands_are_whole_in_80_columns() -> None:
    context = click.Context(cli, info_name="stacbuild", terminal_width=80)
    shown = cli.get_help(context)
    for name, command in cli.commands.items():
        summary = command.get_short_help_str(200)
        assert f"{name}  " in shown
        assert summary in shown
        assert "..." not in summary
    assert max(map(len, shown.splitlines())) <= 80
