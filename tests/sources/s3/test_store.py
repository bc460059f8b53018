"""A bucket as a store: its server, its addresses, and how it is reached."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stacbuild.config.addresses import S3_HOST
from stacbuild.sources.s3.store import S3Store


def store(root: str = "bucket/maps/", **options: Any) -> S3Store:
    params = {"root": root, "storage_options": options}
    return S3Store.model_validate({"identifier": "s", "store_id": "s3", "store_params": params})


def test_addresses_of_an_object() -> None:
    found = store(endpoint_url="https://s3.example:9000/", anon=True)
    assert found.key == "s3:s3.example:9000/bucket/maps"
    assert found.s3_url("a b.tif") == "s3://bucket/maps/a b.tif"
    assert found.https_url("a b.tif") == "https://s3.example:9000/bucket/maps/a%20b.tif"
    assert found.s3_root == "s3://bucket/maps/"
    assert found.address("a/../b.tif") == ("s3.example:9000", ("bucket", "maps", "b.tif"))


def test_without_a_server_it_is_aws() -> None:
    found = store("bucket")
    assert found.key == f"s3:{S3_HOST}/bucket"
    assert found.servers == (f"https://{S3_HOST}",)
    # What AWS settings of the machine say counts then.
    assert found.storage_options == {"anon": False}


def test_an_endpoint_may_stand_in_either_place() -> None:
    client = {"endpoint_url": "https://s3.example", "region_name": "eu-1"}
    found = store(client_kwargs=client, anon=True)
    assert found.endpoint_url == "https://s3.example"
    assert found.storage_options == {
        "anon": True,
        "endpoint_url": "https://s3.example",
        "client_kwargs": {"region_name": "eu-1"},
    }
    assert found.s3_options == {}


def test_keys_are_in_the_options_and_nowhere_else() -> None:
    found = store(key="canary-key", secret="canary-secret")
    assert found.s3_options["secret"] == "canary-secret"
    assert "canary" not in repr(found) + str(found.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("root", "options"),
    [
        ("s3://bucket", {}),
        ("/", {}),
        ("bucket", {"anon": True, "key": "k", "secret": "s"}),
        ("bucket", {"key": "k"}),
        ("bucket", {"endpoint_url": "https://a", "client_kwargs": {"endpoint_url": "https://a"}}),
    ],
)
def test_what_contradicts_itself_is_refused(root: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        store(root, **options)


def test_options_of_the_command_line() -> None:
    assert S3Store.params_of(None, signed=False) == {"storage_options": {"anon": True}}
    signed = {"anon": False, "endpoint_url": "https://a"}
    assert S3Store.params_of("https://a", signed=True) == {"storage_options": signed}
