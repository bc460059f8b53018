"""The command line: it parses, calls and prints, and decides nothing.

What it needs is imported when it is needed, so that ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from stacbuild.errors import ConfigError, Failures, IntegrityError, StacbuildError
from stacbuild.memory import keep_freed_memory
from stacbuild.safe_text import clean, clean_library_messages, clean_lines

if TYPE_CHECKING:
    from stacbuild.config import Config
    from stacbuild.cubes import CubeResult
    from stacbuild.harvesters import HarvestResult

DEFAULT_CONFIG = "scs2_config.yml"
INTERRUPTED = 130


@dataclass
class _Settings:
    debug: bool = False


def _box(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        msg = f"{value!r} is not four numbers with commas between them."
        raise click.BadParameter(msg, ctx, param) from None
    # Not-a-number fails both.
    if not (west < east and south < north):
        msg = f"{value!r} is empty: west has to be less than east, south less than north."
        raise click.BadParameter(msg, ctx, param)
    return west, south, east, north


_config_type = click.Path(path_type=Path)
_catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the catalog.  [default: catalogs, beside CONFIG]",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stacbuild", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show where in the program an error arose.")
@click.pass_obj
def cli(settings: _Settings, debug: bool) -> None:
    """Build Zarr cubes, and the STAC catalog that finds them, from one YAML file.

    Results go to stdout, everything else to stderr.

    Exit codes: 0 all well, 1 some part failed, 2 configuration or usage, 3 remote, 4 damaged
    data, 5 this machine, 6 locked by another run, 7 credentials, 130 interrupted.
    """
    settings.debug = debug


@cli.command()
@click.argument("config", type=_config_type, default=DEFAULT_CONFIG)
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="ID",
    help="Harvest only this store of the configuration; may be given several times.",
)
@_catalog_option
@click.pass_context
def harvest(
    ctx: click.Context, config: Path, stores: tuple[str, ...], catalog: Path | None
) -> None:
    """Find the sources of CONFIG and describe them in the catalog.

    What preload_datasets names is fetched as well. CONFIG is scs2_config.yml in the current folder
    if not given. Prints the id of each collection and its number of items.
    """
    from stacbuild.config import load_config

    # Before all else is imported: a mistake in it is told at once.
    configuration = load_config(config)

    from stacbuild.console import open_reporter
    from stacbuild.harvesters import harvest as run_harvest

    with open_reporter(configuration.general.visualize) as reporter:
        results = run_harvest(
            configuration, _catalog(catalog, configuration), stores=stores, reporter=reporter
        )
    for result in results:
        if result.status == "COMPLETED":
            click.echo(f"{clean(result.name)}\t{result.items}")
    _finish(ctx, "Collection", results)


@cli.command()
@click.argument("config", type=_config_type)
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@_catalog_option
@click.option(
    "--bbox",
    callback=_box,
    metavar="W,S,E,N",
    help="Build only the pixels of the grid whose centres lie in this box, in the grid's CRS.",
)
@click.option(
    "--scheduler",
    metavar="NAME|URL",
    help="Where to compute: threads, processes, synchronous, or the address of a running dask "
    "scheduler, tcp://HOST:PORT.  [default: general.dask_scheduler, else threads]",
)
@click.option("--force", is_flag=True, help="Build what is up to date, too.")
@click.option("--wait", is_flag=True, help="Wait for another run that writes the same cube.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, as stacbuild plan.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: say it as JSON.")
@click.pass_context
def cube(
    ctx: click.Context,
    config: Path,
    datasets: tuple[str, ...],
    catalog: Path | None,
    bbox: tuple[float, float, float, float] | None,
    scheduler: str | None,
    force: bool,
    wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build the cubes of CONFIG, or only those of the DATASETs named.

    What is up to date is left alone: see stacbuild plan. What is not harvested or preloaded yet is
    so first. Prints the path of each cube and of its STAC item.
    """
    if as_json and not dry_run:
        raise click.UsageError("--json goes with --dry-run.", ctx)
    from stacbuild.config import load_config

    configuration = load_config(config)
    if dry_run:
        _plan(ctx, configuration, catalog, datasets, bbox, force, as_json)
        return
    if scheduler is not None:
        configuration = configuration.with_scheduler(scheduler)

    from stacbuild.console import open_reporter
    from stacbuild.cubes import build

    with open_reporter(configuration.general.visualize) as reporter:
        results = build(
            configuration,
            _catalog(catalog, configuration),
            datasets=datasets,
            bbox=bbox,
            force=force,
            wait=wait,
            reporter=reporter,
        )
    for result in results:
        if result.status != "FAILED":
            click.echo("\t".join(clean(path) for path in (result.href, result.item) if path))
    _finish(ctx, "Dataset", results)


