"""HTTP connections with one deadline for everything: connecting, TLS, sending, and every byte of the answer.

A limit on each read alone would let whoever answers one byte at a time hold a thread for hours.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import httpcore
import httpx

CONNECT_SECONDS = 3.0

Address = Callable[[str, int], str]
"""Where to connect for a host and port: a name or an address. May raise."""


def pool(seconds: float, address: Address | None = None) -> httpcore.ConnectionPool:
    """Connections that all end so many seconds from now. `address` decides where they lead; certificates are
    checked against the host's name all the same. A context manager."""
    backend = _Backend(time.monotonic() + seconds, address or _same)
    return httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, max_connections=1)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _same(host: str, port: int) -> str:
    return host


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: float, address: Address) -> None:
        self._deadline = deadline
        self._address = address
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        where = self._address(host, port)
        left = min(_left(self._deadline, httpcore.ConnectTimeout), CONNECT_SECONDS)
        return _Stream(self._sockets.connect_tcp(where, port, timeout=left), self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=_left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=_left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout=left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float, over: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise over("the time is over")
    return left
