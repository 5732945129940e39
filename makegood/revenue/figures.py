"""The figures of revenue, from balance transactions by reporting category.

    net = gross - refunds - disputes - fees - account fees - tax on fees

Amounts are minor units of one currency, the one that Stripe settles in. What was taken counts as positive: refunds
of 5 are 5 less of net. A refund that failed and a dispute that was won lower them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Subquery,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.orm import Session

from makegood.revenue import categories
from makegood.revenue.categories import ACCOUNT_FEES, DISPUTES, GROSS, MOVED, OTHER, REFUNDS, TAX_ON_FEES
from makegood.stats.arrays import INSTANTS
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

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Figures:
        """The figures that sums of one currency make."""
        amounts: defaultdict[str, int] = defaultdict(int)
        fees = transactions = 0
        for line in lines:
            amounts[line.figure] += line.amount
            fees += line.fee
            transactions += line.transactions
        return cls(
            amounts[GROSS],
            -amounts[REFUNDS],
            -amounts[DISPUTES],
            fees,
            -amounts[ACCOUNT_FEES],
            -amounts[TAX_ON_FEES],
            amounts[OTHER],
            amounts[MOVED],
            transactions,
        )


class Line(NamedTuple):
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


def lines(session: Session, steps: Sequence[Interval]) -> list[Line]:
    """The sums by step, currency and category, for half-open steps that follow on each other without a gap."""
    query = by_category(steps)
    return [Line(step, *rest) for step, _, *rest in session.execute(query)]


def by_category(steps: Sequence[Interval]) -> Select[*tuple[Any, ...]]:
    """`step`, `starts_at`, `currency`, `category`, `transactions`, `amount` and `fee`: of whole quarters of an
    hour as they are kept, and of the transactions in what is left around them."""
    found = _sums(steps)
    return select(*found.c).order_by(found.c.step, found.c.currency, found.c.category)


def by_figure(steps: Sequence[Interval]) -> Select[*tuple[Any, ...]]:
    """`starts_at`, `currency` and each figure, net last, by step and currency."""
    found = _sums(steps)

    def amount(figure: str, sign: int = 1) -> ColumnElement[int]:
        matches = categories.belongs(found.c.category, figure)
        return cast(func.coalesce(func.sum(sign * found.c.amount).filter(matches), 0), BigInteger)

    columns = {
        GROSS: amount(GROSS),
        REFUNDS: amount(REFUNDS, -1),
        DISPUTES: amount(DISPUTES, -1),
        "fees": cast(func.sum(found.c.fee), BigInteger),
        ACCOUNT_FEES: amount(ACCOUNT_FEES, -1),
        TAX_ON_FEES: amount(TAX_ON_FEES, -1),
    }
    net = columns[GROSS] - sum((taken for name, taken in columns.items() if name != GROSS), literal(0))
    return (
        select(
            found.c.starts_at,
            found.c.currency,
            *(taken.label(name) for name, taken in columns.items()),
            net.label("net"),
            amount(OTHER).label(OTHER),
        )
        .group_by(found.c.starts_at, found.c.currency)
        .order_by(found.c.starts_at, found.c.currency)
    )


def _sums(steps: Sequence[Interval]) -> Subquery:
    buckets, edges = cut_to_buckets(steps)
    parts = [f"{_SUMS} WHERE false"]
    for n, _ in enumerate(buckets):
        parts.append(f"{_SUMS} WHERE bucket >= :whole_{n}_since AND bucket < :whole_{n}_until")
    for n, _ in enumerate(edges):
        parts.append(f"{_ROWS} WHERE created_at >= :edge_{n}_since AND created_at < :edge_{n}_until")
    statement = f"""
        SELECT step, (:starts)[step + 1] AS starts_at, currency, category, transactions, amount, fee
          FROM (SELECT width_bucket(at, :starts) - 1 AS step, currency, reporting_category AS category,
                       sum(transactions)::bigint AS transactions, sum(amount)::bigint AS amount,
                       sum(fee)::bigint AS fee
                  FROM ({" UNION ALL ".join(parts)})
                       AS parts (at, currency, reporting_category, transactions, amount, fee)
                 GROUP BY 1, 2, 3) AS sums
         WHERE transactions <> 0 OR amount <> 0 OR fee <> 0
    """  # noqa: S608 (made of our own column names)
    values = edge_values(edges)
    for n, (since, until) in enumerate(buckets):
        values |= {f"whole_{n}_since": since, f"whole_{n}_until": until}
    instant = DateTime(timezone=True)
    bound = text(statement).bindparams(
        bindparam("starts", [start for start, _ in steps], type_=INSTANTS),
        *(bindparam(name, at, type_=instant) for name, at in values.items()),
    )
    return bound.columns(
        column("step", BigInteger),
        column("starts_at", instant),
        column("currency", Text),
        column("category", Text),
        column("transactions", BigInteger),
        column("amount", BigInteger),
        column("fee", BigInteger),
    ).subquery()


def by_currency(rows: Iterable[Line]) -> dict[str, Figures]:
    """The figures of each currency."""
    found: defaultdict[str, list[Line]] = defaultdict(list)
    for row in rows:
        found[row.currency].append(row)
    return {currency: Figures.of(lines) for currency, lines in found.items()}
