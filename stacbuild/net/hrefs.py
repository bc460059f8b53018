"""Validation of hrefs before anything is opened.

The catalog is a folder of files that anyone can edit or pass on, and GDAL, fsspec or requests open
the paths and URLs in it. They accept much more than these: ``/vsicurl/``, ``vrt://``, ``NETCDF:``
and whole XML documents (GDAL), ``a::b`` (fsspec). None of it is needed, so an href has to be a path
within the folders of the configuration, or a plain ``https``, ``http`` or ``s3`` URL; and no URL
may lead from the web into the private network of this machine.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stacbuild.errors import IntegrityError, RemoteError

if TYPE_CHECKING:
    import pystac

REMOTE = ("https", "http", "s3")

# IPv6 addresses whose last 32 bits are an IPv4 address: IPv4-compatible ones (RFC 4291, 2.5.5.1)
# and those of translators (RFC 6052, RFC 8215).
_EMBEDDING = tuple(
    ipaddress.IPv6Network(each) for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")
)

# Metadata services of clouds whose addresses are not link-local: Oracle, Azure, Alibaba, and those
# of AWS and Google in IPv6.
_METADATA_SERVICES = frozenset(
    map(
        ipaddress.ip_address,
        ("192.0.0.192", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254"),
    )
)

# Zones of the hosts that were looked up, so that a connection can be compared with what was
# checked. Nothing is dropped: whoever can fill a cache could have a check forgotten.
_ZONES: dict[str, Zone] = {}


class Zone(IntEnum):
    """Network of an address; a higher zone is closer to this machine."""

    WEB = 0
    PRIVATE = 1
    LOOPBACK = 2
    LINK_LOCAL = 3
    """Also unspecified and multicast addresses, and all metadata services of clouds."""


@dataclass(frozen=True)
class Allowed:
    """Targets that hrefs of the items of one store may have.

    Parameters
    ----------
    folders
        Absolute; local files have to be below one of them.
    servers
        URLs of the store in the configuration (none: no URL is allowed). Their hosts are allowed,
        and others of the same zone or of one further out.
    s3_root
        ``s3://bucket/prefix/`` that the credentials of the store are for; None if it is not on S3.
    """

    folders: tuple[Path, ...]
    servers: tuple[str, ...]
    s3_root: str | None = None
    passed: set[tuple[str, str]] = field(default_factory=set, init=False, compare=False, repr=False)
    """Scheme and network location of URLs that were checked, as a product has thousands."""

    def has_passed(self, href: str) -> bool:
        """Return whether an href is a URL whose scheme and network location were checked."""
        if not self.passed or "://" not in href or "::" in href or not href.isprintable():
            return False
        try:
            parts = urlsplit(href)
        except ValueError:
            return False
        return (parts.scheme, parts.netloc) in self.passed

    @functools.cached_property
    def prefixes(self) -> tuple[str, ...]:
        """The folders, and their targets, which end with a separator.

        The folders of a configuration may be links of the user's. They are followed once: a product
        has thousands of hrefs.
        """
        known = (each for folder in self.folders for each in (folder, folder.resolve()))
        return tuple(f"{str(each).rstrip(os.sep)}{os.sep}" for each in known)


def check_item(item: pystac.Item, allowed: Allowed) -> None:
    """Refuse an item with an href that is not allowed.

    Checked are the assets and their ``alternate`` on S3; other alternates are never opened.

    Raises
    ------
    IntegrityError
        Naming the item's file, the asset and the reason.
    """
    where = item.get_self_href() or item.id
    for key, href in _hrefs(item):
        try:
            check(href, allowed)
        except IntegrityError as error:
            raise IntegrityError(f"{where}: {key}: {error}; harvest its store again") from None


def _hrefs(item: pystac.Item) -> Iterator[tuple[str, str]]:
    for key, asset in item.assets.items():
        yield f"assets.{key}", asset.href
        if s3 := asset.extra_fields.get("alternate", {}).get("s3"):
            yield f"assets.{key}.alternate.s3", s3["href"]


def check(href: str, allowed: Allowed) -> None:
    """Raise IntegrityError if an href is malformed or not allowed.

    Nothing is opened; the name of a host may be resolved.
    """
    if allowed.has_passed(href):
        return
    check_form(href)
    parts = urlsplit(href) if "://" in href else None
    if parts is None:
        _check_folder(href, allowed)
    elif parts.scheme.lower() == "s3":
        if allowed.s3_root is None or not href.startswith(allowed.s3_root):
            raise _refused(href, f"is not below {allowed.s3_root or 'a store on S3'}")
    else:
        if all(leads_inwards(server, href) for server in allowed.servers):
            raise _refused(href, "is an address of a private network, and not its store's")
        allowed.passed.add((parts.scheme, parts.netloc))


def check_form(href: str) -> None:
    """Raise IntegrityError unless an href is an absolute path or a plain https, http or s3 URL."""
    if not href.isprintable():
        raise _refused(href, "contains a control character")
    if "::" in href:
        raise _refused(href, "is a chain of addresses")
    if "://" in href:
        try:
            parts = urlsplit(href)
            host, user = parts.hostname, parts.username or parts.password
            _ = parts.port
        except ValueError:
            raise _refused(href, "is not a valid URL") from None
        if parts.scheme.lower() not in REMOTE:
            raise _refused(href, "is neither an https, http or s3 URL nor a path")
        if not host or user:
            raise _refused(href, "has no host, or contains a user name or password")
        if host_of(href) is None:
            raise _refused(href, "has a host that is not plainly written")
    elif not is_local(href) or re.match(r"/+vsi", href, re.IGNORECASE):
        raise _refused(href, "is neither a path nor a URL")


def is_local(href: str) -> bool:
    """Return whether an href, as `check_form` accepts it, is a path."""
    # A Path takes longer to make than all else: a product has thousands of hrefs.
    return os.path.isabs(href)  # noqa: PTH117


def is_relative_path(href: str) -> bool:
    """Return whether an href is a relative path, not XML or a name with the prefix of a driver."""
    prefixed = re.match(r"\s*[A-Za-z][A-Za-z0-9_+.-]*:", href)
    return not (prefixed or is_local(href) or href.lstrip().startswith(("<", "{")))


def leads_inwards(source: str, target: str) -> bool:
    """Return whether *target* is in a higher zone than *source*, which refers to it.

    Always true for a link-local target on another host, and for a host that is not plainly
    written: there is no honest use of one. The answer is remembered for `check_connection`.
    """
    host, other = host_of(target), host_of(source)
    if host is None:
        return True
    if host == other:
        return False
    zone = zone_of(host)
    return zone is Zone.LINK_LOCAL or zone > zone_of(other or "")


def host_of(url: str) -> str | None:
    """Return the host of a URL as HTTP clients read it.

    Returns
    -------
    str or None
        In lower case, in ASCII, without brackets, ``""`` if there is none. None if clients could
        read another host than is written: percent-encoded characters, control characters, ignored
        ones, names that are no internationalised domain names.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if not host.isascii():
        import idna  # as requests and aiohttp encode it; rarely needed

        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError:
            return None
    return host if re.fullmatch(r"[a-z0-9._:-]*", host) else None


