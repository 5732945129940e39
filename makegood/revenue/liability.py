"""What is owed to customers: paid credits that they have not used yet, at the price that they paid.

Credits of an allowance by tier, a bonus, or an adjustment were not paid for: they are worth nothing here.
Amounts stay in the currency in which they were paid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import Row, Select, func, select, text, true
from sqlalchemy.orm import Session

from makegood import money
from makegood.calendars import local_day
from makegood.instants import once
from makegood.models import Customer, Grant, Purchase, StripeAccount
from makegood.ranges import Range
from makegood.revenue import recognised
from makegood.revenue.lots import Value
from makegood.terms import Terms

AGES = ((30, "up to 30 days"), (90, "31 to 90 days"), (180, "91 to 180 days"), (365, "181 to 365 days"))
OLDER = "over a year"
EXPIRIES = ((7, "within 7 days"), (30, "8 to 30 days"), (90, "31 to 90 days"))
LATER = "after more than 90 days"
NEVER = "never"

_AGE = " ".join(f"WHEN p.paid_at > :at - interval '{days} days' THEN {n}" for n, (days, _) in enumerate(AGES))
_EXPIRY = " ".join(
    f"WHEN g.expires_at < :at + interval '{days} days' THEN {n}" for n, (days, _) in enumerate(EXPIRIES)
)
OPEN = text(
    f"""
    SELECT currency, price_amount, price_credits, age, expiry, sum(remaining)::bigint AS credits
      FROM (SELECT p.currency, p.amount / gcd(p.amount, p.credits) AS price_amount,
                   p.credits / gcd(p.amount, p.credits) AS price_credits, g.remaining,
                   CASE {_AGE} ELSE {len(AGES)} END AS age,
                   CASE {_EXPIRY} WHEN g.expires_at IS NOT NULL THEN {len(EXPIRIES)} END AS expiry
              FROM grants g JOIN purchases p ON p.id = g.purchase_id
             WHERE g.remaining > 0) AS open
     GROUP BY 1, 2, 3, 4, 5
    """  # noqa: S608 (made of our own numbers)
)


@dataclass(frozen=True)
class Part:
    """A part of what is owed: paid credits that are left, and their price in minor units, rounded once."""

    label: str
    credits: int
    amount: int


@dataclass(frozen=True)
class Owed:
    """What is owed in one currency now, and how it came to that in a range.

    `ages` are by the age of the purchase, `expiries` by when the credits expire if nobody uses them. `opening` was
    owed when the range began, `moved` is what became of it since, `closing` was owed at its end.
    """

    currency: str
    total: Part
    ages: Sequence[Part]
    expiries: Sequence[Part]
    opening: Fraction
    moved: Value
    closing: Fraction


@dataclass(frozen=True)
class Liability:
    """What is owed in each currency, the one with the most credits first; `since` when credits are sold here."""

    as_of: datetime
    range: Range
    since: date | None
    currencies: Sequence[Owed]

    def of(self, currency: str | None) -> Owed | None:
        """What is owed in a currency; without one, in the first."""
        if currency is None:
            return self.currencies[0] if self.currencies else None
        return next((one for one in self.currencies if one.currency == currency), None)


def owed(session: Session) -> dict[str, Fraction]:
    """What is owed now, in minor units of each currency, exactly."""
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    for row in _open(session, datetime.now(UTC)):
        sums[row.currency] += _amount(row)
    return {currency: amount for currency, amount in sums.items() if amount}


def report(session: Session, terms: Terms, asked: Range) -> Liability:
    """The page. The caller has begun a snapshot. Days of the range are those of the reporting time zone."""
    rows = _open(session, asked.now)
    moved = recognised.by_currency(session, terms.timezone, asked.first, asked.last)
    since = recognised.by_currency(session, terms.timezone, asked.last + timedelta(days=1), date.max)
    by_currency: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency].append(row)
    found = [
        _owed(currency, by_currency[currency], moved.get(currency, Value()), since.get(currency, Value()))
        for currency in {*by_currency, *moved}
    ]
    return Liability(
        asked.now,
        asked,
        sold_since(session, terms),
        sorted(found, key=lambda one: (-one.total.credits, one.currency)),
    )


def sold_since(session: Session, terms: Terms) -> date | None:
    """Since which day credits are sold here; None without Stripe."""
    account = once(session, "Stripe account", lambda: session.get(StripeAccount, 1))
    return None if account is None else local_day(account.grants_since, terms.timezone)


def select_lots(currency: str | None = None, customer_id: str | None = None) -> Select[*tuple[Any, ...]]:
    """Purchases with credits left, the oldest first: what makes up the liability."""
    # A purchase's grants are looked up when its turn comes: whoever lists the first ones needs no others.
    left = (
        select(func.sum(Grant.remaining).label("left"), func.min(Grant.expires_at).label("expires_at"))
        .where(Grant.purchase_id == Purchase.id, Grant.remaining > 0)
        .lateral("open")
    )
    query = (
        select(
            Purchase.id,
            Purchase.customer_id,
            Customer.email,
            Purchase.paid_at,
            Purchase.source_kind,
            Purchase.source_id,
            Purchase.currency,
            Purchase.amount,
            Purchase.credits,
            left.c.left,
            left.c.expires_at,
        )
        .select_from(Purchase)
        .join(left, true())
        .join(Customer, Customer.id == Purchase.customer_id)
        .where(left.c.left > 0)
        .order_by(Purchase.paid_at, Purchase.id)
    )
    if currency:
        query = query.where(Purchase.currency == currency)
    if customer_id:
        query = query.where(Purchase.customer_id == customer_id)
    return query


def _owed(currency: str, rows: Sequence[Row[Any]], moved: Value, since: Value) -> Owed:
    total = sum((_amount(row) for row in rows), Fraction(0))
    closing = total - since.change
    ages = [*(label for _, label in AGES), OLDER]
    expiries = [*(label for _, label in EXPIRIES), LATER, NEVER]
    return Owed(
        currency,
        _part("", rows),
        [_part(label, [row for row in rows if row.age == n]) for n, label in enumerate(ages)],
        [_part(label, [row for row in rows if _expiry(row) == n]) for n, label in enumerate(expiries)],
        closing - moved.change,
        moved,
        closing,
    )


def _expiry(row: Row[Any]) -> int:
    return len(EXPIRIES) + 1 if row.expiry is None else int(row.expiry)


def _open(session: Session, at: datetime) -> Sequence[Row[Any]]:
    return session.execute(OPEN, {"at": at}).all()


def _amount(row: Row[Any]) -> Fraction:
    return Fraction(row.credits * row.price_amount, row.price_credits)


def _part(label: str, rows: Sequence[Row[Any]]) -> Part:
    amount = sum((_amount(row) for row in rows), Fraction(0))
    return Part(label, sum(row.credits for row in rows), money.rounded(amount))
