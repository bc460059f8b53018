"""Deliveries as the EEA packs them, through the harvester (realdata/hrl_eea, EUPL-1.2)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

from stacbuild.profiles import Profiles
from stacbuild.sources.base import Wanted
from stacbuild.sources.clms.delivery import Polling
from stacbuild.sources.clms.harvest import harvest
from stacbuild.sources.clms.store import ClmsStore
from tests.standins.clms import ClmsServer, Product

FILES = {
    "TCD_2018_010m_eu_03035_v0_1": "tree-cover-density-2018",
    "TCD_2018_100m_eu_03035_v0_1": "tree-cover-density-2018",
    "fty_2018_100m_eu_03035_v0_1": "forest-type-2018",
}


@pytest.fixture
def items(realdata: Path, tmp_path: Path) -> Iterator[dict[str, pystac.Item]]:
    """The items of the three deliveries by the name of their file."""
    packages: dict[str, dict[str, Path]] = {}
    for file, slug in FILES.items():
        # The portal puts what the EEA packed into one more zip.
        path = tmp_path / f"{file}_delivery.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(realdata / "hrl_eea" / f"{file}.zip", f"Results/{file}.zip")
        packages.setdefault(slug, {})[file] = path
    products = [Product(slug, slug, deliveries, year=2018) for slug, deliveries in packages.items()]
    with ClmsServer(*products) as server:
        store = ClmsStore.model_validate(
            {
                "identifier": "clms",
                "store_id": "clms",
                "store_params": {
                    "endpoint_url": server.api,
                    "credentials": str(server.write_credentials(tmp_path / "credentials.json")),
                    "cache_store_params": {"root": str(tmp_path / "cache")},
                },
            }
        )
        data_ids = tuple(f"{slug}|{file}" for file, slug in FILES.items())
        harvested = harvest(
            store,
            Wanted(data_ids, data_ids),
            Profiles.load(),
            polling=Polling(sleep=lambda _: None),
        )
        yield {item.id: item for one in harvested for item in one.items}


def test_real_deliveries_become_one_item_each(items: dict[str, pystac.Item]) -> None:
    assert set(items) == set(FILES)
    for file, item in items.items():
        properties = item.properties
        size = 10 if "_010m_" in file else 100
        assert properties["stacbuild:data_id"] == f"{FILES[file]}|{file}"
        assert properties["proj:code"] == "EPSG:3035"
        # The world file beside the 10 m layer says 20 m: what stands in the TIFF counts.
        assert properties["proj:transform"][:6] == [size, 0, 4_700_000, 0, -size, 1_460_000]
        assert properties["proj:shape"] == [40_000 // size, 50_000 // size]
        assert properties["proj:bbox"] == [4_700_000, 1_420_000, 4_750_000, 1_460_000]
        assert properties["start_datetime"] == "2018-01-01T00:00:00Z"
        assert item.bbox is not None
        west, south, east, north = item.bbox
        assert 14 < west < east < 15.5
        assert 35.5 < south < north < 36.5


def test_254_is_no_data_although_only_255_is_tagged(items: dict[str, pystac.Item]) -> None:
    for item in items.values():
        fields = item.assets["data"].extra_fields
        assert fields["nodata"] == 255
        assert fields["data_type"] == "uint8"
        masked = [each["value"] for each in fields["classification:classes"] if each.get("nodata")]
        assert masked == [254, 255]
    density = items["TCD_2018_100m_eu_03035_v0_1"].assets["data"].extra_fields
    assert density["unit"] == "%"


def test_legend_and_colours_are_those_beside_the_file(
    items: dict[str, pystac.Item], realdata: Path
) -> None:
    asset = items["fty_2018_100m_eu_03035_v0_1"].assets["data"]
    classes = asset.extra_fields["classification:classes"]
    with rasterio.open(asset.href, driver="GTiff") as file:
        found = set(np.unique(file.read(1)).tolist())
    assert found <= {each["value"] for each in classes}
    with zipfile.ZipFile(realdata / "hrl_eea" / "fty_2018_100m_eu_03035_v0_1.zip") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".clr"))
        lines = archive.read(name).decode("ascii").split("\n")
    table = {
        int(value): tuple(map(int, rgb)) for value, *rgb in map(str.split, filter(None, lines))
    }
    colours = {each["value"]: each["color_hint"] for each in classes}
    assert colours == {
        value: "".join(f"{part:02X}" for part in table[value]) for value in (0, 1, 2, 3, 254, 255)
    }


def test_tiles_hold_the_bytes_of_the_delivery(
    items: dict[str, pystac.Item], realdata: Path
) -> None:
    for file, item in items.items():
        with zipfile.ZipFile(realdata / "hrl_eea" / f"{file}.zip") as archive:
            packed = archive.read(f"{file}/{file}.tif")
        assert Path(item.assets["data"].href).read_bytes() == packed
