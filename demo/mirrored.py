"""What the demo's history knows of Stripe: its lists as if they had just been read, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.orm import Session

from demo.chance import Chance
from demo.rhythm import DAYS
from makegood import purchases
from makegood.calendars import local_day
from makegood.models import StripeResource
from makegood.revenue import estimates, rate_changes, recognised, snapshots
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.rates import Rate
from makegood.stripe import mirror, sync
from makegood.stripe.resources import RESOURCES
from simulator.stripe.billing import Account
from simulator.stripe.rendering import shown

AT_ONCE = 500
EURO = 1.16
ACTOR = "demo"
T = TypeVar("T")


def write(session: Session, account: Account, since: datetime, timezone: ZoneInfo, now: datetime) -> None:
    """Keep all that the account has as read at `now`, and link it to whom it belongs to."""
    sync.prepare(session, account.livemode, since, at=now)
    kept = {}
    for name, resource in RESOURCES.items():
        objects = [shown(account, one, resource.expand) for one in account.all(name)]
        kept[name] = [one["id"] for one in objects]
        for some in _batched(objects):
            mirror.store(session, name, some, now)
        session.execute(
            update(StripeResource).where(StripeResource.name == name).values(objects=len(objects), reached=since)
        )
    moments = dict.fromkeys(("newest", "started_at", "finished_at", "read_at", "reread_at", "next_try_at"), now)
    session.execute(
        update(StripeResource).where(StripeResource.name.in_(RESOURCES)).values(state="current", **moments)
    )
    for name in ("customers", "checkout_sessions", "charges", "subscriptions", "invoices"):
        for ids in _batched(kept[name]):
            purchases.absorb(session, name, ids, at=now)
    _rates(session, timezone, now)


def tidy(session: Session, timezone: ZoneInfo, now: datetime) -> None:
    """What the worker does with it: recognise revenue, snapshot MRR, estimate the days before."""
    while recognised.fold(session, timezone):
        pass
    snapshots.take(session, MrrRules(), timezone, at=now)
    estimates.rebuild(session, MrrRules(), timezone, at=now)


def _batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


def _rates(session: Session, timezone: ZoneInfo, now: datetime) -> None:
    """What a euro was worth, week by week."""
    chance, euro, table = Chance("rates"), EURO, []
    day, today = local_day(now, timezone) - timedelta(days=DAYS + 10), local_day(now, timezone)
    while day <= today:
        euro *= 1 + chance.uniform(-0.008, 0.009)
        table.append(Rate("eur", day, Decimal(f"{euro:.4f}")))
        day += timedelta(days=7)
    rate_changes.save(session, table, source="made up for the demo", actor=ACTOR, at=now)
