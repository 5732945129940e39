"""Stripe's events as operators see them: what came, what became of it, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from makegood.models import Charge, Purchase, StripeEvent
from makegood.models.purchases import SOURCE_KINDS
from makegood.pages import Listing
from makegood.stripe import events
from makegood.stripe.mirror import MODELS
from makegood.stripe.resources import RESOURCE_OF

# Written out, because a plan for any parameter could not use the indexes of these alone.
NOT_APPLIED = text("stripe_events.state <> 'applied'")
DELIVERED = text("stripe_events.source = 'webhook'")


@dataclass(frozen=True)
class EventFilters:
    """What to list; None is no restriction. `type` may be the beginning of one, up to a full stop: `charge.`. The
    instants are half open: [start, end), of when the event came here."""

    state: str | None = None
    type: str | None = None
    object_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """An event in the list."""

    id: str
    type: str
    object_type: str | None
    object_id: str | None
    livemode: bool
    source: str
    state: str
    problem: str | None
    attempts: int
    created_at: datetime
    received_at: datetime
    next_try_at: datetime
    done_at: datetime | None


@dataclass(frozen=True)
class Counts:
    """How many events wait and failed, since when the oldest waits, how many came in 24 hours, and when the last
    one was delivered."""

    waiting: int
    failed: int
    oldest_waiting: datetime | None
    came_24h: int
    last_delivery: datetime | None


@dataclass(frozen=True)
class Known:
    """An event, and what is known here of its object: its resource, when it was read, whether it was deleted at
    Stripe, our customer, and the purchase that was made of it."""

    event: StripeEvent
    resource: str | None
    read_at: datetime | None = None
    deleted: bool = False
    customer_id: str | None = None
    purchase: Purchase | None = None


def _having(filters: EventFilters) -> Iterator[Any]:
    if filters.state is not None:
        yield StripeEvent.state == filters.state
        if filters.state != "applied":
            yield NOT_APPLIED
    if filters.type is not None:
        beginning = filters.type.endswith(".")
        yield (
            StripeEvent.type.startswith(filters.type, autoescape=True)
            if beginning
            else StripeEvent.type == filters.type
        )


EVENTS: Listing[EventFilters, Listed] = Listing(
    select(*(getattr(StripeEvent, name) for name in Listed.__annotations__)),
    Listed,
    at=StripeEvent.received_at,
    id=StripeEvent.id,
    equal={"object_id": StripeEvent.object_id},
    having=_having,
)
"""By when they came here."""


def counts(session: Session, *, at: datetime | None = None) -> Counts:
    """How the inbox does now."""
    day = (at or datetime.now(UTC)) - timedelta(days=1)
    waiting = session.execute(
        select(
            func.count().filter(StripeEvent.state == "waiting"),
            func.count().filter(StripeEvent.state == "failed"),
            func.min(StripeEvent.received_at).filter(StripeEvent.state == "waiting"),
        ).where(NOT_APPLIED, StripeEvent.state.in_(("waiting", "failed")))
    ).one()
    came = session.scalar(select(func.count()).where(StripeEvent.received_at >= day))
    last = session.scalar(select(func.max(StripeEvent.received_at)).where(DELIVERED))
    return Counts(*waiting, came or 0, last)


def read(session: Session, event_id: str) -> Known:
    """One event and what is known of its object. Raises NotFound."""
    event = events.find(session, event_id)
    resource = RESOURCE_OF.get(event.object_type or "")
    row: Any = session.get(MODELS[resource], event.object_id) if resource and event.object_id else None
    if row is None:
        return Known(event, resource)
    charge = session.get(Charge, row.charge_id) if getattr(row, "charge_id", None) else None
    made = select(Purchase).where(Purchase.source_kind.in_(SOURCE_KINDS), Purchase.source_id == row.id)
    return Known(
        event,
        resource,
        row.read_at,
        row.deleted,
        charge.customer_id if charge is not None else getattr(row, "customer_id", None),
        session.scalar(made),
    )
