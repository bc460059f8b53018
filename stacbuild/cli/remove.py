"""``stacbuild remove``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stacbuild.cli.options import catalog_folder, catalog_option, config_and_names
from stacbuild.cli.output import print_failures
from stacbuild.errors import Failures, failures_of
from stacbuild.safe_text import clean


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] DATASET...")
@click.option(
    "--sources",
    is_flag=True,
    help="Also remove the items and cached files of its sources, if no other cube and no other "
    "dataset of CONFIG uses them.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@catalog_option
@click.option("--wait", is_flag=True, help="Wait for another run that writes the same cube.")
@click.pass_context
def remove(
    ctx: click.Context,
    words: tuple[str, ...],
    sources: bool,
    yes: bool,
    dry_run: bool,
    catalog: Path | None,
    wait: bool,
) -> None:
    """Remove cubes, and their items in the catalog.

    Shows what will be removed, and asks for confirmation. Only what stacbuild made is removed: a
    cube that contains your own files is refused, and anything else at its path is left alone and
    named. Prints the paths that were removed.

    CONFIG defaults to stacbuild.yml, or the only configuration in the current folder.
    """
    config, datasets = config_and_names(words)
    if not datasets:
        raise click.UsageError("Missing argument 'DATASET...'.", ctx)
    from stacbuild.config import load_config

    configuration = load_config(config)

    from stacbuild.cli.console import open_reporter
    from stacbuild.removal.remove import plan_removal
    from stacbuild.removal.remove import remove as run

    folder = catalog_folder(catalog, configuration)
    planned = plan_removal(configuration, folder, datasets, sources=sources)
    for each in planned:
        click.echo(f"{each.name}: {len(each.paths) or 'nothing'} to remove", err=True)
        for path in each.paths:
            click.echo(f"  {clean(path)}", err=True)
        for line in each.left:
            click.echo(f"  left alone: {clean(line)}", err=True)
    if not dry_run and any(each.paths for each in planned) and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on: use --yes, or --dry-run.", ctx)
        if not click.confirm("Remove all this?", err=True):
            click.echo("nothing was removed", err=True)
            return
    if not dry_run:
        with open_reporter(configuration.general.visualize) as reporter:
            planned = run(
                configuration, folder, datasets, sources=sources, wait=wait, reporter=reporter
            )
        for each in planned:
            for path in each.paths:
                click.echo(clean(path))
    failures = failures_of(planned)
    print_failures(failures, ctx.obj.debug)
    if failures:
        ctx.exit(Failures(failures).exit_code)
