"""Models of the configuration: grids, preloads, general settings, and the whole.

The language is that of the notebook's tool (xcube-multistore); keys of it that are not supported
are listed in :mod:`stacbuild.config.unsupported`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from stacbuild.config.datasets import AnyDataset, Dataset
from stacbuild.config.shards import Shards
from stacbuild.config.sizes import Size
from stacbuild.config.store import Store
from stacbuild.config.stores import AnyStore
from stacbuild.config.types import (
    BBoxOrRegion,
    Crs,
    DataId,
    Located,
    Model,
    Name,
    PixelSize,
    Scheduler,
    Text,
    TileSize,
    known_scheduler,
)
from stacbuild.errors import ConfigError
from stacbuild.geo.bbox import BBox, check_bbox

STORAGE = "storage"


class GridMapping(Model):
    """A grid of pixels, north up."""

    identifier: Name
    """Name of the grid, which datasets refer to."""
    crs: Crs
    """Coordinate reference system, geographic or projected: a code such as `EPSG:4326`, `32630` or
    `ESRI:54009`, WKT, PROJJSON, or a PROJ string."""
    spatial_res: PixelSize
    """Length of the sides of a pixel, in units of the CRS (degrees or metres): one number, or
    [x, y]."""
    bbox: BBoxOrRegion
    """West, south, east, north, in units of the CRS; if that is not a whole number of pixels, the
    grid is extended by less than a pixel in the east and south. In degrees, west may be more than
    east, as in `[170, -20, -170, -10]`: the grid crosses the antimeridian, and its longitudes
    continue beyond 180. Or a vector file, `roi.geojson` or `roi.gpkg|layer`: its bounds, extended
    to multiples of `spatial_res`."""
    tile_size: TileSize = (1024, 1024)
    """Width and height of the chunks of a cube, in pixels: one number, or [x, y]."""
    shards: Shards | None = None
    """As in `general`, for the cubes on this grid."""

    @field_validator("bbox")
    @classmethod
    def _plausible_bbox(cls, value: BBox | str, info: ValidationInfo) -> BBox | str:
        if not isinstance(value, str):
            # The fields before this one are in info.data only if they are valid.
            check_bbox(value, info.data.get("crs"), info.data.get("spatial_res"))
        return value


class PreloadParams(Model):
    """How data are preloaded."""

    blocking: Literal[True] = True
    """Whether a run waits for what it preloads, which it always does."""
    force_preload: bool = False
    """Whether each harvest fetches again what is in the cache."""


class PreloadDataset(Model):
    """Archives and products that can only be read after they are downloaded as a whole."""

    store: Text
    """Identifier of the store in `data_stores`, of kind `zenodo` or `clms`."""
    data_ids: Annotated[tuple[DataId, ...], Field(min_length=1)]
    """Names of a record's files, such as `france.zip`, patterns of them or of members of archives,
    such as `france/*.tif`, or data ids `<product>|<file>` of the CLMS."""
    preload_params: PreloadParams = PreloadParams()
    """How they are downloaded."""


class General(Model):
    """General settings."""

    visualize: bool | None = None
    """Whether progress may be updated in place on a terminal; false means plain lines."""
    force_preload: bool = False
    """Whether each harvest fetches again all that is preloaded."""
    # Not published with the configuration: it makes no difference to a cube.
    dask_scheduler: Scheduler = Field("threads", exclude=True)
    """Where cubes are computed: `threads`, `processes`, `synchronous`, `local` (a dask cluster on
    this machine, which ends with the cube), `distributed` (the dask client of this process, or the
    scheduler in `DASK_SCHEDULER_ADDRESS`), or the address of a running dask scheduler,
    `tcp://HOST:PORT` or `tls://HOST:PORT`."""
    memory: Size | None = Field(None, exclude=True)
    """How much memory is used for what is computed at the same time, such as `2 GB` or `1.5 GiB`.
    By default a quarter of the machine's memory, at most 4 GB."""
    zarr_format: Literal[2, 3] = 3
    """Version of the Zarr format of cubes; GDAL older than 3.12 reads 2 only."""
    shards: Shards = False
    """Whether each tile is a shard, a file of smaller chunks that are read separately: true (their
    sides are the longest from 256 to 512 pixels that divide the tile), or their width and height,
    one number or [x, y]. Not for netCDF files; needs format 3."""


_Entry = TypeVar("_Entry", Dataset, Store, GridMapping)


@dataclass(frozen=True)
class _Lookup:
    """Entries by identifier: computed once, as each is looked up several times for each cube."""

    datasets: dict[str, Dataset]
    stores: dict[str, Store]
    grids: dict[str, GridMapping]
    followed: dict[str, GridMapping | Dataset] = field(default_factory=dict)
    """The grids of datasets that others take theirs from, once they are known."""

    def section(self, name: str) -> Mapping[str, Dataset | Store | GridMapping]:
        """Return the entries of a section of the configuration."""
        sections: dict[str, Mapping[str, Dataset | Store | GridMapping]] = {
            "datasets": self.datasets,
            "data_stores": self.stores,
            "grid_mappings": self.grids,
        }
        return sections[name]

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """The position of each entry, by section and identifier."""
        return {
            section: {name: place for place, name in enumerate(self.section(section))}
            for section in ("datasets", "data_stores", "grid_mappings")
        }


