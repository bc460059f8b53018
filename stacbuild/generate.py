"""All of a configuration in one call, for notebooks and scripts: all is made, or one error raised.

`stacbuild.harvesters.harvest` and `stacbuild.cubes.build` give results and raise nothing for a part
that failed; here nothing has to be looked through to know that all went well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stacbuild.config import Config, load_config
from stacbuild.cubes import CubeResult, build
from stacbuild.errors import raise_failures
from stacbuild.harvesters import HarvestResult, harvest
from stacbuild.progress import Reporter


def generate(
    config: Config | str | os.PathLike[str] | Mapping[str, Any],
    catalog_dir: str | os.PathLike[str] | None = None,
    *,
    datasets: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[CubeResult]:
    """Preload what a configuration names, then build its cubes.

    Parameters
    ----------
    config
        A configuration, its file, or its content.
    catalog_dir
        The folder of ``catalog.json``; ``catalogs`` beside the configuration if None.
    datasets
        Identifiers of the datasets to build; all if empty.

    Returns
    -------
    One result a cube, in order.

    Raises
    ------
    ConfigError
        If the configuration is wrong; then nothing was done.
    Failures
        If anything failed: all that did, once the rest is done.
    """
    if not isinstance(config, Config):
        config = load_config(config)
    catalog = Path(catalog_dir) if catalog_dir is not None else config.directory / "catalogs"
    stores = tuple(dict.fromkeys(entry.store for entry in config.preload_datasets))
    preloaded: list[HarvestResult] = []
    if stores:
        preloaded = harvest(config, catalog, stores=stores, reporter=reporter)
    cubes = build(config, catalog, datasets=datasets, reporter=reporter)
    raise_failures([*preloaded, *cubes])
    return cubes
