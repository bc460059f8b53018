"""Models of the datasets: their sources, and how these are processed and resampled."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from stacbuild import indices
from stacbuild.config.code import files_of, modules_of
from stacbuild.config.data_ids import short
from stacbuild.config.scenes import SceneParams
from stacbuild.config.time_resampling import TemporalResampleParams
from stacbuild.config.times import Moment
from stacbuild.config.types import (
    Count,
    Crs,
    CubeName,
    ExactNumber,
    Length,
    LocalPath,
    Located,
    Model,
    Name,
    Number,
    OneOrEach,
    RegionFile,
    SourceDataId,
    StatedBBox,
    Text,
)
from stacbuild.geo.bbox import BBox, square, unwrapped
from stacbuild.geo.crs_text import canonical_crs
from stacbuild.geo.utm import utm_bounds, utm_square

RASTER_NAME = "band_data"
"""Name of the variable of a GeoTIFF whose header names none, as rioxarray and xcube have it."""

_COORDINATES = ("x", "y", "lat", "lon", "time", "band", "spatial_ref")

InterpMethod = Literal["nearest", "bilinear"]
AggMethod = Literal["center", "max", "mean", "median", "min", "mode", "sum"]


class CustomProcessing(Located):
    """A function of the user's, ``xarray.Dataset`` → ``xarray.Dataset``."""

    module_path: LocalPath
    """Python file with the function, relative to the configuration; `.py` may be left out. Or
    `stacbuild.indices`, whose functions are spectral indices (`ndvi`, `nbr`, `evi`, ...), alone or
    (`with_ndvi`) beside the bands."""
    function_name: Text
    """Name of a function that takes the opened dataset and returns the processed one."""
    depends_on: tuple[LocalPath, ...] = ()
    """Other files that the function reads: files, folders and patterns (`regions/*.json`), relative
    to the configuration. Modules that it imports from there need not be listed."""

    @property
    def is_index(self) -> bool:
        """Whether it is a function of `stacbuild.indices`, and not of a file."""
        return str(self.module_path) == indices.MODULE

    @property
    def label(self) -> str:
        """Module and function, for messages."""
        module = indices.MODULE if self.is_index else self.file.name
        return f"{module}:{self.function_name}"

    @property
    def file(self) -> Path:
        """Absolute path of the module."""
        path = self._absolute(self.module_path)
        return path if path.suffix == ".py" else path.with_name(f"{path.name}.py")

    @property
    def directory(self) -> Path:
        """The configuration's folder."""
        return Path(os.path.normpath(self._directory))

    def modules(self) -> dict[str, Path]:
        """Return the modules that the file imports, by their path in the configuration's folder.

        Raises
        ------
        CodeError
            If one cannot be read.
        """
        return {} if self.is_index else modules_of(self.file, self.directory)

    def dependencies(self) -> dict[str, Path]:
        """Return the files of ``depends_on``, by their path in the configuration's folder.

        Raises
        ------
        CodeError
            If something is missing or cannot be read.
        """
        found: dict[str, Path] = {}
        for entry in self.depends_on:
            found |= files_of(entry, self.directory)
        return found


class SpatialResampleParams(Model):
    """Resampling onto the grid: one method for all variables, or one for each by name."""

    interp_methods: OneOrEach[InterpMethod] = None
    """Method where pixels get smaller; by default `nearest` for integers and classes, `bilinear`
    for floats."""
    agg_methods: OneOrEach[AggMethod] = None
    """Method where pixels get larger; by default `center` (the nearest) for integers and classes;
    for floats `mean` where a pixel spans two source pixels or more, `bilinear` below that."""
    variables: tuple[Text, ...] | None = None
    """Names of the source's variables to take; all by default."""
    fill_values: OneOrEach[ExactNumber] = None
    """Nodata value of the cube; by default that of the source, NaN for floats."""
    recover_nans: Literal[True] | None = None
    """Nodata pixels have no weight; a pixel is nodata only if no valid pixel contributes to it."""


