"""``stacbuild cube`` and ``stacbuild plan``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.cli.options import (
    bbox_option,
    catalog_folder,
    catalog_option,
    config_and_names,
    words_argument,
)
from stacbuild.cli.output import finish, print_failures
from stacbuild.errors import Failures, failures_of
from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.geo.bbox import BBox


@click.command()
@words_argument
@catalog_option
@bbox_option
@click.option(
    "--scheduler",
    metavar="NAME|URL",
    help="Where to compute: threads, processes, synchronous, local (a dask cluster on this "
    "machine), distributed (the scheduler in DASK_SCHEDULER_ADDRESS), or the URL of a running dask "
    "scheduler, tcp://HOST:PORT.  [default: general.dask_scheduler, or threads]",
)
@click.option("--force", is_flag=True, help="Also rebuild cubes that are up to date.")
@click.option("--wait", is_flag=True, help="Wait for another run that writes the same cube.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, like stacbuild plan.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print JSON.")
@click.pass_context
def cube(
    ctx: click.Context,
    words: tuple[str, ...],
    catalog: Path | None,
    bbox: BBox | None,
    scheduler: str | None,
    force: bool,
    wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build the cubes of CONFIG.

    DATASETs restrict the build to these cubes. Cubes that are up to date are skipped (see
    stacbuild plan). Missing sources are harvested and preloaded first. Prints the path of each cube
    and of its STAC item.

    CONFIG defaults to stacbuild.yml, or the only configuration in the current folder.
    """
    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run.", ctx)
    config, datasets = config_and_names(words)
    from stacbuild.config import load_config

    configuration = load_config(config)
    if dry_run:
        _plan(ctx, configuration, catalog, datasets, bbox, force, as_json)
        return
    if scheduler is not None:
        configuration = configuration.with_scheduler(scheduler)

    from stacbuild.building import build
    from stacbuild.cli.console import open_reporter

    with open_reporter(configuration.general.visualize) as reporter:
        results = build(
            configuration,
            catalog_folder(catalog, configuration),
            datasets=datasets,
            bbox=bbox,
            force=force,
            wait=wait,
            reporter=reporter,
        )
    for result in results:
        if result.status != "FAILED":
            paths = [path for path in (result.href, result.item) if path]
            # On a terminal, short ones that can be copied into a script.
            if sys.stdout.isatty():
                paths = [_below_here(path) for path in paths]
            click.echo("\t".join(map(clean, paths)))
    finish(ctx, "Dataset", results)


def _below_here(path: str) -> str:
    """Return the path relative to the current folder if it is below it; URLs stay."""
    here = f"{Path.cwd()}{os.sep}"
    return path.removeprefix(here)


@click.command()
@words_argument
@catalog_option
@bbox_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plan(
    ctx: click.Context,
    words: tuple[str, ...],
    catalog: Path | None,
    bbox: BBox | None,
    as_json: bool,
) -> None:
    """Show what stacbuild cube would do with CONFIG, and why.

    Prints whether each cube will be created or rebuilt, or is up to date. Also prints its
    variables and custom code, and estimates of the bytes to fetch and to write, and of memory.
    Nothing is fetched. CONFIG defaults to stacbuild.yml, or the only configuration in the current
    folder.

    A cube is up to date if it exists and was made from the current configuration and catalog: same
    settings, sources, profiles and custom code. Upgraded libraries do not cause a rebuild; the
    versions that a cube was made with are shown. To detect changes on servers, run
    stacbuild harvest.
    """
    config, datasets = config_and_names(words)
    from stacbuild.config import load_config

    _plan(ctx, load_config(config), catalog, datasets, bbox, False, as_json)


def _plan(
    ctx: click.Context,
    config: Config,
    catalog: Path | None,
    datasets: tuple[str, ...],
    bbox: BBox | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print the plan, and exit with the code of its failures."""
    from stacbuild.cli.console import plan_lines
    from stacbuild.planning import plan as make_plan

    plans = make_plan(config, catalog_folder(catalog, config), datasets, bbox, force=force)
    if as_json:
        click.echo(json.dumps({"cubes": [each.to_dict() for each in plans]}, indent=2))
    else:
        for line in plan_lines(plans):
            click.echo(line)
    failures = failures_of(plans)
    print_failures(failures, ctx.obj.debug)
    if failures:
        ctx.exit(Failures(failures).exit_code)
