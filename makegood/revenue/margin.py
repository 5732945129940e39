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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from makegood.calendars import month_of, next_month, start_of
from makegood.ranges import DAILY_UP_TO, DAY, Range, Step, within
from makegood.revenue import margin_by_use, payments, rates, reading, recognised
from makegood.revenue.dollars import Days
from makegood.revenue.liability import sold_since
from makegood.revenue.margin_by_use import UseLine
from makegood.revenue.period import by_day
from makegood.revenue.rates import Rate
from makegood.revenue.results import MEASURES, Dollars, Result
from makegood.rollup_tables import USAGE
from makegood.stats import pieces, snapshot, sums
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


def total(session: Session, terms: Terms, asked: Range) -> Result:
    """The result of the whole range alone."""
    return _Counted(session, terms, asked).total


def steps(session: Session, terms: Terms, asked: Range) -> list[MarginStep]:
    """The result of each step of a range of whole days, as `report` has them. The caller has begun a snapshot."""
    return _Counted(session, terms, asked).results


def report(session: Session, terms: Terms, asked: Range) -> Margin:
    """The page. The range is made of whole days; the caller has begun a snapshot."""
    counted = _Counted(session, terms, asked)
    days, since = counted.days, counted.since
    sold = since is not None and not any(
        one.result.generations for one in counted.results if one.step.last < since
    )
    lines = margin_by_use.lines(session, terms, asked, counted.table, known=sold)
    beside = [(*key, value.recognised - value.used) for key, value in counted.earned.items()]
    direct = [(*key, amount) for key, amount in counted.direct.items()]
    return Margin(
        asked.now,
        asked,
        counted.total,
        counted.results,
        margin_by_use.grouped(lines, 0),
        margin_by_use.grouped(lines, 0, 1),
        margin_by_use.grouped(lines, 2),
        days.sum_of(beside) if sold else None,
        days.sum_of(direct) if counted.state.covers(asked) else None,
        reading.unread(counted.state, asked),
        since,
        sorted(days.used, key=lambda rate: (rate.currency, rate.day)),
        sorted(days.missing),
    )


class _Counted:
    """What is read of a range: `earned` and `direct` by day and currency, and the results of its steps."""

    def __init__(self, session: Session, terms: Terms, asked: Range) -> None:
        self.state = reading.of(session)
        self.since = sold_since(session, terms)
        self.table = rates.between(session, asked.first, asked.last)
        self.days = Days(self.table)
        self.earned = recognised.values(session, terms.timezone, asked.first, asked.last, "day", "currency")
        self.direct: defaultdict[tuple[date, str], int] = defaultdict(int)
        self._add(session, asked)
        steps = _steps(asked)
        costs = _costs(session, terms, steps)
        read = [self.state.covers(within(step.start, step.end, asked.zone, asked.now)) for step in steps]
        self.results = [
            MarginStep(step, _result(step, self.days, costs.get(n), self.since, read[n]))
            for n, step in enumerate(steps)
        ]
        self.total = together([one for one in self.results if one.step.start <= asked.now], self.since)

    def _add(self, session: Session, asked: Range) -> None:
        """Add up the days."""
        for one in by_day(session, asked):
            figures = one.figures
            cash = figures.gross - figures.refunds - figures.disputes
            fees = figures.fees + figures.account_fees + figures.tax_on_fees
            self.days.add("cash", one.day, one.currency, cash)
            self.days.add("fees", one.day, one.currency, fees)
            self.direct[one.day, one.currency] += cash
        for day, currency, amount in payments.for_credits(session, asked):
            self.direct[day, currency] -= amount
        for (day, currency), amount in self.direct.items():
            self.days.add("recognised", day, currency, amount)
        for (day, currency), value in self.earned.items():
            self.days.add("recognised", day, currency, value.recognised)


def _result(step: Step, days: Days, used: Row[Any] | None, since: date | None, read: bool) -> Result:
    sold = since is not None and step.last >= since
    return Result.of(
        used,
        cash=days.sum("cash", step) if read else None,
        recognised=days.sum("recognised", step) if read and sold else None,
        fees=days.sum("fees", step) if read else None,
    )


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
    state = snapshot.state(session, terms.timezone)
    query = sums.totals(USAGE, state, parts, (sums.STEP,), measures=MEASURES)
    return {row.step: row for row in session.execute(query)}


def together(results: Sequence[MarginStep], since: date | None) -> Result:
    """Steps together. Recognised revenue is not known where something was used before credits were sold here:
    what it earned is not known."""
    all_ = Result.total([one.result for one in results])
    before = [one.result for one in results if since is None or one.step.last < since]
    if all_.recognised is not None or any(result.generations for result in before):
        return all_
    sold = [one.result for one in results if since is not None and one.step.last >= since]
    return replace(all_, recognised=Result.total(sold).recognised) if sold else all_
