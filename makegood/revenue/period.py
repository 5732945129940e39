"""Revenue of a range, by Stripe's balance transactions: by currency and step, beside the period before."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from makegood.calendars import start_of
from makegood.ranges import DAY, Range, Step
from makegood.revenue import figures, rates, reading
from makegood.revenue.figures import Figures, Line
from makegood.revenue.rates import USD, Converted, Rate
from makegood.revenue.reading import Reading

CONVERTED = ("gross", "refunds", "disputes", "fees", "account_fees", "tax_on_fees", "net")
"""The figures that are also given in US dollars, over all currencies."""


@dataclass(frozen=True)
class CurrencyPeriod:
    """One currency's figures: of the range, of the period before (None: not all of it has been read), of each
    step, and of each reporting category in the range."""

    currency: str
    now: Figures
    before: Figures | None
    steps: list[Figures]
    categories: list[Line]


@dataclass(frozen=True)
class Revenue:
    """The figures of a range. `currencies` are by how many transactions they have, the most first; `usd` are the
    figures of all together, each day's amounts at that day's rate."""

    as_of: datetime
    range: Range
    reading: Reading
    steps: list[Step]
    currencies: list[CurrencyPeriod]
    usd: dict[str, Converted]

    @property
    def complete(self) -> bool:
        """Whether all of the range has been read."""
        return self.reading.covers(self.range)

    @property
    def in_dollars_only(self) -> bool:
        """Whether there is nothing to convert."""
        return all(one.currency == USD for one in self.currencies)

    @property
    def missing(self) -> list[str]:
        """The currencies that had no rate on one of the days, so that there are no dollars."""
        return sorted({currency for one in self.usd.values() for currency in one.missing})

    @property
    def used(self) -> list[Rate]:
        """The rates that made the dollars."""
        return sorted({rate for one in self.usd.values() for rate in one.used}, key=lambda r: (r.currency, r.day))

    def of(self, currency: str | None) -> CurrencyPeriod | None:
        """The figures of a currency; without one, those of the first."""
        if currency is None:
            return self.currencies[0] if self.currencies else None
        return next((one for one in self.currencies if one.currency == currency), None)


@dataclass(frozen=True)
class DayFigures:
    """One currency's figures of one day."""

    day: date
    currency: str
    figures: Figures


def period(session: Session, asked: Range) -> Revenue:
    """The figures of a range. The caller has begun a snapshot, so that all of them agree."""
    state = reading.of(session)
    steps = asked.steps()
    days, rows = _read(session, asked, steps)
    earlier = asked.previous()
    before = figures.by_currency(figures.lines(session, [(earlier.start, earlier.end)]))
    totals = figures.by_currency(rows)
    known = state.covers(earlier)
    return Revenue(
        as_of=asked.now,
        range=asked,
        reading=state,
        steps=steps,
        currencies=[
            CurrencyPeriod(
                currency,
                totals.get(currency, Figures()),
                before.get(currency, Figures()) if known else None,
                *_parts([row for row in rows if row.currency == currency], len(steps)),
            )
            for currency in _ordered(totals, before)
        ],
        usd=in_usd(session, asked, days),
    )


def by_day(session: Session, asked: Range) -> list[DayFigures]:
    """The figures of each day of the range, in its time zone, and currency. Days without any are left out."""
    return _summed((asked.first + row.step * DAY, row) for row in _daily(session, asked))


def in_usd(session: Session, asked: Range, days: Sequence[DayFigures]) -> dict[str, Converted]:
    """Figures of all currencies together in US dollars, each day's at the rate of that day."""
    table = rates.between(session, asked.first, asked.last)
    return {
        name: rates.in_usd(table, ((one.currency, one.day, getattr(one.figures, name)) for one in days))
        for name in CONVERTED
    }


def _read(session: Session, asked: Range, steps: Sequence[Step]) -> tuple[list[DayFigures], list[Line]]:
    """The days' figures, and the sums of each step: for dollars, a month is made of its days."""
    if all(step.first == step.last for step in steps):
        rows = figures.lines(session, [(step.start, step.end) for step in steps])
        return _summed((steps[row.step].first, row) for row in rows), rows
    daily = _daily(session, asked)
    firsts = [step.first for step in steps]
    days = [asked.first + row.step * DAY for row in daily]
    rows = [row._replace(step=bisect_right(firsts, day) - 1) for day, row in zip(days, daily, strict=True)]
    return _summed(zip(days, daily, strict=True)), rows


def _daily(session: Session, asked: Range) -> list[Line]:
    """The sums of each calendar day of the range."""
    days = [
        (max(start_of(day, asked.zone), asked.start), min(start_of(day + DAY, asked.zone), asked.end))
        for day in asked.days()
    ]
    return figures.lines(session, days)


def _summed(rows: Iterable[tuple[date, Line]]) -> list[DayFigures]:
    found: defaultdict[tuple[date, str], list[Line]] = defaultdict(list)
    for day, row in rows:
        found[day, row.currency].append(row)
    return [DayFigures(*key, Figures.of(lines)) for key, lines in sorted(found.items())]


def _parts(rows: Sequence[Line], count: int) -> tuple[list[Figures], list[Line]]:
    """One currency's rows by step, and by category."""
    steps: list[list[Line]] = [[] for _ in range(count)]
    categories: defaultdict[str, list[Line]] = defaultdict(list)
    for row in rows:
        steps[row.step].append(row)
        categories[row.category].append(row)
    lines = [
        Line(
            0,
            same[0].currency,
            category,
            sum(row.transactions for row in same),
            sum(row.amount for row in same),
            sum(row.fee for row in same),
        )
        for category, same in categories.items()
    ]
    lines.sort(key=lambda line: (-line.transactions, line.category))
    return [Figures.of(step) for step in steps], lines


def _ordered(now: dict[str, Figures], before: dict[str, Figures]) -> list[str]:
    """The currencies, the one with the most transactions first."""

    def weight(currency: str) -> tuple[int, int, str]:
        counts = [found.get(currency, Figures()).transactions for found in (now, before)]
        return -counts[0], -counts[1], currency

    return sorted(now.keys() | before.keys(), key=weight)
