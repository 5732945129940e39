"""MRR of one subscription: worked out by hand, case by case, in cents."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from makegood.revenue import mrr
from makegood.revenue.mrr import Known, Worth
from makegood.revenue.mrr_rules import MrrRules
from tests.subscribing import NOW, discount, item, money_off, percent, price, subscription

ALL = MrrRules(coupons="all")
TIERS = [
    {"up_to": 5, "unit_amount": 700, "flat_amount": None},
    {"up_to": 10, "unit_amount": 650, "flat_amount": 100},
    {"up_to": None, "unit_amount_decimal": "600.5", "flat_amount": None},
]
"""With Stripe's own example of fonts: docs.stripe.com/subscriptions/pricing-models/tiered-pricing."""
TIERED = price(None, billing_scheme="tiered", tiers_mode="graduated", tiers=TIERS)
VOLUME = price(None, billing_scheme="tiered", tiers_mode="volume", tiers=TIERS)
PACKS = {"divide_by": 10, "round": "up"}


def worth(body: dict[str, Any], rules: MrrRules = ALL, **known: Any) -> Worth:
    return mrr.of_subscription(body, Known(**known), rules, NOW)


@pytest.mark.parametrize(
    ("body", "cents"),
    [
        (subscription(price(1000)), 1000),
        (subscription(item(price(1000), 3)), 3000),
        (subscription(price(120000, "year")), 10000),
        (subscription(price(1000, "year")), Fraction(250, 3)),
        (subscription(price(3000, "month", 3)), 1000),
        (subscription(price(700, "week")), Fraction(36500, 12)),
        (subscription(price(100, "day", 2)), Fraction(36500, 24)),
        (subscription(price("0.000000000001")), Fraction(1, 10**12)),
        (subscription(price(500), price(120000, "year")), 10500),
        (subscription(price(500), item(price(7, usage="metered"), None)), 500),
        (subscription(item(TIERED, 5)), 3500),
        (subscription(item(TIERED, 6)), 3500 + 650 + 100),
        (subscription(item(TIERED, 12)), 3500 + 5 * 650 + 100 + 1201),
        (subscription(item(VOLUME, 6)), 6 * 650 + 100),
        (subscription(item(VOLUME, 20)), 12010),
        (subscription(item(price(1000, transform_quantity=PACKS), 11)), 2000),
        (subscription(item(price(1000, transform_quantity=PACKS | {"round": "down"}), 19)), 1000),
        (subscription(price(500, currency="jpy"), currency="jpy"), 500),
        (subscription(price(500, currency_options={"eur": {"unit_amount": 450}}), currency="eur"), 450),
        (subscription(price(1190), default_tax_rates=[{"inclusive": True, "percentage": 19.0}]), 1000),
        (subscription(price(1000), default_tax_rates=[{"inclusive": False, "percentage": 19.0}]), 1000),
        (
            subscription(
                item(price(1100), tax_rates=[{"inclusive": True, "percentage": 10.0}]),
                default_tax_rates=[{"inclusive": True, "percentage": 50.0}],
            ),
            1000,
        ),
        (subscription(price(1000), discounts=[discount(percent(12.5))]), 875),
        (subscription(price(1000), discounts=[discount(percent(50)), discount(money_off(100))]), 400),
        (subscription(price(1000), discounts=[discount(money_off(100)), discount(percent(50))]), 450),
        (subscription(price(1000), discounts=[discount(money_off(5000))]), 0),
        (subscription(price(12000, "year"), discounts=[discount(money_off(1200))]), 900),
        (
            subscription(
                item(price(1000), discounts=[discount(percent(50))]), discounts=[discount(money_off(200))]
            ),
            300,
        ),
        (
            subscription(price(1000, product="prod_2"), price(500), discounts=[
                discount(percent(50, applies_to={"products": ["prod_2"]}))]),
            1000,
        ),
        # 12 bills: the monthly item alone 11 times, and once with the yearly one; 15.00 off each.
        (
            subscription(price(1000), price(12000, "year"), discounts=[discount(money_off(1500))]),
            Fraction(11 * 0 + 1000 + 12000 - 1500, 12),
        ),
        (subscription(price(1000), discounts=[discount(percent(50), end=int(NOW.timestamp()))]), 1000),
    ],
)  # fmt: skip
def test_a_subscription_is_worth_what_it_bills_by_month(body: dict[str, Any], cents: Fraction | int) -> None:
    assert worth(body).amount == cents


