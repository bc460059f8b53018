"""``stacbuild init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.cli.discover import params_of
from stacbuild.cli.options import parse_bbox
from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.geo.bbox import BBox
    from stacbuild.sources.listing import Choice

_KINDS = ("zenodo", "s3", "file", "https", "clms", "stac")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="stacbuild.yml")
@click.option(
    "--bbox", callback=parse_bbox, metavar="W,S,E,N", help="Bounding box, in units of --crs."
)
@click.option("--res", "resolution", type=float, help="Pixel size, in units of --crs.")
@click.option("--crs", help="Coordinate reference system of the grid.  [default: EPSG:4326]")
@click.option(
    "--source",
    "sources",
    nargs=3,
    multiple=True,
    metavar="STORE_ID ROOT DATA_ID",
    help="A data id and its store.  [may be repeated]",
)
@click.option("--endpoint", metavar="URL", help="URL of the server, if not the default.")
@click.option("--name", default="cube", show_default=True, help="Name of the cube.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(
    file: Path,
    bbox: BBox | None,
    resolution: float | None,
    crs: str | None,
    sources: tuple[tuple[str, str, str], ...],
    endpoint: str | None,
    name: str,
    force: bool,
) -> None:
    """Write a first configuration, with comments. Asks for values that no option gives.

    FILE defaults to stacbuild.yml in the current folder. If ROOT is a folder, it is relative to
    FILE. Nothing is fetched: use stacbuild list and stacbuild describe to find data ids. Prints
    the path of FILE.
    """
    from stacbuild.errors import LocalError
    from stacbuild.sources.listing import Choice, first_configuration, write_configuration

    if file.exists() and not force:
        # Checked before the user is asked questions.
        raise LocalError(f"{file}: exists already; choose another file, or use --force")
    try:
        if bbox is None:
            if crs is None:
                crs = _ask("Coordinate reference system of the grid", default="EPSG:4326")
            context = click.get_current_context()
            while bbox is None:
                try:
                    answer = _ask("Bounding box in its units: west,south,east,north")
                    bbox = parse_bbox(context, None, answer)
                except click.BadParameter as error:
                    click.echo(f"Error: {error.message}", err=True)
        if resolution is None:
            resolution = click.prompt("Pixel size in its units", type=float, err=True)
        choices = [
            Choice(kind, root, data_id, params=params_of(kind, endpoint))
            for kind, root, data_id in sources
        ] or _ask_choices(endpoint)
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        message = "There is no terminal to ask on: give --bbox, --res and --source."
        raise click.UsageError(message) from None
    text = first_configuration(bbox, resolution, choices, crs=crs or "EPSG:4326", name=name)
    write_configuration(file, text, force=force)
    click.echo(clean(str(file)))


def _ask(question: str, default: str | None = None) -> str:
    return str(click.prompt(question, default=default, err=True))


def _ask_choices(endpoint: str | None) -> list[Choice]:
    from stacbuild.sources.listing import Choice

    found: list[Choice] = []
    while not found or click.confirm("Another variable?", default=False, err=True):
        kind = click.prompt("Kind of store", type=click.Choice(_KINDS), err=True)
        root = "" if kind == "clms" else _ask("Root: record number, bucket, folder or URL")
        data_id = _ask(f"Data id (stacbuild list {kind} {clean(root)} shows them)")
        found.append(Choice(kind, root, data_id, params=params_of(kind, endpoint)))
    return found
