"""Margin: what came in, what it cost, and what is left, in US dollars, on two bases side by side.

Cash counts money when it moved at Stripe: charges less refunds and disputes. Recognised counts paid credits when
they were used, expired or were taken away (`lots`), and every other payment when it moved (`payments`). Both less
Stripe's fees, when Stripe took them, and less what the providers take for the generations that were charged:

    profit = revenue - Stripe's fees - provider cost          margin = profit / revenue

The platform loss, the cost of generations whose credits were refunded, is part of the provider cost. A provider, a
model or a tier has recognised revenue only: nobody pays a provider's bill with a pack of credits.

Days are those of the reporting time zone. Other currencies are converted at the rate of each day; without one, and
where Stripe has not been read, there is no sum. Sums are exact and rounded where they are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.calendars import month_of, next_month, start_of
from makegood.ranges import DAILY_UP_TO, DAY, Range, Step, within
from makegood.revenue import margin_by_use, payments, rates, reading, recognised
from makegood.revenue.liability import sold_since
from makegood.revenue.margin_by_use import UseLine
from makegood.revenue.period import by_day
from makegood.revenue.rates import Rate, Rates
from makegood.revenue.results import MEASURES, Dollars, Result
from makegood.rollup_tables import USAGE
from makegood.stats import pieces, sums
from makegood.terms import Terms


@dataclass(frozen=True)
class MarginStep:
    """The result of a day or a month."""

    step: Step
    result: Result


@dataclass(frozen=True)
class Margin:
    """The margin of a range.

    `unread` says why cash is not known. Credits are sold here `since` that day; what was used before it earned is
    not known. `beside` is the revenue of credits that no use earned: expired, taken back, adjusted. `direct` is
    that of payments for no credits. `used` are the exchange rates in it, `missing` the currencies that had none on
    some day.
    """

    as_of: datetime
    range: Range
    total: Result
    steps: Sequence[MarginStep]
    providers: Sequence[UseLine]
    models: Sequence[UseLine]
    tiers: Sequence[UseLine]
    beside: Dollars
    direct: Dollars
    unread: str | None
    since: date | None
    used: Sequence[Rate]
    missing: Sequence[str]


def whole_days(asked: Range, terms: Terms) -> Range:
    """The range as days of the reporting time zone: what is counted here has no hours."""
    return Range(asked.first, asked.last, terms.timezone, asked.now, asked.preset)


def report(session: Session, terms: Terms, asked: Range) -> Margin:
    """The page. The range is made of whole days; the caller has begun a snapshot."""
    steps = _steps(asked)
    state = reading.of(session)
    table = rates.between(session, asked.first, asked.last)
    earned = recognised.values(session, terms.timezone, asked.first, asked.last, "day", "currency")
    costs = _costs(session, terms, steps)
    since = sold_since(session, terms)
    converted = _Days(table)
    direct: defaultdict[tuple[date, str], int] = defaultdict(int)
    for one in by_day(session, asked):
        figures = one.figures
        cash = figures.gross - figures.refunds - figures.disputes
        converted.add("cash", one.day, one.currency, cash)
        direct[one.day, one.currency] += cash
        converted.add("fees", one.day, one.currency, figures.fees + figures.account_fees + figures.tax_on_fees)
    for day, currency, amount in payments.for_credits(session, asked):
        direct[day, currency] -= amount
    for (day, currency), amount in direct.items():
        converted.add("recognised", day, currency, amount)
    for (day, currency), value in earned.items():
        converted.add("recognised", day, currency, value.recognised)
    results = [
        MarginStep(step, _result(step, converted, costs.get(n), since, state.covers(_span(step, asked))))
        for n, step in enumerate(steps)
    ]
    total = _total([one for one in results if one.step.start <= asked.now], since)
    sold = since is not None and not any(one.result.generations for one in results if one.step.last < since)
    lines = margin_by_use.lines(session, terms, asked, table, known=sold)
    beside = [(day, currency, value.recognised - value.used) for (day, currency), value in earned.items()]
    return Margin(
        asked.now,
        asked,
        total,
        results,
        margin_by_use.grouped(lines, 0),
        margin_by_use.grouped(lines, 0, 1),
        margin_by_use.grouped(lines, 2),
        converted.sum_of(beside) if total.recognised is not None else None,
        converted.sum_of((*key, amount) for key, amount in direct.items())
        if total.recognised is not None
        else None,
        reading.unread(state, asked),
        since,
        sorted(converted.used, key=lambda rate: (rate.currency, rate.day)),
        sorted(converted.missing),
    )


def _result(step: Step, days: _Days, used: Row[Any] | None, since: date | None, read: bool) -> Result:
    sold = since is not None and step.last >= since
    return Result.of(
        used,
        cash=days.sum("cash", step) if read else None,
        recognised=days.sum("recognised", step) if read and sold else None,
        fees=days.sum("fees", step) if read else None,
    )


def _span(step: Step, asked: Range) -> Range:
    return within(step.start, step.end, asked.zone, asked.now)


class _Days:
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


def _steps(asked: Range) -> list[Step]:
    """Days up to half a year, else months."""
    by_month = (asked.last - asked.first).days >= DAILY_UP_TO
    steps, day = [], asked.first
    while day <= asked.last:
        last = min(next_month(month_of(day)) - DAY, asked.last) if by_month else day
        start, end = start_of(day, asked.zone), start_of(last + DAY, asked.zone)
        if start < end:
            steps.append(Step(start, end, day, last, "month" if by_month else "day"))
        day = last + DAY
    return steps


def _costs(session: Session, terms: Terms, steps: Sequence[Step]) -> dict[int, Any]:
    """What generations cost, by step."""
    parts = pieces.cut([(step.start, step.end) for step in steps], terms.timezone)
    state = rollups.state(session, terms.timezone)
    query = sums.totals(USAGE, state, parts, (sums.STEP,), measures=MEASURES)
    return {row.step: row for row in session.execute(query)}


def _total(results: Sequence[MarginStep], since: date | None) -> Result:
    """All steps together. Recognised revenue is not known where something was used before credits were sold here:
    what it earned is not known."""
    total = Result.total([one.result for one in results])
    before = [one.result for one in results if since is None or one.step.last < since]
    if total.recognised is not None or any(result.generations for result in before):
        return total
    sold = [one.result for one in results if since is not None and one.step.last >= since]
    return replace(total, recognised=Result.total(sold).recognised) if sold else total
