"""What a subscription is worth a month, as Stripe defines MRR: exact, in the minor unit of its currency.

Counted are active subscriptions and those past due, without trials, metered prices and taxes. Discounts of items
come before those of the subscription, and never make an amount negative. What is billed at other intervals is
divided by their months. Source: docs.stripe.com/billing/subscriptions/analytics/glossary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import groupby
from math import lcm
from typing import Any

from makegood.revenue import discounts, prices_of_items
from makegood.revenue.discounts import Discount
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.prices_of_items import ZERO, Object, Unknown

UNFORESEEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
LONGEST_CYCLE = 2000
"""Bills after which the pattern of several intervals has to repeat, or each interval is billed by itself."""


@dataclass(frozen=True)
class Known:
    """What was read beside the subscriptions: prices and coupons by id, the discount of each customer at Stripe,
    and of each subscription the share of its bills that is left without the tax that Stripe worked out."""

    prices: Mapping[str, Object] = field(default_factory=dict)
    coupons: Mapping[str, Object] = field(default_factory=dict)
    discounts: Mapping[str, Any] = field(default_factory=dict)
    untaxed: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class Worth:
    """A subscription's MRR in minor units: None where it cannot be known. `why` says why it is 0 or unknown."""

    amount: Fraction | None
    why: str | None = None


@dataclass(frozen=True)
class Item:
    """One item that is billed: for how many months at once, for how much, what of that is left without tax, and
    its own discounts."""

    id: str
    product: str | None
    months: Fraction
    amount: Fraction
    untaxed: Fraction
    discounts: Sequence[Discount]


def of_subscription(body: Object, known: Known, rules: MrrRules, at: datetime) -> Worth:
    """What the subscription adds to MRR at an instant."""
    if why := left_out(body, rules):
        return Worth(ZERO, why)
    try:
        billed = _billed(body, known, rules, at)
        amount = _monthly(billed, _of_all(body, known, rules, at))
    except Unknown as problem:
        return Worth(None, str(problem))
    except UNFORESEEN:  # one object must not hide what all others are worth
        return Worth(None, "Stripe describes it in a way that is not known here")
    return Worth(amount, None if amount else _worth_nothing(body, billed))


def left_out(body: Object, rules: MrrRules) -> str | None:
    """Why a subscription adds nothing, whatever it costs; None where it counts."""
    status = str(body["status"])
    if status != "active" and not (status == "past_due" and rules.past_due == "in"):
        return status
    if rules.cancellation == "now" and (body.get("cancel_at") or body.get("cancel_at_period_end")):
        return "cancels"
    if rules.paused == "out" and body.get("pause_collection"):
        return "collection_paused"
    return None


def _billed(body: Object, known: Known, rules: MrrRules, at: datetime) -> list[Item]:
    listed = body["items"]
    if listed.get("has_more"):
        raise Unknown("not all its items were read")
    found = []
    for item in listed["data"]:
        price: Object = item["price"]
        trial = item.get("current_trial")
        if prices_of_items.is_metered(price) or (trial and trial["end_date"] > at.timestamp()):
            continue
        currency = str(body["currency"])
        mirrored = known.prices.get(price["id"])
        quantity = item.get("quantity")
        product = price.get("product")
        found.append(
            Item(
                item["id"],
                product["id"] if isinstance(product, Mapping) else product,
                prices_of_items.months(price),
                prices_of_items.amount(price, 1 if quantity is None else int(quantity), currency, mirrored),
                _untaxed(body, item, known),
                discounts.read_all(item.get("discounts"), known.coupons, rules, currency, at),
            )
        )
    return found


def _of_all(body: Object, known: Known, rules: MrrRules, at: datetime) -> list[Discount]:
    """The discounts of the subscription; without any, at it or at an item, that of its customer."""
    given = body.get("discounts") or []
    if not given and not any(item.get("discounts") for item in body["items"]["data"]):
        own = known.discounts.get(str(body.get("customer")))
        given = [own] if own else []
    return discounts.read_all(given, known.coupons, rules, str(body["currency"]), at)


def _monthly(items: Sequence[Item], of_all: Sequence[Discount]) -> Fraction:
    """All items by month. Items of several intervals stand on common bills, each at its turn, so that an amount
    off is taken once from each bill; where the intervals never meet, each has its own bills."""
    if not items:
        return ZERO
    shortest = min(item.months for item in items)
    turns = {item.id: item.months / shortest for item in items}
    bills = lcm(*(turn.numerator for turn in turns.values()))
    if all(turn.denominator == 1 for turn in turns.values()) and bills <= LONGEST_CYCLE:
        whole = sum((_bill(_at_turn(items, turns, n), of_all) for n in range(bills)), ZERO)
        return whole / bills / shortest
    by_months = sorted(items, key=lambda item: item.months)
    parts = [(months, list(some)) for months, some in groupby(by_months, key=lambda item: item.months)]
    return sum((_bill(some, of_all) / months for months, some in parts), ZERO)


def _at_turn(items: Sequence[Item], turns: Mapping[str, Fraction], n: int) -> list[Item]:
    return [item for item in items if n % int(turns[item.id]) == 0]


def _bill(items: Sequence[Item], of_all: Sequence[Discount]) -> Fraction:
    """What is left of one bill after discounts, without tax."""
    amounts = {item.id: item.amount for item in items}
    products = {item.id: item.product for item in items}
    for item in items:
        for discount in item.discounts:
            amounts |= discounts.apply({item.id: amounts[item.id]}, products, discount)
    for discount in of_all:
        amounts = discounts.apply(amounts, products, discount)
    return sum((amounts[item.id] * item.untaxed for item in items), ZERO)


def _untaxed(body: Object, item: Object, known: Known) -> Fraction:
    """What is left of an amount without the tax that is in it. Raises Unknown where Stripe works the tax out and
    no bill of the subscription says how much it is."""
    rates = [rate for rate in item.get("tax_rates") or body.get("default_tax_rates") or () if rate["inclusive"]]
    if rates:
        percent = sum((Fraction(str(rate["percentage"])) for rate in rates), ZERO)
        return 1 / (1 + percent / 100)
    automatic = (body.get("automatic_tax") or {}).get("enabled")
    if automatic and item["price"].get("tax_behavior") == "inclusive":
        if body["id"] not in known.untaxed:
            raise Unknown("its price includes tax, and no bill says yet how much")
        return known.untaxed[body["id"]]
    return Fraction(1)


def untaxed_share(invoice: Object) -> Fraction | None:
    """What is left of a bill's lines without the tax that is in their amounts; None without any amount."""
    gross = taxes = ZERO
    for line in invoice["lines"]["data"]:
        gross += line["amount"] - sum(part["amount"] for part in line.get("discount_amounts") or ())
        taxes += sum(tax["amount"] for tax in line.get("taxes") or () if tax.get("tax_behavior") == "inclusive")
    return (gross - taxes) / gross if gross else None


def _worth_nothing(body: Object, billed: Sequence[Item]) -> str:
    if all(prices_of_items.is_metered(item["price"]) for item in body["items"]["data"]):
        return "metered"
    if not billed:
        return "trialing"
    return "discounted" if any(item.amount for item in billed) else "free"
