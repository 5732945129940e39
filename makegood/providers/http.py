"""The one door to providers over HTTP: explicit time limits, no redirects, no retries, answers of limited size."""

from __future__ import annotations

import json
import logging
import ssl
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
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
    """An HTTP answer: its status, and its body if that is a JSON object."""

    status: int
    body: Mapping[str, Any] | None

    @property
    def code(self) -> int:
        """The verdict: the code in the body where HTTP says 2xx and there is one, else the HTTP status."""
        code = fields.integer(self.body.get("code")) if self.body else None
        return code if code is not None and 200 <= self.status < 300 else self.status


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


class Door:
    """An HTTP client for one provider, so that a slow one keeps no other waiting. Threads may share it."""

    def __init__(self, *, submit_seconds: float = SUBMIT_SECONDS, fetch_seconds: float = FETCH_SECONDS) -> None:
        self._submit_seconds = submit_seconds
        self._fetch_seconds = fetch_seconds
        self._client = httpx.Client(
            verify=_tls(),
            follow_redirects=False,
            trust_env=False,
            # An answer that may not be compressed cannot grow beyond its limit either.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "makegood"},
        )
        weakref.finalize(self, self._client.close)

    def submit(self, url: str, api_key: str, body: Mapping[str, Any]) -> Answer:
        """Send a job, once. Raises SubmitRefused if no connection came about, else SubmitUnknown."""
        try:
            request = self._request("POST", url, api_key, self._submit_seconds, body)
            return self._answer(request, self._submit_seconds)
        except NEVER_SENT as error:
            problem = f"The provider could not be reached ({_name(error)})."
            raise SubmitRefused(ErrorClass.PROVIDER_UNAVAILABLE, problem) from None
        except (httpx.HTTPError, _Endless) as error:
            raise SubmitUnknown(f"The provider's answer was lost ({_name(error)}).") from None

    def fetch(self, url: str, api_key: str) -> Answer:
        """Ask once. The answer's body is an object. Raises FetchFailed."""
        try:
            request = self._request("GET", url, api_key, self._fetch_seconds)
            answer = self._answer(request, self._fetch_seconds)
        except (*NEVER_SENT, httpx.HTTPError, _Endless) as error:
            raise FetchFailed(f"no answer ({_name(error)})") from None
        if answer.body is None:
            raise FetchFailed(f"an unreadable answer with HTTP {answer.status}")
        return answer

    def _request(
        self, method: str, url: str, api_key: str, seconds: float, body: Mapping[str, Any] | None = None
    ) -> httpx.Request:
        headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        if not (api_key.isascii() and api_key.isprintable()):
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
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                    raise _Endless
        finally:
            response.close()
        return Answer(response.status_code, _object(bytes(body)))


@cache
def _tls() -> ssl.SSLContext:
    """One for all doors: reading the certificates takes longer than everything else in a door."""
    return httpx.create_ssl_context(trust_env=False)


def _name(error: Exception) -> str:
    return type(error).__name__.lstrip("_")


def _object(raw: bytes) -> Mapping[str, Any] | None:
    try:
        value = loads(raw)
    except NotJSON:
        return None
    return value if isinstance(value, dict) else None
