"""Arguments and options that several commands share, and their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.geo.bbox import BBox

DEFAULT_CONFIG = "scs2_config.yml"


def parse_bbox(ctx: click.Context, param: click.Parameter | None, value: str | None) -> BBox | None:
    """Parse ``west,south,east,north``; raise BadParameter if it is not a valid bbox."""
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        msg = f"{value!r} is not four numbers with commas between them."
        raise click.BadParameter(msg, ctx, param) from None
    # Negated, since all comparisons with NaN are false.
    if not (west < east and south < north):
        msg = f"{value!r} is empty: west has to be less than east, south less than north."
        raise click.BadParameter(msg, ctx, param)
    return west, south, east, north


config_type = click.Path(path_type=Path)
config_argument = click.argument("config", type=config_type)
datasets_argument = click.argument("datasets", nargs=-1, metavar="[DATASET]...")
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
