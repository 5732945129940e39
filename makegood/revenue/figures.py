"""The figures of revenue, from balance transactions by reporting category.

    net = gross - refunds - disputes - fees - account fees - tax on fees

Amounts are minor units of one currency, the one that Stripe settles in. What was taken counts as positive: refunds
of 5 are 5 less of net. A refund that failed and a dispute that was won lower them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.revenue import categories
from makegood.revenue.categories import ACCOUNT_FEES, DISPUTES, GROSS, MOVED, OTHER, REFUNDS, TAX_ON_FEES
from makegood.stats.pieces import Interval, cut_to_buckets
from makegood.stats.sums import edge_values

_SUMS = "SELECT bucket AS at, currency, reporting_category, transactions, amount, fee FROM balance_sums"
_ROWS = "SELECT created_at, currency, reporting_category, 1, amount, fee FROM stripe_balance_transactions"


@dataclass(frozen=True)
class Figures:
    """The figures of one currency. `fees` are those of every transaction, whatever its category. `other` are
    amounts of categories that are not known here and `moved` those of payouts and the like: neither is in net."""

    gross: int = 0
    refunds: int = 0
    disputes: int = 0
    fees: int = 0
    account_fees: int = 0
    tax_on_fees: int = 0
    other: int = 0
    moved: int = 0
    transactions: int = 0

    @property
    def net(self) -> int:
        """What is left."""
        taken = self.refunds + self.disputes + self.fees + self.account_fees + self.tax_on_fees
        return self.gross - taken

    def __add__(self, more: Figures) -> Figures:
        return Figures(*(getattr(self, one.name) + getattr(more, one.name) for one in fields(self)))

    @classmethod
    def total(cls, parts: Iterable[Figures]) -> Figures:
        """The sum of figures of the same currency."""
        return sum(parts, cls())


@dataclass(frozen=True)
class Line:
    """What the balance transactions of one currency and reporting category come to, in step `step` (from 0)."""

    step: int
    currency: str
    category: str
    transactions: int
    amount: int
    fee: int

    @property
    def figure(self) -> str:
        """The figure that its amount belongs to."""
        return categories.figure_of(self.category)

    @property
    def figures(self) -> Figures:
        """It as figures."""
        of = {self.figure: self.amount}
        return Figures(
            of.get(GROSS, 0),
            -of.get(REFUNDS, 0),
            -of.get(DISPUTES, 0),
            self.fee,
            -of.get(ACCOUNT_FEES, 0),
            -of.get(TAX_ON_FEES, 0),
            of.get(OTHER, 0),
            of.get(MOVED, 0),
            self.transactions,
        )


def lines(session: Session, steps: Sequence[Interval]) -> list[Line]:
    """The sums by step, currency and category, for half-open steps that follow on each other without a gap: of
    whole quarters of an hour as they are kept, and of the transactions in what is left around them."""
    buckets, edges = cut_to_buckets(steps)
    parts = [
        f"{_SUMS} WHERE bucket >= :whole_{n}_since AND bucket < :whole_{n}_until" for n, _ in enumerate(buckets)
    ]
    for n, _ in enumerate(edges):
        parts.append(f"{_ROWS} WHERE created_at >= :edge_{n}_since AND created_at < :edge_{n}_until")
    if not parts:
        return []
    statement = f"""
        SELECT width_bucket(at, CAST(:starts AS timestamptz[])) - 1 AS step, currency, reporting_category,
               sum(transactions)::bigint, sum(amount)::bigint, sum(fee)::bigint
          FROM ({" UNION ALL ".join(parts)}) AS parts (at, currency, reporting_category, transactions, amount, fee)
         GROUP BY 1, 2, 3 HAVING sum(transactions) <> 0 OR sum(amount) <> 0 OR sum(fee) <> 0
         ORDER BY 1, 2, 3
    """  # noqa: S608 (made of our own column names)
    values: dict[str, object] = {"starts": [start for start, _ in steps], **edge_values(edges)}
    for n, (since, until) in enumerate(buckets):
        values |= {f"whole_{n}_since": since, f"whole_{n}_until": until}
    return [Line(*row) for row in session.execute(text(statement), values)]


def by_currency(rows: Iterable[Line]) -> dict[str, Figures]:
    """The figures of each currency."""
    found: dict[str, Figures] = {}
    for row in rows:
        found[row.currency] = found.get(row.currency, Figures()) + row.figures
    return found
