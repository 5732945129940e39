"""What each provider, model and tier earned by use, and what it cost.

Only recognised revenue is there: the price of the paid credits that its generations used, less what refunds
returned. What expired or was taken back was used by none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from sqlalchemy.orm import Session

from makegood import rollups
from makegood.ranges import Range
from makegood.revenue import lots, rates, recognised
from makegood.revenue.rates import Rates
from makegood.revenue.recognised import RATED
from makegood.revenue.results import MEASURES, Result
from makegood.rollup_tables import USAGE
from makegood.stats import sums
from makegood.terms import Terms

USE = ("provider", "model", "tier")


@dataclass(frozen=True)
class UseLine:
    """What a provider, a model or a tier earned by use, and what it cost."""

    keys: tuple[str, ...]
    result: Result


def lines(session: Session, terms: Terms, asked: Range, table: Rates, *, known: bool) -> list[UseLine]:
    """The lines of USE. Revenue is None unless it is `known`."""
    by = (*USE, RATED)
    rows = recognised.read(session, terms.timezone, asked.first, asked.last, by)
    earned: defaultdict[tuple[str, ...], list[tuple[str, date, Fraction]]] = defaultdict(list)
    for (currency, provider, model, tier, day), value in lots.values(rows, "currency", *by).items():
        if value.used:
            earned[provider, model, tier].append((currency, day, value.used))
    parts = sums.cut(asked, terms.timezone, USE)
    query = sums.totals(USAGE, rollups.state(session, terms.timezone), parts, USE, measures=MEASURES)
    used = {(row.provider, row.model, row.tier): row for row in session.execute(query)}
    return [
        UseLine(
            key,
            Result.of(used.get(key), recognised=rates.in_usd(table, earned.get(key, ())).usd if known else None),
        )
        for key in {*used, *earned}
    ]


def grouped(listed: Sequence[UseLine], *keys: int) -> list[UseLine]:
    """The lines by some of their keys, by what they earned, most first."""
    groups: defaultdict[tuple[str, ...], list[Result]] = defaultdict(list)
    for line in listed:
        groups[tuple(line.keys[key] for key in keys)].append(line.result)
    found = [UseLine(key, Result.total(results)) for key, results in groups.items()]
    return sorted(found, key=lambda line: (-(line.result.recognised or 0), -(line.result.cost or 0), line.keys))