class Config(Located):
    """A whole, valid configuration, whose references all resolve."""

    datasets: Annotated[tuple[AnyDataset, ...], Field(min_length=1)]
    """The cubes to build, each from one source or (with `variables`) from several."""
    data_stores: Annotated[tuple[AnyStore, ...], Field(min_length=1)]
    """The stores of the sources, and the one called `storage`, which cubes are written to."""
    grid_mappings: tuple[GridMapping, ...] = ()
    """The grids of the cubes."""
    preload_datasets: tuple[PreloadDataset, ...] = ()
    """Archives of Zenodo records and products of the CLMS, which can only be read after they are
    downloaded as a whole."""
    general: General = General()
    """Settings for everything."""

    _path: Path | None = PrivateAttr(None)

    def model_post_init(self, context: Any) -> None:
        """Take the folder and the path of the configuration from the context of validation."""
        super().model_post_init(context)
        if context is not None:
            self._path = context["path"]

    @property
    def path(self) -> Path | None:
        """Absolute path of the file that the configuration was read from, if any."""
        return self._path

    @property
    def directory(self) -> Path:
        """Absolute folder that relative paths start from."""
        return self._directory

    @property
    def folders(self) -> tuple[Path, ...]:
        """Absolute folders of all stores, which local hrefs of items may lead to."""
        return tuple(store.folder for store in self.data_stores if store.folder)

    @property
    def storage(self) -> Store:
        """The store that cubes are written to."""
        return self.store(STORAGE)

    def dataset(self, identifier: str) -> Dataset:
        """Return the dataset of this identifier; raise ConfigError if there is none."""
        return self._find("dataset", self._lookup.datasets, identifier)

    def store(self, identifier: str) -> Store:
        """Return the store of this identifier; raise ConfigError if there is none."""
        return self._find("store", self._lookup.stores, identifier)

    def grid_mapping(self, identifier: str) -> GridMapping:
        """Return the grid of this identifier; raise ConfigError if there is none."""
        return self._find("grid", self._lookup.grids, identifier)

    def grid_of(self, dataset: Dataset) -> GridMapping | Dataset:
        """Return the grid of *dataset*: the one it names, or that of the dataset it names.

        If that dataset (or *dataset* itself) names none, it is returned: its grid is that of its
        first source.

        Raises
        ------
        ConfigError
            If there is no such grid or dataset, or datasets name each other in a circle.
        """
        followed = {dataset.identifier: None}
        found: GridMapping | Dataset | None = None
        while found is None:
            name = dataset.grid_mapping
            if name is None:
                found = dataset
            elif name in self._lookup.grids:
                found = self._lookup.grids[name]
            elif name in followed:
                circle = " -> ".join([*followed, name])
                raise ConfigError(f"datasets {circle}: take their grid from each other")
            elif (found := self._lookup.followed.get(name)) is None:
                followed[name] = None
                dataset = self.dataset(name)
        # The dataset itself may be a variant of the configured one.
        self._lookup.followed.update(dict.fromkeys(list(followed)[1:], found))
        return found

    def shards_of(self, dataset: Dataset) -> bool | tuple[int, int]:
        """Return whether the tiles of a cube are shards, or width and height of their chunks."""
        if dataset.format_id == "netcdf":
            return False
        mapping = self.grid_of(dataset)
        own = mapping.shards if isinstance(mapping, GridMapping) else None
        return self.general.shards if own is None else own

    @cached_property
    def _lookup(self) -> _Lookup:
        return _Lookup(
            _by_name(self.datasets), _by_name(self.data_stores), _by_name(self.grid_mappings)
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, as of any model of pydantic."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("_lookup", None)  # that of the former values
        return copy

    def _find(self, kind: str, known: Mapping[str, _Entry], identifier: str) -> _Entry:
        if identifier not in known:
            where = f" in {self._path.name}" if self._path else ""
            raise ConfigError(f"there is no {kind} {identifier!r}{where}{hint(identifier, known)}")
        return known[identifier]

    def with_scheduler(self, scheduler: str) -> Config:
        """Return the configuration with another dask scheduler; raise ConfigError if invalid."""
        try:
            known_scheduler(scheduler)
        except ValueError as error:
            raise ConfigError(f"scheduler: {error}") from None
        general = self.general.model_copy(update={"dask_scheduler": scheduler})
        return self.model_copy(update={"general": general})

    def resolved(self) -> dict[str, Any]:
        """Return the configuration with its defaults as JSON-serializable data.

        Credentials are masked as ``***`` and absolute paths shortened to ``.../<last part>``, so
        that it can be published with its cubes.
        """
        return self.model_dump(mode="json", exclude_none=True)

    def resolved_entries(
        self, section: Literal["datasets", "data_stores", "grid_mappings"], names: Iterable[str]
    ) -> list[dict[str, Any]]:
        """Return some entries of a section of `resolved`, in the order of the configuration."""
        known = self._lookup.section(section)
        places = self._lookup.places[section]
        return [
            known[name].model_dump(mode="json", exclude_none=True)
            for name in sorted(names, key=places.__getitem__)
        ]


def _by_name(entries: Iterable[_Entry]) -> dict[str, _Entry]:
    return {entry.identifier: entry for entry in entries}


def hint(word: str, known: Iterable[str]) -> str:
    """Return the end of a message: the closest known name, or else all known names."""
    # Comparing takes the square of the length for each name; neither is large in real files.
    known = sorted(name for name in known if len(name) <= _LONGEST)
    near = known if len(word) <= _LONGEST and len(known) <= _MOST else []
    if close := difflib.get_close_matches(word, near, n=1, cutoff=0.6):
        return f" (did you mean {close[0]!r}?)"
    more = ", ..." if len(known) > _MOST else ""
    return f"; there are: {', '.join(known[:_MOST])}{more}" if known else "; none is defined"


_LONGEST, _MOST = 100, 100
