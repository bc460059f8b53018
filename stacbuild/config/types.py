"""Types of fields of the configuration's models."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stacbuild.config.data_ids import apart, entries, joined
from stacbuild.config.regions import SUFFIXES, check_region, is_region
from stacbuild.geo.crs_text import canonical_crs
from stacbuild.nodata import exact
from stacbuild.safe_text import MASK, remember_secret


class Strict(BaseModel):
    """A mapping in a file: immutable, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _note_known_keys(cls, data: Any, info: ValidationInfo) -> Any:
        # pydantic's error for an unknown key does not list the known ones.
        if info.context is not None and isinstance(data, dict):
            info.context["known"][id(data)] = tuple(cls.model_fields)
        return data


class Model(Strict):
    """A mapping of the configuration."""

    model_config = ConfigDict(
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema, where the docstring below a field is its description."""
        # Imported late: only the schema needs it. pydantic's own use_attribute_docstrings parses
        # the source of all models at import, a tenth of the start-up time.
        from stacbuild.config.descriptions import descriptions

        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in descriptions(cls).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return schema


class Located(Model):
    """A mapping with paths, which are relative to the folder of the configuration."""

    _directory: Path = PrivateAttr(default_factory=Path.cwd)

    def model_post_init(self, context: Any) -> None:
        """Take the folder of the configuration from the context of validation."""
        if context is not None:
            self._directory = context["directory"]

    def _absolute(self, path: str) -> Path:
        return Path(os.path.normpath(self._directory / Path(path).expanduser()))


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", value):
        msg = (
            f"{value!r} is not a valid identifier: at most 100 letters, digits, '_', '-' and '.', "
            "the first not '-' or '.'"
        )
        raise ValueError(msg)
    return value


def _cube_name(value: str) -> str:
    *folders, last = value.split("/")
    for part in (*folders, last):
        _name(part)
    if len(value) > 100:
        msg = f"{value[:60]!r}... has more than 100 characters"
        raise ValueError(msg)
    for folder in folders:
        # A cube within another one would be deleted with it.
        if folder.lower().endswith((".zarr", ".nc", ".levels")):
            msg = f"{value!r} is in a folder that is named like a cube; rename {folder!r}"
            raise ValueError(msg)
    return value


def _text(value: str) -> str:
    if not value.strip():
        msg = "is empty"
        raise ValueError(msg)
    if not value.isprintable():
        msg = "contains a line break, tab or control character"
        raise ValueError(msg)
    return value


def _data_id(value: str) -> str:
    for entry in entries(value):
        _text(entry)
        # ".." as the open end of a time range is not a folder.
        path = re.sub(r"([?&]datetime=[^&]*)/\.\.(?=&|$)", r"\1/", entry)
        if path.startswith("/") or ".." in PurePosixPath(path).parts:
            msg = f"{entry!r} has to be relative to the root of its store, without '..'"
            raise ValueError(msg)
    return value


def _number(value: Any) -> Any:
    """Return a finite number; text such as ``1e3``, which is not a number to YAML, is parsed."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"has to be a number, got {show(value)}"
        raise ValueError(msg)
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that no double can hold
        finite = False
    if not finite:
        msg = f"has to be a finite number, got {show(value)}"
        raise ValueError(msg)
    return value


def _exact(value: Any) -> Any:
    """Return a finite number; an integer that is not exact as a double stays an integer."""
    return exact(_number(value))


def _count(value: Any) -> Any:
    number = _number(value)
    if number != int(number) or number < 1:
        msg = f"has to be a whole number, 1 or more, got {number}"
        raise ValueError(msg)
    return int(number)


def _bbox_or_region(value: Any) -> Any:
    if is_region(value):
        return check_region(value)
    if isinstance(value, str):
        msg = (
            "has to be four numbers: [west, south, east, north], or a vector file: "
            f"{', '.join(SUFFIXES)}"
        )
        raise ValueError(msg)
    return _bbox(value)


def _bbox(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 4:
        msg = "has to be four numbers: [west, south, east, north]"
        raise ValueError(msg)
    return value


def stated_crs(value: Any) -> Any:
    """Return the text of a CRS: of an EPSG code as a number, and of PROJJSON as a mapping."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"EPSG:{value}"
    if isinstance(value, dict):
        return json.dumps(value)
    # WKT may be on several lines.
    return " ".join(value.split()) if isinstance(value, str) else value


def _known_crs(value: str) -> str:
    canonical_crs(value)
    return f"EPSG:{value}" if value.isdigit() else value


def _one_or_pair(one: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a value for both axes, or one for each."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 2, "maxItems": 2}]}


def _pair(value: Any, what: str) -> Any:
    pair = value if isinstance(value, list | tuple) else (value, value)
    if len(pair) != 2:
        msg = f"has to be one {what}, or two: [x, y]"
        raise ValueError(msg)
    return pair


def _tile_size(value: Any) -> Any:
    return _pair(value, "whole number")


def _resolution(value: Any) -> Any:
    x, y = (float(_number(each)) for each in _pair(value, "number"))
    if min(x, y) <= 0:
        msg = f"has to be more than 0, got {min(x, y)}"
        raise ValueError(msg)
    return x if x == y else (x, y)


def _one_or_each(value: Any) -> str:
    return "each" if isinstance(value, dict) else "one"


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, user = parts.hostname, parts.username or parts.password
        _ = parts.port
    except ValueError:
        host, user = None, None
    if not host or parts.scheme not in {"http", "https"}:
        msg = "has to be a URL that begins with https:// or http://"
        raise ValueError(msg)
    if user or parts.query or parts.fragment:
        # Not quoted in the message: it may contain a password or a signature.
        msg = "has to be a plain URL, without user name, password, query or fragment"
        raise ValueError(msg)
    return value.rstrip("/")


def known_scheduler(value: str) -> str:
    """Return *value* if it is a dask scheduler; raise ValueError otherwise."""
    here = ("threads", "processes", "synchronous", "sync", "single-threaded")
    if value not in (*here, "local", "distributed") and not re.fullmatch(
        r"(tcp|tls)://[^\s/@?#]+:[0-9]{1,5}", value
    ):
        msg = (
            f"has to be threads, processes, synchronous, local, distributed, or the address of a "
            f"running dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, got {show(value)}"
        )
        raise ValueError(msg)
    return value


def _home(value: str) -> str:
    try:
        Path(value).expanduser()
    except RuntimeError:
        msg = f"{show(value)} begins with the home folder of an unknown user"
        raise ValueError(msg) from None
    return value


def _remembered(value: SecretStr) -> SecretStr:
    if value.get_secret_value() == MASK:
        msg = 'is masked; put the credential in its place, or "${NAME}" of an environment variable'
        raise ValueError(msg)
    remember_secret(value.get_secret_value())
    return value


def _no_machine_path(value: str) -> str:
    if Path(value).expanduser().is_absolute() or PureWindowsPath(value).is_absolute():
        return f".../{PureWindowsPath(value).name}"
    return value


def show(value: Any) -> str:
    """Return a short description of a value for messages, in the terms of YAML."""
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of more than 60 digits"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"{type(value).__name__} {str(value)[:60]}"


Text = Annotated[str, AfterValidator(_text)]
"""Printable text on one line, not empty."""

Name = Annotated[str, AfterValidator(_name)]
"""An identifier; safe as the name of a file, a Zarr array and a STAC item."""

CubeName = Annotated[str, AfterValidator(_cube_name)]
"""Identifiers separated by ``/``: folders, and the name of a cube."""

DataId = Annotated[Text, AfterValidator(_data_id)]
"""Identifier of data in a store, for example ``france/forest_mask_france.tif``."""

SourceDataId = Annotated[
    DataId,
    BeforeValidator(joined),
    PlainSerializer(apart, return_type=str | list[str]),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]
"""A data id, or a list of them in its canonical text (`stacbuild.config.data_ids`)."""

Number = Annotated[float, BeforeValidator(_number)]
"""A finite number."""

ExactNumber = Annotated[int | float, BeforeValidator(_exact), WithJsonSchema({"type": "number"})]
"""A finite number; integers of 64 bits are exact."""

Length = Annotated[float, Field(gt=0), BeforeValidator(_number)]
"""A finite number, more than 0."""

StatedBBox = Annotated[tuple[Number, Number, Number, Number], BeforeValidator(_bbox)]
"""West, south, east, north."""

RegionFile = Annotated[Text, AfterValidator(check_region)]
"""A vector file as ``<path>`` or ``<path>|<layer>``, relative to the configuration."""

BBoxOrRegion = Annotated[
    Annotated[str, Tag("file")] | Annotated[StatedBBox, Tag("numbers")],
    Discriminator(lambda value: "file" if isinstance(value, str) else "numbers"),
    BeforeValidator(_bbox_or_region),
]
"""West, south, east, north, or a vector file with that extent."""

Crs = Annotated[
    Text,
    BeforeValidator(stated_crs),
    AfterValidator(_known_crs),
    WithJsonSchema({"type": ["string", "integer", "object"]}),
]
"""A CRS: a code, WKT, PROJJSON or a PROJ string."""

PixelSize = Annotated[
    float | tuple[float, float],
    BeforeValidator(_resolution),
    WithJsonSchema(_one_or_pair({"type": "number", "exclusiveMinimum": 0})),
]
"""Width and height of a pixel; one number if they are equal."""

Count = Annotated[int, Field(ge=1), BeforeValidator(_count)]
"""A whole number, 1 or more."""

TileSize = Annotated[
    tuple[Count, Count],
    BeforeValidator(_tile_size),
    WithJsonSchema(_one_or_pair({"type": "integer", "minimum": 1})),
]
"""Width and height of a tile in pixels; stated as one number if they are equal."""

Url = Annotated[Text, AfterValidator(_url)]
"""An http or https URL without trailing slash, user name, password, query or fragment."""

LocalPath = Annotated[
    Text, AfterValidator(_home), PlainSerializer(_no_machine_path, return_type=str)
]
"""A path as written; dumps of the configuration show only the last part of an absolute one."""

Scheduler = Annotated[Text, AfterValidator(known_scheduler)]
"""A dask scheduler: a name, or an address."""

Secret = Annotated[
    SecretStr, AfterValidator(_remembered), PlainSerializer(lambda _: MASK, return_type=str)
]
"""A credential: never in a repr, a message or a dump."""

_T = TypeVar("_T")
OneOrEach = Annotated[
    Annotated[_T | None, Tag("one")] | Annotated[dict[str, _T], Tag("each")],
    Discriminator(_one_or_each),
]
"""One value for all variables, or one for each by name; None: chosen by the variable."""
