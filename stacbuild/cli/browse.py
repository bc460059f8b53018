"""``stacbuild serve``: catalog and data on one origin of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.safe_text import clean

if TYPE_CHECKING:
    from stacbuild.web import Server, Site

_catalog_option = click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("catalogs"),
    show_default=True,
    metavar="DIR",
    help="Folder of the catalog.",
)
_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    metavar="DIR",
    help="A folder of data that does not lie beside the catalog.  [may be repeated]",
)
_port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on, 0 for any free one.  [default: 8765, or a free one if it is taken]",
)


@click.command()
@_catalog_option
@_data_option
@_port_option
def serve(catalog: Path, data: tuple[Path, ...], port: int | None) -> None:
    """Serve the catalog and its data to tools on this machine.

    Only what the catalog leads to is served: its own files, and the rasters and Zarr stores that
    its assets name, beside it or in the folders of --data. Other machines cannot connect.

    The first line printed is the URL of catalog.json. Ends on Ctrl-C, or when terminated, with 0.
    """
    from stacbuild.web import Site

    site = Site(catalog, data)
    server = _listen(site, port, None)
    _say_refused(site)
    _run(server, server.catalog_url)


def _listen(site: Site, port: int | None, browser: Path | None) -> Server:
    from stacbuild.errors import LocalError
    from stacbuild.web import Server
    from stacbuild.web.server import DEFAULT_PORT

    if port is not None:
        return Server(site, port, browser)
    try:
        return Server(site, DEFAULT_PORT, browser)
    except LocalError:
        server = Server(site, 0, browser)
        click.echo(f"note: port {DEFAULT_PORT} is taken; port {server.port} is used", err=True)
        return server


def _say_refused(site: Site) -> None:
    for path, why in sorted(site.refused.items()):
        advice = "; say --data with its folder" if "outside" in why or "link" in why else ""
        click.echo(clean(f"warning: {path}: {why}, and is not served{advice}"), err=True)


def _run(server: Server, url: str) -> None:
    # What reads this line may wait for it.
    click.echo(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # this is how it is meant to end
    finally:
        server.server_close()
