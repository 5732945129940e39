"""API keys of the platform's backend: shown once, stored as a hash, each with its scopes.

`platform` opens the API that moves credits, `stats` the figures and the metrics.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid, NotFound
from makegood.ids import hash_token, new_token
from makegood.models import ApiKey
from makegood.models.operators import SCOPES

PREFIX = "mg_"
KEY = re.compile(r"mg_[A-Za-z0-9_-]{43}")
HINT_LENGTH = 11
FIND = text("SELECT id, name, hint, scopes FROM api_keys WHERE key_hash = :key_hash AND revoked_at IS NULL")
"""Every request of the API asks this, so it is not composed anew each time."""


@dataclass(frozen=True)
class Holder:
    """Whose key a request carries."""

    key_id: UUID
    name: str
    hint: str
    scopes: frozenset[str]


def create(session: Session, name: str, scopes: Collection[str], *, actor: str) -> tuple[ApiKey, str]:
    """Make a key. Returns its row and the plain key, which cannot be shown again. Raises Invalid."""
    if not (1 <= len(name) <= 100 and name.isprintable() and name == name.strip()):
        raise Invalid(
            "A key's name must have 1 to 100 printable characters.",
            fields={"name": "must have 1 to 100 printable characters"},
        )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Invalid(
            f"A key needs at least one scope out of {', '.join(SCOPES)}.",
            fields={"scopes": f"must be one or more of {', '.join(SCOPES)}"},
        )
    plain = PREFIX + new_token()
    key = ApiKey(name=name, hint=plain[:HINT_LENGTH], key_hash=hash_token(plain), scopes=sorted(set(scopes)))
    session.add(key)
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="api_key.created",
        subject=key.hint,
        details={"name": name, "scopes": key.scopes},
    )
    return key, plain


def find(session: Session, plain: str) -> Holder | None:
    """Whose key this is, or None when it is malformed, unknown or revoked."""
    if not KEY.fullmatch(plain):
        return None
    row = session.execute(FIND, {"key_hash": hash_token(plain)}).one_or_none()
    if row is None:
        return None
    return Holder(key_id=row.id, name=row.name, hint=row.hint, scopes=frozenset(row.scopes))


def revoke(session: Session, hint: str, *, actor: str, now: datetime) -> ApiKey:
    """End a key, named by its hint. Raises NotFound, and Conflict when two running keys share the hint."""
    running = session.scalars(
        select(ApiKey).where(ApiKey.hint == hint, ApiKey.revoked_at.is_(None)).with_for_update()
    ).all()
    if not running:
        raise NotFound(f"No running key begins with {hint!r}.")
    if len(running) > 1:
        raise Conflict(f"Two running keys begin with {hint!r}.")
    key = running[0]
    key.revoked_at = now
    audit.record(session, actor=actor, action="api_key.revoked", subject=hint, details={"name": key.name})
    return key


def listed(session: Session) -> list[ApiKey]:
    """All keys, oldest first, the revoked ones too."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id)))
