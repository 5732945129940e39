"""What a subscription's item costs each time that it is billed: its price times its quantity.

Amounts are fractions of the currency's minor unit, never rounded here: a price can have twelve decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

ZERO = Fraction(0)
Object = Mapping[str, Any]
MONTHS = {"month": Fraction(1), "year": Fraction(12), "week": Fraction(7 * 12, 365), "day": Fraction(12, 365)}
"""How many months an interval has: a year has twelve months and 365 days, so 52 1/7 weeks."""


class Unknown(Exception):
    """An amount cannot be known from what was read. The message is the end of a sentence that says why."""


def is_metered(price: Object) -> bool:
    """Whether it is billed by use."""
    return _recurring(price).get("usage_type") == "metered"


def months(price: Object) -> Fraction:
    """How many months one billing of it is for. Raises Unknown where it has no interval that is known."""
    recurring = _recurring(price)
    try:
        return MONTHS[recurring["interval"]] * int(recurring.get("interval_count") or 1)
    except KeyError:
        raise Unknown("a price has no interval that is known here") from None


def amount(price: Object, quantity: int, currency: str, mirrored: Object | None = None) -> Fraction:
    """What `quantity` of it cost at one billing, in the minor unit of `currency`.

    `price` is as a subscription has it, `mirrored` the same as its own list has it, with tiers and with its
    amounts in other currencies. Raises Unknown where neither says.
    """
    amounts = _in_currency(price, currency, mirrored)
    if price.get("billing_scheme") == "tiered":
        tiers = amounts.get("tiers") or ((mirrored or {}).get("tiers") if amounts is price else None)
        if not tiers:
            raise Unknown("the tiers of a price were not read")
        by_volume = price.get("tiers_mode") == "volume"
        return volume(tiers, quantity) if by_volume else graduated(tiers, quantity)
    unit = exact(amounts, "unit_amount")
    if unit is None:
        raise Unknown("a price has no fixed amount")
    return unit * transformed(quantity, price.get("transform_quantity"))


def transformed(quantity: int, rule: Object | None) -> int:
    """How many are billed where packages are sold: divided, and rounded as the price says."""
    if not rule:
        return quantity
    packages, rest = divmod(quantity, int(rule["divide_by"]))
    return packages + 1 if rest and rule.get("round") == "up" else packages


def graduated(tiers: Sequence[Object], quantity: int) -> Fraction:
    """Each unit costs what its tier says; the flat amount of every tier that is reached is added."""
    total, below = ZERO, 0
    for tier in tiers:
        if quantity <= below and below:
            break
        up_to = tier.get("up_to")
        within = max(0, (quantity if up_to is None else min(quantity, int(up_to))) - below)
        total += within * (exact(tier, "unit_amount") or 0) + (exact(tier, "flat_amount") or 0)
        if up_to is None:
            break
        below = int(up_to)
    return total


def volume(tiers: Sequence[Object], quantity: int) -> Fraction:
    """All units cost what the tier of the whole quantity says."""
    for tier in tiers:
        if tier.get("up_to") is None or quantity <= int(tier["up_to"]):
            return quantity * (exact(tier, "unit_amount") or ZERO) + (exact(tier, "flat_amount") or 0)
    raise Unknown("the tiers of a price end below its quantity")


def exact(source: Object, name: str) -> Fraction | None:
    """An amount that Stripe gives as a decimal, as a whole number or not at all."""
    decimal = source.get(f"{name}_decimal")
    value = source.get(name) if decimal is None else decimal
    return None if value is None else Fraction(str(value))


def _in_currency(price: Object, currency: str, mirrored: Object | None) -> Object:
    if price.get("currency") == currency:
        return price
    for source in (price, mirrored or {}):
        found: Object | None = (source.get("currency_options") or {}).get(currency)
        if found:
            return found
    raise Unknown(f"the amount of a price in {currency.upper()} was not read")


def _recurring(price: Object) -> Object:
    found: Object = price.get("recurring") or {}
    return found
