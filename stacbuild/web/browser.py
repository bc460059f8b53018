"""Build STAC Browser from its npm package into the user's cache, and configure it when served.

The package contains sources, which Node builds once. After that the build is used without Node and
without a network. Replaced are the configurations of the metadata fields (``fields.config.js``) and
of the map's background (``basemaps.config.js``), which requests tiles from OpenStreetMap.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pyproj import CRS
from pyproj.exceptions import CRSError

from stacbuild import progress
from stacbuild.errors import BuildError, MissingError
from stacbuild.locks import hold
from stacbuild.machine import user_cache
from stacbuild.progress import Reporter
from stacbuild.safe_text import clean

PACKAGE = "@radiantearth/stac-browser"
VERSION = "4.0.1"
HOSTED = "https://radiantearth.github.io/stac-browser/#/external/"

# The build fails with later versions, which need a newer OpenLayers than this STAC Browser has.
_PINNED = {"ol-stac": "1.2.0"}
# The card of an item shows no period if its time is not known (`stacbuild.stac.item_time`). Text of
# the sources, and what replaces it.
_CARD = Path("src", "components", "Item.vue")
_PERIOD = "if (this.data && (this.data.properties.start_datetime"
_KNOWN_PERIOD = _PERIOD.replace("&&", "&& !/^0001-/.test(this.data.properties.start_datetime) &&")
# Increment when the build changes, so that existing builds are not reused.
_RECIPE = 3
_BUILD_TIMEOUT = 1800
_INDEX = "index.html"
_CONFIG = "config.js"


def default_folder() -> Path:
    """Return the folder of the build in the user's cache; it may not exist."""
    return user_cache() / f"stac-browser-{VERSION}-{_RECIPE}"


def is_built(folder: Path) -> bool:
    """Return whether a folder contains a build of STAC Browser."""
    return (folder / _INDEX).is_file()


def given(folder: Path) -> Path:
    """Return the folder of the user's own build of STAC Browser, after checking it.

    Raises
    ------
    MissingError
        If it contains no build.
    """
    if not is_built(folder):
        raise MissingError(
            f"{folder}: has no {_INDEX}; --browser-dir takes the folder `dist` of a STAC Browser"
        )
    return folder


def install(reporter: Reporter | None = None, folder: Path | None = None) -> Path:
    """Build STAC Browser unless it is built already, and return its folder.

    Takes one to three minutes, and needs Node.js 18 or newer and the npm registry that npm is
    configured for. The folder is created by a rename at the end, so that an interrupted build is
    never used.

    Raises
    ------
    MissingError
        If Node.js is not installed.
    BuildError
        If a step of the build failed; the message ends with its last output.
    """
    with progress.reported_to(reporter):
        return _install(folder or default_folder())


