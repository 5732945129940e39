"""The one path on which an address that came from outside is fetched. It trusts nothing of it.

Only https, only the standard port, no credentials in the address. The host is resolved once, every address that
it resolves to must be public, and the connection goes to one that was checked: a name that resolves differently
the next moment gains nothing. A redirect is another address, and is checked like the first. The only exception is
a provider's own address as configured (a proxy, the simulated provider), exactly as it stands there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpcore
import httpx

from makegood import addresses, connections
from makegood.errors import MakegoodError

SECONDS = 60.0
"""For everything: connecting, redirects and the last byte."""
MAX_BYTES = 256 * 1024 * 1024
MAX_REDIRECTS = 3
REDIRECTIONS = (301, 302, 303, 307, 308)
MEDIA = ("image/", "video/", "audio/")


class DownloadRefused(MakegoodError):
    """The output's address may not be fetched, or what is there is no picture, video or sound."""

    code = "output_refused"
    status = 502


class DownloadFailed(MakegoodError):
    """The output could not be fetched: ask again, or follow its link."""

    code = "output_unavailable"
    status = 502


@dataclass(frozen=True)
class Download:
    """An answer that has begun: its type, its length if the sender says it, and what follows."""

    content_type: str
    length: int | None
    chunks: Iterator[bytes] = field(repr=False)


@contextmanager
def open_link(
    link: str,
    *,
    allowed_origin: str | None = None,
    types: tuple[str, ...] = MEDIA,
    max_bytes: int = MAX_BYTES,
    seconds: float = SECONDS,
    resolve: addresses.Resolve = addresses.resolve,
) -> Iterator[Download]:
    """Begin a download; its chunks raise DownloadFailed beyond `max_bytes` or `seconds`.

    `allowed_origin` is the one address that may be private or plain http. `types` are beginnings of content types.
    Raises DownloadRefused and DownloadFailed.
    """
    door = _Door(allowed_origin, resolve)
    try:
        with connections.pool(seconds, door.address) as pool, _follow(pool, door, link) as response:
            yield _begun(response, _named(response), types, max_bytes)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise DownloadFailed(
            f"The output could not be fetched ({type(error).__name__}). No credits moved. Try again in a moment."
        ) from None


class _Door:
    """Decides for each address whether it may be opened, and where the connection goes."""

    def __init__(self, allowed_origin: str | None, resolve: addresses.Resolve) -> None:
        self._allowed = _origin(httpx.URL(allowed_origin)) if allowed_origin else None
        self._resolve = resolve

    def check(self, link: str | httpx.URL) -> httpx.URL:
        """The address, read once: what is checked is what is asked for. Raises DownloadRefused."""
        try:
            url = httpx.URL(link)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise _refused("is not an address") from None
        if url.userinfo:
            raise _refused("carries credentials")
        if not url.host:
            raise _refused("names no host")
        if self._allowed is not None and _origin(url) == self._allowed:
            return url
        if url.scheme != "https":
            raise _refused("is not https")
        if url.port not in (None, 443):
            raise _refused("names another port than the standard one")
        return url

    def address(self, host: str, port: int) -> str:
        """The address to connect to. Raises DownloadRefused unless every address of the host is public."""
        if self._allowed is not None and (host, port) == self._allowed[1:]:
            return host
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError):
            raise DownloadFailed(
                "The host of the output is not known. No credits moved. Try again later."
            ) from None
        if not found or not all(addresses.is_public(one) for one in found):
            raise _refused("leads to an address that is not public")
        return found[0]


@contextmanager
def _follow(pool: httpcore.ConnectionPool, door: _Door, link: str) -> Iterator[httpcore.Response]:
    url = door.check(link)
    for _ in range(MAX_REDIRECTS + 1):
        with pool.stream("GET", _target(url), headers=_headers(url)) as response:
            location = _named(response).get("location")
            if response.status not in REDIRECTIONS or location is None:
                yield response
                return
        try:
            url = door.check(url.join(location))
        except (httpx.InvalidURL, ValueError):
            raise _refused("redirects to what is not an address") from None
    raise _refused("redirects too often")


def _begun(
    response: httpcore.Response, headers: Mapping[str, str], types: tuple[str, ...], max_bytes: int
) -> Download:
    if response.status in (401, 403, 404, 410):
        raise DownloadFailed(
            f"The provider does not hand the output out any more (HTTP {response.status}): its link has probably "
            "died. No credits moved."
        )
    if response.status != 200:
        raise DownloadFailed(
            f"The provider answered with HTTP {response.status}. No credits moved. Try again later."
        )
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not content_type.startswith(types):
        raise DownloadRefused("What the link leads to is no picture, video or sound. No credits moved.")
    if headers.get("content-encoding", "identity") != "identity":
        raise DownloadRefused("The output came in an encoding that nobody asked for. No credits moved.")
    said = headers.get("content-length", "")
    length = int(said) if said.isascii() and said.isdigit() and len(said) < 16 else None
    if length is not None and length > max_bytes:
        raise _too_large(max_bytes)
    return Download(content_type, length, _limited(response, max_bytes))


def _named(response: httpcore.Response) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _limited(response: httpcore.Response, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    for chunk in response.iter_stream():
        left -= len(chunk)
        if left < 0:
            raise _too_large(max_bytes)
        yield chunk


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _target(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _headers(url: httpx.URL) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", url.netloc),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
        (b"User-Agent", b"makegood"),
    ]


def _refused(why: str) -> DownloadRefused:
    return DownloadRefused(f"The output's link {why}, so it is not fetched from here. No credits moved.")


def _too_large(max_bytes: int) -> DownloadFailed:
    return DownloadFailed(
        f"The output is larger than the {max_bytes // 2**20} MB that are handed through. No credits moved. "
        "Follow its link instead."
    )
