"""Applying Stripe's events: claim, read the objects anew with no transaction open, take in what they say.

A claim is a lease: what a killed worker had claimed is due again when its lease ends. Applying an event twice, or
by two workers at once, changes nothing: objects are kept as read last, and what follows from them happens once for
each object, whatever events tell of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from makegood import alerts, audit, purchases
from makegood.errors import Conflict
from makegood.models import StripeEvent
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE
from makegood.stripe import account, events, mirror, related
from makegood.stripe.client import Client, NotPermitted, Rejected, StripeProblem
from makegood.stripe.related import Found, Known

LEASE = timedelta(minutes=10)
ATTEMPTS = 20
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
"""The tries of an event take about eleven hours in all; Stripe itself delivers for three days."""
KEY_WAIT = timedelta(minutes=1)
DATABASE_WAIT = timedelta(minutes=1)
PERMISSION_WAIT = timedelta(days=1)
"""As for a list that the key may not read."""
ALERT = ("stripe_event_failed", "stripe")

log = structlog.get_logger()


@dataclass(frozen=True)
class Claimed:
    """Events about one object that this worker applies now, together."""

    ids: tuple[str, ...]
    object_type: str
    object_id: str


@dataclass(frozen=True)
class Unread:
    """Why it cannot be applied now. With a `wait` it is not the event's fault, as when our key is not accepted or
    lacks a permission, or our own database does not answer: it does not count as a try, and the next is so much
    later."""

    problem: str
    wait: timedelta | None = None


Answer = list[Found] | Unread


def claim(
    session: Session, *, livemode: bool | None, limit: int, at: datetime | None = None
) -> list[Claimed] | None:
    """Lease events that are due, oldest first, those about one object together; None when none is due.

    What is stored is of one mode: an event of the other one is ignored, and says so. Where nobody knows which, it
    is that of our key (`livemode`; None: it does not say). With a key of the other mode all events wait, because
    it cannot read what they are about. The caller commits before it reads.
    """
    at = at or datetime.now(UTC)
    stored = account.livemode(session)
    if None not in (stored, livemode) and stored != livemode:
        return None
    ours = livemode if stored is None else stored
    due = (
        select(StripeEvent)
        .where(StripeEvent.state == "waiting", StripeEvent.next_try_at <= at)
        .order_by(StripeEvent.next_try_at, StripeEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    leased = list(session.scalars(due))
    together: dict[tuple[str, str], list[str]] = {}
    for event in leased:
        if ours is not None and event.livemode != ours:
            _end(event, "ignored", _other_mode(event.livemode), at)
        else:
            event.attempts += 1
            event.next_try_at = at + LEASE
            together.setdefault((event.object_type or "", event.object_id or ""), []).append(event.id)
    session.flush()
    return [Claimed(tuple(ids), *about) for about, ids in together.items()] if leased else None


def read(client: Client, known: Known, claimed: Claimed) -> Answer:
    """The object and what hangs together with it, as Stripe has them now. Open no transaction. Never raises: what
    one event meets must not hold the others up."""
    try:
        return related.read(client, known, claimed.object_type, claimed.object_id)
    except Rejected as problem:
        return Unread(str(problem), KEY_WAIT)
    except NotPermitted as problem:
        return Unread(str(problem), PERMISSION_WAIT)
    except StripeProblem as problem:
        return Unread(str(problem))
    except SQLAlchemyError as error:
        log.exception("stripe_event_not_read", events=claimed.ids)
        return Unread(f"Our own database could not be asked ({type(error).__name__}).", DATABASE_WAIT)
    except Exception as error:
        log.exception("stripe_event_not_read", events=claimed.ids)
        return Unread(f"What Stripe answered could not be read ({type(error).__name__}).")


def take(
    session: Session,
    claimed: Claimed,
    found: list[Found],
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
) -> bool:
    """Keep what was read, let follow what follows from it, and end the events, in one transaction. Returns whether
    any still waited. `lifetime` is how long credits live that return to a grant which has expired."""
    waiting = _locked(session, claimed)
    if not waiting:
        return False
    for one in found:
        if one.body is None:
            mirror.mark_deleted(session, one.resource, one.id, one.read_at)
        else:
            mirror.store(session, one.resource, [one.body], one.read_at)
    changed = {resource: [one.id for one in objects] for resource, objects in related.batches(found)}
    purchases.absorb_all(session, changed, lifetime=lifetime, at=at)
    for event in waiting:
        _end(event, "applied", None, at or datetime.now(UTC))
    session.flush()
    return True


def postpone(session: Session, claimed: Claimed, unread: Unread, *, at: datetime | None = None) -> None:
    """Try them again later, each time twice as much later. After the last try they have failed: an alert says so,
    and an operator can have them applied again."""
    at = at or datetime.now(UTC)
    for event in _locked(session, claimed):
        event.problem = unread.problem
        if unread.wait is not None:
            event.attempts -= 1
            event.next_try_at = at + unread.wait
        elif event.attempts < ATTEMPTS:
            event.next_try_at = at + min(FIRST_WAIT * 2 ** (event.attempts - 1), LONGEST_WAIT)
        else:
            event.state = "failed"
            alerts.raise_alert(
                session,
                *ALERT,
                "An event of Stripe's could not be applied, also after many tries. Credits that follow from it "
                "have not moved yet. The list of events says why; there it can be applied again.",
            )
    session.flush()


def resolve_alert(session: Session) -> None:
    """Note that no event has failed any more, where an alert said that one had."""
    if session.scalar(select(StripeEvent.id).where(StripeEvent.state == "failed").limit(1)) is None:
        alerts.resolve(session, *ALERT)


def apply_again(
    session: Session, event_id: str, *, actor: str, address: str | None = None, at: datetime | None = None
) -> None:
    """Let the worker apply an event at once, whatever came of it before.

    Raises NotFound; Conflict for one that is ignored, because nothing here follows from it.
    """
    event = events.find(session, event_id, lock=True)
    if event.state == "ignored":
        raise Conflict(f"It is ignored: {event.problem} So there is nothing to apply, and no credits moved.")
    before = {"state": event.state, "attempts": event.attempts, "problem": event.problem}
    _begin_again(event, at or datetime.now(UTC))
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="stripe_event.applied_again",
        subject=f"stripe-event:{event_id}",
        details={"type": event.type, "object": event.object_id, "before": before, "after": {"state": "waiting"}},
        address=address,
    )


def apply_failed_again(
    session: Session, *, actor: str, address: str | None = None, at: datetime | None = None
) -> int:
    """Let the worker apply every event that has failed. Returns how many: after a long outage there are many."""
    at = at or datetime.now(UTC)
    failed = select(StripeEvent).where(StripeEvent.state == "failed").order_by(StripeEvent.id).with_for_update()
    again = list(session.scalars(failed, execution_options={"populate_existing": True}))
    for event in again:
        _begin_again(event, at)
    session.flush()
    if again:
        audit.record(
            session,
            actor=actor,
            action="stripe_events.applied_again",
            subject="stripe-events",
            details={"events": len(again), "before": {"state": "failed"}, "after": {"state": "waiting"}},
            address=address,
        )
    return len(again)


def _begin_again(event: StripeEvent, at: datetime) -> None:
    event.state, event.problem, event.attempts, event.done_at = "waiting", None, 0, None
    event.next_try_at = at


def _locked(session: Session, claimed: Claimed) -> list[StripeEvent]:
    """Those of them that nobody else has ended meanwhile."""
    return list(
        session.scalars(
            select(StripeEvent)
            .where(StripeEvent.id.in_(claimed.ids), StripeEvent.state == "waiting")
            .order_by(StripeEvent.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )


def _end(event: StripeEvent, state: str, problem: str | None, at: datetime) -> None:
    event.state, event.problem, event.done_at = state, problem, at


def _other_mode(livemode: bool) -> str:
    mode, ours = ("live", "test") if livemode else ("test", "live")
    return f"It is of {mode} mode, and what is read here is of {ours} mode."
