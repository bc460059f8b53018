"""The text of a first configuration, with comments, from a grid and some data ids."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from stacbuild.atomic import write_bytes
from stacbuild.config import config_schema, load_config
from stacbuild.config.stores import MODELS
from stacbuild.errors import ConflictError, LocalError
from stacbuild.sources.listing_base import make_store

SCHEMA = "stacbuild.schema.json"
"""Name of the JSON Schema beside a configuration, by which editors validate and complete it."""


@dataclass(frozen=True)
class Choice:
    """A variable of the cube: a data id, and its store.

    Parameters
    ----------
    store_id, root
        Kind of store, and its root as for `stacbuild.sources.listing.list_data`.
    params
        Further ``store_params``.
    name
        Name of the variable; by default derived from the data id.
    """

    store_id: str
    root: str
    data_id: str
    name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


_TRANSLITERATED = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae"}
    | {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d"}
)
_SUFFIX = re.compile(
    r"\.(zarr(\.zip)?|tiff?|nc[34]?|cdf|h5|he5|hdf5?|gri?b[12]?|jp2|vrt)$", re.IGNORECASE
)

# Names that a variable of a cube cannot have.
_COORDINATES = frozenset({"lat", "lon", "x", "y", "time", "band", "spatial_ref"})


def first_configuration(
    bbox: Sequence[float],
    resolution: float,
    choices: Sequence[Choice],
    *,
    crs: str = "EPSG:4326",
    name: str = "cube",
) -> str:
    """Return the text of a configuration that builds one cube, with comments.

    Parameters
    ----------
    bbox
        West, south, east, north in the units of *crs*.
    resolution
        Size of a pixel in these units.
    choices
        The variables; at least one.

    Raises
    ------
    ConfigError
        With a line for each mistake; nothing is fetched.
    """
    stores: dict[str, str] = {}
    params: dict[str, dict[str, Any]] = {}
    variables: list[tuple[str, str, str]] = []
    taken: set[str] = set()
    for each in choices:
        given = dict(each.params) | ({"root": each.root} if each.root else {})
        # Validated by itself first: its messages name the kind of store.
        make_store(each.store_id, each.root, each.params)
        address = f"{each.store_id} {json.dumps(given, sort_keys=True)}"
        if address not in stores:
            stores[address] = free_name(each.store_id, set(params))
            params[stores[address]] = {"store_id": each.store_id, "store_params": given}
        variable = free_name(each.name or name_of(each.data_id), taken)
        taken.add(variable)
        variables.append((variable, stores[address], each.data_id))
    lines = [*_of_datasets(name, variables), *_of_stores(params), *_of_grid(bbox, resolution, crs)]
    text = "\n".join(lines) + "\n"
    # Validated as a user's configuration, so that mistakes are found now.
    load_config(yaml.safe_load(text))
    return text


def write_configuration(path: Path, text: str, *, force: bool = False) -> None:
    """Write a configuration, and beside it the schema that its first line names.

    Raises
    ------
    LocalError
        The file exists already and *force* is false, or it cannot be written.
    ConflictError
        Another file has the name of the schema.
    """
    if os.path.lexists(path) and not force:
        raise LocalError(f"{path}: exists already; choose another file, or use --force")
    schema = json.dumps(config_schema(), indent=2) + "\n"
    beside = path.with_name(SCHEMA)
    if os.path.lexists(beside) and not _is_schema(beside):
        raise ConflictError(
            f"{beside}: is a file that stacbuild did not write; move it away, or name a file in "
            "another folder"
        )
    write_bytes(beside, schema.encode())
    write_bytes(path, text.encode())


def _is_schema(path: Path) -> bool:
    """Return whether a file is the schema of any version of this package."""
    try:
        content = json.loads(path.read_bytes())
        return not path.is_symlink() and "grid_mappings" in content["properties"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _of_datasets(name: str, variables: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield f"# yaml-language-server: $schema=./{SCHEMA}"
    yield "# The cubes to build, their sources, and the grid."
    yield "#   stacbuild plan FILE    shows what would be done"
    yield "#   stacbuild cube FILE    does it"
    yield ""
    yield "datasets:"
    yield f"  - identifier: {plain_name(name)}  # becomes data/{name}.zarr"
    yield "    grid_mapping: grid"
    yield "    variables:"
    for variable, store, data_id in variables:
        yield f"      - identifier: {plain_name(variable)}"
        yield f"        store: {store}"
        yield f"        data_id: {as_json(data_id)}"
    yield ""


def _of_stores(stores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "data_stores:"
    yield "  - identifier: storage  # where cubes are written"
    yield "    store_id: file"
    yield "    store_params:"
    yield "      root: data  # a folder beside this file"
    for identifier, content in stores.items():
        yield f"  - identifier: {identifier}"
        yield f"    store_id: {content['store_id']}"
        model = MODELS.get(content["store_id"])
        if model and model.note:
            yield f"    # {model.note}"
        # JSON on one line is valid YAML.
        yield f"    store_params: {as_json(content['store_params'])}"
    yield ""


def _of_grid(bbox: Sequence[float], resolution: float, crs: str) -> Iterator[str]:
    yield "grid_mappings:"
    yield "  - identifier: grid"
    yield f"    crs: {as_json(crs)}"
    corners = as_json([short_number(value) for value in bbox])
    yield f"    bbox: {corners}  # west, south, east, north"
    size = short_number(resolution)
    yield f"    spatial_res: {size}  # size of a pixel, in the units of the CRS"
    yield "    tile_size: 1024  # pixels of a chunk"


def name_of(data_id: str) -> str:
    """Return the name of a variable or dataset for a data id."""
    path = data_id.partition("?")[0].rpartition("|")[2]
    last = PurePosixPath(path).name or "data"
    stem = _SUFFIX.sub("", last)
    name = _in_ascii(stem)[:60]
    return f"{name}_data" if name in _COORDINATES else name or "data"


def _in_ascii(text: str) -> str:
    """Return a text as a word of ASCII letters: ``Höhe`` is ``Hoehe``."""
    composed = unicodedata.normalize("NFC", text).translate(_TRANSLITERATED)
    plain = unicodedata.normalize("NFKD", composed)
    # Without the accents, which are characters of their own now.
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return re.sub(r"[^A-Za-z0-9_]+", "_", letters).strip("_")


def free_name(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, with a number if needed."""
    known = {each.lower() for each in taken} | {"storage"}
    if name.lower() not in known:
        return name
    return next(f"{name}_{i}" for i in range(2, 10_000) if f"{name}_{i}".lower() not in known)


def as_json(value: Any) -> str:
    """Return a value as JSON on one line, which is valid YAML."""
    return json.dumps(value, ensure_ascii=False)


def plain_name(name: str) -> str:
    """Return a name in YAML, without quotes where it is text without them."""
    simple = re.fullmatch(r"[A-Za-z0-9_.-]+", name)
    return name if simple and yaml.safe_load(name) == name else as_json(name)


def short_number(value: float) -> float | int:
    """Return a whole number as an integer."""
    return int(value) if float(value).is_integer() else float(value)
