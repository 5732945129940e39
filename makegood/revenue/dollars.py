"""Amounts of many days in US dollars, each at the rate of its day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from fractions import Fraction

from makegood.ranges import DAY, Step
from makegood.revenue import rates
from makegood.revenue.rates import Rate, Rates
from makegood.revenue.results import Dollars


class Days:
    """Amounts of days in US dollars, and with which rates. A day with an amount that has no rate has no sum."""

    def __init__(self, table: Rates) -> None:
        self._table = table
        self._sums: defaultdict[tuple[str, date], Fraction] = defaultdict(Fraction)
        self._unknown: set[tuple[str, date]] = set()
        self.used: set[Rate] = set()
        self.missing: set[str] = set()

    def add(self, name: str, day: date, currency: str, minor: int | Fraction) -> None:
        """Add an amount in minor units to a day's sum of that name."""
        dollars = self.sum_of([(day, currency, minor)])
        if dollars is None:
            self._unknown.add((name, day))
        else:
            self._sums[name, day] += dollars

    def sum(self, name: str, step: Step) -> Dollars:
        """The sum of a step's days."""
        days = [step.first + n * DAY for n in range((step.last - step.first).days + 1)]
        if any((name, day) in self._unknown for day in days):
            return None
        return sum((self._sums.get((name, day), Fraction(0)) for day in days), Fraction(0))

    def sum_of(self, amounts: Iterable[tuple[date, str, int | Fraction]]) -> Dollars:
        """The sum of amounts in minor units, each at its day's rate."""
        found = rates.in_usd(self._table, ((currency, day, minor) for day, currency, minor in amounts))
        self.used.update(found.used)
        self.missing.update(found.missing)
        return found.usd
