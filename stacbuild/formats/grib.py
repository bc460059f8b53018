"""Reading of GRIB 1 and 2 with eccodes, message by message; no index is written.

eccodes decodes headers and values; which messages form an array is decided by `grib_groups`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stacbuild.errors import IntegrityError
from stacbuild.formats.array_file import Array, Json, Members, fill_value
from stacbuild.formats.eccodes_library import load_eccodes
from stacbuild.formats.file_bytes import FileBytes
from stacbuild.formats.grib_groups import Cube, GribField, LatLon, grouped
from stacbuild.formats.grib_messages import Message, messages
from stacbuild.formats.zarr_members import Hidden

_GRIDS = {
    "reduced_gg": "a reduced Gaussian grid",
    "regular_gg": "a Gaussian grid",
    "reduced_ll": "a reduced grid of latitudes and longitudes",
    "rotated_ll": "a rotated grid of latitudes and longitudes",
    "lambert": "a Lambert conformal grid",
    "polar_stereographic": "a polar stereographic grid",
    "mercator": "a Mercator grid",
    "sh": "spherical harmonics",
    "healpix": "a HEALPix grid",
    "unstructured_grid": "an unstructured grid",
}
_LEVELS: dict[str, Json] = {
    "isobaricInhPa": {"standard_name": "air_pressure", "units": "hPa", "positive": "down"},
    "isobaricInPa": {"standard_name": "air_pressure", "units": "Pa", "positive": "down"},
    "heightAboveGround": {"standard_name": "height", "units": "m", "positive": "up"},
    "heightAboveSea": {
        "standard_name": "height_above_mean_sea_level", "units": "m", "positive": "up",
    },
}  # fmt: skip
_COORDINATES: dict[str, Json] = {
    "number": {"standard_name": "realization", "units": "1"},
    "time": {
        "standard_name": "time",
        "units": "seconds since 1970-01-01",
        "calendar": "proleptic_gregorian",
    },
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
}
# Each is one request or more if the file is remote.
_MOST_REMOTE = 500
# A value that no packing can hold.
_MISSING = -1.5e300

_Key = Callable[[str], Any]


@dataclass(frozen=True)
class _Parameter:
    """What fields of equal `stacbuild.formats.grib_messages.Message.parameter` share."""

    name: str
    attrs: Json
    level_type: str
    level: float
    step_type: str
    data_type: str


class GribFile:
    """A reader of GRIB (an `stacbuild.formats.array_file.ArrayFile`).

    Raises
    ------
    IntegrityError
        It is damaged, or none of its fields can be read; here and in all methods.
    RemoteError, LocalError
        Its bytes cannot be read; eccodes is not installed.
    """

    def __init__(self, content: FileBytes) -> None:
        self._bytes = content
        self._eccodes = load_eccodes(content.name)
        self._values: dict[str, NDArray[Any]] = {}
        self._cubes: dict[str, Cube] = {}
        self._institution = ""
        self._groups = self._read()

    @property
    def name(self) -> str:
        """Name of the file in messages."""
        return self._bytes.name

    def keep(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing; the bytes are closed when they are not used any more."""

    def groups(self) -> Mapping[str, Members]:
        """Return the content of each group by its path, ``""`` for the root."""
        return self._groups

    def texts(self, array: Array) -> list[str]:
        """Return empty texts; GRIB has none."""
        return [""] * math.prod(array.shape)

    def chunk(self, array: Array, index: tuple[int, ...]) -> bytes:
        """Return one field, or a whole coordinate."""
        if array.path in self._values:
            return self._values[array.path].tobytes()
        cube = self._cubes[array.path]
        at = int(np.ravel_multi_index(index, (*array.shape[:-2], 1, 1)))
        field = cube.fields[at]
        with self._handle(field.message.read(self._bytes)) as (handle, key):
            self._eccodes.codes_set(handle, "missingValue", _MISSING)
            values = self._eccodes.codes_get_values(handle)
            if key("bitmapPresent"):
                values[values == _MISSING] = np.nan
        rows, columns = array.shape[-2:]
        if values.size != rows * columns:
            raise IntegrityError(
                f"{self.name}: a field of {array.path} has {values.size} values for {rows} x "
                f"{columns} pixels; fetch the file anew"
            )
        if field.grid.by_column:
            values = values.reshape(columns, rows).T
        return np.ascontiguousarray(values, array.dtype).tobytes()

    def _read(self) -> dict[str, Members]:
        fields: list[GribField] = []
        refused: dict[str, str] = {}
        named: dict[bytes, _Parameter] = {}
        count = 0
        for count, message in enumerate(messages(self._bytes), 1):
            if count > _MOST_REMOTE and not self._bytes.is_local:
                raise IntegrityError(
                    f"{self.name}: has more than {_MOST_REMOTE} messages, each of which takes a "
                    "request to find; download it and name the local file"
                )
            with self._handle(message.header) as (_, key):
                kind = key("gridType")
                if kind is None:
                    # eccodes returns a handle of a damaged message that has no keys.
                    raise IntegrityError(
                        f"{self.name}: message {count} cannot be decoded; fetch the file anew"
                    )
                # eccodes takes milliseconds to find the names of a parameter.
                known = named.get(message.parameter) or _parameter(key)
                name = named.setdefault(message.parameter, known).name
                self._institution = self._institution or str(key("centreDescription") or "")
                if kind != "regular_ll" or key("alternativeRowScanning"):
                    what = (
                        _GRIDS.get(kind, str(kind)) if kind != "regular_ll" else "alternating rows"
                    )
                    refused[name] = (
                        f"cannot be read ({what}; interpolate it to regular latitudes and "
                        "longitudes first, such as with cdo remapbil)"
                    )
                else:
                    fields.append(self._field(message, known, key))
        if not fields:
            why = "; ".join(f"{name} {reason}" for name, reason in refused.items())
            raise IntegrityError(f"{self.name}: {why or 'has no message; fetch it anew'}")
        cubes, failed = grouped(fields)
        refused |= {name: f"cannot be read (it {reason})" for name, reason in failed.items()}
        if not cubes:
            why = "; ".join(f"{name} {reason}" for name, reason in refused.items())
            raise IntegrityError(f"{self.name}: {why}")
        root = Members(attrs={"institution": self._institution} if self._institution else {})
        groups = {"": root}
        for path, own in cubes.items():
            parts = path.split("/") if path else []
            for depth in range(1, len(parts) + 1):
                groups.setdefault("/".join(parts[:depth]), Members())
            self._add(groups[path], path, own)
        # The same name may be readable on another grid.
        for name, reason in refused.items():
            label = f"{name} (other fields)" if name in root.arrays else name
            root.hidden[label] = Hidden(reason, ())
        return groups

    def _add(self, members: Members, path: str, cubes: list[Cube]) -> None:
        below = f"{path}/" if path else ""
        for cube in cubes:
            first = cube.fields[0]
            axes: dict[str, NDArray[Any]] = {
                dim: np.array(values, np.float64 if dim == first.level_type else np.int64)
                for dim, values in cube.axes.items()
            }
            axes["latitude"] = _axis(first.grid.latitudes)
            axes["longitude"] = _axis(first.grid.longitudes)
            for dim, values in axes.items():
                where = f"{below}{dim}"
                self._values[where] = values
                attrs = _COORDINATES.get(dim) or _LEVELS.get(dim, {})
                members.arrays[dim] = Array(
                    where, values.shape, values.shape, values.dtype, (dim,), dict(attrs)
                )
            dtype = np.dtype(max(each.dtype for each in cube.fields))
            shape = tuple(len(values) for values in axes.values())
            chunks = (*(1 for _ in shape[:-2]), *shape[-2:])
            attrs = first.attrs | {"_FillValue": fill_value(np.nan, dtype)}
            if first.level_type not in cube.axes:
                attrs["GRIB_level"] = first.level
            where = f"{below}{cube.name}"
            self._cubes[where] = cube
            members.arrays[cube.name] = Array(where, shape, chunks, dtype, tuple(axes), attrs)

    def _field(self, message: Message, known: _Parameter, key: _Key) -> GribField:
        # A float of 32 bits has 24 of precision. 2: IEEE values of 64 bits (code table 5.7).
        is_double = int(key("bitsPerValue") or 0) > 24 or (
            key("packingType") == "grid_ieee" and key("precision") == 2
        )
        return GribField(
            message=message,
            name=known.name,
            attrs=known.attrs,
            grid=self._grid(key),
            level_type=known.level_type,
            level=known.level,
            step_type=known.step_type,
            reference=self._seconds(key("dataDate"), key("dataTime")),
            valid=self._seconds(key("validityDate"), key("validityTime")),
            number=int(key("number") or 0),
            data_type=known.data_type,
            version=str(key("experimentVersionNumber") or ""),
            dtype="f8" if is_double else "f4",
        )

    def _grid(self, key: _Key) -> LatLon:
        first, last = (
            float(key(f"longitudeOf{which}GridPointInDegrees")) for which in ("First", "Last")
        )
        # Longitudes may be stated across 0 or 180.
        if key("iScansNegatively"):
            last -= 360 if last > first else 0
        elif last < first:
            last += 360
        latitudes = (
            float(key("latitudeOfFirstGridPointInDegrees")),
            float(key("latitudeOfLastGridPointInDegrees")),
            int(key("Nj")),
        )
        return LatLon(latitudes, (first, last, int(key("Ni"))), bool(key("jPointsAreConsecutive")))

    def _seconds(self, date: Any, time: Any) -> int:
        try:
            text = f"{int(date):08d}{int(time):04d}"
            return int(datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp())
        except (TypeError, ValueError) as error:
            raise IntegrityError(
                f"{self.name}: states the date {date} {time}, which does not exist; set it with "
                "grib_set"
            ) from error

    @contextmanager
    def _handle(self, data: bytes) -> Iterator[tuple[int, _Key]]:
        """Yield the handle of a message, and a function that returns a key of it, None without."""
        eccodes = self._eccodes
        handle = None
        try:
            handle = eccodes.codes_new_from_message(data)

            def key(name: str) -> Any:
                try:
                    return eccodes.codes_get(handle, name)
                except eccodes.KeyValueNotFoundError:
                    return None

            yield handle, key
        except eccodes.CodesInternalError as error:
            raise IntegrityError(
                f"{self.name}: a message cannot be decoded ({error}); fetch the file anew"
            ) from error
        finally:
            if handle is not None:
                eccodes.codes_release(handle)


