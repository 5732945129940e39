"""Idempotency keys: a request that is sent again takes effect once and gets the first answer again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from makegood.errors import IdempotencyConflict
from makegood.ids import uuid7
from makegood.models import IdempotencyKey

REMEMBER = text(
    """
    UPDATE idempotency_keys
       SET response_status = coalesce(response_status, :status), response_body = coalesce(response_body, :body)
     WHERE key = :key
    RETURNING response_body, response_status
    """
).bindparams(bindparam("body", type_=JSONB))


@dataclass(frozen=True)
class Claim:
    """Whether the key was used before, and for what. `response` is the first answer, once there is one."""

    repeated: bool
    resource_id: UUID
    response: tuple[int, dict[str, Any]] | None = None


def claim(session: Session, key: str, fingerprint: bytes) -> Claim:
    """Take the key for this request, or find what it was used for.

    Waits for a concurrent request with the same key. Raises IdempotencyConflict for another request's key.
    """
    resource_id = uuid7()
    row = insert(IdempotencyKey).values(key=key, fingerprint=fingerprint, resource_id=resource_id)
    if session.execute(row.on_conflict_do_nothing().returning(IdempotencyKey.key)).first():
        return Claim(repeated=False, resource_id=resource_id)
    return find(session, key, fingerprint)


def find(session: Session, key: str, fingerprint: bytes) -> Claim:
    """What a used key stands for. Raises IdempotencyConflict for another request's key."""
    used = session.execute(
        select(
            IdempotencyKey.fingerprint,
            IdempotencyKey.resource_id,
            IdempotencyKey.response_status,
            IdempotencyKey.response_body,
        ).where(IdempotencyKey.key == key)
    ).one()
    if used.fingerprint != fingerprint:
        raise IdempotencyConflict(
            "This Idempotency-Key was used for another request. No credits moved. Use a new key for a new request."
        )
    response = None
    if used.response_status is not None:
        response = (used.response_status, used.response_body)
    return Claim(repeated=True, resource_id=used.resource_id, response=response)


def point_to(session: Session, key: str, resource_id: UUID) -> None:
    """Note what the request made, where the key was claimed before that was known."""
    session.execute(update(IdempotencyKey).where(IdempotencyKey.key == key).values(resource_id=resource_id))


def remember(session: Session, key: str, status: int, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Keep the first answer for repeats of the request. Returns the first: this one, or what was kept before."""
    kept = session.execute(REMEMBER, {"key": key, "status": status, "body": body}).one()
    return kept.response_body, kept.response_status
