"""``stacbuild serve`` and ``browse``: catalog and data on one origin, optionally STAC Browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stacbuild.cli.output import marked
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
    help="A folder with data outside of the catalog's parent folder.  [may be repeated]",
)
_port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 selects a free one.  [default: 8765, or a free one if in use]",
)


@click.command()
@_catalog_option
@_data_option
@_port_option
def serve(catalog: Path, data: tuple[Path, ...], port: int | None) -> None:
    """Serve the catalog and its data to other tools on this machine.

    Serves only files that the catalog refers to: its own JSON files, and the rasters and Zarr
    stores of its assets, beside the catalog or in the folders of --data. Other machines cannot
    connect.

    Prints the URL of catalog.json. Press Ctrl-C to stop.
    """
    from stacbuild.web import Site

    site = Site(catalog, data)
    server = _listen(site, port, None)
    _report_refused(site)
    _run(server, server.catalog_url)


@click.command()
@_catalog_option
@_data_option
@_port_option
@click.option("--no-open", is_flag=True, help="Do not open a web browser.")
@click.option(
    "--browser-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Use this build of STAC Browser (its dist folder).",
)
@click.option(
    "--install",
    is_flag=True,
    help="Only build STAC Browser, for later use without Node.js and network.",
)
def browse(
    catalog: Path,
    data: tuple[Path, ...],
    port: int | None,
    no_open: bool,
    browser_dir: Path | None,
    install: bool,
) -> None:
    """Open the catalog in STAC Browser, on this machine.

    Serves the same files as stacbuild serve, and STAC Browser. The page works without a network.
    On first use, STAC Browser is built in ~/.cache/stacbuild (or $XDG_CACHE_HOME/stacbuild), which
    needs Node.js, npm, network access and about two minutes.

    Prints the URL of the page. Press Ctrl-C to stop.
    """
    if install and browser_dir:
        msg = "--install and --browser-dir exclude each other; use one of them."
        raise click.UsageError(msg)
    from stacbuild.cli.console import open_reporter
    from stacbuild.web import Site
    from stacbuild.web import browser as stac_browser

    # Checked before the build, which may take minutes.
    site = None if install else Site(catalog, data)
    if browser_dir:
        folder = stac_browser.given(browser_dir)
    else:
        with open_reporter() as reporter:
            folder = stac_browser.install(reporter)
    if site is None:
        click.echo(clean(str(folder)))
        return
    server = _listen(site, port, folder)
    server.pages = stac_browser.pages(folder, server.catalog_url, site.title, site.codes)
    _report_refused(site)
    page = f"{server.origin}/"
    if not no_open:
        import webbrowser

        # The socket is already listening, so requests wait until the server loop starts.
        webbrowser.open(page)
    _run(server, page)


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


def _report_refused(site: Site) -> None:
    for path, why in sorted(site.refused.items()):
        advice = "; use --data with its folder" if "outside" in why or "link" in why else ""
        text = clean(f"{path}: {why}, and is not served{advice}")
        click.echo(f"{marked('warning:', 'yellow')} {text}", err=True)


def _run(server: Server, url: str) -> None:
    # click.echo flushes, since another program may wait for this line.
    click.echo(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # Ctrl-C is the documented way to stop
    finally:
        server.server_close()