def _install(folder: Path) -> Path:
    if is_built(folder):
        return folder
    for tool in ("node", "npm", "npx"):
        if shutil.which(tool) is None:
            raise MissingError(
                f"{tool} is not installed, and STAC Browser is not built yet: install Node.js 18 "
                "or newer and run `stacbuild browse --install`, or use --browser-dir, or "
                f"run `stacbuild serve` and open {HOSTED} followed by the URL that it prints"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold(folder.with_name(f".{folder.name}.lock"), str(folder), wait=_BUILD_TIMEOUT):
        if not is_built(folder):
            for left in folder.parent.glob(".building-*"):
                shutil.rmtree(left, ignore_errors=True)  # left by a killed build
            with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as directory:
                _build(Path(directory)).rename(folder)
    return folder


def _build(directory: Path) -> Path:
    with progress.task(f"STAC Browser {VERSION}", total=3, unit="items") as task:
        task.update(note="fetching")
        _run(["npm", "pack", f"{PACKAGE}@{VERSION}"], directory)
        with tarfile.open(next(directory.glob("*.tgz"))) as archive:
            archive.extractall(directory, filter="data")
        sources = directory / "package"
        about = sources / "package.json"
        content = json.loads(about.read_text())
        content["dependencies"] |= _PINNED
        about.write_text(json.dumps(content))
        for name in ("basemaps.config.js", "fields.config.js"):
            own = resources.files("stacbuild.web") / name
            (sources / name).write_text(own.read_text())
        card = (sources / _CARD).read_text(encoding="utf-8")
        (sources / _CARD).write_text(card.replace(_PERIOD, _KNOWN_PERIOD), encoding="utf-8")
        task.advance(1)
        task.update(note="its libraries")
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        # Do not run install scripts of dependencies.
        _run(["npm", "install", "--ignore-scripts", "--legacy-peer-deps", *quiet], sources)
        task.advance(1)
        task.update(note="building")
        _run(["npx", "--no-install", "vue-cli-service", "build", "--noSourceMaps"], sources)
        task.advance(1)
    if not is_built(sources / "dist"):
        raise BuildError(f"{PACKAGE} {VERSION}: the build ended without {_INDEX}")
    return sources / "dist"


def _run(words: Sequence[str], folder: Path) -> None:
    environment = {
        **os.environ,
        # Its webpack uses MD4, which OpenSSL 3 has only in the legacy provider.
        "NODE_OPTIONS": "--openssl-legacy-provider",
        # Routes after the # of the URL, so that the server only has to serve files.
        "SB_historyMode": "hash",
    }
    try:
        done = subprocess.run(  # noqa: S603 - words of this module, no shell
            words, cwd=folder, env=environment, capture_output=True, text=True,
            errors="replace", check=False, timeout=_BUILD_TIMEOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        minutes = _BUILD_TIMEOUT // 60
        raise BuildError(
            f"{PACKAGE} {VERSION}: `{' '.join(words[:2])}` did not end in {minutes} minutes; "
            "look whether npm reaches its registry, then run `stacbuild browse --install` again"
        ) from None
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = clean(" / ".join(lines[-3:]))
        raise BuildError(
            f"{PACKAGE} {VERSION}: `{' '.join(words[:2])}` failed: {said}; "
            "run `stacbuild browse --install` again, or give a build by --browser-dir"
        )


# A Zarr store is a folder, which cannot be downloaded; its URL can still be copied. This hides the
# buttons that the browser shows for each asset on a web server. STAC Browser on another host shows
# them; they lead to `stacbuild.web.store_page`.
_STYLE = 'a[download$=".zarr"], a[download][href*=".zarr/"] { display: none !important; }'


def pages(folder: Path, catalog_url: str, title: str, codes: Sequence[str]) -> dict[str, bytes]:
    """Return the start page of the browser and its settings, by file name.

    Parameters
    ----------
    folder
        A build of STAC Browser.
    catalog_url
        Absolute URL of ``catalog.json``.
    title
        Shown above all pages.
    codes
        The ``proj:code`` that the catalog uses. The settings define them as WKT, since the browser
        would otherwise request their definitions from the network.
    """
    settings: dict[str, Any] = {
        "catalogUrl": catalog_url,
        "catalogTitle": title,
        "historyMode": "hash",
        # Otherwise lineage links open the JSON of a source's item instead of its page.
        "allowExternalAccess": True,
        "displayGeoTiffByDefault": False,
        # In the catalog's order, with cubes first, rather than by title.
        "cardViewSort": None,
        "socialSharing": [],
        "crs": {code: wkt for code in codes if (wkt := _wkt(code))},
    }
    content = json.dumps(settings, indent=1).replace("<", "\\u003c")
    script = f"window.STAC_BROWSER_CONFIG = {content};\n"
    page = (folder / _INDEX).read_text(encoding="utf-8")
    if 'rel="icon"' not in page:
        # Otherwise every page requests /favicon.ico, which does not exist.
        page = page.replace("<head>", '<head><link rel="icon" href="data:,">', 1)
    if f'src="/{_CONFIG}"' not in page:
        # A build does not load the settings; they have to be loaded before its scripts.
        page = page.replace("<head>", f'<head><script src="/{_CONFIG}"></script>', 1)
    page = page.replace("</head>", f"<style>{_STYLE}</style></head>", 1)
    return {_INDEX: page.encode(), _CONFIG: script.encode()}


def _wkt(code: str) -> str | None:
    # WKT 1, the only version that proj4js reads.
    try:
        return str(CRS.from_user_input(code).to_wkt("WKT1_GDAL"))
    except CRSError:
        return None  # unknown to PROJ; the browser shows the code
