"""Messages that name the way on: credentials, grids that grow, sources that say no place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from stacbuild.cli.program import run
from tests.standins.clms import ClmsServer
from tests.support.cli import configuration, geotiff
from tests.support.clms import FILE, SLUG, product, two_tiles
from tests.support.killing import STORE, small


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "states none"),
        ("", "is not JSON"),
        ("[]", "holds no CLMS credentials"),
        ('{"client_id": "a"}', "user_id, token_uri, private_key: missing"),
    ],
)
def test_credentials_of_the_clms(
    tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    params: dict[str, str] = {}
    if content is not None:
        (tmp_path / "mine.json").write_text(content)
        params["credentials"] = "mine.json"
    store = {"identifier": "clms", "store_id": "clms", "store_params": params}
    dataset = {"identifier": "a", "store": "clms", "data_id": f"{SLUG}|{FILE}"}
    preload = [{"store": "clms", "data_ids": [dataset["data_id"]]}]
    with ClmsServer(product(two_tiles(tmp_path / "sent.zip"))) as server:
        params["endpoint_url"] = server.api
        config = configuration(tmp_path, [dataset], [store], preload_datasets=preload)
        assert run(["harvest", str(config)]) == 7
    printed = " ".join(capsys.readouterr().err.split())
    assert said in printed
    assert "create an API token in your profile" in printed
    assert "clms-credentials.json" in printed


def test_a_box_that_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small(tmp_path)
    assert run(["plan", str(config)]) == 0
    assert "it grows" not in capsys.readouterr().out
    config.write_text(config.read_text().replace("spatial_res: 0.001", "spatial_res: 0.003"))
    assert run(["plan", str(config)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "is not a whole number of pixels of 0.003; it grows to [10.0, 44.998, 10.102, 45.1]" in said
    )
    run(["plan", str(config), "--json"])
    (cube,) = json.loads(capsys.readouterr().out)["cubes"]
    assert "it grows to" in cube["note"]


def test_a_source_that_says_no_place_ends_alike(tmp_path: Path) -> None:
    geotiff(tmp_path / "src" / "a.tif", crs=None)
    axes = {"y": np.arange(5) * 7.0, "x": np.arange(6) * 7.0}
    values = xr.DataArray(np.zeros((5, 6), "uint8"), axes, ("y", "x"), name="v")
    values.to_zarr(tmp_path / "src" / "a.zarr", zarr_format=2, consolidated=True)
    for data_id in ("a.tif", "a.zarr"):
        dataset = {"identifier": "one", "store": "local", "data_id": data_id}
        config = configuration(tmp_path, [dataset], [STORE])
        assert run(["cube", str(config)]) == 4, data_id
        assert run(["harvest", str(config)]) == 4, data_id
