"""MRR once a day: what every customer of Stripe pays a month, and what changed since the day before.

The present day's snapshot is taken again and again until the day is over, from the subscriptions as they were last
read. There is none before all subscriptions have been read once: a part of them would be no MRR.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.calendars import local_day
from makegood.models import MrrSnapshot, StripeResource, Subscription
from makegood.revenue import mrr_changes, worths
from makegood.revenue.mrr_rules import MrrRules

SOURCE = "subscriptions"
STANDS = timedelta(minutes=30)
"""How long a snapshot stands while no subscription is read anew: prices, discounts and trials change too."""
STORED = timedelta(minutes=2)
"""How long after it was asked for an answer of Stripe's may be stored."""


def take(
    session: Session, rules: MrrRules, timezone: ZoneInfo, *, at: datetime | None = None
) -> MrrSnapshot | None:
    """Take the day's snapshot, in the place of an earlier one of the day, if there may be news since then. None
    before all subscriptions were read."""
    at = at or datetime.now(UTC)
    resource = session.get(StripeResource, SOURCE)
    if resource is None or resource.finished_at is None:
        return None
    day = local_day(at, timezone)
    earlier = session.get(MrrSnapshot, day)
    if earlier is not None and not _is_due(session, earlier, rules, at):
        return earlier
    values = {"taken_at": at, "read_at": resource.read_at, "estimated": False, "rules": rules.as_dict()}
    # Its row is the lock: of two that take the day's snapshot the second waits, and reads what the first wrote.
    session.execute(
        insert(MrrSnapshot).values(day=day, **values).on_conflict_do_update(index_elements=["day"], set_=values)
    )
    found = worths.subscriptions(session)
    known = worths.known(session, found)
    worth = worths.of_all(found, known, rules, at)
    now = worths.state(found, worth)
    unsure = {worths.payer(row) for row in found if worth[row.id].amount is None}
    before, lost = mrr_changes.state_before(session, day)
    last = last_before(session, day)
    if last is None or last.estimated:
        changes = mrr_changes.compared(before, now, restated=before.keys() | now.keys())
    elif last.rules == rules.as_dict():
        changes = mrr_changes.compared(before, now, restated=lost | unsure)
    else:
        old = worths.state(found, worths.of_all(found, known, MrrRules.of(last.rules), at))
        changes = mrr_changes.joined(
            mrr_changes.compared(before, old, restated=lost | unsure),
            mrr_changes.compared(old, now, restated=old.keys() | now.keys()),
        )
    worths.keep(session, worth)
    mrr_changes.keep(session, day, at, changes)
    mrr_changes.keep_totals(session, day, now)
    snapshot = session.get_one(MrrSnapshot, day, populate_existing=True)
    snapshot.subscribers = len({customer for customer, _ in now})
    snapshot.unknown = sum(one.amount is None for one in worth.values())
    session.flush()
    return snapshot


def _is_due(session: Session, earlier: MrrSnapshot, rules: MrrRules, at: datetime) -> bool:
    """Whether another snapshot may differ."""
    if earlier.rules != rules.as_dict() or not earlier.taken_at <= at < earlier.taken_at + STANDS:
        return True
    news = exists().where(Subscription.read_at > earlier.taken_at - STORED)
    return bool(session.scalar(select(news)))


def last_before(session: Session, day: date) -> MrrSnapshot | None:
    """The last snapshot of an earlier day."""
    return session.scalar(
        select(MrrSnapshot).where(MrrSnapshot.day < day).order_by(MrrSnapshot.day.desc()).limit(1)
    )
