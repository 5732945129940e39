"""The inbox of Stripe's events: each is kept once, as it came, and says what to look at.

They come by webhook, more than once and in any order, and from Stripe's own list of events, which has what was
never delivered. An event of a kind of object that is not read here changes nothing: it is kept as ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.errors import MakegoodError, NotFound
from makegood.models import StripeEvent
from makegood.stripe import account
from makegood.stripe.resources import RESOURCE_OF

MAX_BODY = 1_000_000
"""Bytes of one delivery: far more than the largest events that Stripe sends."""
TOLD_WITHIN = timedelta(minutes=1)
"""How long before its event a payment may have been made: Stripe makes the event of one within seconds."""
DELIVERED_FOR = timedelta(days=3)
"""How long Stripe tries to deliver an event. An older one was sent again by hand."""
NOT_READ = "Nothing here depends on objects of this kind."
NO_OBJECT = "It names no object that could be read."
CONNECTED = "It is of a connected account, and only our own is read."

_ID = re.compile(r"[A-Za-z0-9_]{1,200}")
_TYPE = re.compile(r"[a-z0-9_.]{1,200}")
_OBJECT_ID = re.compile(r"[\x21-\x7e]{1,200}")
_LAST_INSTANT = 253_402_300_799

log = structlog.get_logger()


class NotAnEvent(MakegoodError):
    """A body that is no event as Stripe's webhook endpoints send them. Nothing of it is kept."""

    code = "not_an_event"
    status = 400


@dataclass(frozen=True)
class Event:
    """What an event says of itself. `object_id` is null where the object has none, as a balance has not; `problem`
    is why nothing can follow from it."""

    id: str
    type: str
    object_type: str | None
    object_id: str | None
    livemode: bool
    api_version: str | None
    created_at: datetime
    problem: str | None


def parse(body: bytes) -> Event:
    """The event in the body of a delivery. Raises NotAnEvent with a sentence that says what is wrong with it."""
    try:
        document = json.loads(body.decode())
    except UnicodeDecodeError:
        raise NotAnEvent("The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise NotAnEvent("The body is not JSON.") from None
    return read(document)


def read(document: Any) -> Event:
    """The event that this JSON value is. Raises NotAnEvent."""
    if not isinstance(document, Mapping) or document.get("object") == "v2.core.event":
        raise NotAnEvent("The body is no snapshot event. Set the endpoint's payload style to snapshot, not thin.")
    data = document.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if document.get("object") != "event" or not isinstance(subject, dict):
        raise NotAnEvent("The body is no event: it lacks an object of its own or one that it is about.")
    livemode, version = document.get("livemode"), document.get("api_version")
    if not isinstance(livemode, bool):
        raise NotAnEvent("The event does not say whether it is of live mode.")
    object_type, object_id = _optional(subject, "object", _TYPE), _optional(subject, "id", _OBJECT_ID)
    return Event(
        id=_text(document, "id", _ID),
        type=_text(document, "type", _TYPE),
        object_type=object_type,
        object_id=object_id,
        livemode=livemode,
        api_version=version if isinstance(version, str) and _OBJECT_ID.fullmatch(version) else None,
        created_at=_instant(document.get("created")),
        problem=CONNECTED if document.get("account") else _nothing_to_read(object_type, object_id),
    )


def receive(
    session: Session, body: bytes, *, grants_since: datetime | None = None, at: datetime | None = None
) -> bool:
    """Keep the event of a genuine delivery, at `at`. Returns whether it was new. Raises NotAnEvent.

    What is paid for from the first event on counts, unless the settings' `grants_since` says otherwise: also the
    payment that this event tells of, unless it was sent again by hand, long after it happened.
    """
    event = parse(body)
    at = at or datetime.now(UTC)
    told = event.created_at > at - DELIVERED_FOR
    account.ensure(session, grants_since, at=min(event.created_at - TOLD_WITHIN, at) if told else at)
    return _keep(session, event, body, "webhook")


def note(session: Session, events: Sequence[Mapping[str, Any]]) -> int:
    """Keep the events of Stripe's list that are not known yet. Returns how many were new."""
    told = []
    for raw in events:
        try:
            told.append((read(raw), raw))
        except NotAnEvent as problem:
            # One that nobody can read must not keep the others from being noted.
            log.warning("stripe_event_not_noted", event_id=raw.get("id"), problem=problem.message)
    # In one order for everybody: two that note the same events must not wait for each other.
    told.sort(key=lambda one: one[0].id)
    return sum(_keep(session, event, json.dumps(raw).encode(), "list") for event, raw in told)


def find(session: Session, event_id: str, *, lock: bool = False) -> StripeEvent:
    """The event with this id. Raises NotFound."""
    if _ID.fullmatch(event_id):
        found = session.get(StripeEvent, event_id, with_for_update=lock, populate_existing=True)
        if found is not None:
            return found
    raise NotFound("There is no such event.")


def _keep(session: Session, event: Event, raw: bytes, source: str) -> bool:
    row = insert(StripeEvent).values(
        **vars(event),
        source=source,
        raw=raw,
        state="ignored" if event.problem else "waiting",
        done_at=func.clock_timestamp() if event.problem else None,
    )
    kept = session.execute(row.on_conflict_do_nothing(index_elements=[StripeEvent.id]).returning(StripeEvent.id))
    return kept.first() is not None


def _nothing_to_read(object_type: str | None, object_id: str | None) -> str | None:
    if object_type not in RESOURCE_OF:
        return NOT_READ
    return None if object_id else NO_OBJECT


def _text(document: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = _optional(document, name, form)
    if value is None:
        raise NotAnEvent(f"The event has no {name} that could be kept.")
    return value


def _optional(document: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _instant(value: object) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LAST_INSTANT:
        raise NotAnEvent("The event does not say when it was made.")
    return datetime.fromtimestamp(value, UTC)
