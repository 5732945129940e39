"""The lines of what is sold: what they cost, and how a discount or a tax of the whole is spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from simulator.stripe.objects import Object
from simulator.stripe.settlement import half_up


def cost(price: Object, quantity: int) -> int:
    """What some of a price cost, in its minor unit: per unit, by tiers, or by packages."""
    if price["tiers_mode"] == "volume":
        tier = next(one for one in price["tiers"] if one["up_to"] is None or quantity <= one["up_to"])
        return half_up(_of_tier(tier, quantity))
    if price["tiers_mode"] == "graduated":
        exact, begins = Fraction(0), 0
        for tier in price["tiers"]:
            within = (quantity if tier["up_to"] is None else min(quantity, tier["up_to"])) - begins
            if within <= 0:
                break
            exact += _of_tier(tier, within)
            begins += within
        return half_up(exact)
    if (transform := price["transform_quantity"]) is not None:
        whole, rest = divmod(quantity, transform["divide_by"])
        quantity = whole + (1 if rest and transform["round"] == "up" else 0)
    return half_up(Fraction(price["unit_amount_decimal"] or 0) * quantity)


def spread(amounts: Sequence[int], total: int) -> list[int]:
    """A total in proportion to amounts, exactly: the last takes what rounding leaves."""
    whole, given, shares = sum(amounts), 0, []
    for amount in amounts:
        shares.append(total * amount // whole if whole else 0)
        given += shares[-1]
    if shares:
        shares[-1] += total - given
    return shares


def taxed(amount: int) -> Object:
    """Tax on top of a price."""
    return {
        "amount": amount,
        "tax_behavior": "exclusive",
        "tax_rate_details": {"tax_rate": "txr_standard"},
        "taxability_reason": "standard_rated",
        "taxable_amount": None,
        "type": "tax_rate_details",
    }


def _of_tier(tier: Object, quantity: int) -> Fraction:
    return Fraction(tier["unit_amount_decimal"] or 0) * quantity + (tier["flat_amount"] or 0)
