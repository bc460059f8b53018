import copy
import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import xarray as xr
import yaml

from stacbuild.config import config_schema, load_config
from stacbuild.errors import ConfigError
from stacbuild.sources.clms.store import ClmsStore
from stacbuild.sources.s3.store import S3Store
from stacbuild.sources.zenodo.store import ZenodoStore
from tests.support.paths import ROOT

SCS2 = ROOT / "scs2_config.yml"

MINIMAL = """\
datasets:
  - identifier: one
    store: zenodo
    data_id: a.tif
    grid_mapping: grid
data_stores:
  - identifier: storage
    store_id: file
    store_params: {root: data}
  - identifier: zenodo
    store_id: zenodo
    store_params: {root: "123"}
grid_mappings:
  - identifier: grid
    bbox: [0, 0, 1, 1]
    spatial_res: 0.1
    crs: EPSG:4326
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_(text: str | bytes) -> Path:
        raw = text if isinstance(text, bytes) else text.encode()
        Path("c.yml").write_bytes(raw)
        return Path("c.yml")

    return write_


def minimal(**changes) -> dict:
    return yaml.safe_load(MINIMAL) | changes


def problems(source) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(source)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def problem(source) -> str:
    (line,) = problems(source)
    return line


def changed(old: str, new: str) -> str:
    assert MINIMAL.count(old) == 1
    return MINIMAL.replace(old, new)


# --- the reference configuration ------------------------------------------------------------


def test_scs2_is_the_table_of_the_notebook():
    config = load_config(SCS2)
    table = {
        dataset.identifier: [(v.identifier, config.store(v.store).key) for v in dataset.variables]
        for dataset in config.datasets
    }
    senf, liu = "zenodo:13333034", "zenodo:8154445"
    assert list(table) == ["senf", "gami", "liu", "clms"]
    assert sorted(table["senf"]) == [
        ("annual_disturbances", senf),
        ("disturbance_agent", senf),
        ("disturbance_agent_aggregated", senf),
        ("disturbance_probability", senf),
        ("disturbance_severity", senf),
        ("forest_mask", senf),
        ("greatest_disturbance", senf),
        ("latest_disturbance", senf),
        ("number_disturbances", senf),
    ]
    assert table["gami"] == [
        (None, "s3:s3.gfz-potsdam.de/dog.atlaseo-glm.eo-gridded-data"),
    ]
    assert table["liu"] == [("agb", liu), ("canopy_cover", liu), ("canopy_height", liu)]
    assert table["clms"] == [
        ("tree_cover_density", "clms"),
        ("dominant_leaf_type", "clms"),
        ("forest_type", "clms"),
    ]
    assert {dataset.grid_mapping for dataset in config.datasets} == {"scs2"}
    grid = config.grid_mapping("scs2")
    assert grid.bbox == (-1.25, 43.5, 0.5, 44.8)
    assert (grid.spatial_res, grid.crs, grid.tile_size) == (0.00025, "EPSG:4326", (4000, 4000))
    preload = {entry.store: entry.data_ids for entry in config.preload_datasets}
    assert preload["zenodo_senf"] == ("france.zip",)
    assert preload["clms"] == tuple(v.data_id for v in config.dataset("clms").variables)
    custom = {
        v.data_id: v.custom_processing.function_name
        for dataset in config.datasets
        for v in dataset.variables
        if v.custom_processing
    }
    annual = [data_id for data_id in custom if "1985_2023" in data_id]
    assert len(annual) == 4
    assert set(custom) - set(annual) == {"collections/GAMI/GAMI_v2.1.zarr"}


def test_scs2_functions_do_what_the_notebook_shows():
    config = load_config(SCS2)
    processing = config.dataset("senf").variables[0].custom_processing
    assert processing.file == SCS2.parent / "modify_dataset.py"
    functions: dict = {}
    exec(compile(processing.file.read_text(), "modify_dataset.py", "exec"), functions)
    bands = xr.Dataset({"a": (("band", "y", "x"), [[[b]] for b in range(39)])})
    years = functions[processing.function_name](bands)
    assert years["a"].dims == ("time", "y", "x")
    assert str(years["time"].values[0])[:10] == "1985-01-01"
    assert str(years["time"].values[-1])[:10] == "2023-01-01"

    gami = config.dataset("gami").variables[0].custom_processing
    dims = ("members", "latitude", "longitude", "time")
    ages = xr.Dataset({"forest_age": (dims, [[[[1, 2]]]])})
    turned = functions[gami.function_name](ages)
    assert turned["forest_age"].dims == ("members", "time", "latitude", "longitude")


def test_scs2_paths_are_relative_to_the_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STACBUILD_ZENODO_API", raising=False)
    monkeypatch.delenv("STACBUILD_CLMS_API", raising=False)
    config = load_config(SCS2)
    assert config.path == SCS2
    assert config.storage.root == ROOT / "data"
    zenodo, clms = config.store("zenodo_senf"), config.store("clms")
    assert isinstance(zenodo, ZenodoStore)
    assert (zenodo.cache, zenodo.api) == (ROOT / "zenodo_cache", "https://zenodo.org/api")
    assert isinstance(clms, ClmsStore)
    assert clms.credentials == ROOT / "clms-credentials.json"
    assert (clms.cache, clms.api) == (ROOT / "clms_cache", "https://land.copernicus.eu/api")


def test_scs2_s3_addresses():
    store = load_config(SCS2).store("s3")
    assert isinstance(store, S3Store)
    assert store.anonymous
    assert store.storage_options == {"anon": True, "endpoint_url": "https://s3.gfz-potsdam.de"}
    root = "dog.atlaseo-glm.eo-gridded-data"
    assert store.https_url("a b.zarr") == f"https://s3.gfz-potsdam.de/{root}/a%20b.zarr"
    assert store.s3_url("a b.zarr") == f"s3://{root}/a b.zarr"


# --- reading --------------------------------------------------------------------------------


def test_a_mapping_is_read_too_and_left_as_it_is(tmp_path):
    data = minimal()
    before = copy.deepcopy(data)
    config = load_config(data, base_dir=tmp_path)
    assert data == before
    assert config.path is None
    assert config.storage.root == tmp_path / "data"
    (variable,) = config.dataset("one").variables
    assert (variable.identifier, variable.store, variable.data_id) == (None, "zenodo", "a.tif")
    assert problem(minimal(datasets=[])) == (
        "configuration: datasets: is empty; it needs at least one item"
    )


def test_a_configuration_cannot_be_changed():
    config = load_config(minimal())
    with pytest.raises(ValueError, match="frozen"):
        config.general.zarr_format = 2


def test_endpoints_can_be_moved(monkeypatch):
    monkeypatch.setenv("STACBUILD_ZENODO_API", "http://127.0.0.1:1/api/")
    monkeypatch.setenv("STACBUILD_CLMS_API", "http://127.0.0.1:2/api")
    data = minimal()
    data["data_stores"] += [{"identifier": "c", "store_id": "clms", "store_params": {}}]
    config = load_config(data)
    assert config.store("zenodo").api == "http://127.0.0.1:1/api"
    assert config.store("c").api == "http://127.0.0.1:2/api"
    data["data_stores"][1]["store_params"]["endpoint_url"] = "http://127.0.0.1:3/api/"
    assert load_config(data).store("zenodo").api == "http://127.0.0.1:3/api"


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"store_id": "file", "store_params": {"root": "in/put"}}, "file:in/put"),
        ({"store_id": "https", "store_params": {"root": "https://h.org/a/"}}, "https:h.org/a"),
        ({"store_id": "https", "store_params": {"root": "h.org/a"}}, "https:h.org/a"),
        ({"store_id": "https", "store_params": {"root": "http://h:8000"}}, "https:h:8000"),
        ({"store_id": "s3", "store_params": {"root": "/bucket/p/"}}, None),
        ({"store_id": "s3", "store_params": {"root": "b/p/"}}, "s3:s3.amazonaws.com/b/p"),
        (
            {
                "store_id": "s3",
                "store_params": {
                    "root": "b",
                    "storage_options": {"client_kwargs": {"endpoint_url": "http://localhost:9000"}},
                },
            },
            "s3:localhost:9000/b",
        ),
        ({"store_id": "zenodo", "store_params": {"root": 123}}, "zenodo:123"),
        ({"store_id": "clms", "store_params": {}}, "clms"),
    ],
)
def test_keys_of_stores(params, key):
    data = minimal()
    data["data_stores"].append({"identifier": "x", **params})
    if key is None:
        assert "has to be relative" in problem(data)
    else:
        assert load_config(data).store("x").key == key


def test_numbers_that_yaml_takes_for_text(write):
    config = load_config(
        write(changed("spatial_res: 0.1", "spatial_res: 1e-1\n    tile_size: 1e1"))
    )
    assert config.grid_mapping("grid").spatial_res == 0.1
    assert config.grid_mapping("grid").tile_size == (10, 10)


def test_a_byte_order_mark_is_no_mistake(write):
    assert load_config(write(b"\xef\xbb\xbf" + MINIMAL.encode())).dataset("one")


def test_aliases_and_merges_are_expanded(write):
    more = "  - {<<: *s, identifier: other}\n"
    text = changed("  - identifier: storage", "  - &s\n    identifier: storage")
    config = load_config(write(text.replace("grid_mappings:", f"{more}grid_mappings:")))
    assert config.store("other").key == "file:data"


# --- mistakes -------------------------------------------------------------------------------


def test_all_mistakes_at_once_in_the_order_of_the_file(write):
    text = (
        MINIMAL.replace("grid_mapping: grid", "grid_maping: grid")
        .replace("store: zenodo\n", "store: zenod\n", 1)
        .replace("[0, 0, 1, 1]", "[1, 0, 0, 1]")
        + "typo: 1\n"
    )
    assert problems(write(text)) == [
        "c.yml:3:12: datasets.0.store: there is no store 'zenod' (did you mean 'zenodo'?)",
        "c.yml:5:5: datasets.0.grid_maping: unknown key (did you mean 'grid_mapping'?)",
        (
            "c.yml:15:11: grid_mappings.0.bbox: west (1.0) has to be less than east (0.0); "
            "across the antimeridian, a bbox spans at most 270 degrees"
        ),
        (
            "c.yml:18:1: typo: unknown key; there are: data_stores, datasets, general, "
            "grid_mappings, preload_datasets"
        ),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("data_id: a.tif", "data_id: no", "c.yml:4:14: datasets.0.data_id: has to be text, and"),
        ("data_id: a.tif", "data_id: 2020-01-01", "got date 2020-01-01; put it in quotes"),
        ("data_id: a.tif", "data_id: ", "datasets.0.data_id: is empty; set a value"),
        ("data_id: a.tif", 'data_id: ""', "datasets.0.data_id: is empty"),
        ("data_id: a.tif", "data_id: ../a.tif", "relative to the root of its store"),
        ("data_id: a.tif", "data_id: /etc/passwd", "relative to the root of its store"),
        ("data_id: a.tif", 'data_id: "a\\nb"', "contains a line break"),
        ("data_id: a.tif", "data_id: a\n    data_id: b", "c.yml:5:5: datasets.0.data_id: is a dup"),
        ("data_id: a.tif", "data_id: !!python/name:os.system", "the YAML tag"),
        ("identifier: one", "identifier: ../one", "datasets.0.identifier: '..' is not a val"),
        ("grid_mapping: grid", "grid_mapping: gird", "no grid 'gird' (did you mean 'grid'?)"),
        ("identifier: storage", "identifier: out", "data_stores: needs a store with the ident"),
        ("store_id: file", "store_id: https", "c.yml:8:15: data_stores.0.store_id: a store of "),
        ("store_id: zenodo", "store_id: zenod", "'zenod' is not a kind of store (did you mean 'z"),
        ("store_id: zenodo", "store_id: cds", "c.yml:11:15: data_stores.1.store_id: 'cds' is not"),
        ("store_id: zenodo", "store_id: 5", "data_stores.1.store_id: has to be one of"),
        ("    store_id: zenodo\n", "", "data_stores.1.store_id: is missing"),
        ('root: "123"', "root: abc", "has to be the number of a Zenodo record"),
        ('root: "123"', 'root: "1", cache_store_id: s3', "a cache is a folder"),
        ('root: "123"', 'root: "1", endpoint_url: "ftp://h"', "begins with https:// or http://"),
        ("crs: EPSG:4326", "crs: EPSG:999999", "is not a coordinate reference system that"),
        ("crs: EPSG:4326", "crs: WGS84", "'WGS84' is not an EPSG code"),
        ("crs: EPSG:4326", "crs: 43.26", "grid_mappings.0.crs: has to be text, got the number 43"),
        ("crs: EPSG:4326", "crs: 999999", "EPSG:999999 is not a coordinate reference system that"),
        ("crs: EPSG:4326", "crs: +proj=x", "'+proj=x' is not valid PROJ string: "),
        ("crs: EPSG:4326", "crs: EPSG:5773", "has no two horizontal axes"),
        ("crs: EPSG:4326", "crs: EPSG:4978", "has no two horizontal axes"),
        ("crs: EPSG:4326", "crs: EPSG:3035", "lies far outside of the area of EPSG:3035"),
        ("[0, 0, 1, 1]", "[0, 1, 1, 0]", "south (1.0) has to be less than north (0.0)"),
        ("[0, 0, 1, 1]", "[0, 0, .nan, 1]", "c.yml:15:18: grid_mappings.0.bbox.2: has to be a fin"),
        ("[0, 0, 1, 1]", "[0, 0, 1]", "has to be four numbers"),
        ("[0, 0, 1, 1]", "[0, 0, x, 1]", "grid_mappings.0.bbox.2: has to be a number, got 'x'"),
        ("[0, 0, 1, 1]", "[0, 0, 181, 1]", "reaches beyond longitude"),
        ("[0, 0, 1, 1]", "[0, -90, 1, 0.02]", "grown to whole pixels, "),
        ("[0, 0, 1, 1]", "[0, 0, 0.01, 1]", "less than one pixel of 0.1"),
        ("spatial_res: 0.1", "spatial_res: 0", "has to be more than 0"),
        ("spatial_res: 0.1", "spatial_res: 1e-12", "too many"),
        ("spatial_res: 0.1", "spatial_res: yes", "has to be a number, got the truth value true"),
        ("spatial_res: 0.1", "spatial_res: 0.1\n    tile_size: 0", "a whole number, 1 or more"),
        ("spatial_res: 0.1", "spatial_res: 0.1\n    tile_size: [1, 2, 3]", "or two: [x, y]"),
    ],
)
def test_one_mistake_is_one_line(write, old, new, expected):
    assert expected in problem(write(changed(old, new)))


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("temporal_resample_params: {frequency: 1M}", "use 'ME' instead"),
        ("temporal_resample_params: {frequency: no}", "frequency: has to be text"),
        ("temporal_resample_params: {frequency: foo}", "Invalid frequency: foo"),
        ("temporal_resample_params: {frequency: -1D}", "a frequency that goes forward, got '-1D'"),
        ("temporal_resample_params: {offset: 1D}", "frequency: is missing"),
        (
            "temporal_resample_params: {frequency: YS, offset: 1D}",
            "offset: needs steps of fixed length, such as 10D, not YS",
        ),
        (
            "temporal_resample_params: {frequency: 1D, agg_methods: mean, interp_methods: linear}",
            "takes agg_methods (longer steps) or interp_methods (shorter ones), not both",
        ),
        (
            "temporal_resample_params: {frequency: 1D, interp_methods: cubic}",
            "is not supported yet; methods are linear, nearest, slinear and zero",
        ),
        (
            "temporal_resample_params: {frequency: 1D, agg_methods: cumsum}",
            "is not supported yet; resample in a custom_processing function",
        ),
        ("temporal_resample_params: {frequency: 1D, tolerance: x}", "has to be a length of time"),
        (
            "format_id: zar",
            "format_id: has to be 'zarr', 'netcdf' or 'levels', got 'zar' (did you mean 'zarr'?)",
        ),
        ("open_params: {tile_size: 5}", "open_params.tile_size: is not supported yet"),
        (
            "open_params: {point: [1, 2]}",
            (
                "open_params.point alone is the location of a time series, which has no grid: "
                "leave grid_mapping out, or add bbox_width"
            ),
        ),
        ("open_params: {point: [1, 2, 3]}", "open_params.point"),
        ("open_params: {bbox_width: 5}", "bbox_width needs a point: [longitude, latitude]"),
        ("open_params: {bbox: [1, 0, 0, 1]}", "west less than east, south than north"),
        ("open_params: {bbox: [0, 0, 1]}", "four numbers: [west, south, east, north]"),
        (
            "open_params: {bbox: [0, 0, 1, 1], crs: EPSG:0}",
            "open_params.crs: EPSG:0 is not a coordinate",
        ),
        ("open_params: {bbox: [0, 0, 1, 1], point: [0, 0]}", "takes bbox or point, not both"),
        ("open_params: {time_range: [2020, x]}", "has to be a date like 2020, 2020-07 or"),
        (
            "open_params: {spatial_res: 1}",
            "spatial_res: is for scenes, in stores of kind stac; the resolution",
        ),
        ("open_params: {x: 1}", "open_params.x: unknown key; there are: apply_scaling"),
        (
            "spatial_resample_params: {recover_nans: false}",
            "recover_nans: is not supported yet; pixels of no data never weigh in; leave it out",
        ),
        (
            "spatial_resample_params: {interp_methods: triangular}",
            "interp_methods: is not supported yet; methods are nearest and bilinear",
        ),
        (
            "spatial_resample_params: {interp_methods: {x: triangular}}",
            "interp_methods: is not supported yet",
        ),
        (
            "spatial_resample_params: {interp_methods: {x: neares}}",
            "interp_methods.x: has to be 'nearest' or 'bilinear', got 'neares' (did you mean",
        ),
        ("spatial_resample_params: {agg_methods: std}", "agg_methods: is not supported yet"),
        ("spatial_resample_params: {tile_size: 5}", "tile_size: is not supported yet"),
        ("chunksize: {time: 0}", "chunksize.time: has to be a whole number, 1 or more"),
        ("variables: []", "datasets.0.variables: is empty; it needs at least one item"),
    ],
)
def test_what_is_not_acted_on_is_refused(write, addition, expected):
    text = changed("grid_mapping: grid", f"grid_mapping: grid\n    {addition}")
    assert expected in " ".join(problems(write(text)))


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("general: {dask_scheduler: distributed}", "dask_scheduler: is not supported yet"),
        ("general: {zarr_format: 1}", "general.zarr_format: has to be 2 or 3"),
        ("general: {visualize: maybe}", "general.visualize: has to be true or false"),
        ("general: {visualise: true}", "unknown key (did you mean 'visualize'?)"),
        (
            "general: {gdal_http_params: {gdal_http_max_retry: 3}}",
            "is not supported yet; GDAL is kept",
        ),
        ("general: 5", "general: has to be a mapping"),
        ("preload_datasets: [{store: storage, data_ids: [a]}]", "which is read in place"),
        ("preload_datasets: [{store: x, data_ids: [a]}]", "there is no store 'x'"),
        ("preload_datasets: [{store: zenodo, data_ids: []}]", "data_ids: is empty"),
        (
            "preload_datasets: [{store: zenodo, data_ids: [a], preload_params: {blocking: no}}]",
            "blocking: is not supported yet",
        ),
    ],
)
def test_mistakes_in_other_sections(write, addition, expected):
    assert expected in problem(write(f"{MINIMAL}{addition}\n"))


def test_names_are_there_once(write):
    data = minimal()
    data["datasets"] *= 2
    data["datasets"][1] = {
        "identifier": "ONE",
        "grid_mapping": "one",
        "variables": [{"identifier": "v", "store": "zenodo", "data_id": "a"}] * 2,
        "store": "zenodo",
    }
    data["data_stores"].append(data["data_stores"][1])
    data["data_stores"].append({"identifier": "m", "store_id": "memory"})
    data["datasets"][0]["store"] = "m"
    found = "\n".join(problems(data))
    assert "datasets.1.identifier: 'ONE' is the identifier of datasets.0 already" in found
    assert "datasets.1.variables.1.identifier: 'v' is the identifier of" in found
    assert "data_stores.2.identifier: 'zenodo' is the identifier of data_stores.1 already" in found
    assert "datasets.1.store: belongs into each item of variables" in found
    assert "datasets.0.store: 'm' is a store of kind 'memory', which takes cubes only" in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yml: is empty"),
        ("# nothing\n", "c.yml: is empty"),
        ("- a\n", "c.yml:1:1: is a list"),
        ("a: [1\nb: hunter2\n", "c.yml:2:2: is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "c.yml:2:1: is not valid YAML"),
        ("a: 1\nb: \0\n", "c.yml:2:1: is not valid YAML: control character"),
        (b"PK\x03\x04\xff\xfe", "c.yml:1:1: is not UTF-8 text"),
        (MINIMAL.encode("utf-16"), "c.yml:1:1: is not UTF-8 text"),
        ("a: &a [*a]\n", "nests too deeply"),
        ("a: &a {<<: *a}\n", "nests too deeply"),
        ("[" * 50_000, "nests too deeply"),
        ("#" * 1_100_000, "larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_configuration(write, text, expected):
    found = problem(write(text))
    assert expected in found
    assert "hunter2" not in found


def test_an_alias_bomb_is_not_expanded(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "aliases expand" in problem(write("\n".join(lines)))


def test_no_such_file(tmp_path):
    assert "no such file" in problem(tmp_path / "none.yml")
    assert "is a folder" in problem(tmp_path)


def test_custom_processing_is_looked_at_and_not_run(write):
    ran = Path("ran")
    Path("m.py").write_text(f"open({str(ran)!r}, 'w')\ndef good(ds):\n    return ds\n")
    Path("broken.py").write_text("def (:\n")

    def with_custom(module: str, function: str) -> Path:
        custom = f"custom_processing: {{module_path: {module}, function_name: {function}}}"
        return write(changed("grid_mapping: grid", f"grid_mapping: grid\n    {custom}"))

    config = load_config(with_custom("m", "good"))
    (variable,) = config.dataset("one").variables
    assert variable.custom_processing.file == Path.cwd() / "m.py"
    assert load_config(with_custom("m.py", "good"))
    assert "there is no file 'n.py'" in problem(with_custom("n", "good"))
    assert "no function 'god' in m.py (did you mean 'good'?)" in problem(with_custom("m", "god"))
    assert "broken.py:1 is not valid Python" in problem(with_custom("broken", "good"))
    assert "without '..'" in problem(with_custom("../m", "good"))
    assert "without '..'" in problem(with_custom("/m", "good"))
    assert not ran.exists()


def test_resample_methods_are_one_for_all_or_one_each():
    data = minimal()
    data["datasets"][0]["spatial_resample_params"] = {
        "interp_methods": "nearest",
        "agg_methods": {"a": "mode"},
    }
    (variable,) = load_config(data).dataset("one").variables
    assert variable.interp_method("anything") == "nearest"
    assert variable.agg_method("a") == "mode"
    assert variable.agg_method("b") is None


def test_an_unknown_name_says_what_there_is():
    config = load_config(SCS2)
    with pytest.raises(ConfigError, match=r"no dataset 'gmi' in scs2_config.yml \(did you mean 'g"):
        config.dataset("gmi")
    with pytest.raises(ConfigError, match=r"there is no grid 'x'.*there are: scs2"):
        config.grid_mapping("x")


# --- credentials ----------------------------------------------------------------------------

CANARY = "canary-5f3a"


def secretive() -> dict:
    data = minimal()
    options = {"key": f"{CANARY}-k", "secret": f"{CANARY}-s", "token": f"{CANARY}-t"}
    data["data_stores"] += [
        {
            "identifier": "s",
            "store_id": "s3",
            "store_params": {"root": "b", "storage_options": options},
        },
        {
            "identifier": "c",
            "store_id": "clms",
            "store_params": {"credentials": {"client_id": f"{CANARY}-c", "private_key": CANARY}},
        },
    ]
    data["data_stores"][1]["store_params"]["access_token"] = f"{CANARY}-z"
    return data


def test_credentials_are_not_shown():
    config = load_config(secretive())
    for shown in (
        repr(config),
        str(config),
        json.dumps(config.resolved()),
        f"{config.data_stores}",
    ):
        assert CANARY not in shown
    stored = {store["identifier"]: store for store in config.resolved()["data_stores"]}
    assert stored["s"]["store_params"]["storage_options"]["secret"] == "***"
    assert stored["c"]["store_params"]["credentials"]["private_key"] == "***"
    assert config.store("s").storage_options["secret"] == f"{CANARY}-s"
    inline = config.store("c").credentials_inline
    assert inline is not None
    assert inline["private_key"].get_secret_value() == CANARY
    assert config.store("c").credentials is None


@pytest.mark.parametrize("value", [[CANARY], {"a": CANARY}, date(1999, 9, 9), 19990909])
def test_credentials_are_not_in_messages(value):
    data = secretive()
    data["data_stores"][1]["store_params"]["access_token"] = value
    options = data["data_stores"][2]["store_params"]["storage_options"]
    options |= {"secret": value, "anon": True, "endpoint_url": f"https://{CANARY}@h.org"}
    data["data_stores"][3]["store_params"]["credentials"]["private_key"] = value
    found = "\n".join(problems(data))
    assert "access_token: has to be text" in found
    assert "storage_options.secret: has to be text" in found
    assert "credentials.private_key: has to be text" in found
    assert CANARY not in found
    assert "1999" not in found


def test_credentials_that_contradict():
    data = secretive()
    data["data_stores"][2]["store_params"]["storage_options"]["anon"] = True
    assert "storage_options: anon is true, yet there is a key" in problem(data)
    data["data_stores"][2]["store_params"]["storage_options"] = {"key": "k"}
    assert "storage_options: key and secret go together" in problem(data)


# --- what others read -----------------------------------------------------------------------


def test_resolved_is_json_with_defaults_and_without_machine_paths(tmp_path):
    data = minimal()
    data["data_stores"][0]["store_params"]["root"] = str(tmp_path / "out")
    resolved = load_config(data, base_dir=tmp_path).resolved()
    assert json.loads(json.dumps(resolved)) == resolved
    assert str(tmp_path) not in json.dumps(resolved)
    assert resolved["data_stores"][0]["store_params"]["root"] == ".../out"
    assert resolved["general"]["zarr_format"] == 3
    assert resolved["grid_mappings"][0]["tile_size"] == [1024, 1024]
    assert resolved["datasets"][0]["format_id"] == "zarr"


def test_resolved_reads_back_as_itself():
    resolved = load_config(SCS2).resolved()
    assert load_config(resolved, base_dir=ROOT).resolved() == resolved


def test_the_schema_accepts_and_refuses_as_the_reader_does():
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = yaml.safe_load(SCS2.read_text())
    assert list(validator.iter_errors(data)) == []
    data["grid_mappings"][0]["spatial_ress"] = 1
    data["general"] = {"zarr_format": 4}
    assert len(list(validator.iter_errors(data))) == 2