@cli.command()
@click.argument("config", type=_config_type)
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@_catalog_option
@click.option(
    "--bbox",
    callback=_box,
    metavar="W,S,E,N",
    help="Plan for the pixels of the grid whose centres lie in this box, in the grid's CRS.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_context
def plan(
    ctx: click.Context,
    config: Path,
    datasets: tuple[str, ...],
    catalog: Path | None,
    bbox: tuple[float, float, float, float] | None,
    as_json: bool,
) -> None:
    """Say what stacbuild cube would do with CONFIG, and why; nothing is fetched.

    A cube is up to date if it is there and was made of what the configuration and the catalog say
    now: same settings, same sources, same custom code, same versions of the software. Whether
    sources changed on their servers is seen by stacbuild harvest.

    Prints for each cube whether it is created, built again or up to date, and what it will be:
    its variables, the custom code that is run, bytes to fetch and to write, memory. Bytes are
    estimates.
    """
    from stacbuild.config import load_config

    _plan(ctx, load_config(config), catalog, datasets, bbox, False, as_json)


def _plan(
    ctx: click.Context,
    config: Config,
    catalog: Path | None,
    datasets: tuple[str, ...],
    bbox: tuple[float, float, float, float] | None,
    force: bool,
    as_json: bool,
) -> None:
    """Print what a build would do, and end with the exit code of what would fail."""
    from stacbuild.console import plan_lines
    from stacbuild.cubes import plan as make_plan

    plans = make_plan(config, _catalog(catalog, config), datasets, bbox, force=force)
    if as_json:
        click.echo(json.dumps({"cubes": [each.to_dict() for each in plans]}, indent=2))
    else:
        for line in plan_lines(plans):
            click.echo(line)
    failures = [(each.name, each.error) for each in plans if each.error is not None]
    for name, error in failures:
        _print_error(error, ctx.obj.debug, f"{name}: ")
    if failures:
        ctx.exit(Failures(failures).exit_code)


@cli.command()
@click.argument("words", nargs=-1, metavar="[CONFIG] [NAME]...")
@_catalog_option
@click.option(
    "--deep",
    is_flag=True,
    help="Read every chunk of the cubes and every local file that has a checksum.",
)
@click.option(
    "--remote", is_flag=True, help="Ask the servers of the sources whether they still have them."
)
@click.option("--json", "as_json", is_flag=True, help="Print all that was found as JSON.")
@click.pass_context
def validate(
    ctx: click.Context,
    words: tuple[str, ...],
    catalog: Path | None,
    deep: bool,
    remote: bool,
    as_json: bool,
) -> None:
    """Look for damage in the catalog, in its cubes and in their sources.

    Found are links that lead nowhere; cubes without items and items without cubes; chunks that
    are missing, added, or changed in size; local sources that changed. With --deep also chunks
    of which a bit is flipped.

    If NAMEs are given, only these cubes and what they are made of are looked at. CONFIG is
    scs2_config.yml in the current folder if neither it nor --catalog is given; it adds
    credentials, and which cubes there should be.

    Prints one line if all is well. Ends with 4 if something is damaged.
    """
    from stacbuild.config import load_config

    # With a catalog at hand a configuration is only one more help: it is told by its name.
    if catalog is not None and not (words and words[0].endswith((".yml", ".yaml"))):
        configuration, directory, names = None, catalog.absolute(), words
    else:
        configuration = load_config(Path(words[0] if words else DEFAULT_CONFIG))
        directory, names = _catalog(catalog, configuration), words[1:]

    from stacbuild.console import open_reporter
    from stacbuild.cubes.validate import summary
    from stacbuild.cubes.validate import validate as run_validate

    with open_reporter(configuration.general.visualize if configuration else None) as reporter:
        checks = run_validate(
            directory, configuration, names=names, deep=deep, remote=remote, reporter=reporter
        )
        for note in dict.fromkeys(note for check in checks for note in check.found.notes):
            reporter.say(f"note: {note}")
    if as_json:
        content = {"catalog": str(directory), "deep": deep, "remote": remote}
        found = [check.to_dict() for check in checks]
        click.echo(json.dumps(content | {"checks": found}, indent=2))
    problems = [(check.name, error) for check in checks for error in check.found.problems]
    for name, error in problems:
        _print_error(error, ctx.obj.debug, f"{name}: ")
    if problems:
        codes = {error.exit_code for _, error in problems}
        damaged = IntegrityError.exit_code
        ctx.exit(damaged if damaged in codes else Failures(problems).exit_code)
    if not as_json:
        click.echo(clean(summary(checks, deep=deep, remote=remote)))


def _catalog(given: Path | None, config: Config) -> Path:
    return given.absolute() if given else config.directory / "catalogs"


def _finish(
    ctx: click.Context, what: str, results: Sequence[CubeResult] | Sequence[HarvestResult]
) -> None:
    """Print the table and the errors, and end with the exit code they call for."""
    from stacbuild.console import duration, print_table

    rows = [(r.name, r.status, r.message, duration(r.seconds)) for r in results]
    print_table((what, "Status", "Message", "Time"), rows)
    failures = [
        (r.name, r.error or StacbuildError(r.message)) for r in results if r.status == "FAILED"
    ]
    for name, error in failures:
        _print_error(error, ctx.obj.debug, f"{name}: ")
    if failures:
        ctx.exit(Failures(failures).exit_code)


def _print_error(error: StacbuildError, debug: bool, name: str = "") -> None:
    if debug:
        click.echo(clean_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    # Several mistakes in one configuration are a line each.
    lines = error.problems if isinstance(error, ConfigError) else [str(error)]
    for line in lines:
        click.echo(f"error: {clean(name + line)}", err=True)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    args
        As after the name of the program; those of this process if none.
    """
    settings = _Settings()
    try:
        code = cli.main(args, prog_name="stacbuild", standalone_mode=False, obj=settings)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StacbuildError as error:
        _print_error(error, settings.debug)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing can be said to them any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort) as error:
        if not isinstance(error.__cause__, EOFError):
            click.echo("interrupted; run the same command again to go on", err=True)
            return INTERRUPTED
        return _internal_error(error.__cause__, settings.debug)
    except Exception as error:  # noqa: BLE001 - the last one to be asked
        return _internal_error(error, settings.debug)
    return code if isinstance(code, int) else 0


def _internal_error(error: BaseException, debug: bool) -> int:
    if debug:
        click.echo(clean_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    advice = "" if debug else "; run again with stacbuild --debug ... to see where"
    click.echo(f"internal error: {type(error).__name__}: {clean(str(error))}{advice}", err=True)
    return 1


def main() -> NoReturn:
    """Be the program ``stacbuild``: interruptible, and done when it says so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # Importing makes some 300 000 objects that stay; to look through them again and again for
    # garbage takes a fifth of the time until the work begins.
    gc.set_threshold(100_000, 50, 50)
    keep_freed_memory()
    clean_library_messages()
    code = run()
    if code == INTERRUPTED:
        # Threads may be in the middle of a long read; to wait for them would not be to stop.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # What is left goes with the process; to look through it for garbage first takes half a second.
    gc.freeze()
    sys.exit(code)


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - as signal calls it
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(INTERRUPTED))
    raise KeyboardInterrupt
