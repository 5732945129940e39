"""What currencies are worth in US dollars: a dated table that operators keep.

The rate of a day is the newest one that is dated on it or before it. Where there is none, there are no dollars:
nothing is guessed. Whoever shows converted amounts says which rates of which dates were used, and what had none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import money
from makegood.instants import once
from makegood.models import ExchangeRate

USD = "usd"
MICROS = 1_000_000
DECIMALS = 12
"""So many a rate has at most."""


@dataclass(frozen=True)
class Rate:
    """US dollars for one unit of a currency, of the date `day`."""

    currency: str
    day: date
    usd_per_unit: Decimal

    @cached_property
    def scaled(self) -> int:
        """It as a whole number of its last possible decimal."""
        return int(self.usd_per_unit.scaleb(DECIMALS))


PAR = Rate(USD, date.min, Decimal(1))
"""A dollar is a dollar, on any day."""


@dataclass(frozen=True)
class Converted:
    """A sum in US dollars: exact, or None where a currency had no rate. `used` are the rates, by currency and
    date; `missing` the currencies that had none on one of the days."""

    usd: Fraction | None
    used: tuple[Rate, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def cents(self) -> int | None:
        """It in cents, rounded once."""
        return None if self.usd is None else money.rounded(self.usd * 100)

    @property
    def micros(self) -> int | None:
        """It in micro-dollars, rounded once."""
        return None if self.usd is None else money.rounded(self.usd * MICROS)


class Rates:
    """The rates of a stretch of days, in memory: looking one up costs no query."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        by_currency: defaultdict[str, dict[date, Rate]] = defaultdict(dict)
        for rate in rates:
            by_currency[rate.currency][rate.day] = rate
        self._rates = {currency: [dated[day] for day in sorted(dated)] for currency, dated in by_currency.items()}
        self._days = {currency: sorted(dated) for currency, dated in by_currency.items()}

    @property
    def currencies(self) -> list[str]:
        """Those that have a rate, besides US dollars."""
        return list(self._rates)

    def of(self, currency: str, day: date) -> Rate | None:
        """The rate of a day: the newest that is not dated after it."""
        if currency == USD:
            return PAR
        at = bisect_right(self._days.get(currency, ()), day)
        return self._rates[currency][at - 1] if at else None


def rate(session: Session, currency: str, day: date) -> Rate | None:
    """US dollars for one unit of the currency on a day; None where no rate is dated on it or before."""
    return between(session, day, day, [currency]).of(currency, day)


def between(session: Session, first: date, last: date, currencies: Sequence[str] | None = None) -> Rates:
    """The rates of the days from `first` to `last`, of some currencies or of all."""
    key = ("rates", first, last, None if currencies is None else tuple(currencies))
    return once(session, key, lambda: _between(session, first, last, currencies))


def _between(session: Session, first: date, last: date, currencies: Sequence[str] | None) -> Rates:
    standing = [ExchangeRate.replaced_at.is_(None)]
    if currencies is not None:
        standing.append(ExchangeRate.currency.in_(currencies))
    before = (
        select(ExchangeRate.currency, func.max(ExchangeRate.day).label("day"))
        .where(*standing, ExchangeRate.day <= first)
        .group_by(ExchangeRate.currency)
        .subquery()
    )
    query = (
        select(ExchangeRate.currency, ExchangeRate.day, ExchangeRate.usd_per_unit)
        .outerjoin(before, before.c.currency == ExchangeRate.currency)
        .where(*standing, ExchangeRate.day <= last, ExchangeRate.day >= func.coalesce(before.c.day, first))
    )
    return Rates(Rate(*row) for row in session.execute(query))


def in_usd(rates: Rates, amounts: Iterable[tuple[str, date, int | Fraction]]) -> Converted:
    """The sum of amounts (currency, day, minor units), each at the rate of its own day.

    An amount of zero needs no rate. If one of the others has none, there is no sum. Amounts are added up by their
    denominators: adding fractions is slow, and there are few of them.
    """
    totals: defaultdict[tuple[int, int], int] = defaultdict(int)
    used: dict[tuple[str, date], Rate] = {}
    missing: set[str] = set()
    for currency, day, minor in amounts:
        if not minor:
            continue
        rate = rates.of(currency, day)
        if rate is None:
            missing.add(currency)
            continue
        if currency != USD:
            used[currency, rate.day] = rate
        totals[money.exponent(currency), minor.denominator] += minor.numerator * rate.scaled
    total = None if missing else dollars(totals)
    return Converted(total, tuple(used[key] for key in sorted(used)), tuple(sorted(missing)))


def dollars(totals: Mapping[tuple[int, int], int]) -> Fraction:
    """US dollars of amounts in minor units, times their denominator, times their rate `scaled`: sums of those that
    have the same decimals and denominator."""
    parts = (
        Fraction(total, denominator * 10 ** (places + DECIMALS)) for (places, denominator), total in totals.items()
    )
    return sum(parts, Fraction(0))
