"""Common arguments of the public functions: configuration, catalog, names, errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from stacbuild.config import Config, load_config
from stacbuild.errors import ConfigError, Failure, raise_failures
from stacbuild.geo.bbox import BBox, to_bbox

PathLike = str | os.PathLike[str]
ConfigLike = Config | PathLike | Mapping[str, Any]
Names = str | Iterable[str]
Errors = Literal["raise", "collect"]
_Result = TypeVar("_Result")


def config_of(config: ConfigLike) -> Config:
    """Return a configuration, loaded if it is given as a path or mapping.

    Raises
    ------
    ConfigError
        If it is invalid, or neither a configuration nor a path or mapping.
    """
    return config if isinstance(config, Config) else load_config(config)


def catalog_of(config: ConfigLike | None, catalog_dir: PathLike | None) -> Path:
    """Return the folder of the catalog, by default ``catalogs`` beside the configuration.

    Raises
    ------
    ConfigError
        If neither is given, or the configuration is invalid.
    """
    if config is not None:
        config = config_of(config)
    if catalog_dir is not None:
        return Path(catalog_dir).absolute()
    if config is None:
        raise ConfigError("give a configuration, or catalog_dir, the folder of catalog.json")
    return config.directory / "catalogs"


def names_of(names: Names | None) -> tuple[str, ...]:
    """Return names as a tuple; a single string is one name."""
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def name_of(dataset: str) -> str:
    """Return the name of one dataset.

    Raises
    ------
    ConfigError
        If it is not a string.
    """
    if not isinstance(dataset, str):
        raise ConfigError(f"dataset={dataset!r}: has to be the name of one dataset")
    return dataset


def bbox_of(bbox: BBox | None) -> BBox | None:
    """Return a bbox as a tuple of floats.

    Raises
    ------
    ConfigError
        If it is not four finite numbers, west before east and south before north.
    """
    if bbox is None:
        return None
    try:
        return to_bbox(bbox if isinstance(bbox, Iterable) and not isinstance(bbox, str) else ())
    except ValueError as error:
        raise ConfigError(f"bbox={bbox!r}: {error}") from None


def checked(
    errors: Errors,
    run: Callable[[], list[_Result]],
    failures_of: Callable[[list[_Result]], list[Failure]],
) -> list[_Result]:
    """Return the results of a run, or raise its failures.

    Parameters
    ----------
    failures_of
        Returns the failures among the results.

    Raises
    ------
    ValueError
        If *errors* is neither ``"raise"`` nor ``"collect"``; nothing is run.
    Failures
        If anything failed, and *errors* is ``"raise"``.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f'errors={errors!r}: has to be "raise" or "collect"')
    results = run()
    if errors == "raise":
        raise_failures(failures_of(results))
    return results
