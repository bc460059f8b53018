"""``stacbuild sources``, ``list`` and ``describe``: explore data without a configuration."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click

from stacbuild.safe_text import clean

_store = click.argument("store_id", metavar="STORE_ID")
_endpoint = click.option(
    "--endpoint", metavar="URL", help="URL of the server, if not the default (endpoint_url)."
)
_signed = click.option(
    "--signed",
    is_flag=True,
    help="S3: sign requests with the keys in the environment (AWS_ACCESS_KEY_ID, ...).",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_json
def sources(as_json: bool) -> None:
    """List the kinds of store and their parameters.

    Parameters with an asterisk are required. A dot separates a parameter from the ones nested in
    it.
    """
    from stacbuild.sources.listing import sources as kinds

    if as_json:
        click.echo(json.dumps([kind.to_dict() for kind in kinds()], indent=2))
        return
    for kind in kinds():
        click.echo(f"{kind.store_id}\t{kind.summary}")
        for name, needed in kind.parameters.items():
            click.echo(f"  {name}{'*' if needed else ''}")


@click.command(name="list")
@_store
@click.argument("root", default="")
@click.option("--match", metavar="GLOB", help="List only matching data ids (* and ?).")
@_endpoint
@_signed
@_json
def list_(
    store_id: str, root: str, match: str | None, endpoint: str | None, signed: bool, as_json: bool
) -> None:
    """List the data of a store: data id, size, type.

    STORE_ID is zenodo, s3, file, clms, stac or a provider of scenes (see stacbuild sources). ROOT
    is the number of a Zenodo record, BUCKET/PREFIX, a folder, or the URL of a STAC catalog; omit
    it for clms and providers.

    Names that end in / are archives or collections: use --match 'NAME/*' to list their contents.
    No data are fetched. With --json, sizes are in bytes.
    """
    from stacbuild.cli.console import aligned, open_reporter, size_text
    from stacbuild.sources.listing import list_data

    with open_reporter() as reporter:
        found = list_data(
            store_id,
            root,
            match=match,
            params=params_of(store_id, endpoint, signed),
            reporter=reporter,
        )
    if as_json:
        click.echo(json.dumps([entry.to_dict() for entry in found], indent=2))
        return
    for line in aligned([(entry.data_id, size_text(entry.size), entry.type) for entry in found]):
        click.echo(line)


@click.command()
@_store
@click.argument("root")
@click.argument("data_id")
@_endpoint
@_signed
@_json
def describe(
    store_id: str, root: str, data_id: str, endpoint: str | None, signed: bool, as_json: bool
) -> None:
    """Show the metadata of a file or Zarr store.

    Prints CRS, shape, bands, chunks, times, bounds, nodata, units and licence of DATA_ID.
    STORE_ID and ROOT are those of stacbuild list; ROOT is '' where it is omitted there. Only
    headers are read.
    """
    from stacbuild.cli.console import open_reporter, size_text
    from stacbuild.sources.listing import describe_data

    params = params_of(store_id, endpoint, signed)
    with open_reporter() as reporter:
        metadata = describe_data(store_id, root, data_id, params=params, reporter=reporter)
    if as_json:
        click.echo(json.dumps(metadata, indent=2))
        return
    for key, value in metadata.items():
        if key not in ("variables", "assets"):
            _print_line(f"{key}: {size_text(value) if key == 'size' else _shown(value)}")
    for kind in ("variable", "asset"):
        for name, fields in metadata.get(f"{kind}s", {}).items():
            _print_line(f"{kind} {name}:")
            for key, value in fields.items():
                # The names of classes and bits are what a mask is written with.
                most = 32 if key in ("classes", "bits") else 8
                shown = size_text(value) if key == "size" else _shown(value, most)
                _print_line(f"{key}: {shown}", "  ")


def _print_line(text: str, indent: str = "") -> None:
    """Print a line; on a terminal, wrapped between words."""
    from stacbuild.cli.console import wrapped

    if not sys.stdout.isatty():
        click.echo(f"{indent}{clean(text)}")
        return
    for line in wrapped(text, indent, shutil.get_terminal_size().columns):
        click.echo(line)


def params_of(store_id: str, endpoint: str | None, signed: bool = False) -> dict[str, Any]:
    """Return the options as ``store_params`` of a configuration."""
    from stacbuild.config.other_stores import PROVIDERS
    from stacbuild.config.stores import MODELS

    kind = "stac" if store_id in PROVIDERS else store_id
    return MODELS[kind].params_of(endpoint, signed) if kind in MODELS else {}


def _shown(value: Any, most: int = 8) -> str:
    if isinstance(value, list):
        words = [_shown(each) for each in value]
        # Shorten long lists of times or bands to their first and last entries.
        if len(words) > most:
            words = [*words[:3], f"... ({len(value)})", *words[-2:]]
        return ", ".join(words)
    if isinstance(value, dict):
        return ", ".join(value)
    return f"{value:.10g}" if isinstance(value, float) else " ".join(str(value).split())
