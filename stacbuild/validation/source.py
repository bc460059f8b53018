"""Compare sources with their items: existence, size and checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stacbuild import progress
from stacbuild.errors import LocalError, failure_of
from stacbuild.formats.zarr_chunks import CHUNKS, chunk_sizes, totals
from stacbuild.formats.zarr_store import MEDIA_TYPE, open_group
from stacbuild.net.versions import is_other_version
from stacbuild.stac.checksums import SERVED, is_same_file
from stacbuild.stac.data_href import data_href
from stacbuild.stac.extensions import file_time
from stacbuild.validation.found import Found

if TYPE_CHECKING:
    import pystac


Json = dict[str, Any]

# Multihash codes with the length behind them
# (https://github.com/multiformats/multicodec/blob/master/table.csv).
_HASHES = {"d50110": "md5", "1220": "sha256", "1340": "sha512", "1620": "sha3_256"}
_BLOCK = 4 * 2**20


def check_source(item: pystac.Item, options: Json | None, *, deep: bool, remote: bool) -> Found:
    """Compare a source with its item.

    Parameters
    ----------
    item
        The source item, with an absolute href.
    options
        Options of s3fs, if it is on S3.
    deep
        Also compute the checksum of a local file, and compare its grid.
    remote
        Also check existence and size of remote files, with a request.
    """
    found = Found()
    asset = item.assets["data"]
    try:
        if "://" in asset.href:
            if remote:
                _check_remote(asset, options, found)
        elif asset.media_type == MEDIA_TYPE:
            _check_group(asset, found)
        else:
            _check_file(asset, item.id, deep, found)
        if deep and "://" not in asset.href and not found.problems:
            _check_grid(item)
    except OSError as error:
        found.problems.append(LocalError(f"{asset.href}: cannot be read: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - a problem of this source only
        found.problems.append(failure_of(error, asset.href))
    return found


def _check_grid(item: pystac.Item) -> None:
    # Imported late: GDAL and xarray are needed only here.
    from stacbuild.formats.geotiff import open_raster
    from stacbuild.formats.zarr_store import open_source
    from stacbuild.loading.stated_grid import check_raster, check_zarr, whole_grid
    from stacbuild.loading.zarr_variables import spatial_dims

    asset, stated = item.assets["data"], whole_grid(item.properties)
    if "cube:variables" in item.properties:
        with open_source(data_href(asset)) as dataset:
            check_zarr(stated, dataset, spatial_dims(item), asset.href)
        return
    with open_raster(asset.href) as raster:
        check_raster(stated, raster, asset.href)


def _check_file(asset: pystac.Asset, name: str, deep: bool, found: Found) -> None:
    path, fields = Path(asset.href), asset.extra_fields
    if not path.is_file():
        found.wrong(f"{path}: is in the catalog, but there is no such file; harvest it again")
        return
    size = path.stat().st_size
    found.bytes = size
    if fields.get("file:size", size) != size:
        found.wrong(
            f"{path}: has {size} bytes, {fields['file:size']} when it was harvested; harvest "
            "it again and rebuild its cubes"
        )
        return
    checksum = fields.get("file:checksum", "")
    prefix = next((each for each in _HASHES if checksum.startswith(each)), None)
    if prefix is None:
        _check_time(asset, path, found)
    elif deep:
        stated = checksum.removeprefix(prefix)
        actual = _digest(path, _HASHES[prefix], name)
        if actual != stated:
            found.wrong(
                f"{path}: its {_HASHES[prefix]} is {actual}, {stated} when it was harvested; "
                "remove it, harvest it again and rebuild its cubes"
            )


def _check_time(asset: pystac.Asset, path: Path, found: Found) -> None:
    """Report a file without a checksum as changed if its modification time differs."""
    stated, when = asset.extra_fields.get("updated"), file_time(path)
    if stated is None:
        found.notes.append(f"{path}: its item has no checksum or time; only the size was checked")
    elif stated != when and not is_same_file(asset):
        found.wrong(
            f"{path}: was written at {when}, at {stated} when it was harvested; harvest it again "
            "and rebuild its cubes"
        )


def _check_group(asset: pystac.Asset, found: Found) -> None:
    group = open_group(asset.href)
    manifest = asset.extra_fields.get(CHUNKS)
    if manifest is None:
        found.notes.append(
            f"{asset.href}: its item has no number of chunks; only checked that it can be opened"
        )
    for variable, stated in (manifest or {}).items():
        now = totals(chunk_sizes(group.store, variable))
        found.chunks += now["count"]
        found.bytes += now["bytes"]
        if now != stated:
            found.wrong(
                f"{asset.href}: {variable} has {now['count']} chunks of {now['bytes']} bytes, "
                f"{stated['count']} of {stated['bytes']} when it was harvested; harvest it again "
                "and rebuild its cubes"
            )
    if not found.problems and "updated" in asset.extra_fields:
        # Other chunks may have the same number and size.
        _check_time(asset, Path(asset.href), found)


def _check_remote(asset: pystac.Asset, options: Json | None, found: Found) -> None:
    # Imported late: most runs make no requests.
    from stacbuild.formats.geotiff import RasterFile

    s3 = asset.extra_fields.get("alternate", {}).get("s3", {}).get("href")
    href = s3 if s3 and options else asset.href
    if asset.media_type == MEDIA_TYPE:
        open_group(href, options)
        return
    # Without a size, so that it is requested from the server.
    file = RasterFile(href, storage_options=options)
    size, version = file.size, file.version
    stated = asset.extra_fields.get("file:size", size)
    if size != stated:
        found.wrong(
            f"{href}: has {size} bytes, {stated} when it was harvested; harvest it again and "
            "build what is made of it"
        )
    elif is_other_version(asset.extra_fields.get(SERVED, ""), version):
        found.wrong(
            f"{href}: has the {version}, {asset.extra_fields[SERVED]} when it was harvested; "
            "harvest it again and build what is made of it"
        )


def _digest(path: Path, method: str, name: str) -> str:
    digest = hashlib.new(method, usedforsecurity=False)
    with (
        path.open("rb") as file,
        progress.task(
            f"{name}: {method}", total=os.fstat(file.fileno()).st_size, unit="bytes"
        ) as task,
    ):
        while block := file.read(_BLOCK):
            digest.update(block)
            task.advance(len(block))
    return digest.hexdigest()
