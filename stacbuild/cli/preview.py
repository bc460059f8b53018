"""``stacbuild preview``."""

from __future__ import annotations

from pathlib import Path

import click

from stacbuild.safe_text import clean


@click.command()
@click.argument("cube", metavar="CUBE")
@click.option("--var", "variable", metavar="NAME", help="Variable to draw.  [default: the first]")
@click.option(
    "--time", metavar="TIME", help="A time or its beginning, such as 2010.  [default: the last]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="PNG to write.  [default: <cube>.png in the current folder]",
)
@click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("catalogs"),
    show_default=True,
    metavar="DIR",
    help="Catalog in which to find a cube by name.",
)
def preview(
    cube: str, variable: str | None, time: str | None, output: Path | None, catalog: Path
) -> None:
    """Draw a variable of a cube as a PNG.

    The image shows one time, with axes and a colour bar or a legend.

    CUBE is the path or URL of a Zarr store, the path of its STAC item, or its name in the catalog.
    The cube is subsampled. Prints the path of the PNG.
    """
    from stacbuild.formats.cube import open_cube_data
    from stacbuild.pictures.find import find_cube
    from stacbuild.pictures.preview import preview as draw

    href = find_cube(cube, catalog)
    path = output or Path(f"{Path(href.rstrip('/')).stem}.png")
    with open_cube_data(href) as dataset:
        draw(dataset, variable, time, path)
    click.echo(clean(str(path)))
