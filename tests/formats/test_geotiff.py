from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.windows import Window

from stacbuild.errors import IntegrityError, LocalError, NotFoundError, RemoteError
from stacbuild.formats.geotiff import RasterFile, open_raster
from stacbuild.net import http
from tests.standins.s3 import S3Server
from tests.support.file_server import FileServer, page

VALUES = np.random.default_rng(0).integers(0, 200, (3, 1500, 2000), dtype="uint8")


def tiff(values: np.ndarray[Any, Any] = VALUES, **options: Any) -> bytes:
    count, height, width = values.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", dtype=values.dtype, count=count, height=height, width=width,
            crs="EPSG:3035", transform=rasterio.Affine(30, 0, 4e6, 0, -30, 3e6), **options,
        ) as dataset:  # fmt: skip
            dataset.write(values)
        return bytes(memory.read())


TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "lzw"}


@pytest.mark.parametrize(
    "options",
    [
        TILED,
        TILED | {"interleave": "band"},
        {"compress": "deflate", "interleave": "band"},
        {"interleave": "pixel", "BIGTIFF": "YES"},
    ],
)
def test_a_remote_window_is_exact_and_comes_in_few_requests(options: dict[str, Any]) -> None:
    data = tiff(**options)
    with FileServer({"/a%20b.tif": data}) as server, http.session() as session:
        file = RasterFile(f"{server.url}/a%20b.tif", session=session)
        assert file.ranges is not None
        with file.open() as dataset:
            opened = file.ranges.requests
            window = Window(700, 400, 600, 500)
            values = file.read(dataset, window, [1, 3])
            assert values.dtype == np.uint8
            np.testing.assert_array_equal(values, VALUES[[0, 2], 400:900, 700:1300])
            assert file.ranges.requests - opened <= 6
            np.testing.assert_array_equal(file.read(dataset), VALUES)
        assert server.body_bytes <= len(data)


def test_each_thread_has_its_dataset_and_bytes_come_once() -> None:
    data = tiff(**TILED)
    with FileServer({"/f.tif": data}) as server, http.session() as session:
        file = RasterFile(f"{server.url}/f.tif", session=session)

        def read(row: int) -> bool:
            with file.open() as dataset:
                window = Window(0, row, 2000, 200)
                return bool((file.read(dataset, window) == VALUES[:, row : row + 200]).all())

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(read, range(0, 1300, 100)))
        assert server.body_bytes <= len(data)


def test_datasets_may_be_lent_from_thread_to_thread() -> None:
    with FileServer({"/f.tif": tiff(**TILED)}) as server, http.session() as session:
        file = RasterFile(f"{server.url}/f.tif", session=session)
        with ThreadPoolExecutor(4) as pool:
            idle = list(pool.map(lambda _: file.open(), range(4)))

        def read(row: int) -> bool:
            dataset = idle.pop()
            right = (
                file.read(dataset, Window(0, row, 2000, 100)) == VALUES[:, row : row + 100]
            ).all()
            idle.append(dataset)
            return bool(right)

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(read, range(0, 1400, 50)))
        for dataset in idle[1:]:
            dataset.close()
        # The one that is forgotten is closed when it is collected.
        del idle[:]


def test_a_cut_body_does_not_spoil_later_reads() -> None:
    data = tiff(**TILED)
    with (
        FileServer({"/f.tif": data}, cuts=[1 << 16, 70_000]) as server,
        http.session() as session,
    ):
        file = RasterFile(f"{server.url}/f.tif", session=session)
        with file.open() as dataset:
            np.testing.assert_array_equal(file.read(dataset), VALUES)


def test_a_failing_server_is_an_error_then_works_again(capfd: Any) -> None:
    with (
        FileServer({"/f.tif": tiff(**TILED)}) as server,
        http.session(tries=1) as session,
    ):
        file = RasterFile(f"{server.url}/f.tif", session=session)
        with file.open() as dataset:
            server.faults += [page(503)]
            with pytest.raises(RemoteError, match=r"/f.tif: the server answers 503"):
                file.read(dataset)
            np.testing.assert_array_equal(file.read(dataset), VALUES)
        assert capfd.readouterr().err == ""


