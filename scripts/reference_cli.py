"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from stacbuild.cli.program import cli

_HEAD = """\
# Reference: the command line

Written by `scripts/docs` from the commands; `stacbuild COMMAND --help` says the same.
[In bash, zsh and fish](../howto/shell-completion.md) the Tab key completes them.

## Exit codes

| code | meaning |
|---|---|
| 0 | all well |
| 1 | some part failed: a cube could not be built, or failures were of several kinds |
| 2 | the configuration or the command line is wrong |
| 3 | remote: a server failed, or what was asked for is not there |
| 4 | damaged data: a checksum differs, an archive is hostile, a file cannot be decoded or placed |
| 5 | this machine: no such file, no space, no permission |
| 6 | another run writes the same output |
| 7 | credentials are missing, incomplete or refused |
| 130 | interrupted; run the same command again |
"""


def page() -> str:
    """Return the page as Markdown."""
    root = click.Context(cli, info_name="stacbuild")
    lines = [_HEAD, *_command(cli, root, 2)]
    return "\n".join(lines).rstrip() + "\n"


def _command(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    name = context.command_path
    yield f"{'#' * level} {name}"
    yield ""
    yield "```text"
    yield " ".join([name, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    yield from _paragraphs(command.help or "")
    options = [
        param.get_help_record(context)
        for param in command.get_params(context)
        if isinstance(param, click.Option) and param.name != "help"
    ]
    if any(options):
        yield "| option | |"
        yield "|---|---|"
        for names, text in filter(None, options):
            shown = " ".join(text.split()).replace("<", "&lt;")
            yield f"| `{_cell(names)}` | {_cell(shown)} |"
        yield ""
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.commands[each]
            yield from _command(child, click.Context(child, parent=context, info_name=each), 3)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            # click's mark for what is not to be wrapped.
            yield "```text"
            yield inspect.cleandoc(paragraph.removeprefix("\b"))
            yield "```"
        else:
            yield paragraph.replace("``", "`").replace("*", "\\*")
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
