"""What a configuration says of its datasets: where data come from and what is done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from stacbuild.config.types import Count, DataId, LocalPath, Located, Model, Name, Text

InterpMethod = Literal["nearest", "bilinear"]
AggMethod = Literal["center", "max", "mean", "median", "min", "mode", "sum"]


class CustomProcessing(Located):
    """A function of the user's, ``xarray.Dataset`` → ``xarray.Dataset``."""

    module_path: LocalPath
    function_name: Text

    @property
    def file(self) -> Path:
        """Absolute path of the module."""
        path = self._absolute(self.module_path)
        return path if path.suffix == ".py" else path.with_name(f"{path.name}.py")


def _one_or_each(value: Any) -> str:
    return "each" if isinstance(value, dict) else "one"


class SpatialResampleParams(Model):
    """How values get onto the grid: one method for all variables, or one for each by name."""

    interp_methods: Annotated[
        Annotated[InterpMethod | None, Tag("one")]
        | Annotated[dict[str, InterpMethod], Tag("each")],
        Discriminator(_one_or_each),
    ] = None
    agg_methods: Annotated[
        Annotated[AggMethod | None, Tag("one")] | Annotated[dict[str, AggMethod], Tag("each")],
        Discriminator(_one_or_each),
    ] = None


class OpenParams(Model):
    """How a file is opened: the bands of a GeoTIFF along a dimension ``band``."""

    band_as_variable: Literal[False] = False


class Source(Model):
    """What is read: data in a store, and what is done with them before they are on the grid."""

    store: Text
    data_id: DataId
    open_params: OpenParams = OpenParams()
    custom_processing: CustomProcessing | None = None
    spatial_resample_params: SpatialResampleParams = SpatialResampleParams()

    def interp_method(self, variable: str) -> InterpMethod | None:
        """Return how *variable* is enlarged; none means by what its values are."""
        methods = self.spatial_resample_params.interp_methods
        return methods.get(variable) if isinstance(methods, dict) else methods

    def agg_method(self, variable: str) -> AggMethod | None:
        """Return how *variable* is reduced; none means by what its values are."""
        methods = self.spatial_resample_params.agg_methods
        return methods.get(variable) if isinstance(methods, dict) else methods


class SourceVariable(Source):
    """One source of a cube; ``identifier`` is its variable's name, none for a single dataset."""

    identifier: Name | None = None


class NamedVariable(SourceVariable):
    """An entry of ``variables`` of a dataset of several sources."""

    identifier: Name


class XrMergeParams(Model):
    """How variables of several sources become one dataset: arguments of ``xarray.merge``."""

    compat: Literal["no_conflicts", "identical", "equals", "broadcast_equals", "override"] = (
        "no_conflicts"
    )
    join: Literal["exact"] = "exact"
    combine_attrs: Literal["drop", "identical", "no_conflicts", "drop_conflicts", "override"] = (
        "drop_conflicts"
    )


class _Cube(Model):
    identifier: Name
    grid_mapping: Text
    format_id: Literal["zarr"] = "zarr"
    chunksize: dict[Text, Count] = Field(default_factory=dict)


class SingleDataset(Source, _Cube):
    """A cube of one source; all variables of it."""

    @property
    def variables(self) -> tuple[SourceVariable, ...]:
        """The one source, in the shape of an entry of ``variables``."""
        values = {name: getattr(self, name) for name in Source.model_fields}
        return (SourceVariable.model_construct(**values),)


class MultiDataset(_Cube):
    """A cube of several sources; one variable each."""

    variables: Annotated[tuple[NamedVariable, ...], Field(min_length=1)]
    xr_merge_params: XrMergeParams = XrMergeParams()


def _kind(value: Any) -> str:
    several = "variables" in value if isinstance(value, dict) else isinstance(value, MultiDataset)
    return "multi" if several else "single"


Dataset = SingleDataset | MultiDataset
"""A cube to build; ``.variables`` gives its sources in either case."""

AnyDataset = Annotated[
    Annotated[SingleDataset, Tag("single")] | Annotated[MultiDataset, Tag("multi")],
    Discriminator(_kind),
]
