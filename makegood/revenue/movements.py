"""How MRR moved: the changes between two days, summed by kind and currency.

For every currency, MRR at the end is MRR at the start plus new, reactivation and expansion, less contraction and
churn, and what was restated. A snapshot is of a day's end in the reporting time zone; the present day's is of now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from makegood.models import MrrSnapshot, MrrTotal
from makegood.models.subscriptions import KINDS
from makegood.revenue.prices_of_items import ZERO

GAINS = ("new", "reactivation", "expansion")
LOSSES = ("contraction", "churn")
SUMS = text("""
    SELECT day, currency, kind, denominator, sum(numerator) AS numerators, sum(changes)::bigint AS changes
      FROM (SELECT day, currency, kind, 1 AS changes, split_part(after, '/', 1)::numeric AS numerator,
                   coalesce(nullif(split_part(after, '/', 2), ''), '1')::numeric AS denominator
              FROM mrr_changes WHERE day BETWEEN :first AND :last
             UNION ALL
            SELECT day, currency, kind, 0, -split_part(before, '/', 1)::numeric,
                   coalesce(nullif(split_part(before, '/', 2), ''), '1')::numeric
              FROM mrr_changes WHERE day BETWEEN :first AND :last) AS parts
     GROUP BY day, currency, kind, denominator
     ORDER BY day
""")
"""Fractions of one denominator are added as whole numbers, which the database does faster."""


@dataclass(frozen=True)
class Moved:
    """What one currency's MRR did between two days: fractions of minor units. Losses are negative. `changes`
    counts those of each kind."""

    sums: dict[str, Fraction] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> Fraction:
        return self.sums.get(kind, ZERO)

    @property
    def net(self) -> Fraction:
        """All changes together."""
        return sum(self.sums.values(), ZERO)

    @property
    def quick_ratio(self) -> Decimal | None:
        """Gains by losses; None without losses."""
        lost = -sum((self[kind] for kind in LOSSES), ZERO)
        return decimal(sum((self[kind] for kind in GAINS), ZERO) / lost) if lost else None


@dataclass(frozen=True)
class Standing:
    """One currency at the end of a day: MRR, and how many customers of Stripe it comes from."""

    mrr: Fraction = ZERO
    subscribers: int = 0


def snapshot_at(session: Session, day: date) -> MrrSnapshot | None:
    """The last snapshot up to a day; None where there is none yet."""
    return session.scalar(
        select(MrrSnapshot).where(MrrSnapshot.day <= day).order_by(MrrSnapshot.day.desc()).limit(1)
    )


def standing(session: Session, day: date) -> dict[str, Standing]:
    """Each currency in the snapshot of exactly that day."""
    rows = session.execute(
        select(MrrTotal.currency, MrrTotal.mrr, MrrTotal.subscribers).where(MrrTotal.day == day)
    )
    return {row.currency: Standing(row.mrr, row.subscribers) for row in rows}


def between(session: Session, spans: Sequence[tuple[date, date]]) -> list[dict[str, Moved]]:
    """The movements of each span of days, both ends included, by currency. Spans are in order, without overlap."""
    if not spans:
        return []
    found: list[dict[str, Moved]] = [{} for _ in spans]
    at = 0
    for row in session.execute(SUMS, {"first": spans[0][0], "last": spans[-1][1]}):
        while row.day > spans[at][1]:
            at += 1
        if row.day >= spans[at][0]:
            moved = found[at].setdefault(row.currency, Moved())
            moved.sums[row.kind] = moved[row.kind] + Fraction(int(row.numerators), int(row.denominator))
            moved.changes[row.kind] = moved.changes.get(row.kind, 0) + row.changes
    return found


def total(parts: Iterable[dict[str, Moved]]) -> dict[str, Moved]:
    """Spans together."""
    sums: defaultdict[str, Moved] = defaultdict(Moved)
    for part in parts:
        for currency, moved in part.items():
            for kind in KINDS:
                if kind in moved.sums:
                    sums[currency].sums[kind] = sums[currency][kind] + moved[kind]
                    sums[currency].changes[kind] = sums[currency].changes.get(kind, 0) + moved.changes[kind]
    return dict(sums)


def by_day(session: Session, first: date, last: date) -> dict[date, dict[str, Fraction]]:
    """MRR at the end of each day that has a snapshot, by currency."""
    days: dict[date, dict[str, Fraction]] = {
        day: {} for day in session.scalars(select(MrrSnapshot.day).where(MrrSnapshot.day.between(first, last)))
    }
    for row in session.execute(
        select(MrrTotal.day, MrrTotal.currency, MrrTotal.mrr).where(MrrTotal.day.between(first, last))
    ):
        days[row.day][row.currency] = row.mrr
    return days


def decimal(exact: Fraction) -> Decimal:
    """A rate as a decimal, to 28 places."""
    return Decimal(exact.numerator) / Decimal(exact.denominator)
