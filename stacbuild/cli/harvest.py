"""``stacbuild harvest``."""

from __future__ import annotations

from pathlib import Path

import click

from stacbuild.cli.options import catalog_folder, catalog_option, config_argument
from stacbuild.cli.output import finish
from stacbuild.safe_text import clean


@click.command()
@config_argument
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="ID",
    help="Harvest only this store of the configuration.  [may be repeated]",
)
@catalog_option
@click.pass_context
def harvest(
    ctx: click.Context, config: Path, stores: tuple[str, ...], catalog: Path | None
) -> None:
    """Find the sources of CONFIG and describe them in the catalog.

    Also downloads what preload_datasets lists. CONFIG defaults to stacbuild.yml, or the only
    configuration in the current folder. Prints the id of each collection and its number of items.
    """
    from stacbuild.config import load_config

    # Load before slow imports, so that errors in the configuration are reported at once.
    configuration = load_config(config)

    from stacbuild.cli.console import open_reporter
    from stacbuild.sources import harvest as run_harvest

    with open_reporter(configuration.general.visualize) as reporter:
        results = run_harvest(
            configuration, catalog_folder(catalog, configuration), stores=stores, reporter=reporter
        )
    for result in results:
        if result.status == "COMPLETED":
            click.echo(f"{clean(result.name)}\t{result.items}")
    finish(ctx, "Collection", results)