class OpenParams(SceneParams):
    """What to open, before custom_processing and before resampling."""

    band_as_variable: bool = False
    """Whether the bands of a GeoTIFF become variables, named as in the file, else `band_1`,
    `band_2`, ...; by default they are stacked along a dimension `band`, or `time` if they have
    dates."""
    variable_names: tuple[Text, ...] | None = None
    """Names of the source's variables to take; all by default."""
    time_range: tuple[Moment | None, Moment | None] | None = None
    """First and last time to take, both included; null for an open end."""
    bbox: StatedBBox | None = None
    """West, south, east, north: source pixels with their centre outside of it are nodata. It is the
    area of a cube of scenes without a grid_mapping."""
    crs: Crs | None = None
    """CRS of `bbox` and `point`, in any form that a grid mapping takes; EPSG:4326 by default."""
    point: tuple[Number, Number] | None = None
    """Longitude and latitude (x and y in another `crs`): with `bbox_width` the centre of a square;
    alone, and without a grid_mapping, the location of a time series."""
    bbox_width: Length | None = None
    """Length of the sides of the square around `point`, in metres."""

    @property
    def area_crs(self) -> str:
        """CRS of ``area`` and ``point``."""
        return self.crs or "EPSG:4326"

    @property
    def area(self) -> BBox | None:
        """West, south, east, north of ``bbox``, or of the square around ``point``, in its CRS."""
        if self.point and self.bbox_width:
            return square(self.point, self.bbox_width, self.area_crs)
        return self.bbox

    @property
    def utm_area(self) -> tuple[str, BBox]:
        """CRS of the UTM zone of the area, and the area in it; ValueError if that is beyond UTM."""
        if self.point and self.bbox_width:
            return utm_square(self.point, self.bbox_width, self.area_crs)
        if self.bbox is None:
            msg = "spatial_res needs an area: bbox, or point and bbox_width"
            raise ValueError(msg)
        return utm_bounds(self.bbox, self.area_crs)

    @model_validator(mode="after")
    def _one_area(self) -> Self:
        if self.bbox and self.point:
            msg = "takes bbox or point, not both"
            raise ValueError(msg)
        if self.bbox_width and not self.point:
            msg = "bbox_width needs a point: [longitude, latitude]"
            raise ValueError(msg)
        if self.bbox:
            west, south, east, north = unwrapped(self.bbox, canonical_crs(self.area_crs))
            if not (west < east and south < north):
                msg = (
                    "bbox: has to be [west, south, east, north], west less than east, south than "
                    "north (across the antimeridian, in degrees, west more than east)"
                )
                raise ValueError(msg)
        if self.spatial_res is not None:
            try:
                _ = self.utm_area
            except ValueError as error:
                msg = f"{error}, or name one of grid_mappings instead"
                raise ValueError(msg) from None
        return self


class Source(Model):
    """Data in a store, and how they are processed and resampled."""

    store: Text
    """Identifier of the store in `data_stores`."""
    data_id: SourceDataId
    """Identifier of the data in the store, such as a path below its root; `stacbuild list` shows
    it. In stores of files it may be several: a pattern with wildcards (`dem_*.tif`,
    `**/dem_*.tif`) or a date (`ndvi_{time:%Y_%m}.tif`), or a list of paths and patterns."""
    open_params: OpenParams = OpenParams()
    """Subset of the data to open."""
    custom_processing: CustomProcessing | None = None
    """A function applied to the opened dataset."""
    spatial_resample_params: SpatialResampleParams = SpatialResampleParams()
    """Resampling onto the grid."""
    temporal_resample_params: TemporalResampleParams | None = None
    """Resampling to regular times; times stay as they are by default."""

    @property
    def label(self) -> str:
        """The data id for messages: a long list is shortened."""
        return short(self.data_id)

    def interp_method(self, variable: str) -> InterpMethod | None:
        """Return the method for upsampling *variable*; None: chosen by its values."""
        methods = self.spatial_resample_params.interp_methods
        return methods.get(variable) if isinstance(methods, dict) else methods

    def agg_method(self, variable: str) -> AggMethod | None:
        """Return the method for downsampling *variable*; None: chosen by its values."""
        methods = self.spatial_resample_params.agg_methods
        return methods.get(variable) if isinstance(methods, dict) else methods

    def fill_value(self, variable: str) -> int | float | None:
        """Return the nodata value of *variable* in the cube; None: that of the source."""
        values = self.spatial_resample_params.fill_values
        return values.get(variable) if isinstance(values, dict) else values


class SourceVariable(Source):
    """One source of a cube; without ``identifier`` if it is the source of a single dataset."""

    identifier: Name | None = None
    """Name of the cube's variable; of several variables, the prefix of their names."""

    _default_name: str | None = PrivateAttr(default=None)
    _asset: str | None = PrivateAttr(default=None)

    @property
    def label(self) -> str:
        """The data id for messages, and the asset if the variable is one of several."""
        return f"{super().label}: {self._asset}" if self._asset else super().label

    def of_asset(self, asset: str) -> Self:
        """Return this variable after making it that of one asset, which names it."""
        self._asset = asset
        return self.with_default_name(asset)

    def with_default_name(self, name: str) -> Self:
        """Return this variable after setting its name if neither it nor the file has one."""
        self._default_name = name
        return self

    def cube_name(self, name: str) -> str:
        """Return the name in the cube of the only variable of a file, where it is called *name*.

        That is the identifier, else the name in the file's header, else that of the dataset.
        `RASTER_NAME` stays if parameters use it, or if the dataset has the name of a coordinate.
        """
        if self.identifier:
            return self.identifier
        default = self._default_name
        if name != RASTER_NAME or default in (None, *_COORDINATES) or self._mentions(name):
            return name
        return str(default)

    def parameter_name(self, name: str) -> str:
        """Return the name of the only variable of a file in the parameters of the configuration.

        That is *name*, its name in the file, if parameters use it, else its name in the cube.
        """
        return name if self._mentions(name) else self.cube_name(name)

    def _mentions(self, name: str) -> bool:
        return name in self.names_in_parameters()

    def names_in_parameters(self) -> set[str]:
        """Return the names of variables that parameters use."""
        params = self.spatial_resample_params
        used: tuple[Any, ...] = (
            self.open_params.variable_names,
            params.variables,
            params.interp_methods,
            params.agg_methods,
            params.fill_values,
        )
        if in_time := self.temporal_resample_params:
            used += tuple(map(in_time.names, ("variables", "agg_methods", "interp_methods")))
        return {name for each in used if isinstance(each, tuple | dict) for name in each}


