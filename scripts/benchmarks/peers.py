"""The same work with other tools on one GeoTIFF with many bands, as documented for each.

Run by the Python of `build/bench/.venv`: ``python -m scripts.benchmarks.peers TOOL JOB``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmarks.data import NODATA, RES
from scripts.benchmarks.job import Job


def stackstac(job: Job) -> None:
    """Stack items of one band each, because stackstac supports only single-band assets."""
    import dask
    import rasterio
    import stackstac

    path = job.layers[0].paths[0]
    with rasterio.open(path) as file:
        bands, dtype = file.count, np.dtype(file.dtypes[0])
    items = [_item(path, f"vrt://{path}?bands={band}", band) for band in range(1, bands + 1)]
    stack = stackstac.stack(
        items, assets=["data"], epsg=4326, resolution=RES, bounds=job.box, snap_bounds=False,
        chunksize=job.tile, dtype=dtype, fill_value=dtype.type(NODATA), rescale=False,
        xy_coords=False,
    )  # fmt: skip
    with dask.config.set(num_workers=job.threads):
        _to_zarr(stack.isel(band=0).data, job)


def odc_stac(job: Job) -> None:
    """Load one item whose asset has many bands."""
    import dask
    import odc.stac
    import pystac
    import rasterio
    from odc.geo.geobox import GeoBox

    path = job.layers[0].paths[0]
    with rasterio.open(path) as file:
        bands, dtype = file.count, file.dtypes[0]
    item = _item(path, path, 1)
    item["stac_extensions"] = ["https://stac-extensions.github.io/raster/v1.1.0/schema.json"]
    item["assets"]["data"]["raster:bands"] = [{"data_type": dtype, "nodata": NODATA}] * bands
    grid = GeoBox.from_bbox(job.box, "EPSG:4326", shape=job.shape)
    loaded = odc.stac.load(
        [pystac.Item.from_dict(item)], bands=[f"data.{band}" for band in range(1, bands + 1)],
        geobox=grid, chunks={"latitude": job.tile, "longitude": job.tile},
    )  # fmt: skip
    with dask.config.set(num_workers=job.threads):
        _to_zarr(loaded.isel(time=0).to_array("band").data, job)


def gdal(job: Job) -> None:
    """Warp all bands at once, a quarter of a tile in each thread."""
    import rasterio
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window

    path = job.layers[0].paths[0]
    with rasterio.open(path) as file:
        bands, dtype = file.count, file.dtypes[0]
    array = job.create(job.layers[0].name, (bands,), dtype)
    with ThreadPoolExecutor(job.threads) as pool, rasterio.Env(GDAL_CACHEMAX=256):
        for rows, cols in job.tiles():
            result = np.empty((bands, rows.stop - rows.start, cols.stop - cols.start), dtype)
            high = -(-result.shape[1] // job.threads)

            def warp(
                top: int, rows: Any = rows, cols: Any = cols, high: Any = high, result: Any = result
            ) -> None:
                part = slice(top, min(top + high, rows.stop))
                with rasterio.open(path) as file, WarpedVRT(
                    file, crs="EPSG:4326", transform=rasterio.Affine(*job.transform),
                    height=job.shape[0], width=job.shape[1], nodata=NODATA, warp_mem_limit=256,
                ) as vrt:  # fmt: skip
                    out = result[:, part.start - rows.start : part.stop - rows.start]
                    vrt.read(window=Window.from_slices(part, cols), out=out)

            def write(band: int, rows: Any = rows, cols: Any = cols, result: Any = result) -> None:
                array[band, rows, cols] = result[band]

            list(pool.map(warp, range(rows.start, rows.stop, high)))
            list(pool.map(write, range(bands)))


def _item(path: str, href: str, band: int) -> dict[str, Any]:
    import rasterio
    from rasterio.warp import transform_bounds, transform_geom
    from shapely.geometry import box, mapping

    with rasterio.open(path) as file:
        bounds, crs, transform, shape = file.bounds, file.crs, file.transform, file.shape
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": f"band-{band}",
        "geometry": transform_geom(crs, "EPSG:4326", mapping(box(*bounds))),
        "bbox": list(transform_bounds(crs, "EPSG:4326", *bounds)),
        "properties": {
            "datetime": f"{1984 + band}-01-01T00:00:00Z", "proj:epsg": crs.to_epsg(),
            "proj:shape": list(shape), "proj:transform": list(transform)[:6],
        },
        "assets": {"data": {"href": href, "type": "image/tiff", "roles": ["data"]}},
        "links": [],
    }  # fmt: skip


def write(data: Any, out: str, threads: int) -> None:
    """Compute a dask array in so many threads, and write its chunks as stacbuild does."""
    import dask
    import zarr
    from zarr.codecs import ZstdCodec

    with dask.config.set(num_workers=threads):
        target = zarr.create_array(
            out,
            shape=data.shape,
            chunks=data.chunksize,
            dtype=data.dtype,
            compressors=[ZstdCodec(level=1, checksum=True)],
            config={"write_empty_chunks": True},
        )
        dask.array.store(data, target, lock=False)


def _to_zarr(data: Any, job: Job) -> None:
    import xarray as xr

    name = job.layers[0].name
    encoding = {**job.encoding()}
    version = encoding.pop("zarr_format")
    array = xr.DataArray(data, dims=("band", "y", "x"), name=name)
    array.to_dataset().to_zarr(
        job.out,
        zarr_format=version,
        consolidated=False,
        encoding={name: {"chunks": tuple(size[0] for size in data.chunks), **encoding}},
    )


TOOLS = {"stackstac": stackstac, "odc-stac": odc_stac, "gdal": gdal}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](Job.load(Path(sys.argv[2])))
