"""``stacbuild init``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.cli.discover import params_of
from stacbuild.cli.options import parse_bbox
from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.geo.bbox import BBox, Resolution
    from stacbuild.planning.own_configuration import OneGrid, PlacedFiles
    from stacbuild.sources.listing import Choice

_KINDS = ("zenodo", "s3", "file", "https", "clms", "stac")
# Names of datasets that fit into a question.
_MOST_CHOICES = 6
_DEFAULT = Path("stacbuild.yml")


@dataclass(frozen=True)
class _Options:
    """Options of the command."""

    bbox: BBox | None
    resolution: float | None
    crs: str | None
    sources: tuple[tuple[str, str, str], ...]
    endpoint: str | None
    name: str
    yes: bool
    force: bool


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, metavar="[DATA]... [FILE]")
@click.option(
    "--bbox", callback=parse_bbox, metavar="W,S,E,N", help="Bounding box, in units of --crs."
)
@click.option("--res", "resolution", type=float, help="Pixel size, in units of --crs.")
@click.option("--crs", help="CRS of the grid.  [default: EPSG:4326, or that of DATA]")
@click.option(
    "--source",
    "sources",
    nargs=3,
    multiple=True,
    metavar="STORE_ID ROOT DATA_ID",
    help="A data id and its store.  [may be repeated]",
)
@click.option("--endpoint", metavar="URL", help="URL of the server, if not the default.")
@click.option("--name", default="cube", show_default=True, help="Name of the cube, without DATA.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing about DATA.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(paths: tuple[Path, ...], **options: object) -> None:
    """Write a first configuration, with comments.

    DATA is a folder, or files and Zarr stores. Their headers are read; each series of dates, each
    set of tiles and each other file becomes a cube on its own grid. With --bbox, --res or --crs,
    all cubes are on one grid, whose other values are those of the files.

    Without DATA, asks for values that no option gives; nothing is fetched, so use stacbuild list
    and stacbuild describe to find data ids. If ROOT is a folder, it is relative to FILE.

    FILE ends in .yml, and defaults to stacbuild.yml in the current folder. Prints its path.
    """
    from stacbuild.errors import LocalError

    given = _Options(**options)  # type: ignore[arg-type]
    data, file = _data_and_file(paths, given)
    if file.exists() and not given.force:
        # Checked before the user is asked questions.
        raise LocalError(f"{file}: exists already; choose another file, or use --force")
    if data:
        _from_files(data, file, given)
    else:
        _from_answers(file, given)
    click.echo(clean(str(file)))


def _data_and_file(paths: tuple[Path, ...], given: _Options) -> tuple[list[Path], Path]:
    """Return the paths of data, and the path of the configuration."""
    if given.sources and len(paths) <= 1:
        return [], paths[0] if paths else _DEFAULT
    files = [path for path in paths if path.suffix in (".yml", ".yaml")]
    data = [path for path in paths if path not in files]
    if len(files) > 1:
        raise click.UsageError(f"several configurations: {', '.join(map(str, files))}; name one")
    if data and given.sources:
        raise click.UsageError("DATA or --source, not both")
    return data, files[0] if files else _DEFAULT


def _from_files(paths: list[Path], file: Path, given: _Options) -> None:
    from stacbuild import progress
    from stacbuild.cli.console import open_reporter
    from stacbuild.planning.own_configuration import (
        OneGrid,
        describe_files,
        files_configuration,
        grid_for,
        place_files,
    )
    from stacbuild.sources.listing import write_configuration
    from stacbuild.sources.own_files import find_files

    with open_reporter() as reporter, progress.reported_to(reporter):
        found = find_files(paths)
    for line in found.unreadable:
        _show(f"warning: {line}; left out")
    for line in found.apart:
        _show(f"warning: {line}")
    placed = place_files(found)
    for each in placed:
        _show(f"{each.name}: {describe_files(each)}")
    stated = OneGrid(given.crs, given.resolution, given.bbox)
    grid = grid_for(placed, stated) if stated.is_stated else None
    if grid is None and not given.yes and sys.stdin.isatty():
        grid = _ask_grid(placed)
    for each in placed if grid is None else ():
        if each.refused:
            _show(
                f"warning: {each.name}: {each.refused}; its pixels are resampled to the grid "
                f"{each.name}_grid"
            )
    text = files_configuration(found, placed, grid, file)
    write_configuration(file, text, force=given.force)


def _show(line: str) -> None:
    """Print a line on stderr; on a terminal, wrapped between words."""
    text = clean(line)
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.wrap(
                text,
                width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    click.echo(text, err=True)


def _ask_grid(placed: Sequence[PlacedFiles]) -> OneGrid | None:
    """Ask for the grid; None: each cube is on the grid of its files."""
    from stacbuild.geo.bbox import sides
    from stacbuild.planning.own_configuration import OneGrid

    names = {each.name: each for each in placed}
    own = "own" if "own" not in names else "OWN"
    choice = click.prompt(
        "Grid of the cubes"
        + ("" if len(names) <= _MOST_CHOICES else f" ({own}, or a name from above)"),
        type=click.Choice([own, *names]),
        default=own,
        # The names of many are in the lines above.
        show_choices=len(names) <= _MOST_CHOICES,
        err=True,
    )
    if choice == own:
        return None
    source = names[choice]
    corners = ",".join(f"{value:.10g}" for value in source.bounds)
    bbox = None
    while bbox is None:
        answer = _ask(f"Bounding box west,south,east,north in {source.crs[:40]}", corners)
        bbox = source.bounds if answer == corners else _valid_bbox(answer)
    size: Resolution = 0.0
    while min(sides(size)) <= 0:
        side = click.prompt("Pixel size", type=float, default=min(source.resolution), err=True)
        size = source.resolution if side == min(source.resolution) else side
    return OneGrid(source.crs, size, bbox)


def _valid_bbox(answer: str) -> BBox | None:
    """Return a bbox; print why an answer is not one."""
    try:
        return parse_bbox(click.get_current_context(), None, answer)
    except click.BadParameter as error:
        click.echo(f"Error: {error.message}", err=True)
        return None


def _from_answers(file: Path, given: _Options) -> None:
    from stacbuild.sources.listing import Choice, first_configuration, write_configuration

    bbox, resolution, crs = given.bbox, given.resolution, given.crs
    try:
        if bbox is None:
            if crs is None:
                crs = _ask_crs()
            while bbox is None:
                bbox = _valid_bbox(_ask("Bounding box in its units: west,south,east,north"))
        if resolution is None:
            resolution = click.prompt("Pixel size in its units", type=float, err=True)
        choices = [
            Choice(kind, root, data_id, params=params_of(kind, given.endpoint))
            for kind, root, data_id in given.sources
        ] or _ask_choices(given.endpoint)
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        message = "There is no terminal to ask on: name DATA, or give --bbox, --res and --source."
        raise click.UsageError(message) from None
    text = first_configuration(bbox, resolution, choices, crs=crs or "EPSG:4326", name=given.name)
    write_configuration(file, text, force=given.force)


def _ask_crs() -> str:
    from stacbuild.geo.crs_text import canonical_crs

    while True:
        crs = _ask("Coordinate reference system of the grid", default="EPSG:4326")
        try:
            return canonical_crs(crs)
        except ValueError as error:
            click.echo(f"Error: {error}", err=True)


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
