"""Files under a URL as a store."""

from __future__ import annotations

import pytest

from stacbuild.config.addresses import S3_HOST
from stacbuild.sources.https.store import HttpsStore


def store(root: str) -> HttpsStore:
    return HttpsStore.model_validate(
        {"identifier": "web", "store_id": "https", "store_params": {"root": root}}
    )


@pytest.mark.parametrize(
    ("root", "url"),
    [
        ("host.example/maps/", "https://host.example/maps"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_a_url_without_a_scheme_is_https(root: str, url: str) -> None:
    found = store(root)
    assert found.root == url
    assert found.servers == (url,)
    assert found.key == f"https:{url.partition('://')[2]}"
    assert not found.writable


def test_a_bucket_behind_a_url_is_known_as_one() -> None:
    found = store("https://s3.eu-central-1.amazonaws.com/bucket/maps")
    assert found.address("a%20b.tif") == (S3_HOST, ("bucket", "maps", "a b.tif"))
