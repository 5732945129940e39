"""The subscriptions at Stripe, newest first, with what each is worth a month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import CompoundSelect, Select, and_, case, false, func, literal, or_, select, union
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import StripeCustomer, Subscription, SubscriptionWorth
from makegood.models.subscriptions import Exact
from makegood.pages import Cursor, Page
from makegood.revenue.prices_of_items import ZERO

STATUSES = (
    "active",
    "past_due",
    "trialing",
    "unpaid",
    "paused",
    "incomplete",
    "incomplete_expired",
    "canceled",
)
COUNTED = ("yes", "no", "unknown")


@dataclass(frozen=True)
class SubscriptionFilters:
    """What to list; None is no restriction. `counted` is whether it is in MRR: yes, no, or unknown. `customer` is
    our id or Stripe's. [start, end) is when it began."""

    status: str | None = None
    counted: str | None = None
    currency: str | None = None
    customer: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class ListedSubscription:
    """A subscription. `mrr` is exact, in minor units: None where it is not known yet, or not knowable. `why` says
    why it is nothing or unknown. `ends_at` is when it will end, where that is known."""

    subscription_id: str
    stripe_customer_id: str | None
    customer_id: str | None
    email: str | None
    status: str
    currency: str
    mrr: Fraction | None
    why: str | None
    trial_end: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    livemode: bool


LIVE = Subscription.status.in_(("active", "past_due"))
NOTHING = SubscriptionWorth.mrr == ZERO
OF_COUNT = {
    "yes": and_(SubscriptionWorth.mrr.is_not(None), ~NOTHING),
    "no": or_(NOTHING, ~LIVE),
    "unknown": and_(LIVE, SubscriptionWorth.mrr.is_(None)),
}


def listed(
    session: Session,
    filters: SubscriptionFilters,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[ListedSubscription]:
    """One page of subscriptions, by when they began."""
    return pages.read(
        session,
        _selected(filters),
        Subscription.created_at.expression,
        Subscription.id.expression,
        lambda row: ListedSubscription(**row._mapping),
        lambda row: Cursor(row.created_at, row.subscription_id),
        before=before,
        after=after,
        limit=limit,
    )


def every(filters: SubscriptionFilters) -> Select[*tuple[Any, ...]]:
    """All of them, newest first."""
    return _selected(filters).order_by(Subscription.created_at.desc(), Subscription.id.desc())


def _selected(filters: SubscriptionFilters) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Subscription.id.label("subscription_id"),
            Subscription.stripe_customer_id,
            func.coalesce(Subscription.customer_id, StripeCustomer.customer_id).label("customer_id"),
            StripeCustomer.email,
            Subscription.status,
            Subscription.currency,
            case((LIVE, SubscriptionWorth.mrr), else_=literal(ZERO, Exact)).label("mrr"),
            case((LIVE, SubscriptionWorth.why), else_=Subscription.status).label("why"),
            Subscription.trial_end,
            Subscription.cancel_at.label("ends_at"),
            Subscription.ended_at,
            Subscription.created_at,
            Subscription.livemode,
        )
        .outerjoin(SubscriptionWorth, SubscriptionWorth.subscription_id == Subscription.id)
        .outerjoin(StripeCustomer, StripeCustomer.id == Subscription.stripe_customer_id)
    )
    if filters.counted is not None:
        query = query.where(OF_COUNT.get(filters.counted, false()))
    if filters.customer is not None:
        query = query.where(Subscription.id.in_(_of(filters.customer)))
    equal = {Subscription.status: filters.status, Subscription.currency: filters.currency}
    return pages.narrowed(query, equal, Subscription.created_at, filters.start, filters.end)


def _of(customer: str) -> CompoundSelect[Any]:
    """The subscriptions of a customer by our id or Stripe's: each way by an index of its own."""
    linked = select(StripeCustomer.id).where(StripeCustomer.customer_id == customer)
    return union(
        select(Subscription.id).where(Subscription.customer_id == customer),
        select(Subscription.id).where(Subscription.stripe_customer_id == customer),
        select(Subscription.id).where(Subscription.stripe_customer_id.in_(linked)),
    )
