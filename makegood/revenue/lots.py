"""What paid credits are worth, and what becomes of it.

A lot is the credits of one purchase, at the price that was paid for them: the amount for its credit lines
without tax, by its credits. They are owed until each is used, expires, or is taken away: then it is revenue.

    left       = sold - used - expired - clawed - adjusted                    credits
    liability  = left x price                                                 what is still owed
    recognised = (used + expired + clawed + adjusted) x price - returned      revenue, when it happened

`used` are charges less what refunds returned, `clawed` what a return of money took less what came back, `adjusted`
what operators took. So a return of money takes first what was not recognised yet: its credits leave the liability,
and only what was used already makes revenue less. In each currency, for any history:
recognised = sold x price - returned - change of the liability.

Amounts are exact fractions of the currency's minor unit. Only who shows them rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from operator import attrgetter
from typing import Any


@dataclass(frozen=True)
class Value:
    """What became of paid credits, at their prices, in minor units of one currency. `returned` is money."""

    sold: Fraction = Fraction(0)
    used: Fraction = Fraction(0)
    expired: Fraction = Fraction(0)
    clawed: Fraction = Fraction(0)
    adjusted: Fraction = Fraction(0)
    returned: Fraction = Fraction(0)

    @property
    def taken_back(self) -> Fraction:
        """What returns of money changed in the revenue: below zero where more went back than was still owed."""
        return self.clawed - self.returned

    @cached_property
    def recognised(self) -> Fraction:
        """The revenue."""
        parts = (self.used, self.expired, self.adjusted, self.clawed, -self.returned)
        return sum((part for part in parts if part), Fraction(0))

    @property
    def change(self) -> Fraction:
        """How the liability changed."""
        return self.sold - self.used - self.expired - self.clawed - self.adjusted

    def __add__(self, other: Value) -> Value:
        return Value(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


MEASURES = tuple(field.name for field in fields(Value) if field.name != "returned")
MEASURED = attrgetter(*MEASURES)


def values(rows: Iterable[Any], *keys: str) -> dict[tuple[Any, ...], Value]:
    """Credits (rows of `recognised.read`) at their prices, by these keys of a row.

    Sums are kept by the price's denominator until the end: adding fractions is slow, and there are few prices.
    """
    sums: dict[tuple[Any, ...], dict[tuple[str, int], int]] = {}
    for row in rows:
        parts = sums.setdefault(tuple([getattr(row, key) for key in keys]), {})
        for name, credits in zip(MEASURES, MEASURED(row), strict=True):
            if credits:
                part = name, row.price_credits
                parts[part] = parts.get(part, 0) + credits * row.price_amount
    return {key: Value(**_added(parts)) for key, parts in sums.items()}


def _added(parts: Mapping[tuple[str, int], int]) -> dict[str, Fraction]:
    sums: dict[str, Fraction] = {}
    for (name, denominator), numerator in parts.items():
        part = Fraction(numerator, denominator)
        sums[name] = sums[name] + part if name in sums else part
    return sums
