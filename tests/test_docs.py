"""What the pages say is there: links lead somewhere, commands and their options exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from stacbuild.cli.program import cli

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^(?: {4,}|\$ )stacbuild (?=[a-z-])([^#`\n]*)", re.MULTILINE)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for href in _LINK.findall(page.read_text()):
        if "://" in href or href.startswith("mailto:"):
            continue
        name, _, anchor = href.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), href
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), href


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page: Path) -> None:
    for line in _COMMAND.findall(page.read_text()):
        words = shlex.split(line, comments=True)
        # Without running anything: as far as names and options go.
        command: click.Command = cli
        while words and isinstance(command, click.Group):
            if words[0].startswith("-"):
                words.pop(0)
                continue
            found = command.commands.get(words[0])
            assert found is not None, line
            command = found
            words.pop(0)
        known = {option for param in command.params for option in param.opts} | {"--help", "-h"}
        known |= {option for param in command.params for option in param.secondary_opts}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, line
