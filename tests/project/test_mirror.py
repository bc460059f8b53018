"""Tests mirror the package: ``stacbuild/<room>/<module>.py``, ``tests/<room>/test_<module>.py``."""

from __future__ import annotations

from tests.support.paths import ROOT

ELSEWHERE = {
    "api/catalog.py": "api/test_public.py",
    "api/cubes.py": "api/test_public.py",
    "api/sources.py": "sources/test_listing.py",
    "building/assets.py": "building/test_formats.py",
    "building/finished.py": "storage/test_resume_long.py",
    "building/item.py": "end_to_end/test_cube.py",
    "building/lazy.py": "api/test_datasets.py",
    "building/leftovers.py": "storage/test_leftovers.py",
    "building/levels.py": "building/test_formats.py",
    "building/make.py": "storage/test_resume.py",
    "building/netcdf.py": "building/test_formats.py",
    "building/region.py": "building/test_together.py",
    "building/workers.py": "building/test_compute.py",
    "building/write.py": "storage/test_resume.py",
    "stac/ids.py": "stac/test_catalog_ids.py",
    "stac/parquet.py": "stac/test_mirror.py",
    "stac/reading.py": "stac/test_index.py",
    "cli/cube.py": "cli/test_program.py",
    "cli/export.py": "stac/test_export.py",
    "cli/harvest.py": "cli/test_program.py",
    "cli/preview.py": "pictures/test_preview.py",
    "cli/remove.py": "removal/test_remove.py",
    "cli/validate.py": "validation/test_validate.py",
    "formats/vector.py": "building/test_clip.py",
    "geo/region.py": "building/test_clip.py",
    "formats/zarr_http.py": "formats/test_zarr_store.py",
    "loading/dataset.py": "api/test_datasets.py",
    "loading/indexed.py": "test_indices.py",
    "loading/options.py": "api/test_datasets.py",
    "loading/temporal_select.py": "loading/test_temporal.py",
    "loading/time_steps.py": "planning/test_plan_of_times.py",
    "loading/zarr.py": "loading/test_both_ends.py",
    "multistore/geolocations.py": "multistore/test_main.py",
    "multistore/overview.py": "multistore/test_main.py",
    "multistore/stores.py": "multistore/test_main.py",
    "sources/own_file_groups.py": "sources/test_own_files.py",
    "planning/job.py": "planning/test_planner.py",
    "sources/clms/auth.py": "sources/clms/test_api.py",
    "sources/clms/listing.py": "sources/test_listing.py",
    "sources/file/harvest.py": "sources/test_objects.py",
    "sources/harvesting.py": "planning/test_sources.py",
    "sources/https/harvest.py": "sources/test_objects.py",
    "sources/s3/harvest.py": "sources/test_objects.py",
    "sources/s3/listing.py": "sources/test_listing.py",
    "sources/stac/asset.py": "sources/stac/test_layouts.py",
    "sources/stac/own_cubes.py": "sources/stac/test_own_catalog.py",
    "sources/stac/one_asset.py": "sources/stac/test_harvest.py",
    "sources/stac/projection.py": "sources/stac/test_place.py",
    "sources/stac/reader.py": "sources/stac/test_harvest.py",
    "sources/stac/search.py": "sources/stac/test_harvest.py",
    "sources/unmatched.py": "profiles/test_profile_mistakes.py",
    "sources/zenodo/collection.py": "sources/zenodo/test_harvest.py",
    "sources/zenodo/listing.py": "sources/test_listing.py",
    "stac/catalog.py": "stac/test_catalog_ids.py",
    "storage/bucket.py": "storage/test_storage.py",
    "storage/folder.py": "storage/test_resume.py",
    "storage/memory.py": "storage/test_storage.py",
    "storage/objects.py": "storage/test_storage.py",
    "storage/ownership.py": "storage/test_foreign.py",
    "storage/site.py": "storage/test_leftovers.py",
    "storage/staging.py": "storage/test_leftovers.py",
    "validation/catalog.py": "validation/test_validate.py",
    "validation/chunks.py": "validation/test_validate.py",
    "validation/cube.py": "validation/test_validate.py",
}
"""Modules without a file of tests of their own, and the tests that go through them.

They are tested through a command or a public function, since they join others or hand on what a
user gave. A module that gets its own file is removed here; a new module gets its own file.
"""


def test_each_module_has_a_file_of_tests() -> None:
    package = ROOT / "stacbuild"
    modules = (path.relative_to(package) for path in package.rglob("*.py"))
    without = {
        path.as_posix()
        for path in modules
        if path.name != "__init__.py"
        and not (ROOT / "tests" / path).with_name(f"test_{path.name}").exists()
    }
    assert without - ELSEWHERE.keys() == set(), "add tests/<room>/test_<module>.py for each"
    assert ELSEWHERE.keys() - without == set(), "remove these from ELSEWHERE"


def test_the_tests_that_are_named_instead_are_there() -> None:
    assert {name for name in ELSEWHERE.values() if not (ROOT / "tests" / name).exists()} == set()
