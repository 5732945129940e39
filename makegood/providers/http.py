"""The one door to providers over HTTP: explicit time limits, no redirects, no retries, answers of limited size."""

from __future__ import annotations

import json
import logging
import ssl
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from makegood.json_body import NotJSON, loads
from makegood.providers import fields
from makegood.providers.protocol import ErrorClass, FetchFailed, SubmitRefused, SubmitUnknown

CONNECT_SECONDS = 3.0
SUBMIT_SECONDS = 20.0
FETCH_SECONDS = 10.0
MAX_ANSWER_BYTES = 2_000_000

# httpx logs whole addresses and httpcore whole headers: callback tokens and API keys would be in the logs.
for _logger in ("httpx", "httpcore"):
    logging.getLogger(_logger).setLevel(logging.WARNING)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, its body if that is a JSON object, its headers (names in lower case)."""

    status: int
    body: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)

    @property
    def code(self) -> int:
        """The verdict: the code in the body where HTTP says 2xx and there is one, else the HTTP status."""
        code = fields.integer(self.body.get("code")) if self.body else None
        return code if code is not None and 200 <= self.status < 300 else self.status


def bearer(api_key: str) -> dict[str, str]:
    """The header of most providers."""
    return {"Authorization": f"Bearer {api_key}"}


class _Endless(Exception):
    """The answer is too long or comes too slowly."""


class _Unwritable(Exception):
    """The request cannot be written down."""


# Whatever happens before a connection stands. Everything else may have reached the provider.
NEVER_SENT = (
    _Unwritable,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True)
class Limits:
    """Time limits (seconds) in place of an adapter's own: for tests, which cannot wait."""

    submit_seconds: float | None = None
    fetch_seconds: float | None = None

    def door(
        self,
        *,
        submit_seconds: float = SUBMIT_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Door:
        """A door with an adapter's limits, or with these instead."""
        return Door(
            submit_seconds=self.submit_seconds or submit_seconds,
            fetch_seconds=self.fetch_seconds or fetch_seconds,
            max_bytes=max_bytes,
        )


class Door:
    """An HTTP client for one provider, so that a slow one keeps no other waiting. Threads may share it."""

    def __init__(
        self,
        *,
        submit_seconds: float,
        fetch_seconds: float,
        max_bytes: int,
    ) -> None:
        self._submit_seconds = submit_seconds
        self._fetch_seconds = fetch_seconds
        self._max_bytes = max_bytes
        self._client = httpx.Client(
            verify=_tls(),
            follow_redirects=False,
            trust_env=False,
            # An answer that may not be compressed cannot grow beyond its limit either.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "makegood"},
        )
        weakref.finalize(self, self._client.close)

    def submit(self, url: str, auth: Mapping[str, str], body: Mapping[str, Any]) -> Answer:
        """Send a job, once; `auth` are the headers that say who we are. Raises SubmitRefused if no connection came
        about, else SubmitUnknown."""
        try:
            request = self._request("POST", url, auth, self._submit_seconds, body)
            return self._answer(request, self._submit_seconds)
        except NEVER_SENT as error:
            problem = f"The provider could not be reached ({_name(error)})."
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, problem) from None
        except (httpx.HTTPError, _Endless) as error:
            raise SubmitUnknown(f"The provider's answer was lost ({_name(error)}).") from None

    def fetch(self, url: str, auth: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Answer:
        """Ask once, with GET, or with POST where the question has a body. The answer's body is an object. Raises
        FetchFailed."""
        answer = self._ask(url, auth, body)
        if answer.body is None:
            raise FetchFailed(f"an unreadable answer with HTTP {answer.status}")
        return answer

    def download(self, url: str, auth: Mapping[str, str]) -> Answer:
        """Ask once for a file at the provider itself: any answer will do. Raises FetchFailed."""
        return self._ask(url, auth, None)

    def _ask(self, url: str, auth: Mapping[str, str], body: Mapping[str, Any] | None) -> Answer:
        try:
            method = "GET" if body is None else "POST"
            request = self._request(method, url, auth, self._fetch_seconds, body)
            return self._answer(request, self._fetch_seconds)
        except (*NEVER_SENT, httpx.HTTPError, _Endless) as error:
            raise FetchFailed(f"no answer ({_name(error)})") from None

    def _request(
        self,
        method: str,
        url: str,
        auth: Mapping[str, str],
        seconds: float,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Request:
        headers = {"Content-Type": "application/json", **auth}
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        if not all(value.isascii() and value.isprintable() for value in auth.values()):
            raise _Unwritable
        try:
            content = None if body is None else json.dumps(body, allow_nan=False).encode()
            return self._client.build_request(method, url, content=content, headers=headers, timeout=timeout)
        except (httpx.InvalidURL, TypeError, ValueError):
            raise _Unwritable from None

    def _answer(self, request: httpx.Request, seconds: float) -> Answer:
        deadline = time.monotonic() + seconds
        response = self._client.send(request, stream=True)
        body = bytearray()
        try:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > self._max_bytes or time.monotonic() > deadline:
                    raise _Endless
        finally:
            response.close()
        content = bytes(body)
        return Answer(response.status_code, _object(content), dict(response.headers), content)


@cache
def _tls() -> ssl.SSLContext:
    """One for all doors: reading the certificates takes longer than everything else in a door."""
    return httpx.create_ssl_context(trust_env=False)


def _name(error: Exception) -> str:
    return type(error).__name__.lstrip("_")


def _object(raw: bytes) -> Mapping[str, Any] | None:
    if raw.lstrip()[:1] != b"{":
        return None  # without reading a file of megabytes as if it were JSON
    try:
        value = loads(raw)
    except NotJSON:
        return None
    return value if isinstance(value, dict) else None
