"""A template makes the datasets of each row of a table, as if they were written out."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacbuild.config.load import load_config
from stacbuild.config.resolved import resolved_yaml
from stacbuild.errors import ConfigError
from tests.support.sites import FLUX_TOWERS, content, write_sites

POINT = ("open_params", "point")


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


def template(data: dict[str, Any], number: int = 0) -> dict[str, Any]:
    return data["datasets"][0]["datasets"][number]


def test_a_template_is_the_same_as_its_datasets_written_out(tmp_path: Path) -> None:
    config = load_config(write_sites(tmp_path))
    written = content()
    sen2, biomass = written["datasets"].pop()["datasets"]
    for line in FLUX_TOWERS.splitlines()[1:]:
        name, latitude, longitude, cover = line.split(",")
        params = sen2["open_params"] | {"point": [float(longitude), float(latitude)]}
        written["datasets"] += [
            sen2 | {"identifier": f"{name}/sen2", "open_params": params},
            biomass
            | {
                "identifier": f"{name}/biomass",
                "data_id": f"{cover}_{{time:%Y}}.tif",
                "grid_mapping": f"{name}/sen2",
            },
        ]
    assert config.resolved() == load_config(written, base_dir=tmp_path).resolved()
    assert config.dataset("CD-Ygb/sen2").variables[0].open_params.point == (24.5025, 0.8144)
    assert config.grid_of(config.dataset("AU-How/biomass")).identifier == "AU-How/sen2"


def test_one_dataset_a_row_beside_others_and_other_templates(tmp_path: Path) -> None:
    data = content()
    sen2, biomass = data["datasets"][0]["datasets"]
    data["datasets"] = [
        {"for_each": "sites.csv"} | biomass,
        {"identifier": "one", "store": "files", "data_id": "a.tif"},
        {"for_each": "sites.csv"} | sen2,
    ]
    config = load_config(write_sites(tmp_path, data, "\n".join(FLUX_TOWERS.splitlines()[:3])))
    assert [each.identifier for each in config.datasets] == [
        "AU-Dry/biomass",
        "AU-How/biomass",
        "one",
        "AU-Dry/sen2",
        "AU-How/sen2",
    ]


def test_other_braces_stay(tmp_path: Path) -> None:
    data = content()
    data["datasets"][0]["datasets"] = [template(data, 1)]
    del template(data)["grid_mapping"]
    template(data)["data_id"] = "{{tile}}_{Site ID}_{time:%Y}.tif"
    config = load_config(write_sites(tmp_path, data))
    assert config.datasets[0].variables[0].data_id == "{tile}_AU-Dry_{time:%Y}.tif"


def test_the_data_of_the_caller_are_not_changed(tmp_path: Path) -> None:
    write_sites(tmp_path)
    data = content()
    load_config(data, base_dir=tmp_path)
    assert data == content()


def test_numbers_and_text_are_those_of_the_key(tmp_path: Path) -> None:
    data = content()
    data["datasets"][0]["datasets"] = [template(data)]
    template(data)["identifier"] = "{id}"
    template(data)["open_params"] = {"point": ["{x}", "{y}"], "bbox_width": "{w}", "crs": "{epsg}"}
    table = "id,x,y,w,epsg\n007,4e5,-1.5,+100,32632\n12,0,0,1,32633\n"
    first, second = load_config(write_sites(tmp_path, data, table)).datasets
    params = first.variables[0].open_params
    assert (first.identifier, second.identifier) == ("007", "12")
    assert (params.point, params.bbox_width, params.crs) == ((4e5, -1.5), 100, "EPSG:32632")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (
            POINT,
            ["{longitude}", "{lat}"],
            "datasets.0.datasets.0.open_params.point.1: sites.csv has no column 'lat'",
        ),
        (
            POINT,
            ["{IGBP}", "{latitude}"],
            "point.0: has to be a number, got 'SAV' (sites.csv:2, column 'IGBP')",
        ),
        (
            ("identifier",),
            {"Site ID": None},
            "datasets.0.datasets.0.identifier: has to be text; put a placeholder in quotes",
        ),
        (
            ("identifier",),
            "sen2",
            "identifier: is the same for all rows of sites.csv; name a column",
        ),
        (
            ("open_params", "fill", "{IGBP}"),
            1,
            "placeholders are filled in values, not in keys",
        ),
        (
            ("store",),
            "{IGBP}",
            "store: there is no store 'SAV'; there are: api, files, storage (sites.csv:2, ",
        ),
    ],
)
def test_mistakes_of_placeholders(
    tmp_path: Path, place: tuple[str, ...], value: Any, said: str
) -> None:
    data = content()
    inner = template(data)
    for key in place[:-1]:
        inner = inner.setdefault(key, {})
    inner[place[-1]] = value
    found = problems(write_sites(tmp_path, data))
    assert any(said in line for line in found), found


def test_a_mistake_of_the_template_is_reported_once_at_its_line(tmp_path: Path) -> None:
    data = content()
    template(data, 1)["color"] = "red"
    del template(data, 1)["store"]
    path = write_sites(tmp_path, data)
    line = 1 + path.read_text().splitlines().index("    color: red")
    said = problems(path)
    assert len(said) == 2
    assert said[1].startswith(f"{line}:5: datasets.0.datasets.1.color: unknown key")
    assert said[0].endswith("datasets.0.datasets.1.store: is missing")


def test_a_mistake_of_one_row_names_it(tmp_path: Path) -> None:
    path = write_sites(tmp_path, table=FLUX_TOWERS.replace("-12.4943", "12° S"))
    (said,) = problems(path)
    assert said.endswith(
        ": datasets.0.datasets.0.open_params.point.1: has to be a number, got '12° S' "
        "(sites.csv:3, column 'latitude')"
    )


def test_many_mistakes_of_rows_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"s{number},a{number},0,x\n" for number in range(40))
    path = write_sites(tmp_path, table=f"Site ID,latitude,longitude,IGBP\n{rows}")
    said = problems(path)
    assert len(said) == 6
    assert said[-1].endswith("point.1: and 35 more mistakes of the table's values here")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("AU-How", "AU-Dry", "sites.csv:3: 'AU-Dry/sen2' is the identifier of line 2 already"),
        ("AU-How", "au-dry", "sites.csv:3: 'au-dry/sen2' is the identifier of line 2 already"),
        ("AU-How", "", "sites.csv:3: column 'Site ID' is empty"),
        ("AU-How", "AU How", "(sites.csv:3, column 'Site ID')"),
        ("AU-How", "../How", "(sites.csv:3, column 'Site ID')"),
    ],
)
def test_identifiers_of_rows(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = problems(write_sites(tmp_path, table=FLUX_TOWERS.replace(old, new)))
    assert any(said in line for line in found), found


def test_an_identifier_of_another_dataset_is_named_as_in_the_file(tmp_path: Path) -> None:
    data = content()
    other = {"identifier": "CD-Ygb/sen2", "store": "files", "data_id": "a.tif"}
    data["datasets"].append(other)
    (said,) = problems(write_sites(tmp_path, data))
    assert "datasets.1.identifier: 'CD-Ygb/sen2' is the identifier of " in said
    assert "of datasets.0.datasets.0 (sites.csv:5) already" in said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"for_each": "gone.csv"}, "for_each: gone.csv: there is no such file"),
        ({"for_each": ["sites.csv"]}, "for_each: has to be the path of a CSV file"),
        ({"for_each": None}, "for_each: has to be the path of a CSV file"),
        ({"datasets": []}, "datasets: has to be a list of datasets"),
        ({"datasets": ["a"]}, "datasets.0: has to be a mapping"),
        ({"store": "files"}, "store: belongs into each item of datasets"),
        ({"datasets": [{"for_each": "sites.csv"}]}, "a template cannot be inside another one"),
    ],
)
def test_malformed_templates(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    data = content()
    data["datasets"][0] |= entry
    found = problems(write_sites(tmp_path, data))
    assert any(f"datasets.0.{said}" in line or said in line for line in found), found


def test_a_mapping_needs_the_folder_of_its_table() -> None:
    with pytest.raises(ConfigError, match="for_each: there is no folder that it is relative to"):
        load_config(content())


def test_other_mistakes_of_the_file_are_reported_too(tmp_path: Path) -> None:
    path = write_sites(tmp_path)
    path.write_text(path.read_text() + "general: {}\ngeneral: {}\n")
    (said,) = problems(path)
    assert "general: is a duplicate key" in said


def test_the_resolved_configuration_has_the_datasets(tmp_path: Path) -> None:
    path = write_sites(tmp_path)
    resolved = yaml.safe_load(resolved_yaml(path))
    assert len(resolved["datasets"]) == 10
    assert resolved["data_stores"][0]["store_params"]["root"] == "data"
    again = copy.deepcopy(resolved)
    assert load_config(again, base_dir=tmp_path).resolved() == load_config(path).resolved()
