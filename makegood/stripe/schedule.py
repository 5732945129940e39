"""When a list of Stripe's is read again, and how far back.

No list can be asked for what has changed, only for what was created since: so each reading goes back over what is
known for a day, and once a night for as long as things usually change. Changes in between come as events.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood.models import StripeResource
from makegood.stripe.resources import RESOURCES

EVENTS = "events"
"""The list of events is read like a resource, from the first contact on."""

OVERLAP = timedelta(days=1)
REREAD = timedelta(days=120)
EVENTS_KEPT = timedelta(days=30)
"""How long Stripe keeps its events (docs.stripe.com/api/events)."""
NIGHT_HOUR = 2
"""UTC. From then on the night's reading is due."""

_EVENTS_EVERY = timedelta(minutes=1)
_NEW_EVERY = timedelta(minutes=5)
_WHOLE_EVERY = timedelta(minutes=15)
_PERMISSION_EVERY = timedelta(days=1)
_FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)


def reads_all(row: StripeResource) -> bool:
    """Whether the reading that is due reads everything, for the first time or because an operator wants it."""
    return row.finished_at is None or row.reread_at is None


def since(row: StripeResource, at: datetime) -> datetime | None:
    """Back to when a reading that begins now goes; None: to the oldest object."""
    if row.name == EVENTS:
        return max((row.newest or at) - OVERLAP, row.finished_at or at, at - EVENTS_KEPT)
    if reads_all(row) or RESOURCES[row.name].whole or row.newest is None or row.reread_at is None:
        return None
    fresh = row.newest - OVERLAP
    return min(fresh, at - REREAD) if row.reread_at < _last_night(at) else fresh


def missed_events(row: StripeResource, at: datetime) -> bool:
    """Whether this is the list of events and Stripe has forgotten some that we never read."""
    return row.name == EVENTS and row.newest is not None and row.newest < at - EVENTS_KEPT


def is_reread(row: StripeResource) -> bool:
    """Whether the reading under way goes over what can still change."""
    return row.since is None or (row.started_at is not None and row.since <= row.started_at - REREAD)


def next_reading(name: str, at: datetime) -> datetime:
    """When a list is read again after a reading that is complete."""
    if name == EVENTS:
        return at + _EVENTS_EVERY
    return at + (_WHOLE_EVERY if RESOURCES[name].whole else _NEW_EVERY)


def next_attempt(attempts: int, at: datetime, *, permitted: bool = True) -> datetime:
    """When it is tried again after so many failures. What our key may not read is tried once a day."""
    if not permitted:
        return at + _PERMISSION_EVERY
    wait: timedelta = _FIRST_WAIT * 2 ** min(attempts - 1, 10)
    return at + min(wait, LONGEST_WAIT)


def _last_night(at: datetime) -> datetime:
    night = at.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return night if night <= at else night - timedelta(days=1)
