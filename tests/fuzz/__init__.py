"""Random inputs, built on random grids and compared with what rasterio, xarray and pyproj say.

One integer, the seed, gives an input, its configuration and so its verdict::

    .venv/bin/python -m scripts.fuzz_run --seed 123 --count 1

`rasters` and `zarrs` write an input and tell what it holds, `grids` chooses where it is to go,
`reference` computes what a cube has to hold there, without any code of stacbuild, `judge` builds it
and compares, and `damage` spoils valid files at random.
"""
