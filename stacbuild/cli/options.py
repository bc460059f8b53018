"""Arguments and options that several commands share, and their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.errors import ConfigError
from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.geo.bbox import BBox

# Names of the default configuration; the second was the only one once.
_DEFAULTS = ("stacbuild.yml", "scs2_config.yml")
_SUFFIXES = (".yml", ".yaml")
# A line that only configurations have, among the YAML files that people keep in a folder.
_SECTION = re.compile(rb"^(?:\{\s*)?[\"']?(datasets|data_stores|preload_datasets)[\"']?\s*:", re.M)
_READ = 100_000


def default_config() -> Path:
    """Return the path of the configuration in the current folder.

    This is ``stacbuild.yml``, or the only file ``*.yml`` or ``*.yaml`` that is a configuration.

    Raises
    ------
    ConfigError
        If there is none, or several.
    """
    for name in _DEFAULTS:
        if Path(name).is_file():
            return Path(name)
    found = [path for path in sorted(Path().iterdir()) if _is_config(path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(clean(path.name) for path in found)
        raise ConfigError(
            f"there are several configurations in this folder: {names}; pass one of them, "
            f"or rename it to {_DEFAULTS[0]}"
        )
    raise ConfigError(
        f"there is no configuration in this folder: neither {_DEFAULTS[0]} nor another *.yml with "
        "datasets and data_stores; pass the path of one, or write one with stacbuild init"
    )


def _is_config(path: Path) -> bool:
    if path.suffix not in _SUFFIXES or path.name.startswith(".") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _SECTION.search(file.read(_READ)) is not None
    except OSError:
        return False


def config_and_names(words: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """Split ``[CONFIG] [NAME]...``: the first word is the configuration if it is a YAML file.

    Raises
    ------
    ConfigError
        If it is not, and there is no default configuration.
    """
    if words and is_config_name(words[0]):
        return Path(words[0]), tuple(words[1:])
    try:
        return default_config(), tuple(words)
    except ConfigError as error:
        if not words:
            raise
        raise ConfigError(f"{clean(words[0])}: is not a YAML file, and {error}") from None


def is_config_name(word: str) -> bool:
    """Return whether an argument is the path of a configuration rather than a cube's name."""
    return word.endswith(_SUFFIXES) or Path(word).is_file()


def _found_config(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's signature
    value: Path | None,
) -> Path | None:
    return default_config() if value is None and not ctx.resilient_parsing else value


def parse_bbox(ctx: click.Context, param: click.Parameter | None, value: str | None) -> BBox | None:
    """Parse ``west,south,east,north``; raise BadParameter if it is not a valid bbox."""
    if value is None:
        return None
    from stacbuild.geo.bbox import to_bbox

    try:
        return to_bbox(value.split(","))
    except ValueError as error:
        msg = f"{value!r} {error}."
        raise click.BadParameter(msg, ctx, param) from None


config_type = click.Path(path_type=Path)
config_argument = click.argument("config", type=config_type, required=False, callback=_found_config)
words_argument = click.argument("words", nargs=-1, metavar="[CONFIG] [DATASET]...")
catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the catalog.  [default: catalogs, beside CONFIG]",
)
bbox_option = click.option(
    "--bbox",
    callback=parse_bbox,
    metavar="W,S,E,N",
    help="Build only the pixels whose centres lie in this bounding box, in the grid's CRS.",
)


def catalog_folder(given: Path | None, config: Config) -> Path:
    """Return the folder of the catalog: as given, or ``catalogs`` beside the configuration."""
    return given.absolute() if given else config.directory / "catalogs"
