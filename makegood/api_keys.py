"""API keys of the platform's backend: shown once, stored as a hash, each with its scopes.

`platform` opens the API that moves credits, `stats` the figures and the metrics.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid, NotFound
from makegood.ids import hash_token, new_token, uuid7
from makegood.models import ApiKey
from makegood.models.operators import SCOPES

PREFIX = "mg_"
KEY = re.compile(r"mg_[A-Za-z0-9_-]{43}")
HINT_LENGTH = 11
USED_EVERY = timedelta(hours=1)
FIND = text(
    "SELECT id, name, hint, scopes, used_at FROM api_keys WHERE key_hash = :key_hash AND revoked_at IS NULL"
)
"""Every request of the API asks this, so it is not composed anew each time."""


@dataclass(frozen=True)
class Holder:
    """Whose key a request carries. `used_at` is when that was last noted."""

    key_id: UUID
    name: str
    hint: str
    scopes: frozenset[str]
    used_at: datetime | None = None

    def is_unnoted(self, now: datetime) -> bool:
        """Whether its use has to be noted again with `use`."""
        return self.used_at is None or self.used_at <= now - USED_EVERY


def create(
    session: Session,
    name: str,
    scopes: Collection[str],
    *,
    actor: str,
    key_id: UUID | None = None,
    address: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key. Returns its row and the plain key, which cannot be shown again.

    `key_id` is of the form that asks for it: the same form sent twice makes one key. Raises Invalid, and Conflict
    the second time.
    """
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
    key: ApiKey | None = session.scalar(
        insert(ApiKey)
        .values(
            id=key_id or uuid7(),
            name=name,
            hint=plain[:HINT_LENGTH],
            key_hash=hash_token(plain),
            scopes=sorted(set(scopes)),
            created_by=actor,
        )
        .on_conflict_do_nothing(index_elements=["id"])
        .returning(ApiKey)
    )
    if key is None:
        raise Conflict(
            "This form has made its key already, and a key is shown only once. Revoke it and make another."
        )
    audit.record(
        session,
        actor=actor,
        action="api_key.created",
        subject=key.hint,
        details={"name": name, "scopes": key.scopes},
        address=address,
    )
    return key, plain


def find(session: Session, plain: str) -> Holder | None:
    """Whose key this is, or None when it is malformed, unknown or revoked."""
    if not KEY.fullmatch(plain):
        return None
    row = session.execute(FIND, {"key_hash": hash_token(plain)}).one_or_none()
    if row is None:
        return None
    return Holder(key_id=row.id, name=row.name, hint=row.hint, scopes=frozenset(row.scopes), used_at=row.used_at)


def use(session: Session, key_id: UUID, *, now: datetime) -> None:
    """Note that a key is in use, once an hour. Requests side by side do not wait for each other's note."""
    free = (
        select(ApiKey.id)
        .where(ApiKey.id == key_id, or_(ApiKey.used_at.is_(None), ApiKey.used_at <= now - USED_EVERY))
        .with_for_update(key_share=True, skip_locked=True)
    )
    session.execute(update(ApiKey).where(ApiKey.id.in_(free)).values(used_at=now))


def revoke(session: Session, hint: str, *, actor: str, now: datetime) -> ApiKey:
    """End a key, named by its hint. Raises NotFound, and Conflict when two running keys share the hint."""
    running = session.scalars(
        select(ApiKey).where(ApiKey.hint == hint, ApiKey.revoked_at.is_(None)).with_for_update()
    ).all()
    if not running:
        raise NotFound(f"No running key begins with {hint!r}.")
    if len(running) > 1:
        raise Conflict(f"Two running keys begin with {hint!r}.")
    return _revoked(session, running[0], actor, now, None)


def revoke_one(session: Session, key_id: UUID, *, actor: str, now: datetime, address: str | None = None) -> ApiKey:
    """End a key. One that is revoked already stays as it is. Raises NotFound."""
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound("There is no such key.")
    return key if key.revoked_at else _revoked(session, key, actor, now, address)


def _revoked(session: Session, key: ApiKey, actor: str, now: datetime, address: str | None) -> ApiKey:
    key.revoked_at, key.revoked_by = now, actor
    audit.record(
        session,
        actor=actor,
        action="api_key.revoked",
        subject=key.hint,
        details={"name": key.name, "before": {"running": True}, "after": {"running": False}},
        address=address,
    )
    return key


def listed(session: Session) -> list[ApiKey]:
    """All keys, oldest first, the revoked ones too."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id)))
