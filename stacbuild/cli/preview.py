"""``stacbuild preview``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click

from stacbuild.cli.options import default_config
from stacbuild.cli.output import print_error
from stacbuild.errors import ConfigError, Failure, Failures, StacbuildError
from stacbuild.safe_text import clean

_SELECTION = re.compile(r"[A-Za-z_][\w.-]*=(?!=)")


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="CUBE [DIM=VALUE]...")
@click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME",
    help="Variable to draw.  [default: all; may be repeated]",
)
@click.option(
    "--time", metavar="TIME", help="A time or its beginning, such as 2010.  [default: the last]"
)
@click.option(
    "--sel",
    "selected",
    multiple=True,
    metavar="DIM=VALUE...",
    help="Values along dimensions: --sel band=2 member=0 time=2020.  [default: the last time, "
    "the first value of others]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="PNG to write, of the first variable unless --var is given; or a folder for all, also a "
    "new one without a dot in its name."
    "  [default: the current folder]",
)
@click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("catalogs"),
    show_default=True,
    metavar="DIR",
    help="Catalog in which to find a cube by name.",
)
@click.pass_context
def preview(
    ctx: click.Context,
    words: tuple[str, ...],
    variables: tuple[str, ...],
    time: str | None,
    selected: tuple[str, ...],
    output: Path | None,
    catalog: Path,
) -> None:
    """Draw the variables of a cube, a PNG each.

    The images show one time, with axes and a colour bar or a legend. A cube of one pixel is drawn
    along time. Of a pyramid, the coarsest level that suffices is drawn.

    CUBE is its name in the catalog (COLLECTION/NAME if another configuration has a cube of the same
    name), the path or URL of its Zarr store or netCDF file, or the path
    of its STAC item. The cube is subsampled. Prints the path of each PNG: CUBE.png, or
    CUBE_VARIABLE.png for a cube of several variables.
    """
    cube, select = _parse(ctx, words, selected, time)
    is_folder = output is not None and (output.is_dir() or not (output.suffix or output.exists()))
    folder = output if is_folder else None
    if output and not folder and len(variables) > 1:
        raise click.UsageError(
            f"{clean(str(output))} is one file; for several variables, pass a folder.", ctx
        )
    if output and not folder:
        _check_png(ctx, output)
    from stacbuild.formats.cube import open_cube_data
    from stacbuild.pictures import preview as pictures
    from stacbuild.pictures.find import find_cube

    configuration = None
    with suppress(ConfigError):
        configuration = default_config()
    found = find_cube(cube, catalog, configuration)
    failures: list[Failure] = []
    with open_cube_data(found.href, least=pictures.SIDE) as dataset:
        known = pictures.drawable_variables(dataset)
        pictures.check_variables(known, variables)
        names: Sequence[str] = variables or known
        if output and not folder:
            names = names[:1]
        pictures.check_dimensions(dataset, names, select)
        paths = _paths(found.name, known, folder)
        for name in dict.fromkeys(names):
            path = output if output and not folder else paths[name]
            own = {dim: value for dim, value in select.items() if dim in dataset[name].dims}
            try:
                pictures.preview(dataset, name, own, path)
            except StacbuildError as error:
                failures.append((name, error))
                continue
            click.echo(clean(str(path)))
    for _, failure in failures:
        print_error(failure, ctx.obj.debug)
    if failures:
        ctx.exit(Failures(failures).exit_code)


def _check_png(ctx: click.Context, path: Path) -> None:
    """Refuse a file that is named as another format."""
    if path.suffix.lower() != ".png":
        png = clean(path.with_suffix(".png").name)
        raise click.UsageError(
            f"{clean(str(path))}: previews are PNG files; name it {png}, or pass a folder.", ctx
        )


def _parse(
    ctx: click.Context, words: Sequence[str], selected: Sequence[str], time: str | None
) -> tuple[str, dict[str, str]]:
    """Return the cube, and the value along each dimension."""
    parts = [part for text in selected for part in re.split(r"[\s,]+(?=\w+=)", text.strip())]
    cubes: list[str] = []
    for word in words:
        is_selection = _SELECTION.match(word) and "://" not in word and not Path(word).exists()
        (parts if is_selection else cubes).append(word)
    if len(cubes) != 1:
        given = f"got {', '.join(map(clean, cubes))}" if cubes else "got none"
        raise click.UsageError(f"Name one CUBE; {given}.", ctx)
    select = {} if time is None else {"time": time}
    for part in parts:
        dim, sign, value = part.partition("=")
        if not (dim and sign and value):
            raise click.UsageError(
                f"--sel {clean(part)}: has to be DIM=VALUE, such as band=2 or time=2020.", ctx
            )
        if dim in select:
            raise click.UsageError(f"{clean(dim)} is selected twice.", ctx)
        select[dim] = value
    return cubes[0], select


def _paths(cube: str, variables: Sequence[str], folder: Path | None) -> Mapping[str, Path]:
    """Return the path of each variable's PNG, whatever characters are in its name."""
    from stacbuild.stac.catalog import slug, with_digest

    base = folder or Path()
    if len(variables) == 1:
        return {variables[0]: base / f"{slug(cube)}.png"}
    short = [slug(name) for name in variables]
    return {
        name: base
        / f"{slug(cube)}_{text if short.count(text) == 1 else with_digest(text, name)}.png"
        for name, text in zip(variables, short, strict=True)
    }