def test_bytes_that_gdal_asks_for_in_vain_are_a_remote_error(tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "f.tif"
    path.write_bytes(tiff(**TILED))
    with rasterio.open(path, "r+") as dataset:
        # A header that grows moves to the end of the file, which GDAL finds by itself.
        dataset.update_tags(note="x" * 5000)
    data = path.read_bytes()
    with FileServer({"/f.tif": data}) as server, http.session(tries=1) as session:
        file = RasterFile(f"{server.url}/f.tif", session=session)
        server.faults += [page(500)]
        with pytest.raises(RemoteError, match="answers 500"):
            file.open()
        with file.open() as dataset:
            assert dataset.tags()["note"] == "x" * 5000
    assert capfd.readouterr().err == ""


def test_local_files_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "f.tif"
    path.write_bytes(tiff(**TILED))
    file = RasterFile(path)
    with file.open() as dataset:
        np.testing.assert_array_equal(file.read(dataset, Window(5, 6, 7, 8)), VALUES[:, 6:14, 5:12])
    with open_raster(path) as dataset:
        assert dataset.count == 3


def test_files_on_s3_are_read_alike(tmp_path: Path, s3_server: S3Server) -> None:
    folder = tmp_path / "rasters"
    folder.mkdir()
    (folder / "f.tif").write_bytes(tiff(**TILED))
    s3_server.upload(folder, "rasters", "opener-test")
    options = {"anon": True, "endpoint_url": s3_server.url}
    file = RasterFile("s3://opener-test/rasters/f.tif", storage_options=options)
    assert file.size == (folder / "f.tif").stat().st_size
    with file.open() as dataset:
        np.testing.assert_array_equal(file.read(dataset, Window(5, 6, 7, 8)), VALUES[:, 6:14, 5:12])
    with pytest.raises(NotFoundError, match=r"no\.tif at http://127.* not found"):
        RasterFile("s3://opener-test/rasters/no.tif", storage_options=options)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"no.tif: there is no such file"):
        RasterFile(tmp_path / "no.tif")
    with (
        FileServer() as server,
        http.session() as session,
        pytest.raises(NotFoundError, match=r"/no.tif: not found"),
    ):
        RasterFile(f"{server.url}/no.tif", session=session)


@pytest.mark.parametrize("href", ["vrt://a.tif", "ftp://x/a.tif", "zip://a.zip!a.tif"])
def test_other_schemes_are_refused(href: str) -> None:
    with pytest.raises(
        IntegrityError, match="is neither an https, http or s3 URL nor a path; refused"
    ):
        RasterFile(href)


def test_gdal_prefixes_are_only_names() -> None:
    with pytest.raises(LocalError, match="there is no such file"):
        RasterFile("GTIFF_DIR:1:a.tif")
    with pytest.raises(
        IntegrityError, match="is neither an https, http or s3 URL nor a path; refused"
    ):
        RasterFile("/vsicurl/http://127.0.0.1/a.tif")
    with pytest.raises(IntegrityError, match="is neither a path nor a URL; refused"):
        RasterFile("/vsizip/a.zip/a.tif")


def test_a_file_of_no_bytes_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "f.tif").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"f.tif: is empty$"):
        RasterFile(tmp_path / "f.tif").open()


def test_a_vrt_under_the_name_of_a_tiff_does_not_open(tmp_path: Path) -> None:
    vrt = b"<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>"
    (tmp_path / "f.tif").write_bytes(vrt)
    with pytest.raises(IntegrityError, match=r"f.tif: is not a TIFF"):
        RasterFile(tmp_path / "f.tif").open()
    with (
        FileServer({"/f.tif": vrt}) as server,
        http.session() as session,
        pytest.raises(IntegrityError, match=r"f.tif: is not a TIFF"),
    ):
        RasterFile(f"{server.url}/f.tif", session=session).open()


def test_a_file_that_is_cut_off_does_not_open(tmp_path: Path) -> None:
    data = tiff(**TILED)
    (tmp_path / "f.tif").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(IntegrityError, match=r"f.tif: is cut off, it has \d+ bytes of at least"):
        RasterFile(tmp_path / "f.tif").open()
    (tmp_path / "f.tif").write_bytes(data[:100])
    with pytest.raises(IntegrityError, match=r"f.tif: cannot be opened as a GeoTIFF"):
        RasterFile(tmp_path / "f.tif").open()


def test_a_broken_tile_is_named(tmp_path: Path) -> None:
    data = bytearray(tiff(**(TILED | {"compress": "deflate"})))
    path = tmp_path / "f.tif"
    path.write_bytes(data)
    with open_raster(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    data[offset : offset + 20] = bytes(20)
    path.write_bytes(data)
    file = RasterFile(path)
    with file.open() as dataset:
        with pytest.raises(IntegrityError, match=r"f.tif: .*rows 300\+10, columns 300\+10 cannot"):
            file.read(dataset, Window(300, 300, 10, 10))
        np.testing.assert_array_equal(
            file.read(dataset, Window(0, 0, 200, 200)), VALUES[:, :200, :200]
        )


def test_files_beside_a_tiff_do_not_speak_for_it(tmp_path: Path) -> None:
    path = tmp_path / "f.tif"
    path.write_bytes(tiff(**TILED))
    (tmp_path / "f.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>7</NoDataValue></PAMRasterBand>"
        "</PAMDataset>"
    )
    with open_raster(path) as dataset:
        assert dataset.nodatavals == (None, None, None)
