import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stacbuild.cli import run
from tests.support.paths import ROOT

SCS2 = str(ROOT / "scs2_config.yml")

CONFIG = """\
datasets:
  - {{identifier: one, store: source, data_id: {data_id}, grid_mapping: grid}}
data_stores:
  - {{identifier: storage, store_id: file, store_params: {{root: data}}}}
  - {{identifier: source, {store}}}
grid_mappings:
  - {{identifier: grid, bbox: [0, 0, 1, 1], spatial_res: 0.1, crs: "EPSG:4326"}}
"""
FOLDER = "store_id: file, store_params: {root: source}"
RECORD = 'store_id: zenodo, store_params: {root: "1"}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, store: str = FOLDER, data_id: str = "a.tif") -> str:
    path = folder / "c.yml"
    path.write_text(CONFIG.format(store=store, data_id=data_id))
    return str(path)


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["harvest", "--help"], ["cube", "--help"], ["-h"], []]
)
def test_help_loads_nothing_heavy(args):
    heavy = "{'numpy', 'pystac', 'pyproj', 'pydantic', 'rich', 'yaml', 'rasterio', 'xarray'}"
    code = (
        "import sys; from stacbuild.cli import run; code = run(sys.argv[1:]);"
        f"print('HEAVY', sorted({heavy} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )
    assert "HEAVY []" in done.stderr
    assert done.returncode == (0 if args else 2)
    assert "stacbuild" in done.stdout + done.stderr


def test_mistakes_of_a_configuration_are_a_line_each(folder, capsys):
    path = write(folder, store="store_id: cds")
    Path(path).write_text(Path(path).read_text() + "typo: 1\n")
    assert run(["harvest", "c.yml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        (
            "error: c.yml:5:36: data_stores.1.store_id: 'cds' is not supported; fetch the data "
            "with cdsapi, save them as NetCDF, Zarr or GeoTIFF in a folder, and read that with "
            "store_id: file"
        ),
        (
            "error: c.yml:8:1: typo: unknown key; there are: data_stores, datasets, general, "
            "grid_mappings, preload_datasets"
        ),
    ]
    assert sorted(entry.name for entry in folder.iterdir()) == ["c.yml"]


def test_harvest_looks_for_the_configuration_here(folder, capsys):
    assert run(["harvest"]) == 2
    assert "there is no configuration in this folder" in capsys.readouterr().err


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder, capsys):
    (folder / "c.yml").write_text('"a\\e[2J\\u202e": 1\n')
    assert run(["cube", "c.yml"]) == 2
    err = capsys.readouterr().err
    assert "a\\x1b[2J\\u202e: unknown key" in err
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ("-0.7,44.1", "has to be four numbers"),
        ("a,b,c,d", "has to be four numbers"),
        ("-0.58,44.1,-0.7,44.2", "is empty"),
        ("-0.7,nan,-0.58,44.2", "has to be four finite numbers"),
        ("-0.7,44.1,inf,44.2", "has to be four finite numbers"),
    ],
)
def test_an_invalid_bbox_is_refused(bbox, expected, capsys):
    assert run(["cube", SCS2, "--bbox", bbox]) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert "--bbox" in err


def test_a_negative_bbox_is_not_an_option(capsys):
    assert run(["cube", SCS2, "--bbox", "-80.7,-4.1,-80.58,-4"]) == 2
    err = capsys.readouterr().err
    assert "[-80.7, -4.1, -80.58, -4.0] contains no pixel centre" in err
    assert "[-1.25, 43.5, 0.5, 44.8]" in err
    assert "No such option" not in err


def test_unknown_names(capsys):
    assert run(["cube", SCS2, "gmi"]) == 2
    assert "error: there is no dataset 'gmi'" in capsys.readouterr().err
    assert run(["harvest", SCS2, "--store", "zenodo"]) == 2
    assert "zenodo_senf" in capsys.readouterr().err
    assert run(["brew"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["harvest", "cube"])
def test_what_failed_is_in_the_table_and_on_a_line(folder, capsys, command):
    code = run([command, write(folder)])
    out, err = capsys.readouterr()
    assert code in {3, 5}
    assert out == ""
    assert "FAILED" in err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "a.tif" in line
    assert "Traceback" not in err
    assert not (folder / "data" / "one.zarr").exists()
    run(["--debug", command, write(folder)])
    assert "Traceback" in capsys.readouterr().err


def test_results_are_on_stdout(folder, capsys, zarr_source):
    path = write(folder, data_id=zarr_source)
    assert run(["harvest", path, "--catalog", "cat"]) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    name, items = line.split("\t")
    assert items == "1"
    assert (folder / "cat" / name / "collection.json").is_file()
    assert "COMPLETED" in err

    assert run(["cube", path, "one", "--catalog", "cat", "--bbox", "0.2,0.2,0.7,0.8"]) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    cube, item = line.split("\t")
    assert cube == str(folder / "data" / "one.zarr")
    assert Path(item).is_file()
    assert Path(item).is_relative_to(folder / "cat")
    assert "COMPLETED" in err


@pytest.fixture
def zarr_source(folder):
    import numpy as np
    import xarray as xr

    x = np.arange(20) / 10 - 0.45
    dataset = xr.Dataset(
        {"v": (("lat", "lon"), np.arange(400, dtype="float32").reshape(20, 20))},
        {"lat": x[::-1], "lon": x},
        {"crs": "EPSG:4326"},
    )
    dataset.to_zarr(folder / "source" / "v.zarr", zarr_format=2, consolidated=True)
    return "v.zarr"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_130(folder, number, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        # A server that takes the request and never answers.
        monkeypatch.setenv(
            "STACBUILD_ZENODO_API", f"http://127.0.0.1:{server.getsockname()[1]}/api"
        )
        command = [sys.executable, "-c", "from stacbuild.cli import main; main()", "harvest"]
        with subprocess.Popen(
            [*command, write(folder, store=RECORD)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                server.settimeout(30)
                connection, _ = server.accept()
                with connection:
                    process.send_signal(number)
                    out, err = process.communicate(timeout=30)
            finally:
                process.kill()
    assert process.returncode == 130
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in err


def test_what_nobody_thought_of_is_one_line(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("what\x1b now\nindeed")

    monkeypatch.setattr("stacbuild.config.load_config", broken)
    assert run(["harvest", SCS2]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("internal error: RuntimeError: what\\x1b now indeed; run again with")
    assert run(["--debug", "harvest", SCS2]) == 1
    assert "Traceback" in capsys.readouterr().err
