"""Items to cubes: find the sources, load them on the grid, write, and publish."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pystac
import xarray as xr
import zarr
from dask.system import CPU_COUNT

from stacbuild import load
from stacbuild.catalog import Catalog
from stacbuild.config import MultiDataset, S3Store
from stacbuild.cubes.cf import add_grid, global_attrs
from stacbuild.cubes.compute import open_workers
from stacbuild.cubes.publish import collection_id, publish, software
from stacbuild.cubes.sources import source_collections, source_items
from stacbuild.cubes.storage import Output, stage
from stacbuild.cubes.write import chunk_count, prepare, write
from stacbuild.errors import BuildError, StacbuildError
from stacbuild.grid import Grid
from stacbuild.harvesters import load_profiles
from stacbuild.load.custom import comes_from, place
from stacbuild.progress import Reporter, Silent

if TYPE_CHECKING:
    from stacbuild.config import Config, Dataset

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class CubeResult:
    """What became of one cube.

    Parameters
    ----------
    name
        Identifier of the dataset.
    href
        Path or URL of the cube; None if it failed.
    item
        Path of its STAC item; None if it failed or lives in memory only.
    """

    name: str
    status: Literal["COMPLETED", "FAILED"]
    message: str
    seconds: float
    href: str | None = None
    item: str | None = None
    error: StacbuildError | None = None


def build(
    config: Config,
    catalog_dir: Path,
    *,
    datasets: Sequence[str] = (),
    bbox: Box | None = None,
    wait: bool = False,
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Build the cubes of a configuration.

    Parameters
    ----------
    config
        The configuration.
    catalog_dir
        The folder of ``catalog.json``, which is read and added to.
    datasets
        Identifiers of the datasets to build; all if empty.
    bbox
        West, south, east, north in the grid's CRS: build only the pixels of the grid whose
        centres lie in this box.
    wait
        Whether to wait for another run that writes a cube of these; it fails otherwise.

    Returns
    -------
    One result a cube, in order. A failure is a result with its error; the others go on.

    Raises
    ------
    ConfigError
        If there is no such dataset, or the box does not lie on a grid.
    """
    reporter = Silent() if reporter is None else reporter
    chosen = [config.dataset(name) for name in datasets] or list(config.datasets)
    grids = {dataset.identifier: _grid(config, dataset, bbox) for dataset in chosen}
    # zarr's threads compress what dask's threads hand them and wait for: as many of them as there
    # are processors, and not its default of more, which only get in each other's way.
    with zarr.config.set({"threading.max_workers": CPU_COUNT}):
        return [
            _attempt(
                config, dataset, grids[dataset.identifier], Catalog(catalog_dir), wait, reporter
            )
            for dataset in chosen
        ]


def _grid(config: Config, dataset: Dataset, bbox: Box | None) -> Grid:
    grid = Grid.from_mapping(config.grid_mapping(dataset.grid_mapping))
    return grid.cut(bbox) if bbox else grid


def _attempt(
    config: Config,
    dataset: Dataset,
    grid: Grid,
    catalog: Catalog,
    wait: bool,
    reporter: Reporter,
) -> CubeResult:
    start = time.monotonic()
    name = dataset.identifier
    try:
        href, item = _build(config, dataset, grid, catalog, wait, reporter)
    except StacbuildError as error:
        return CubeResult(name, "FAILED", str(error), time.monotonic() - start, error=error)
    except Exception as error:  # noqa: BLE001 - a user's function can raise anything, late too
        failed = _unforeseen(dataset, error)
        return CubeResult(name, "FAILED", str(failed), time.monotonic() - start, error=failed)
    finally:
        load.release()
    return CubeResult(name, "COMPLETED", href, time.monotonic() - start, href, item)


def _unforeseen(dataset: Dataset, error: Exception) -> BuildError:
    """Turn what nobody raised on purpose into an error that says whose line it came from."""
    customs = [variable.custom_processing for variable in dataset.variables]
    for custom in customs:
        if custom and comes_from(error, custom.file):
            said = place(error, custom.file)
            failed = BuildError(f"{custom.file.name}:{custom.function_name} raised {said}")
            break
    else:
        text = " ".join(str(error).split())
        failed = BuildError(
            f"{type(error).__name__}: {text}; if this is not of your making, please report it "
            "with what stacbuild --debug shows"
        )
    failed.__cause__ = error
    return failed


def _build(
    config: Config,
    dataset: Dataset,
    grid: Grid,
    catalog: Catalog,
    wait: bool,
    reporter: Reporter,
) -> tuple[str, str | None]:
    found = source_items(config, dataset, catalog, load_profiles(config), reporter)
    sources = [item for items in found for item in items]
    collections = source_collections(catalog, sources)
    cubes = collection_id(config)
    output = Output(
        config.storage,
        dataset.identifier,
        _fingerprint(config, dataset, grid, sources),
        catalog.root,
        lambda: catalog.get(cubes, dataset.identifier),
    )
    with stage(output, wait=wait, reporter=reporter) as staging:
        cube = _lazy(config, dataset, found, grid)
        made_by = ", ".join(f"{name} {number}" for name, number in software().items())
        cube = add_grid(cube, grid).assign_attrs(
            global_attrs(dataset.identifier, collections, made_by, staging.started)
        )
        cube = prepare(cube, grid, dataset.chunksize)
        label, total = f"{dataset.identifier}.zarr", chunk_count(cube)
        with (
            open_workers(config.general.dask_scheduler, sources, config.storage) as run,
            reporter.task(label, total=total, unit="chunks") as task,
        ):
            write(
                cube,
                grid,
                staging.store,
                zarr_format=config.general.zarr_format,
                run=run,
                task=task,
                journal=staging.journal,
            )
        described = publish(config, dataset, staging, sources, collections, staging.started)
        staging.commit()
        if staging.catalogued:
            catalog.put(described)
    if not staging.catalogued:
        reporter.warn(f"{staging.href}: is in memory only, so it is not in the catalog")
        return staging.href, None
    return staging.href, str(catalog.item_path(cubes, dataset.identifier))


def _lazy(
    config: Config, dataset: Dataset, found: Sequence[Sequence[pystac.Item]], grid: Grid
) -> xr.Dataset:
    """Load every variable and merge them."""
    parts = []
    for variable, items in zip(dataset.variables, found, strict=True):
        store = config.store(variable.store)
        options: dict[str, Any] = {}
        if isinstance(store, S3Store) and not store.anonymous:
            options = store.storage_options
        parts.append(load.load_variable(variable, items, grid, options))
    if len(parts) == 1:
        return parts[0]
    # Only a dataset of several sources comes here.
    params = dataset.xr_merge_params.model_dump() if isinstance(dataset, MultiDataset) else {}
    encodings = {name: array.encoding for part in parts for name, array in part.data_vars.items()}
    try:
        merged = xr.merge(parts, **params)
    except (ValueError, xr.MergeError) as error:
        raise BuildError(
            f"{dataset.identifier}: its variables do not fit together: "
            f"{' '.join(str(error).split())}"
        ) from error
    for name, encoding in encodings.items():
        merged[name].encoding = encoding
    return merged


def _fingerprint(
    config: Config, dataset: Dataset, grid: Grid, sources: Sequence[pystac.Item]
) -> str:
    made_of = [
        str(config.path),
        dataset.identifier,
        config.resolved(),
        repr(grid),
        [item.to_dict(include_self_link=False, transform_hrefs=False) for item in sources],
        software(),
    ]
    return hashlib.sha256(json.dumps(made_of, default=str).encode()).hexdigest()


__all__ = ["CubeResult", "build"]
