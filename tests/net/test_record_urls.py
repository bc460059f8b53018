"""URLs of the files of records."""

from __future__ import annotations

import pytest

from stacbuild.net.record_urls import kind_of, split_content

API = "https://zenodo.org/api/records/7/files"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (f"{API}/a.nc/content", (f"{API}/a.nc/content", "")),
        (f"{API}/a.nc/content/x/y", (f"{API}/a.nc/content", "x/y")),
        (f"{API}/b/a%20b.h5/content", (f"{API}/b/a%20b.h5/content", "")),
        (f"{API}/a.nc", None),
        ("https://a.org/a.nc/content", None),
        (f"{API}/a.nc/content?x=/content", None),
        ("/records/7/files/a.nc/content", None),
    ],
)
def test_the_content_of_a_file(url: str, parts: tuple[str, str] | None) -> None:
    assert split_content(url) == parts
    assert kind_of(url) == ("zenodo" if parts else "")
