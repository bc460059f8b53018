"""Connections that compare the address they got with what was known when the URL was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from stacbuild.net.hrefs import check_connection

if TYPE_CHECKING:
    from urllib3 import PoolManager


def guard(manager: PoolManager) -> None:
    """Let a pool manager use connections that are checked before a request is sent.

    Connections to a proxy, for which requests uses other managers, are not checked: the user has
    named the proxy, and it resolves the names.
    """
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _check_peer(connection: HTTPConnection) -> None:
    address = connection.sock.getpeername()
    try:
        check_connection(connection.host, address[0])
    except BaseException:
        connection.close()
        raise


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
