"""The subscriptions at Stripe, newest first, with what each is worth a month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, and_, case, false, func, literal, or_, select, union

from makegood.models import StripeCustomer, Subscription, SubscriptionWorth
from makegood.models.subscriptions import Exact
from makegood.pages import Listing
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


def _of(customer: str) -> CompoundSelect[Any]:
    """The subscriptions of a customer by our id or Stripe's: each way by an index of its own."""
    linked = select(StripeCustomer.id).where(StripeCustomer.customer_id == customer)
    return union(
        select(Subscription.id).where(Subscription.customer_id == customer),
        select(Subscription.id).where(Subscription.stripe_customer_id == customer),
        select(Subscription.id).where(Subscription.stripe_customer_id.in_(linked)),
    )


def _having(filters: SubscriptionFilters) -> Iterator[ColumnElement[bool]]:
    if filters.counted is not None:
        yield OF_COUNT.get(filters.counted, false())
    if filters.customer is not None:
        yield Subscription.id.in_(_of(filters.customer))


SUBSCRIPTIONS: Listing[SubscriptionFilters, ListedSubscription] = Listing(
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
    .outerjoin(StripeCustomer, StripeCustomer.id == Subscription.stripe_customer_id),
    ListedSubscription,
    at=Subscription.created_at,
    id=Subscription.id,
    equal={"status": Subscription.status, "currency": Subscription.currency},
    having=_having,
)
"""By when they began."""
