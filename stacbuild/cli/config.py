"""``stacbuild config``: the language of configurations, and what one comes to."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stacbuild.cli.options import DEFAULT_CONFIG, config_type


@click.group()
def config() -> None:
    """Show what a configuration may hold, and what one comes to."""


@config.command()
def schema() -> None:
    """Print the JSON Schema of configurations, for editors and other programs.

    An editor with a YAML language server checks and completes a file whose first line is

    \b
        # yaml-language-server: $schema=stacbuild.schema.json

    if that is what was printed, beside it.
    """  # noqa: D301 - click's own mark: what follows is not to be wrapped
    from stacbuild.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2))


@config.command()
@click.argument("config", type=config_type, default=DEFAULT_CONFIG)
def show(config: Path) -> None:
    """Print CONFIG with the defaults of all that it leaves out.

    CONFIG is scs2_config.yml in the current folder if not given. What is printed is a configuration
    of the same cubes, to be put into the same folder. Credentials that stand in the file are
    masked; ${NAME} stays.
    """
    from stacbuild.config.resolved import resolved_yaml

    click.echo(resolved_yaml(config), nl=False)
