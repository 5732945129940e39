"""What is in the callbacks inbox: every delivery, how it fared, and whether it could be applied again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from makegood import hints, reports
from makegood.errors import NotFound
from makegood.models import Callback, Generation
from makegood.pages import Listing
from makegood.providers.protocol import Outcome, Provider

LATE = "late"
"""Not a state of its own: applied, but its generation had ended before it came."""
LONG_WAIT = timedelta(minutes=10)
"""A delivery that waits longer than this is worth an operator's look."""

# Written out, because a plan for any parameter could not use the indexes of these alone.
NOT_APPLIED = text("callbacks.state <> 'applied'")
WAITING = text("callbacks.state = 'waiting'")
CAME_LATE = text("callbacks.late AND callbacks.state = 'applied'")


@dataclass(frozen=True)
class InboxFilters:
    """What to list; None is no restriction. The instants are half open: [start, end)."""

    provider: str | None = None
    state: str | None = None
    generation_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """A delivery in the list. `says` is the outcome that was read from it, if it could be read."""

    id: UUID
    generation_id: UUID
    customer_id: str
    provider: str
    state: str
    detail: str | None
    late: bool
    attempts: int
    received_at: datetime
    says: str | None


@dataclass(frozen=True)
class Counts:
    """Deliveries that wait, and of the last 24 hours. `long_waits` wait for more than LONG_WAIT."""

    waiting: int
    waiting_24h: int
    long_waits: int
    oldest_waiting: datetime | None
    rejected_24h: int
    late_24h: int


@dataclass(frozen=True)
class Delivery:
    """One delivery and the generation that it is about. `again` says what applying it again would do: "apply",
    "fetch" the job first, or nothing (None)."""

    callback: Callback
    generation: Generation
    again: str | None

    @property
    def misdirected(self) -> bool:
        """Whether it names a job that is not its generation's, so that nothing is fetched for it."""
        return self.callback.detail in (hints.ANOTHERS, hints.OTHER_JOB)


def _having(filters: InboxFilters) -> Iterator[Any]:
    if filters.state == LATE:
        yield CAME_LATE
    elif filters.state is not None:
        yield Callback.state == filters.state
        if filters.state != "applied":
            yield NOT_APPLIED


DELIVERIES: Listing[InboxFilters, Listed] = Listing(
    select(
        *(getattr(Callback, name) for name in Listed.__annotations__ if name != "says"),
        Callback.parsed["outcome"].astext.label("says"),
    ),
    Listed,
    at=Callback.received_at,
    id=Callback.id,
    equal={"provider": Callback.provider, "generation_id": Callback.generation_id},
    having=_having,
)
"""By when they came."""


def counts(session: Session, *, at: datetime | None = None) -> Counts:
    """How the inbox does now."""
    at = at or datetime.now(UTC)
    day = at - timedelta(days=1)
    waiting = session.execute(
        select(
            func.count(),
            func.count().filter(Callback.received_at >= day),
            func.count().filter(Callback.received_at < at - LONG_WAIT),
            func.min(Callback.received_at),
        ).where(WAITING)
    ).one()
    rejected = select(func.count()).where(NOT_APPLIED, Callback.state == "rejected", Callback.received_at >= day)
    late = select(func.count()).where(CAME_LATE, Callback.received_at >= day)
    return Counts(*waiting, session.scalar(rejected) or 0, session.scalar(late) or 0)


def long_waits(session: Session, *, at: datetime) -> int:
    """How many deliveries have been waiting for more than LONG_WAIT."""
    waiting = select(func.count()).where(WAITING, Callback.received_at < at - LONG_WAIT)
    return session.scalar(waiting) or 0


def read(session: Session, providers: Mapping[str, Provider], callback_id: UUID) -> Delivery:
    """One delivery with its generation. Raises NotFound."""
    row = session.execute(
        select(Callback, Generation)
        .join(Generation, Generation.id == Callback.generation_id)
        .where(Callback.id == callback_id)
    ).first()
    if row is None:
        raise NotFound("There is no such delivery.")
    callback, generation = row
    return Delivery(callback, generation, what_again(callback, providers.get(callback.provider)))


def what_again(callback: Callback, provider: Provider | None) -> str | None:
    """What applying it again would do."""
    if provider is None or callback.parsed is None or callback.state not in ("waiting", "ignored"):
        return None
    report = reports.from_json(callback.parsed)
    proven = provider.signed and not report.incomplete
    if callback.state == "waiting":
        return "apply" if proven else "fetch"
    # One that the provider did not confirm is worth another question; news of a running job is not.
    return "fetch" if report.outcome is not Outcome.PENDING and not proven else None
