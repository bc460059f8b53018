"""Hrefs are validated before anything is opened."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pystac
import pytest

from stacbuild.errors import IntegrityError
from stacbuild.net.hrefs import (
    Allowed,
    Zone,
    check,
    check_form,
    check_item,
    is_relative_path,
    leads_inwards,
    zone_of,
)

WEB = "https://8.8.8.8"


@pytest.mark.parametrize("href", ["/data/a.tif", "https://host.example/a?x=1", "s3://bucket/a"])
def test_plain_paths_and_urls_are_well_formed(href: str) -> None:
    check_form(href)


@pytest.mark.parametrize(
    "href",
    [
        "a.tif",
        "/vsicurl/http://a",
        "//VSIZIP/a.zip",
        "zip::https://a",
        "ftp://host/a",
        "file:///etc/passwd",
        "https://me:canary@host/a",
        "https:///a",
        "https://host:port/a",
        "/data/a\n.tif",
        "<VRTDataset/>",
    ],
)
def test_all_else_that_libraries_would_open_is_refused(href: str) -> None:
    with pytest.raises(IntegrityError, match="refused") as caught:
        check_form(href)
    assert "canary" not in str(caught.value)


def test_paths_are_below_folders_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    allowed = Allowed((tmp_path / "link",), ())
    check(str(tmp_path / "link" / "a.tif"), allowed)
    check(str(tmp_path / "real" / "a.tif"), allowed)
    for path in (f"{tmp_path}/link/../a.tif", f"{tmp_path}/linked/a.tif", "/etc/passwd"):
        with pytest.raises(IntegrityError, match="outside of the folders"):
            check(path, allowed)


def test_buckets_are_those_of_the_store() -> None:
    check("s3://bucket/maps/a.tif", Allowed((), (), "s3://bucket/maps/"))
    for root in ("s3://bucket/other/", None):
        with pytest.raises(IntegrityError, match="is not below"):
            check("s3://bucket/maps/a.tif", Allowed((), (), root))


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("8.8.8.8", Zone.WEB),
        ("10.1.2.3", Zone.PRIVATE),
        ("127.0.0.1", Zone.LOOPBACK),
        ("::1", Zone.LOOPBACK),
        ("::ffff:127.0.0.1", Zone.LOOPBACK),
        ("64:ff9b::7f00:1", Zone.LOOPBACK),
        ("169.254.169.254", Zone.LINK_LOCAL),
        ("0.0.0.0", Zone.LINK_LOCAL),
        ("no-such-host.invalid", Zone.WEB),
    ],
)
def test_zones_of_addresses(host: str, zone: Zone) -> None:
    assert zone_of(host) is zone


def test_nothing_leads_from_the_web_into_a_private_network() -> None:
    assert leads_inwards(WEB, "http://10.0.0.1/a")
    assert not leads_inwards("http://10.0.0.1", "http://10.0.0.2/a")
    assert not leads_inwards("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert not leads_inwards("http://127.0.0.1", WEB)
    assert leads_inwards("http://127.0.0.1", "http://169.254.169.254/latest")
    with pytest.raises(IntegrityError, match="private network"):
        check("http://10.0.0.1/a", Allowed((), (WEB,)))
    # No URL at all, where the store has no server.
    with pytest.raises(IntegrityError):
        check(f"{WEB}/a", Allowed((), ()))


def test_relative_paths_have_no_prefix_of_a_driver() -> None:
    assert is_relative_path("./a/b.tif")
    assert is_relative_path("../a:b.tif")
    assert not any(map(is_relative_path, ("/a", "NETCDF:a.nc", " vrt://a", "<VRT", '{"a": 1}')))


def test_an_item_is_refused_by_its_asset() -> None:
    item = pystac.Item("a", None, None, dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {})
    alternate = {"s3": {"href": "s3://other/a"}}
    item.add_asset("data", pystac.Asset(f"{WEB}/a", extra_fields={"alternate": alternate}))
    with pytest.raises(
        IntegrityError, match=r"a: assets\.data\.alternate\.s3: .*harvest its store"
    ):
        check_item(item, Allowed((), (WEB,), "s3://bucket/"))
    check_item(item, Allowed((), (WEB,), "s3://other/"))


def test_a_host_is_checked_once_and_what_follows_it_for_each_href(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed = Allowed((), (WEB,))
    looked: list[str] = []

    def counting(source: str, target: str) -> bool:
        looked.append(target)
        return leads_inwards(source, target)

    monkeypatch.setattr("stacbuild.net.hrefs.leads_inwards", counting)
    for number in range(50):
        check(f"{WEB}/{number}.tif", allowed)
    assert looked == [f"{WEB}/0.tif"]
    for href in (
        f"{WEB}/a\n.tif",
        f"{WEB}/a::{WEB}/b",
        "https://me:canary@8.8.8.8/a",
        "https://8.8.8.8:port/a",
        "ftp://8.8.8.8/a",
        "https://127.0.0.1/a",
        "https://[8.8.8.8/a",
    ):
        with pytest.raises(IntegrityError, match="refused"):
            check(href, allowed)
    check(f"{WEB}/last.tif", allowed)