def check_connection(host: str, address: str) -> None:
    """Refuse a connection to an address in a higher zone than its host was found in before.

    A name server can answer differently for the check of a URL and for the connection. A host that
    was never checked is one of the configuration, and is looked up now.

    Parameters
    ----------
    host
        As in the URL.
    address
        Numeric address of the connection.

    Raises
    ------
    RemoteError
        Naming the host.
    """
    host = host.lower().strip("[]")
    known = zone_of(host)
    if _zone(ipaddress.ip_address(address.partition("%")[0])) > known:
        # A name that was unknown for a moment, such as before a VPN was connected, is looked up
        # again by the next run.
        _ZONES.pop(host, None)
        raise RemoteError(
            f"{host}: led to another network when it was checked, and leads to an address of a "
            "private network now, which is refused; run again"
        )


def _check_folder(path: str, allowed: Allowed) -> None:
    is_plain = os.path.normpath(path) == path
    plain = f"{path if is_plain else Path(path)}{os.sep}"
    if f"{os.sep}..{os.sep}" in plain or not plain.startswith(allowed.prefixes):
        raise _refused(path, "is outside of the folders that the configuration names")


def zone_of(host: str) -> Zone:
    """Return the highest zone of the addresses of a host; looked up once per process.

    A name that cannot be resolved counts as one of the web: a connection to it fails, or is made by
    a proxy that can resolve it.
    """
    if (known := _ZONES.get(host)) is None:
        known = _ZONES.setdefault(host, _looked_up(host))
    return known


def _looked_up(host: str) -> Zone:
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return Zone.WEB
    return max(_zone(ipaddress.ip_address(each.partition("%")[0])) for each in found)


def _zone(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Zone:
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or _embedded(address) or address
    if address.is_loopback:
        return Zone.LOOPBACK
    if address in _METADATA_SERVICES:
        return Zone.LINK_LOCAL
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return Zone.LINK_LOCAL
    return Zone.WEB if address.is_global else Zone.PRIVATE


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in one of `_EMBEDDING`, but for ``::`` and ``::1``."""
    if int(address) > 1 and any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _refused(href: str, why: str) -> IntegrityError:
    # A query may be a signature, and an href a whole XML document; neither belongs into a message.
    short = href.partition("?")[0]
    if "://" in short:
        scheme, _, rest = short.partition("://")
        short = f"{scheme}://{rest.rpartition('@')[2]}"
    short = short if len(short) <= 100 else f"{short[:100]}..."
    return IntegrityError(f"the href {short!r} {why}; refused")