class NamedVariable(SourceVariable):
    """An item of ``variables`` of a dataset of several sources."""

    identifier: Name
    """Name of the cube's variable; of several variables, the prefix of their names."""


class XrMergeParams(Model):
    """Merging of several sources into one dataset: arguments of ``xarray.merge``."""

    compat: Literal["no_conflicts", "identical", "equals", "broadcast_equals", "override"] = (
        "no_conflicts"
    )
    """How variables of the same name are compared."""
    join: Literal["exact", "inner", "left", "outer", "override", "right"] = "exact"
    """How times (and other coordinates) of sources are combined where they differ; `exact` refuses
    that."""
    fill_value: OneOrEach[Number] = None
    """Value of a variable at coordinates that its source lacks; by default its nodata value."""
    combine_attrs: Literal["drop", "identical", "no_conflicts", "drop_conflicts", "override"] = (
        "drop_conflicts"
    )
    """How attributes of the sources are combined."""


class _Cube(Model):
    identifier: CubeName
    """Name of the cube, its Zarr store and its STAC item, also in messages. `site/sen2` is written
    to the folder `site` of the storage."""
    grid_mapping: Text | None = None
    """Identifier of a grid in `grid_mappings`, or of another dataset whose grid is used; by default
    the grid of the (first) source itself; for scenes with an area, pixels of its UTM zone."""
    format_id: Literal["zarr", "netcdf", "levels"] = "zarr"
    """Format of the cube: a Zarr store, one netCDF file (needs a folder as storage), or a Zarr
    store of levels: a pyramid of the cube in full and in coarser and coarser resolution."""
    clip: RegionFile | None = None
    """Vector file with polygons, such as `roi.geojson` or `roi.gpkg|layer`, relative to the
    configuration: pixels with their centre outside of all polygons are nodata."""
    chunksize: dict[Text, Count] = Field(default_factory=dict)
    """Length of a chunk along each dimension by name; by default `tile_size` of the grid, and 1
    along other dimensions."""


class SingleDataset(Source, _Cube):
    """A cube of all variables of one source."""

    @model_validator(mode="after")
    def _point_without_grid(self) -> Self:
        _check_point(self.open_params, self.grid_mapping)
        return self

    @property
    def variables(self) -> tuple[SourceVariable, ...]:
        """The source, as the only item of ``variables``."""
        values = {name: getattr(self, name) for name in Source.model_fields}
        variable = SourceVariable.model_construct(**values)
        return (variable.with_default_name(_variable_name(self.identifier)),)


class MultiDataset(_Cube):
    """A cube of several sources, with one variable each."""

    variables: Annotated[tuple[NamedVariable, ...], Field(min_length=1)]
    """The sources."""
    xr_merge_params: XrMergeParams = XrMergeParams()
    """How they are merged into one dataset."""

    @model_validator(mode="after")
    def _point_without_grid(self) -> Self:
        for variable in self.variables:
            _check_point(variable.open_params, self.grid_mapping)
        return self


def _check_point(params: OpenParams, grid_mapping: str | None) -> None:
    if params.point and not params.bbox_width and grid_mapping is not None:
        msg = (
            "open_params.point alone is the location of a time series, which has no grid: leave "
            "grid_mapping out, or add bbox_width"
        )
        raise ValueError(msg)
    if params.spatial_res is not None and grid_mapping is not None:
        msg = (
            "open_params.spatial_res is the resolution of a cube without a grid_mapping; leave one "
            "of them out"
        )
        raise ValueError(msg)


def _variable_name(identifier: str) -> str:
    """Return a cube's identifier as the name of a variable (CF 1.11, section 2.3)."""
    name = re.sub(r"\W", "_", identifier.rpartition("/")[2], flags=re.ASCII)
    return f"_{name}" if name[0].isdigit() else name


def _kind(value: Any) -> str:
    several = "variables" in value if isinstance(value, dict) else isinstance(value, MultiDataset)
    return "multi" if several else "single"


Dataset = SingleDataset | MultiDataset
"""A cube to build; ``.variables`` are its sources in either case."""

AnyDataset = Annotated[
    Annotated[SingleDataset, Tag("single")] | Annotated[MultiDataset, Tag("multi")],
    Discriminator(_kind),
]
