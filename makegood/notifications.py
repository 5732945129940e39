"""Notifications: the platform's own address is told of every generation's end, and of what is reported after that.

The row is written with the end itself, in one transaction, once for each generation and event. A worker delivers
it: claim (and commit), post with no transaction open, record (and commit). It is delivered at least once, under
the same `webhook-id` each time; an order is not promised. Format, signature: https://www.standardwebhooks.com
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from makegood import alerts, audit, connections
from makegood.errors import Conflict, NotFound
from makegood.models import Generation, Notification
from makegood.pages import Listing
from makegood.providers.signatures import sign_v1

SECONDS = 15.0
"""For one delivery: connecting, sending, and the receiver's answer."""
LEASE = timedelta(seconds=60)
RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The waits between tries, as Standard Webhooks proposes them. After the last one a notification is given up."""
KEEP = timedelta(days=30)
"""So long a notification is kept after it was delivered."""
GONE = 410
"""The receiver wants this no more: it is given up at once."""


@dataclass(frozen=True)
class Due:
    """A notification that this worker delivers now. `attempts` counts this one."""

    id: UUID
    generation_id: UUID
    event: str
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class Result:
    """What came of a delivery: the receiver's HTTP status (None without an answer), and the same in words."""

    status: int | None
    answer: str

    @property
    def delivered(self) -> bool:
        """The receiver took it: any status from 200 to 299."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Failing:
    """A notification that the platform has not taken yet. Without `next_at` it was given up."""

    id: UUID
    generation_id: UUID
    customer_id: str
    event: str
    attempts: int
    answer: str | None
    created_at: datetime
    next_at: datetime | None


def claim(session: Session, *, limit: int, at: datetime | None = None) -> list[Due]:
    """Lease notifications that are due. The caller commits before it delivers them."""
    at = at or datetime.now(UTC)
    due = (
        select(Notification.id)
        .where(Notification.next_at <= at)
        .order_by(Notification.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Notification)
        .where(Notification.id.in_(due))
        .values(next_at=at + LEASE, attempts=Notification.attempts + 1)
        .returning(
            Notification.id,
            Notification.generation_id,
            Notification.event,
            Notification.attempts,
            Notification.created_at,
        )
        .execution_options(synchronize_session=False)
    )
    return [Due(*row) for row in rows]


def body(due: Due, data: Mapping[str, Any]) -> bytes:
    """The message: what happened, when, and the generation as the API shows it now."""
    written_at = due.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {"type": f"generation.{due.event}", "timestamp": written_at, "data": dict(data)}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def headers(due: Due, message: bytes, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """The headers that prove the message: one signature for each secret, for while one is replaced."""
    webhook_id, timestamp = f"msg_{due.id.hex}", str(int(at.timestamp()))
    signatures = [sign_v1(secret, webhook_id, timestamp, message) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "makegood",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def post(url: str, sent: Mapping[str, str], message: bytes, *, seconds: float = SECONDS) -> Result:
    """Deliver once. Open no transaction. Never raises; a redirect is not followed, and is no delivery."""
    try:
        with (
            connections.pool(seconds) as pool,
            pool.stream("POST", url, headers=[*sent.items()], content=message) as response,
        ):
            return Result(response.status, f"HTTP {response.status}")
    except Exception as error:
        return Result(None, f"no answer ({type(error).__name__})")


def record(session: Session, due: Due, result: Result, *, at: datetime | None = None) -> None:
    """Note what came of a delivery, and when it is tried again. Giving up opens an alert."""
    at = at or datetime.now(UTC)
    over = result.status == GONE or due.attempts > len(RETRIES)
    if result.delivered:
        values: dict[str, Any] = {"delivered_at": at, "next_at": None}
    else:
        values = {"next_at": None if over else at + RETRIES[due.attempts - 1]}
    # Another worker may have delivered it meanwhile, if this one was slower than its lease.
    session.execute(
        update(Notification)
        .where(Notification.id == due.id, Notification.delivered_at.is_(None))
        .values(values | {"answer": result.answer})
    )
    if over and not result.delivered:
        message = "The platform has not taken a notification of a generation's end, which was given up"
        alerts.raise_alert(
            session,
            alerts.NOTIFICATION_FAILED,
            "platform",
            f"{message} ({result.answer}). Nothing is lost: mend the receiver, then send it again.",
        )


def send_again(session: Session, notification_id: UUID, *, actor: str, address: str | None = None) -> Notification:
    """Deliver as soon as possible, with all tries anew. Raises NotFound, and Conflict once it was delivered."""
    notification = session.get(Notification, notification_id, with_for_update=True, populate_existing=True)
    if notification is None:
        raise NotFound("There is no such notification.")
    if notification.delivered_at is not None:
        raise Conflict("The platform has taken this notification meanwhile. It was not sent again.")
    audit.record(
        session,
        actor=actor,
        action="notification.sent_again",
        subject=f"generation:{notification.generation_id}",
        details={
            "event": notification.event,
            "attempts_before": notification.attempts,
            "answer_before": notification.answer,
        },
        address=address,
    )
    notification.attempts = 0
    notification.next_at = datetime.now(UTC)
    return notification


def forget(session: Session, *, before: datetime) -> int:
    """Delete what was delivered before this time. Returns how many. What was not taken stays."""
    gone = session.scalars(
        delete(Notification).where(Notification.delivered_at < before).returning(Notification.id)
    )
    return len(gone.all())


FAILING: Listing[None, Failing] = Listing(
    select(
        Notification.id,
        Notification.generation_id,
        Generation.customer_id,
        Notification.event,
        Notification.attempts,
        Notification.answer,
        Notification.created_at,
        Notification.next_at,
    )
    .join(Generation, Generation.id == Notification.generation_id)
    .where(Notification.delivered_at.is_(None), Notification.attempts > 0),
    Failing,
    at=Notification.created_at,
    id=Notification.id,
)
"""The notifications that were tried and not taken."""
