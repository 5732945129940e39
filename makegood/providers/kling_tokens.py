"""The tokens that Kling is asked with: https://app.klingai.com/global/dev/document-api/apiReference/commonInfo

A JWT (HS256) that names the access key and is signed with the secret key. Pure but for the clock.
"""

from __future__ import annotations

import threading
import time

import jwt

LIFETIME_SECONDS = 1800
KEPT_SECONDS = 1500
"""A token is used for so long; the rest of its life is for clocks that differ."""
EARLIER_SECONDS = 5
"""So much earlier than now it says that it is valid from."""


def encode(access_key: str, secret_key: str, now: int) -> str:
    """The token for half an hour from `now` (seconds since 1970). No `iat`: the provider's sample has none."""
    claims = {"iss": access_key, "exp": now + LIFETIME_SECONDS, "nbf": now - EARLIER_SECONDS}
    return jwt.encode(claims, secret_key, algorithm="HS256", headers={"typ": "JWT"})


class Tokens:
    """One account's token, made anew before it ends, or when Kling says that it has. Threads may share it."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._keys = (access_key, secret_key)
        self._lock = threading.Lock()
        self._token = ""
        self._made_at = 0

    def current(self) -> str:
        """A token that is valid by our clock."""
        with self._lock:
            now = int(time.time())
            if not self._token or not 0 <= now - self._made_at < KEPT_SECONDS:
                self._make(now)
            return self._token

    def after(self, refused: str) -> str:
        """Another token than this one, which the provider took for expired."""
        with self._lock:
            if self._token == refused:
                self._make(int(time.time()))
            return self._token

    def _make(self, now: int) -> None:
        self._token, self._made_at = encode(*self._keys, now), now