@pytest.mark.parametrize(
    ("duration", "reducing"),
    [("forever", {"forever", "recurring", "all"}), ("repeating", {"recurring", "all"}), ("once", {"all"})],
)
def test_the_rule_for_coupons_decides_by_their_duration(duration: str, reducing: set[str]) -> None:
    body = subscription(price(1000), discounts=[discount(percent(50, duration))])
    found = {rule for rule in ("none", "forever", "recurring", "all")
             if worth(body, MrrRules(coupons=rule)).amount == 500}  # fmt: skip
    assert found == reducing


@pytest.mark.parametrize(
    ("changes", "rules", "why"),
    [
        ({"status": "trialing"}, {}, "trialing"),
        ({"status": "unpaid"}, {}, "unpaid"),
        ({"status": "past_due"}, {}, None),
        ({"status": "past_due"}, {"past_due": "out"}, "past_due"),
        ({"cancel_at_period_end": True}, {}, "cancels"),
        ({"cancel_at": 1800000000}, {}, "cancels"),
        ({"cancel_at_period_end": True}, {"cancellation": "end"}, None),
        ({"pause_collection": {"behavior": "void"}}, {}, None),
        ({"pause_collection": {"behavior": "void"}}, {"paused": "out"}, "collection_paused"),
        ({"discounts": [discount(percent(100))]}, {}, "discounted"),
    ],
)
def test_what_is_left_out_says_why(changes: dict[str, Any], rules: dict[str, str], why: str | None) -> None:
    found = worth(subscription(price(1000), **changes), MrrRules(**rules))
    assert found == Worth(Fraction(0 if why else 1000), why)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (subscription(price(0)), "free"),
        (subscription(item(price(9, usage="metered"), None)), "metered"),
        (subscription(item(price(900), current_trial={"end_date": int(NOW.timestamp()) + 1})), "trialing"),
    ],
)
def test_an_active_subscription_that_bills_nothing_is_worth_nothing(body: dict[str, Any], why: str) -> None:
    assert worth(body) == Worth(Fraction(0), why)


@pytest.mark.parametrize(
    "body",
    [
        subscription(price(1000), discounts=["di_1"]),
        subscription(price(1000), discounts=[discount("co_unread")]),
        subscription(price(1000), discounts=[discount(money_off(5, currency="eur"))]),
        subscription(price(None, billing_scheme="tiered")),
        subscription(price(1000, "fortnight")),
        subscription(price(1000), currency="eur"),
        subscription(price(1000, tax_behavior="inclusive"), automatic_tax={"enabled": True}),
        subscription(price(1000)) | {"items": {"data": [], "has_more": True}},
        subscription(price(1000)) | {"items": {"data": [{"price": None}]}},
    ],
)
def test_what_cannot_be_told_is_unknown_and_not_nothing(body: dict[str, Any]) -> None:
    found = worth(body)
    assert found.amount is None
    assert found.why


def test_what_does_not_come_along_is_taken_from_what_was_read_beside() -> None:
    tiered = price(None, billing_scheme="tiered", tiers_mode="volume", id="price_t")
    body = subscription(item(tiered, 6), discounts=[discount("co_half")])
    known = {"prices": {"price_t": VOLUME}, "coupons": {"co_half": percent(50)}}
    assert worth(body, **known).amount == 2000


def test_the_discount_of_a_customer_counts_where_the_subscription_has_none() -> None:
    own = {"discounts": {"cus_1": discount(percent(50))}}
    assert worth(subscription(price(1000)), **own).amount == 500
    assert worth(subscription(price(1000), discounts=[discount(percent(10))]), **own).amount == 900


def test_tax_that_stripe_works_out_is_taken_from_the_last_bill() -> None:
    line = {"amount": 1190, "discount_amounts": [], "taxes": [{"amount": 190, "tax_behavior": "inclusive"}]}
    share = mrr.untaxed_share({"lines": {"data": [line]}})
    body = subscription(price(2380, tax_behavior="inclusive"), automatic_tax={"enabled": True})
    assert worth(body, untaxed={"sub_1": share}).amount == 2000
