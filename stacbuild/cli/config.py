"""``stacbuild config``: the schema of configurations, and a configuration with its defaults."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stacbuild.cli.options import config_argument


@click.group()
def config() -> None:
    """Show the schema, or a configuration with its defaults."""


@config.command()
def schema() -> None:
    """Print the JSON Schema of configurations, for editors and other programs.

    Save it as stacbuild.schema.json beside a configuration. Editors with a YAML language server
    then check and complete the configuration if its first line is

    \b
        # yaml-language-server: $schema=./stacbuild.schema.json
    """  # noqa: D301 - click's mark for a paragraph that must not be rewrapped
    from stacbuild.config import config_schema

    click.echo(json.dumps(config_schema(), indent=2))


@config.command()
@config_argument
def show(config: Path) -> None:
    """Print CONFIG with all defaults filled in.

    CONFIG defaults to stacbuild.yml, or the only configuration in the current folder. The output is
    a configuration of the same cubes, if saved in the same folder. Credentials in the file are
    masked; ${NAME} is kept.
    """
    from stacbuild.config.resolved import resolved_yaml

    click.echo(resolved_yaml(config), nl=False)
