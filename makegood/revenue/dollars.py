"""Amounts of many days in US dollars, each at the rate of its day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from fractions import Fraction

from makegood.ranges import DAY, Step
from makegood.revenue import rates
from makegood.revenue.rates import USD, Rate, Rates
from makegood.revenue.results import Dollars


class Days:
    """Amounts of days in US dollars, and with which rates. A day with an amount that has no rate has no sum."""

    def __init__(self, table: Rates) -> None:
        self._table = table
        self._amounts: defaultdict[tuple[str, date], list[tuple[date, str, int | Fraction]]] = defaultdict(list)
        self.used: set[Rate] = set()
        self.missing: set[str] = set()

    def add(self, name: str, day: date, currency: str, minor: int | Fraction) -> None:
        """Add an amount in minor units to a day's sum of that name."""
        if not minor:
            return
        self._amounts[name, day].append((day, currency, minor))
        rate = self._table.of(currency, day)
        if rate is None:
            self.missing.add(currency)
        elif currency != USD:
            self.used.add(rate)

    def sum(self, name: str, step: Step) -> Dollars:
        """The sum of a step's days."""
        days = [step.first + n * DAY for n in range((step.last - step.first).days + 1)]
        return self.sum_of(amount for day in days for amount in self._amounts.get((name, day), ()))

    def sum_of(self, amounts: Iterable[tuple[date, str, int | Fraction]]) -> Dollars:
        """The sum of amounts in minor units, each at its day's rate."""
        found = rates.in_usd(self._table, ((currency, day, minor) for day, currency, minor in amounts))
        self.used.update(found.used)
        self.missing.update(found.missing)
        return found.usd
