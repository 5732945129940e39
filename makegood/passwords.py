"""Passwords: argon2id, a few at a time."""

from __future__ import annotations

import base64
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from makegood.errors import Invalid, Throttled

HASHER = PasswordHasher()
LENGTHS = range(12, 1025)
"""Allowed lengths in bytes of UTF-8."""

CONCURRENT = 4
"""Hashes at once in one process: each takes 64 MiB."""
WAIT = 10.0
"""Seconds that a log-in waits for its turn."""
_turns = threading.BoundedSemaphore(CONCURRENT)


@contextmanager
def turn() -> Iterator[None]:
    """Hold one of the few places to hash. Raises Throttled when none becomes free in time."""
    if not _turns.acquire(timeout=WAIT):
        raise Throttled("Too many people are logging in right now. Try again in a moment.", retry_after=5)
    try:
        yield
    finally:
        _turns.release()


def make_hash(password: str) -> str:
    """The form in which a password is stored. Raises Invalid when it is too short or too long."""
    encoded = _encode(password)
    if len(encoded) not in LENGTHS:
        raise Invalid(
            "A password needs at least 12 characters, and at most 1,024 bytes.",
            fields={"password": "must have 12 to 1024 bytes"},
        )
    return HASHER.hash(encoded)


def matches(stored: str | None, password: str) -> bool:
    """Whether this is the password. Without a stored hash it never is, and that takes just as long."""
    encoded = _encode(password)
    fits = len(encoded) in LENGTHS
    try:
        same = HASHER.verify(_dummy() if stored is None else stored, encoded if fits else b"")
    except (VerificationError, InvalidHashError):
        return False
    return same and fits and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(stored)


def _encode(password: str) -> bytes:
    # One password typed on two keyboards may differ in its Unicode form only.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _dummy() -> str:
    """A hash that no password is known for, with today's parameters."""

    def zeros(length: int) -> str:
        return base64.b64encode(bytes(length)).decode().rstrip("=")

    parameters = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${parameters}${zeros(HASHER.salt_len)}${zeros(HASHER.hash_len)}"
