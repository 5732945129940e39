"""What a subscription is of: its products, and what they cost at each billing, before discounts and tax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import money
from makegood.models import Product, StripePrice, Subscription
from makegood.revenue import prices_of_items
from makegood.revenue.prices_of_items import Unknown


@dataclass(frozen=True)
class Plan:
    """One item of a subscription. `amount` is what all `quantity` of it cost `every` so often, in minor units:
    None where `why` says why it has no fixed amount."""

    name: str | None
    quantity: int
    amount: int | None
    currency: str
    every: str | None
    why: str | None = None


def of(session: Session, subscriptions: Sequence[Subscription]) -> dict[str, list[Plan]]:
    """The items of each of these subscriptions, by its id."""
    items = {one.id: list((one.body.get("items") or {}).get("data") or ()) for one in subscriptions}
    prices = [item.get("price") or {} for several in items.values() for item in several]
    known = StripePrice.id.in_([one.get("id") for one in prices])
    bodies = {row.id: row.body for row in session.execute(select(StripePrice.id, StripePrice.body).where(known))}
    sold = Product.id.in_([_product(one) for one in prices])
    names = {row.id: row.name for row in session.execute(select(Product.id, Product.name).where(sold))}
    return {one.id: [_plan(item, one.currency, names, bodies) for item in items[one.id]] for one in subscriptions}


def _product(price: Mapping[str, Any]) -> str | None:
    product = price.get("product")
    return product.get("id") if isinstance(product, Mapping) else product


def _plan(
    item: Mapping[str, Any],
    currency: str,
    names: Mapping[str, str | None],
    bodies: Mapping[str, Mapping[str, Any]],
) -> Plan:
    price = item.get("price") or {}
    name = names.get(_product(price) or "") or price.get("nickname")
    quantity = int(item["quantity"]) if item.get("quantity") is not None else 1
    recurring = price.get("recurring") or {}
    every, count = recurring.get("interval"), int(recurring.get("interval_count") or 1)
    often = every and (every if count == 1 else f"{count} {every}s")
    if prices_of_items.is_metered(price):
        return Plan(name, quantity, None, currency, often, "billed by use")
    try:
        exact = prices_of_items.amount(price, quantity, currency, bodies.get(price.get("id", "")))
    except Unknown as unknown:
        return Plan(name, quantity, None, currency, often, str(unknown))
    return Plan(name, quantity, money.rounded(exact), currency, often)
