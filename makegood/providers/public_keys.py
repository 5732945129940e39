"""The Ed25519 keys that a provider publishes as a JWKS: https://www.rfc-editor.org/rfc/rfc8037

They are fetched from one fixed address, kept for a day, and fetched again when none of them verifies (the provider
may have changed them), at most once a minute: strangers can make us look, but not often.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from makegood.providers import fields
from makegood.providers.http import Door
from makegood.providers.protocol import FetchFailed

KEPT_SECONDS = 24 * 3600
PAUSE_SECONDS = 60
MAX_KEYS = 20

log = structlog.get_logger()


class PublicKeys:
    """The keys at one address. Threads may share it: one fetches, and those without any key wait for it."""

    def __init__(self, door: Door, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._url = url
        self._clock = clock
        self._fetching = threading.Lock()
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")

    def learn(self, keys: Iterable[Ed25519PublicKey]) -> None:
        """Take these keys in place of those before."""
        self._keys = tuple(keys)
        self._fetched_at = self._asked_at = self._clock()

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether one of the keys made this signature. Without keys that are fresh enough, none did."""
        keys = self._fresh()
        if _fits(keys, signature, message):
            return True
        # Who has keys does not wait for another thread's: strangers could keep all threads waiting.
        if not self._fetching.acquire(blocking=not keys):
            return False
        try:
            newer = self._fresh()
            # Another thread may have fetched them while this one waited.
            if newer == keys and self._clock() - self._asked_at >= PAUSE_SECONDS:
                self._fetch()
                newer = self._fresh()
        finally:
            self._fetching.release()
        return newer != keys and _fits(newer, signature, message)

    def _fresh(self) -> tuple[Ed25519PublicKey, ...]:
        return self._keys if self._clock() - self._fetched_at < KEPT_SECONDS else ()

    def _fetch(self) -> None:
        self._asked_at = self._clock()
        try:
            answer = self._door.fetch(self._url, {})
        except FetchFailed as failed:
            log.warning("public_keys_not_fetched", url=self._url, problem=str(failed))
            return
        keys = read((answer.body or {}).get("keys"))
        if answer.status != 200 or not keys:
            log.warning(
                "public_keys_not_fetched", url=self._url, problem=f"HTTP {answer.status}, {len(keys)} keys"
            )
            return
        self.learn(keys)


def read(jwks: Any) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys in the "keys" of a JWKS; what is none is left out."""
    entries = jwks[:MAX_KEYS] if isinstance(jwks, list) else []
    return tuple(key for key in map(_key, entries) if key is not None)


def _key(entry: Any) -> Ed25519PublicKey | None:
    entry = fields.mapping(entry)
    text = entry.get("x")
    if (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519") or not isinstance(text, str) or len(text) > 64:
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError):
        return None


def _fits(keys: tuple[Ed25519PublicKey, ...], signature: bytes, message: bytes) -> bool:
    for key in keys:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False
