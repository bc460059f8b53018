"""Addresses of the same object are the same, however they are written."""

from __future__ import annotations

import pytest

from stacbuild.config.addresses import S3_HOST, address_of, parts_of, server_of


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://S3.amazonaws.com", S3_HOST),
        ("https://s3.eu-central-1.amazonaws.com", S3_HOST),
        ("https://s3-us-west-2.amazonaws.com:443/", S3_HOST),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", S3_HOST),
        ("https://Host.example.:443", "host.example"),
        ("http://host.example:443", "host.example:443"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        # Not a server of AWS.
        ("https://s3.amazonaws.com.example", "s3.amazonaws.com.example"),
    ],
)
def test_the_same_server_is_the_same_text(url: str, server: str) -> None:
    assert server_of(url) == server


def test_a_bucket_may_be_in_the_name_of_the_server() -> None:
    key = ("deep", "a", "b c.tif")
    assert address_of("https://deep.s3.amazonaws.com/a//b%20c.tif") == (S3_HOST, key)
    assert address_of("https://s3.eu-west-1.amazonaws.com/deep/./a/b%20c.tif") == (S3_HOST, key)
    assert address_of("https://host.example/deep/a/b%20c.tif") == ("host.example", key)


def test_parts_of_a_key() -> None:
    assert parts_of("/bucket//a/../b/") == ("bucket", "b")
    assert parts_of("") == ()
