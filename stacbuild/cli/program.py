"""The command line program: commands, exit codes, start-up and exit."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from stacbuild.cli.browse import browse, serve
from stacbuild.cli.config import config
from stacbuild.cli.cube import cube, plan
from stacbuild.cli.discover import describe, list_, sources
from stacbuild.cli.export import export
from stacbuild.cli.harvest import harvest
from stacbuild.cli.init import init
from stacbuild.cli.output import Settings, marked, print_error
from stacbuild.cli.preview import preview
from stacbuild.cli.remove import remove
from stacbuild.cli.validate import validate
from stacbuild.errors import StacbuildError
from stacbuild.machine import keep_freed_memory, processors
from stacbuild.net.in_flight import MOST
from stacbuild.safe_text import clean, clean_library_messages, clean_lines

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="stacbuild", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of errors.")
@click.pass_obj
def cli(settings: Settings, debug: bool) -> None:
    """Build Zarr data cubes and their STAC catalog from one YAML file.

    Results are written to stdout, messages and progress to stderr.

    Exit codes: 0 success, 1 some part failed, 2 configuration or usage, 3 remote server, 4 damaged
    data, 5 local machine, 6 locked by another run, 7 credentials, 130 interrupted.
    """
    settings.debug = debug


for _command in (
    config,
    harvest,
    cube,
    plan,
    remove,
    validate,
    preview,
    export,
    serve,
    browse,
    sources,
    list_,
    describe,
    init,
):
    cli.add_command(_command)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    args
        Arguments after the name of the program; by default, those of this process.
    """
    settings = Settings()
    try:
        code = cli.main(args, prog_name="stacbuild", standalone_mode=False, obj=settings)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except StacbuildError as error:
        print_error(error, settings.debug)
        return error.exit_code
    except BrokenPipeError:
        # The reader has closed the pipe; discard all further output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, click.Abort) as error:
        if not isinstance(error.__cause__, EOFError):
            click.echo("interrupted; run the same command again to go on", err=True)
            return INTERRUPTED
        return _internal_error(error.__cause__, settings.debug)
    except Exception as error:  # noqa: BLE001 - outermost handler of the program
        return _internal_error(error, settings.debug)
    return code if isinstance(code, int) else 0


def _internal_error(error: BaseException, debug: bool) -> int:
    if debug:
        click.echo(clean_lines("".join(traceback.format_exception(error))), err=True, nl=False)
    advice = "" if debug else "; run again with stacbuild --debug ... to see where"
    what = marked("internal error:", "red")
    click.echo(f"{what} {type(error).__name__}: {clean(str(error))}{advice}", err=True)
    return 1


def main() -> NoReturn:
    """Run ``stacbuild`` as the console entry point; Ctrl-C and SIGTERM end it at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    # Imports create some 300 000 permanent objects; garbage collection among them takes a fifth of
    # the start-up time.
    gc.set_threshold(100_000, 50, 50)
    keep_freed_memory()
    # zarr's threads compress chunks while dask's threads wait for them. One per processor is best;
    # zarr's default is more, which only compete. zarr reads this variable at import, which for most
    # commands comes later.
    os.environ.setdefault("ZARR_THREADING__MAX_WORKERS", str(processors()))
    # As many chunks of a remote source as a host is asked for at a time; zarr's default is 10.
    os.environ.setdefault("ZARR_ASYNC__CONCURRENCY", str(MOST))
    clean_library_messages()
    code = run()
    if code == INTERRUPTED:
        # Do not wait for threads, which may be in a long read.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    # Skip the final garbage collection, which takes half a second.
    gc.freeze()
    sys.exit(code)


def _interrupt(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - signal's signature
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: os._exit(INTERRUPTED))
    raise KeyboardInterrupt
