"""``stacbuild export``."""

from __future__ import annotations

from pathlib import Path

import click

from stacbuild.safe_text import clean


@click.command()
@click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    default="catalogs",
    show_default=True,
    metavar="DIR",
    help="Folder of the catalog.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="export",
    show_default=True,
    metavar="DIR",
    help="Folder to write to.",
)
@click.option(
    "--base-url",
    metavar="URL",
    help="URL at which the folder of the catalog is served, for absolute hrefs."
    "  [default: local paths]",
)
@click.option(
    "--parquet/--no-parquet",
    default=None,
    help="Whether to write items.parquet.  [default: if rustac is installed]",
)
def export(catalog: Path, output: Path, base_url: str | None, parquet: bool | None) -> None:
    """Export the catalog for STAC APIs and databases.

    Writes items.json, all items with absolute hrefs; items.parquet, the same as stac-geoparquet;
    and one file per collection. The catalog does not change.

    To serve a local STAC API with search by collection, bounding box, time and id, run

    \b
        rustac serve export/collections/*.json export/items.json

    Prints the path of each file.
    """  # noqa: D301 - click's mark for a paragraph that must not be rewrapped
    from stacbuild.cli.console import open_reporter
    from stacbuild.stac.export import export as run_export

    with open_reporter(None) as reporter:
        written = run_export(catalog, output, base_url=base_url, parquet=parquet, reporter=reporter)
    for path in written:
        click.echo(clean(str(path)))
