"""What came in, what it cost, and what is left of it: exact fractions of a US dollar, None where not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Row

from makegood import money
from makegood.revenue.rates import MICROS

Dollars = Fraction | None


MEASURES = ("generations", "cost_micros", "unknown_costs", "loss_micros")
"""What is read of the generations."""


@dataclass(frozen=True)
class Result:
    """What came in and what it cost, in US dollars; None: not known. `cost` leaves out the `unknown_costs`
    generations whose cost nobody knows, and is None where that is all of them. `loss` is part of it."""

    cash: Dollars = None
    recognised: Dollars = None
    fees: Dollars = None
    cost: Dollars = Fraction(0)
    loss: Fraction = Fraction(0)
    generations: int = 0
    unknown_costs: int = 0

    @classmethod
    def of(cls, used: Row[Any] | None, **revenue: Dollars) -> Result:
        """It with what generations cost: a row with the MEASURES, None where there were none."""
        known = revenue.get("cash"), revenue.get("recognised"), revenue.get("fees")
        if used is None:
            return cls(*known)
        cost = None if _all_unknown(used.generations, used.unknown_costs) else Fraction(used.cost_micros, MICROS)
        loss = Fraction(used.loss_micros, MICROS)
        return cls(*known, cost, loss, used.generations, used.unknown_costs)

    @classmethod
    def total(cls, results: Sequence[Result]) -> Result:
        """All of them together. Revenue and fees are not known where one's are not."""
        generations = sum(result.generations for result in results)
        unknown_costs = sum(result.unknown_costs for result in results)
        known = sum((result.cost or Fraction(0) for result in results), Fraction(0))
        return cls(
            added(result.cash for result in results),
            added(result.recognised for result in results),
            added(result.fees for result in results),
            None if _all_unknown(generations, unknown_costs) else known,
            sum((result.loss for result in results), Fraction(0)),
            generations,
            unknown_costs,
        )

    @property
    def profit(self) -> Dollars:
        """On the cash basis."""
        return _less(self.cash, self.fees, self.cost)

    @property
    def recognised_profit(self) -> Dollars:
        """On the recognised basis."""
        return _less(self.recognised, self.fees, self.cost)

    @property
    def contribution(self) -> Dollars:
        """Recognised revenue less provider cost, before Stripe's fees."""
        return _less(self.recognised, self.cost)

    @property
    def margin(self) -> Decimal | None:
        """The share of the cash that is left; None without any."""
        return share(self.profit, self.cash)

    @property
    def recognised_margin(self) -> Decimal | None:
        """The share of the recognised revenue that is left."""
        return share(self.recognised_profit, self.recognised)

    @property
    def contribution_margin(self) -> Decimal | None:
        """The share of the recognised revenue that is left before Stripe's fees."""
        return share(self.contribution, self.recognised)


def share(part: Dollars, whole: Dollars) -> Decimal | None:
    """`part` of `whole` as a rate; None where one is not known, or the whole is not above zero."""
    if part is None or whole is None or whole <= 0:
        return None
    rate = part / whole
    return Decimal(rate.numerator) / Decimal(rate.denominator)


def micros(dollars: Dollars) -> int | None:
    """Micro-dollars, rounded once."""
    return None if dollars is None else money.rounded(dollars * MICROS)


def added(parts: Iterable[Dollars]) -> Dollars:
    """The sum; None where a part is not known."""
    total = Fraction(0)
    for part in parts:
        if part is None:
            return None
        if part:
            total = total + part if total else part
    return total


def _less(whole: Dollars, *parts: Dollars) -> Dollars:
    taken = added(parts)
    return None if whole is None or taken is None else whole - taken


def _all_unknown(generations: int, unknown_costs: int) -> bool:
    return generations > 0 and unknown_costs == generations
