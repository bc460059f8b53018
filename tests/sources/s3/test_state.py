"""Changes of the files of a data id in a bucket; patterns are tested with `test_files`."""

from __future__ import annotations

from stacbuild.sources.s3.state import why_changed
from stacbuild.sources.s3.store import S3Store


def test_a_list_states_its_files_and_lists_nothing() -> None:
    options = {"anon": True, "endpoint_url": "http://127.0.0.1:9"}
    params = {"root": "bucket", "storage_options": options}
    store = S3Store(identifier="s", store_id="s3", store_params=params)
    assert why_changed(store, '["a.tif", "b.tif"]', []) == ""