def _parameter(key: _Key) -> _Parameter:
    return _Parameter(
        name=_name(key),
        attrs=_attributes(key),
        level_type=str(key("typeOfLevel")),
        level=float(key("level") or 0),
        step_type=str(key("stepType")),
        data_type=str(key("dataType")),
    )


def _name(key: _Key) -> str:
    for each in ("cfVarName", "shortName"):
        name = str(key(each) or "unknown")
        if name not in ("unknown", "~"):
            return re.sub(r"\W", "_", name)
    if number := key("paramId"):
        return f"param{number}"
    codes = ("discipline", "parameterCategory", "parameterNumber", "indicatorOfParameter")
    return "_".join(["param", *(str(key(code)) for code in codes if key(code) is not None)])


def _attributes(key: _Key) -> Json:
    stated = {
        "long_name": key("name"),
        "standard_name": key("cfName"),
        "units": key("units"),
        "GRIB_paramId": key("paramId"),
        "GRIB_shortName": key("shortName"),
        "GRIB_typeOfLevel": key("typeOfLevel"),
        "GRIB_stepType": key("stepType"),
    }
    return {name: one for name, one in stated.items() if one not in (None, "unknown", "~")}


def _axis(stated: tuple[float, float, int]) -> NDArray[np.float64]:
    first, last, count = stated
    # Rounded to less than the digits stated (6), so that 0.1 is not 0.09999999999999999.
    return np.round(np.linspace(first, last, count), 9) if count else np.empty(0)
