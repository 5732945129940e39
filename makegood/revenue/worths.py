"""What the subscriptions that were read are worth a month, and what they need beside themselves to tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Text, cast, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from makegood.models import Coupon, Invoice, StripeCustomer, StripePrice, Subscription, SubscriptionWorth
from makegood.revenue import mrr
from makegood.revenue.mrr import Known, Worth
from makegood.revenue.mrr_changes import Payer, State
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.prices_of_items import ZERO, Object

COUNTED = ("active", "past_due")
Found = Sequence[Row[Any]]
"""Subscriptions: id, stripe_customer_id, currency, body."""


def subscriptions(session: Session) -> list[Row[Any]]:
    """Those that can be worth anything."""
    query = select(
        Subscription.id, Subscription.stripe_customer_id, Subscription.currency, Subscription.body
    ).where(Subscription.status.in_(COUNTED), ~Subscription.deleted)
    return list(session.execute(query.order_by(Subscription.id)))


def of_all(found: Found, known: Known, rules: MrrRules, at: datetime) -> dict[str, Worth]:
    """What each is worth, by its id."""
    return {row.id: mrr.of_subscription(row.body, known, rules, at) for row in found}


def payer(row: Row[Any]) -> Payer:
    """Who pays for a subscription."""
    return row.stripe_customer_id or row.id, row.currency


def state(found: Found, worths: Mapping[str, Worth]) -> State:
    """What each customer pays: only those who pay anything."""
    paid: State = {}
    for row in found:
        if amount := worths[row.id].amount:
            paid[payer(row)] = paid.get(payer(row), ZERO) + amount
    return paid


def keep(session: Session, worths: Mapping[str, Worth]) -> None:
    """Write what each is worth, for the list of subscriptions."""
    kept = {row.subscription_id: row for row in session.scalars(select(SubscriptionWorth))}
    for name, worth in worths.items():
        row = kept.pop(name, None)
        if row is None:
            session.add(SubscriptionWorth(subscription_id=name, mrr=worth.amount, why=worth.why))
        elif (row.mrr, row.why) != (worth.amount, worth.why):
            row.mrr, row.why = worth.amount, worth.why
    for row in kept.values():
        session.delete(row)
    session.flush()


def known(session: Session, found: Found) -> Known:
    """What the subscriptions name and do not bring along."""
    discount = StripeCustomer.body["discount"]
    own = session.execute(
        select(StripeCustomer.id, discount.label("discount")).where(
            func.jsonb_typeof(discount) == "object",
            exists().where(Subscription.stripe_customer_id == StripeCustomer.id, Subscription.status.in_(COUNTED)),
        )
    )
    given = {row.id: row.discount for row in own}
    items = [(row, item) for row in found for item in _items(row.body)]
    taxed = [row.id for row in found if (row.body.get("automatic_tax") or {}).get("enabled")]
    prices = {str(item["price"].get("id")) for row, item in items if _elsewhere(item["price"], row.currency)}
    named = [*given.values(), *(one for row, _ in items for one in row.body.get("discounts") or ())]
    named += [one for _, item in items for one in item.get("discounts") or ()]
    return Known(
        prices=_bodies(session, StripePrice, prices),
        coupons=_bodies(session, Coupon, {_coupon(one) for one in named if isinstance(one, Mapping)}),
        discounts=given,
        untaxed=_untaxed(session, taxed),
    )


def _items(body: Object) -> list[Object]:
    """A subscription's items that have a price."""
    return [item for item in (body.get("items") or {}).get("data") or () if isinstance(item.get("price"), Mapping)]


def _bodies(session: Session, model: type[StripePrice | Coupon], names: set[str]) -> dict[str, Object]:
    rows = session.execute(select(model.id, model.body).where(model.id == _any(names)))
    return {row.id: row.body for row in rows}


def _any(names: Collection[str]) -> ColumnElement[str]:
    """One of these, as one parameter: a statement has no room for one of each of very many."""
    return func.any(cast(list(names), ARRAY(Text)))


def _elsewhere(price: Object, currency: str) -> bool:
    return price.get("billing_scheme") == "tiered" or price.get("currency") != currency


def _coupon(discount: Object) -> str:
    coupon = (discount.get("source") or {}).get("coupon") or discount.get("coupon")
    return str(coupon["id"] if isinstance(coupon, Mapping) else coupon)


def _untaxed(session: Session, names: list[str]) -> dict[str, Fraction]:
    """Of each subscription's newest bill with an amount, what is left without the tax in it."""
    newest = (
        select(Invoice.subscription_id, Invoice.body)
        .ext(distinct_on(Invoice.subscription_id))
        .where(Invoice.subscription_id == _any(names), Invoice.total > 0, Invoice.status != "draft")
        .order_by(Invoice.subscription_id, Invoice.created_at.desc())
    )
    shares = {row.subscription_id: mrr.untaxed_share(row.body) for row in session.execute(newest)}
    return {name: share for name, share in shares.items() if name is not None and share is not None}
