"""``stacbuild validate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stacbuild.cli.options import catalog_folder, catalog_option, config_and_names, is_config_name
from stacbuild.cli.output import print_failures
from stacbuild.errors import Failures, IntegrityError
from stacbuild.safe_text import clean


@click.command()
@click.argument("words", nargs=-1, metavar="[CONFIG] [NAME]...")
@catalog_option
@click.option(
    "--deep",
    is_flag=True,
    help="Read every chunk of the cubes and every local file that has a checksum.",
)
@click.option("--remote", is_flag=True, help="Check that the servers still have the sources.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def validate(
    ctx: click.Context,
    words: tuple[str, ...],
    catalog: Path | None,
    deep: bool,
    remote: bool,
    as_json: bool,
) -> None:
    """Check the catalog, its cubes and their sources for damage.

    Finds broken links; cubes without items and items without cubes; chunks that are missing,
    extra, or changed in size; and local sources that changed. With --deep, also finds flipped
    bits in chunks.

    NAMEs restrict the check to these cubes and their sources. CONFIG adds credentials and the
    list of expected cubes. It defaults to stacbuild.yml, or the only configuration in the current
    folder, unless --catalog is given.

    Prints one line if all is well. The exit code is 4 if something is damaged, and 5 if the only
    problem is foreign files in cubes.
    """
    from stacbuild.config import load_config

    # With --catalog, a configuration is optional and recognised by its suffix.
    if catalog is not None and not (words and is_config_name(words[0])):
        configuration, directory, names = None, catalog.absolute(), words
    else:
        path, names = config_and_names(words)
        configuration = load_config(path)
        directory = catalog_folder(catalog, configuration)

    from stacbuild.cli.console import open_reporter
    from stacbuild.validation.validate import summary
    from stacbuild.validation.validate import validate as run_validate

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
    print_failures(problems, ctx.obj.debug)
    if problems:
        codes = {error.exit_code for _, error in problems}
        damaged = IntegrityError.exit_code
        ctx.exit(damaged if damaged in codes else Failures(problems).exit_code)
    if not as_json:
        click.echo(clean(summary(checks, deep=deep, remote=remote)))
