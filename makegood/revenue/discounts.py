"""Discounts of subscriptions and of their items, as an invoice would apply them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.prices_of_items import ZERO, Object, Unknown

Amounts = dict[str, Fraction]
"""What each item costs at one billing, by the item's id."""


@dataclass(frozen=True)
class Discount:
    """A share of what is billed (from 0 to 1), or an amount in minor units; on these products, or on all."""

    share: Fraction | None = None
    amount: Fraction | None = None
    products: frozenset[str] | None = None


def read_all(
    discounts: Sequence[Any] | None,
    coupons: Mapping[str, Object],
    rules: MrrRules,
    currency: str,
    at: datetime,
) -> list[Discount]:
    """The discounts that count under the rules and have not ended, in their order. `coupons` are those that were
    read, by id. Raises Unknown where one cannot be told."""
    if not rules.durations:
        return []
    found = (_read(discount, coupons, rules, currency, at) for discount in discounts or ())
    return [discount for discount in found if discount is not None]


def apply(amounts: Amounts, products: Mapping[str, str | None], discount: Discount) -> Amounts:
    """The amounts after a discount. One of an amount is spread over what it is for, and never takes more."""
    wanted = discount.products
    meant = [item for item in amounts if wanted is None or products.get(item) in wanted]
    if discount.share is not None:
        kept = 1 - discount.share
    else:
        total = sum((amounts[item] for item in meant), ZERO)
        kept = 1 - min(discount.amount or ZERO, total) / total if total else Fraction(1)
    return {item: amount * kept if item in meant else amount for item, amount in amounts.items()}


def _read(
    discount: Any, coupons: Mapping[str, Object], rules: MrrRules, currency: str, at: datetime
) -> Discount | None:
    if not isinstance(discount, Mapping):
        raise Unknown("a discount was not read with it")
    if discount.get("end") and discount["end"] <= at.timestamp():
        return None
    coupon = _coupon(discount, coupons)
    if coupon.get("duration") not in rules.durations:
        return None
    only = coupon.get("applies_to") or {}
    products = frozenset(only["products"]) if only.get("products") else None
    if coupon.get("percent_off") is not None:
        return Discount(share=Fraction(str(coupon["percent_off"])) / 100, products=products)
    return Discount(amount=_amount_off(coupon, currency), products=products)


def _coupon(discount: Object, coupons: Mapping[str, Object]) -> Object:
    """The coupon behind a discount: as its own list has it, which says what it is for; else as it came along."""
    coupon = (discount.get("source") or {}).get("coupon") or discount.get("coupon")
    given: Object = coupon if isinstance(coupon, Mapping) else {"id": coupon}
    found = coupons.get(str(given.get("id"))) or given
    if "duration" not in found:
        raise Unknown("a coupon was not read")
    return found


def _amount_off(coupon: Object, currency: str) -> Fraction:
    if coupon.get("currency") == currency:
        return Fraction(coupon["amount_off"])
    option = (coupon.get("currency_options") or {}).get(currency)
    if not option:
        raise Unknown(f"what a coupon takes off in {currency.upper()} was not read")
    return Fraction(option["amount_off"])
