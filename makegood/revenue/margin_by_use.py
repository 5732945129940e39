"""What each provider, model and tier earned by use, and what it cost.

Only recognised revenue is there: the price of the paid credits that its generations used, less what refunds
returned. What expired or was taken back was used by none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from sqlalchemy.orm import Session

from makegood import money
from makegood.ranges import Range
from makegood.revenue import rates, recognised
from makegood.revenue.rates import Rates
from makegood.revenue.recognised import RATED
from makegood.revenue.results import MEASURES, Dollars, Result
from makegood.rollup_tables import USAGE
from makegood.stats import snapshot, sums
from makegood.terms import Terms

USE = ("provider", "model", "tier")


@dataclass(frozen=True)
class UseLine:
    """What a provider, a model or a tier earned by use, and what it cost."""

    keys: tuple[str, ...]
    result: Result


def lines(session: Session, terms: Terms, asked: Range, table: Rates, *, known: bool) -> list[UseLine]:
    """The lines of USE. Revenue is None unless it is `known`."""
    rows = recognised.read(session, terms.timezone, asked.first, asked.last, (*USE, RATED))
    earned = _earned(rows, table)
    parts = sums.cut(asked, terms.timezone, USE)
    query = sums.totals(USAGE, snapshot.state(session, terms.timezone), parts, USE, measures=MEASURES)
    used = {(row.provider, row.model, row.tier): row for row in session.execute(query)}
    return [
        UseLine(key, Result.of(used.get(key), recognised=earned.get(key, Fraction(0)) if known else None))
        for key in {*used, *earned}
    ]


def _earned(rows: Iterable[Sequence[Any]], table: Rates) -> dict[tuple[str, ...], Dollars]:
    """What the credits that each of USE used were worth; None where some had no rate.

    Whole numbers are added up, by the denominators that they share: adding fractions is slow, and there are many
    rows and few prices.
    """
    totals: defaultdict[tuple[str, ...], defaultdict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))
    unrated: defaultdict[tuple[tuple[str, ...], str, date], Fraction] = defaultdict(Fraction)
    for provider, model, tier, day, currency, amount, credits, _, used, *_ in rows:
        if not used:
            continue
        key, worth = (provider, model, tier), used * amount
        rate = table.of(currency, day)
        if rate is None:
            unrated[key, currency, day] += Fraction(worth, credits)
        else:
            totals[key][money.exponent(currency), credits] += worth * rate.scaled
    earned: dict[tuple[str, ...], Dollars] = {key: rates.dollars(found) for key, found in totals.items()}
    # What comes to nothing needs no rate.
    return earned | dict.fromkeys(key for (key, *_), worth in unrated.items() if worth)


def grouped(listed: Sequence[UseLine], *keys: int) -> list[UseLine]:
    """The lines by some of their keys, by what they earned, most first."""
    groups: defaultdict[tuple[str, ...], list[Result]] = defaultdict(list)
    for line in listed:
        groups[tuple(line.keys[key] for key in keys)].append(line.result)
    found = [UseLine(key, Result.total(results)) for key, results in groups.items()]
    return sorted(found, key=lambda line: (-(line.result.recognised or 0), -(line.result.cost or 0), line.keys))
