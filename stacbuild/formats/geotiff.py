"""Local and remote GeoTIFFs and JPEG 2000 files, opened by GDAL without network access.

The driver follows from the first bytes of a file, and no other one may open it: a file with the
content of a VRT would be opened as VRT and could read local files.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import requests
from numpy.typing import NDArray
from rasterio.enums import Interleaving, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rich.filesize import decimal

from stacbuild.errors import IntegrityError, LocalError, RemoteError
from stacbuild.formats.file_bytes import s3_pages, similar_names
from stacbuild.formats.file_format import Format, format_of_bytes
from stacbuild.formats.gdal_env import gdal_env, open_dataset
from stacbuild.formats.gdal_file import VERSION, GdalFile, GdalHandle
from stacbuild.formats.raster_errors import GDAL_ERRORS, message_of
from stacbuild.formats.tiff import has_mask
from stacbuild.net import http
from stacbuild.net.hrefs import check_form
from stacbuild.net.pages import Pages, Span
from stacbuild.net.ranges import HttpRanges
from stacbuild.net.signing import SERVICE
from stacbuild.net.speed import Patience

# Limit on the decoded bytes of one block. GDAL holds one for each thread that reads.
_MOST_BLOCK_BYTES = 2 << 30

# Attribute of a dataset: a function that reads bytes of its file.
_BYTES = "_stacbuild_bytes"

_DRIVERS = {Format.GEOTIFF: "GTiff", Format.JPEG2000: "JP2OpenJPEG"}
_NAMES = {driver: str(kind) for kind, driver in _DRIVERS.items()}


class RasterFile:
    """A GeoTIFF at a local path, an http(s) URL or an ``s3://`` URL; shared by threads.

    Threads open datasets of their own (`open`) and read with `read`; bytes from the network are
    cached for all of them.

    Parameters
    ----------
    session
        For http(s), from `stacbuild.net.http.session`.
    storage_options
        For ``s3://``, arguments of s3fs; for http(s), `stacbuild.net.signing.SERVICE` or nothing.
    size
        Size of the file in bytes, if known; saves a request.
    patience
        Limits for interrupted http(s) bodies.

    Raises
    ------
    LocalError, NotFoundError, RemoteError
        There is no such file; the message names *href*.
    """

    def __init__(
        self,
        href: str | Path,
        *,
        session: requests.Session | None = None,
        storage_options: Mapping[str, Any] | None = None,
        size: int | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self.href = str(href)
        check_form(self.href if "://" in self.href else str(Path(self.href).absolute()))
        self.name = http.public_url(self.href) if "://" in self.href else self.href
        self.ranges: HttpRanges | None = None
        self._pages: Pages | None = None
        self._version = ""
        self._trouble: list[BaseException] = []
        scheme = urlsplit(self.href).scheme.lower() if "://" in self.href else ""
        if scheme in ("http", "https"):
            service = (storage_options or {}).get(SERVICE, "")
            self.ranges = HttpRanges(self.href, session or http.session(), size, patience, service)
            self._pages = Pages(self.name, self.ranges.fetch, self.ranges.size)
        elif scheme == "s3":
            self._pages, self._version = s3_pages(self.href, dict(storage_options or {}), size)
        elif not Path(self.href).is_file():
            raise LocalError(f"{self.href}: there is no such file{similar_names(Path(self.href))}")

    def __repr__(self) -> str:
        return f"RasterFile({self.name!r})"

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._pages.size if self._pages else Path(self.href).stat().st_size

    @property
    def version(self) -> str:
        """Which bytes a server returns, once it has returned any: `stacbuild.net.versions`."""
        return self.ranges.version if self.ranges else self._version

    def open(self) -> DatasetReader:
        """Open a dataset, which any thread may use and close, but only one at a time.

        Raises
        ------
        IntegrityError
            It is not a GeoTIFF, or is truncated.
        RemoteError
            The server failed.
        """
        driver = self._driver()
        try:
            with gdal_env():
                if self._pages is None:
                    path = os.path.abspath(self.href)  # noqa: PTH100 - resolving reads links
                    dataset = open_dataset(path, driver)
                else:
                    # The name is for GDAL's messages only.
                    name = PurePosixPath(unquote(urlsplit(self.href).path)).name or "raster.tif"
                    file = GdalFile(GdalHandle(self._pages, self._trouble), name)
                    dataset = open_dataset(file, driver)
                    file.release()
                    weakref.finalize(dataset, file.close)
        except GDAL_ERRORS as error:
            raise self._explained(error, f"cannot be opened as a {_NAMES[driver]}") from error
        setattr(dataset, VERSION, self.version)
        try:
            self._check_blocks(dataset)
            if driver == "GTiff":
                self._check_end(dataset)
                setattr(dataset, _BYTES, self.bytes)
            else:
                self._check_boxes()
        except BaseException:
            dataset.close()
            raise
        return dataset

    def bytes(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* up to *stop*, or up to the end; errors as `read`."""
        if self._pages is not None:
            return self._pages.read(start, stop)
        with Path(self.href).open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def read(
        self,
        dataset: DatasetReader,
        window: Window | None = None,
        bands: Sequence[int] | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Read a window of full-resolution pixels, after fetching its blocks in few requests.

        Parameters
        ----------
        dataset
            From `open`, used by one thread at a time.
        window
            Whole pixels within the dataset; by default all of it.
        bands
            Numbers from 1; by default all.
        out
            Array of (band, row, column) to fill.

        Returns
        -------
        array of (band, row, column)
            In the dataset's own dtype (or *out*), nodata not masked.

        Raises
        ------
        RemoteError
            Bytes could not be fetched.
        IntegrityError
            They cannot be decoded; the message names file, bands and window.
        """
        window = window or Window(0, 0, dataset.width, dataset.height)
        bands = list(bands or dataset.indexes)
        if out is None:
            out = np.empty((len(bands), window.height, window.width), dataset.dtypes[0])
        self.prefetch(dataset, [window], bands)
        self._decode(dataset, window, bands, out)
        return out

    def read_valid(self, dataset: DatasetReader, window: Window, band: int) -> NDArray[np.bool_]:
        """Read the file's mask or alpha band: True where there are data; parameters as `read`.

        Raises
        ------
        RemoteError, IntegrityError
            As `read`.
        """
        with (
            self._reading(f"the mask of band {band} cannot be decoded"),
            gdal_env(),
        ):
            mask = dataset.read_masks(band, window=window)
        return np.asarray(mask != 0)

    def prefetch(
        self, dataset: DatasetReader, windows: Sequence[Window], bands: Sequence[int]
    ) -> None:
        """Fetch the blocks of several windows in as few requests as possible; errors as `read`.

        Nothing is done for a local file.
        """
        if self._pages is not None:
            spans = [
                span for window in windows for span in block_spans(dataset, window, list(bands))
            ]
            self._raise_trouble()
            self._pages.prefetch(spans)

    @contextmanager
    def header(self) -> Iterator[DatasetReader]:
        """Open a dataset to read its header; errors as `open`, also within."""
        with self.open() as dataset, self._reading("its header is damaged; write it again"):
            self._check_masks(dataset)
            yield dataset

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Raise errors of GDAL within as errors of ours, with the message *what*."""
        try:
            yield
        except GDAL_ERRORS as error:
            raise self._explained(error, what) from error
        except Exception:
            # Raises the cause if bytes could not be fetched.
            self._raise_trouble()
            raise
        self._raise_trouble()

    def _decode(
        self, dataset: DatasetReader, window: Window, bands: list[int], out: NDArray[Any]
    ) -> None:
        band = f"band {bands[0]}" if len(bands) == 1 else f"bands {bands[0]} to {bands[-1]}"
        rows = f"rows {window.row_off}+{window.height}"
        where = f"{band}, {rows}, columns {window.col_off}+{window.width}"
        # GDAL reads the size of its cache from the options at its first block.
        with self._reading(f"{where} cannot be decoded"), gdal_env():
            dataset.read(bands, window=window, out=out)

    def _driver(self) -> str:
        """Return the only driver of GDAL that may open the file, by its first bytes."""
        start = self.bytes(0, 32)
        if self._pages and http.is_page(start):
            raise RemoteError(f"{self.name}: returned an HTML page instead of a GeoTIFF")
        if not start:
            raise IntegrityError(f"{self.name}: is empty")
        driver = _DRIVERS.get(format_of_bytes(start))
        if driver is None:
            raise IntegrityError(f"{self.name}: is not a TIFF, it begins with {start[:4]!r}")
        return driver

    def _check_boxes(self) -> None:
        """Refuse a truncated JPEG 2000 file, in which the last box reaches beyond its end.

        ISO/IEC 15444-1, I.4: each box states its length, 0 for "up to the end of the file".
        """
        at = 0
        while self.bytes(0, 4) == b"\0\0\0\x0c" and at < self.size:
            head = self.bytes(at, at + 16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            if length == 0:
                break
            if length < 8 or at + length > self.size:
                raise IntegrityError(
                    f"{self.name}: is cut off, it has {self.size} bytes of at least {at + length}"
                )
            at += length
        self._raise_trouble()

    def _check_blocks(self, dataset: DatasetReader) -> None:
        """Refuse blocks (tiles or strips) that take gigabytes when decoded."""
        height, width = dataset.block_shapes[0]
        # NumPy has no type for complex numbers of 16-bit integers.
        dtype = dataset.dtypes[0].replace("complex_int16", "int32")
        size = height * width * np.dtype(dtype).itemsize
        if dataset.interleaving == Interleaving.pixel:
            size *= dataset.count
        if size > _MOST_BLOCK_BYTES:
            raise IntegrityError(
                f"{self.name}: a block of it is {height} x {width} pixels, {decimal(size)}, "
                "which have to be decoded at once; rewrite it in tiles (gdal_translate -co "
                "TILED=YES)"
            )

    def _check_end(self, dataset: DatasetReader) -> None:
        """Refuse a truncated file, in which the last block is incomplete."""
        height, width = dataset.block_shapes[-1]
        row, column = (dataset.height - 1) // height, (dataset.width - 1) // width
        last = Window(column * width, row * height, 1, 1)
        for _, stop in block_spans(dataset, last, [dataset.count]):
            if stop > self.size:
                raise IntegrityError(
                    f"{self.name}: is cut off, it has {self.size} bytes of at least {stop}"
                )
        self._raise_trouble()

    def _check_masks(self, dataset: DatasetReader) -> None:
        """Refuse a mask that GDAL cannot read and ignores: masked pixels would be data."""
        flags = set(dataset.mask_flag_enums[0])
        # Raises the error that GDAL met in masks and overviews.
        _ = dataset.colorinterp
        if dataset.driver != "GTiff":
            return
        try:
            masked = has_mask(self.bytes)
        except ValueError as error:
            raise IntegrityError(f"{self.name}: {error}; write it again") from error
        if masked and flags & {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha}:
            raise IntegrityError(
                f"{self.name}: has a mask that GDAL cannot read; write it again, with a mask of "
                "1 or 8 bits"
            )

    def _raise_trouble(self) -> None:
        if self._trouble:
            error = self._trouble[-1]
            self._trouble.clear()
            raise error

    def _explained(self, error: Exception, what: str) -> Exception:
        """Return the error for a failure of GDAL; raise the cause if bytes could not be fetched."""
        self._raise_trouble()
        return IntegrityError(f"{self.name}: {what} ({message_of(error)})")


@contextmanager
def open_raster(
    href: str | Path,
    *,
    session: requests.Session | None = None,
    storage_options: Mapping[str, Any] | None = None,
    size: int | None = None,
) -> Iterator[DatasetReader]:
    """Open a GeoTIFF to read its header in one thread; parameters as `RasterFile`.

    Raises
    ------
    IntegrityError
        As `RasterFile.open`; also if the header turns out damaged while it is used.
    LocalError, NotFoundError, RemoteError
        As `RasterFile` and `RasterFile.open`.
    """
    file = RasterFile(href, session=session, storage_options=storage_options, size=size)
    with file.header() as dataset:
        yield dataset


def bytes_of(dataset: DatasetReader, start: int, stop: int) -> bytes | None:
    """Return bytes of the file of a dataset from `RasterFile.open`; None for other datasets."""
    read = getattr(dataset, _BYTES, None)
    return None if read is None else bytes(read(start, stop))


def block_spans(dataset: DatasetReader, window: Window, bands: Sequence[int]) -> Iterator[Span]:
    """Yield the byte range of each block of a window, without the blocks that a sparse file lacks.

    From GDAL's TIFF metadata domain (https://gdal.org/drivers/raster/gtiff.html#metadata,
    ``BLOCK_OFFSET_x_y``).
    """
    height, width = dataset.block_shapes[0]
    rows = range(window.row_off // height, -(-(window.row_off + window.height) // height))
    columns = range(window.col_off // width, -(-(window.col_off + window.width) // width))
    # Pixel-interleaved blocks contain all bands.
    together = dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
    for band in bands[:1] if together else bands:
        for row in rows:
            for column in columns:
                index = f"{column}_{row}"
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{index}", "TIFF", bidx=band)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{index}", "TIFF", bidx=band)
                if offset and length:
                    yield int(offset), int(offset) + int(length)
