"""Operators' sessions: rows, so that log-out, disabling and a new password end them at once.

The cookie holds a random token of 256 bits, the row its hash. A session ends after an idle and an absolute
limit; a poll is not activity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.orm import Session

from makegood.ids import hash_token, new_token
from makegood.models import LoginChallenge, Operator, OperatorSession

SEEN_EVERY = timedelta(minutes=1)
"""Activity is written at most this often: clicks shall not cost a write each."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
USER_AGENT_LENGTH = 300


@dataclass(frozen=True)
class Found:
    """A running session and its operator as they are now."""

    session_id: UUID
    operator_id: UUID
    email: str
    role: str
    timezone: str | None
    page_size: int
    single_keys: bool
    has_second_factor: bool
    confirmed_at: datetime


def start(session: Session, operator_id: UUID, *, address: str, user_agent: str, now: datetime) -> str:
    """Begin a session and return its token, which is nowhere else."""
    token = new_token()
    row = OperatorSession(
        operator_id=operator_id,
        token_hash=hash_token(token),
        address=address,
        user_agent="".join(filter(str.isprintable, user_agent))[:USER_AGENT_LENGTH],
        created_at=now,
        seen_at=now,
        confirmed_at=now,
    )
    session.add(row)
    session.flush()
    return token


def find(
    session: Session, token: str, *, idle: timedelta, lifetime: timedelta, now: datetime, activity: bool
) -> Found | None:
    """The running session of this token, or None: unknown, ended, too long idle, too old, operator disabled.

    `activity` says that a person did something; only that moves the idle limit.
    """
    if not TOKEN.fullmatch(token):
        return None
    row = session.execute(
        select(
            OperatorSession.id,
            OperatorSession.operator_id,
            OperatorSession.seen_at,
            OperatorSession.confirmed_at,
            Operator.email,
            Operator.role,
            Operator.timezone,
            Operator.page_size,
            Operator.single_keys,
            Operator.totp_since,
        )
        .join(Operator, Operator.id == OperatorSession.operator_id)
        .where(
            OperatorSession.token_hash == hash_token(token),
            *_alive(idle, lifetime, now),
            Operator.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    written_before = now - min(SEEN_EVERY, idle / 10)
    if activity and row.seen_at <= written_before:
        session.execute(
            update(OperatorSession)
            .where(OperatorSession.id == row.id, OperatorSession.seen_at <= written_before)
            .values(seen_at=now)
        )
    return Found(
        session_id=row.id,
        operator_id=row.operator_id,
        email=row.email,
        role=row.role,
        timezone=row.timezone,
        page_size=row.page_size,
        single_keys=row.single_keys,
        has_second_factor=row.totp_since is not None,
        confirmed_at=row.confirmed_at,
    )


def confirm(session: Session, session_id: UUID, *, now: datetime) -> None:
    """Note that the operator of this session has just proved again who they are."""
    session.execute(update(OperatorSession).where(OperatorSession.id == session_id).values(confirmed_at=now))


def end(session: Session, token: str, *, now: datetime) -> UUID | None:
    """End the session of this token. Returns its operator, or None when it was not running."""
    if not TOKEN.fullmatch(token):
        return None
    return session.scalar(
        update(OperatorSession)
        .where(OperatorSession.token_hash == hash_token(token), OperatorSession.ended_at.is_(None))
        .values(ended_at=now)
        .returning(OperatorSession.operator_id)
    )


def end_one(session: Session, session_id: UUID, operator_id: UUID, *, now: datetime) -> bool:
    """End one session of an operator. Returns whether it was running."""
    ended = session.scalar(
        update(OperatorSession)
        .where(
            OperatorSession.id == session_id,
            OperatorSession.operator_id == operator_id,
            OperatorSession.ended_at.is_(None),
        )
        .values(ended_at=now)
        .returning(OperatorSession.id)
    )
    return ended is not None


def running(
    session: Session, operator_id: UUID, *, idle: timedelta, lifetime: timedelta, now: datetime
) -> list[OperatorSession]:
    """An operator's sessions that have not ended, the last used first."""
    return list(
        session.scalars(
            select(OperatorSession)
            .where(OperatorSession.operator_id == operator_id, *_alive(idle, lifetime, now))
            .order_by(OperatorSession.seen_at.desc())
        )
    )


def last_seen(
    session: Session, *, idle: timedelta, lifetime: timedelta, now: datetime
) -> dict[UUID, tuple[datetime, int]]:
    """When each operator was last seen, and how many sessions they have running."""
    alive = func.count().filter(and_(*_alive(idle, lifetime, now)))
    rows = session.execute(
        select(OperatorSession.operator_id, func.max(OperatorSession.seen_at), alive).group_by(
            OperatorSession.operator_id
        )
    )
    return {operator_id: (seen, count) for operator_id, seen, count in rows}


def _alive(idle: timedelta, lifetime: timedelta, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        OperatorSession.ended_at.is_(None),
        OperatorSession.seen_at > now - idle,
        OperatorSession.created_at > now - lifetime,
    )


def end_all(session: Session, operator_id: UUID, *, now: datetime, keep: UUID | None = None) -> int:
    """End every session of an operator but the one to `keep`, and every log-in that waits for a code.

    Returns how many sessions were running.
    """
    session.execute(delete(LoginChallenge).where(LoginChallenge.operator_id == operator_id))
    running = update(OperatorSession).where(
        OperatorSession.operator_id == operator_id, OperatorSession.ended_at.is_(None)
    )
    if keep is not None:
        running = running.where(OperatorSession.id != keep)
    return len(session.scalars(running.values(ended_at=now).returning(OperatorSession.id)).all())
