"""Identifiers and secrets: UUIDv7 for our own rows, random tokens stored only as hashes."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

import uuid_utils.compat


def uuid7() -> UUID:
    """A new time-ordered identifier, so that indexes stay local and pages can be keyset-paginated."""
    return uuid_utils.compat.uuid7()


def uuid7_floor(at: datetime) -> UUID:
    """The smallest UUIDv7 of an instant: rows with a greater id were made at or after it."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62))


def new_token() -> str:
    """A new secret of 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """The form in which a secret token is stored. The token is random, so a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()
