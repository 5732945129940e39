"""What subscriptions earn and who subscribes, at the end of a range and over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import money
from makegood.calendars import local_day
from makegood.models import MrrSnapshot, StripeResource
from makegood.ranges import Range
from makegood.revenue import churn, movements
from makegood.revenue.churn import Churn, Trials
from makegood.revenue.movements import Moved, Standing

MONTH = timedelta(days=30)
DAY = timedelta(days=1)
# Hashed by payer, then counted: to count distinct payers takes a sort of all charges, four times as long.
PAYERS = text("""
    SELECT currency, sum(paid)::bigint AS paid, count(*) AS payers
      FROM (SELECT currency, coalesce(customer_id, stripe_customer_id, lower(email), id) AS payer,
                   sum(amount_captured - amount_refunded) AS paid
              FROM stripe_charges
             WHERE status = 'succeeded' AND created_at >= :start AND created_at < :end
             GROUP BY 1, 2) AS payers
     GROUP BY currency
""")


@dataclass(frozen=True)
class Subscribed:
    """One currency: where it stands at the end, where it stood at the start (None: no snapshot), what moved, and
    what was paid in the range by how many customers, subscribed or not."""

    currency: str
    now: Standing
    before: Standing | None
    moved: Moved
    paid: int = 0
    payers: int = 0

    @property
    def mrr(self) -> int:
        """In minor units, rounded once."""
        return money.rounded(self.now.mrr)

    @property
    def arr(self) -> int:
        """Twelve times MRR, rounded once."""
        return money.rounded(12 * self.now.mrr)

    @property
    def arpu(self) -> Fraction | None:
        """MRR by active subscriber."""
        return self.now.mrr / self.now.subscribers if self.now.subscribers else None

    @property
    def per_payer(self) -> Fraction | None:
        """What was paid, less refunds, by customer who paid."""
        return Fraction(self.paid, self.payers) if self.payers else None

    def ltv(self, margin: Decimal | None, churn: Decimal | None) -> Fraction | None:
        """ARPU times gross margin by monthly churn; None where one of them is not known, or nobody leaves."""
        if self.arpu is None or margin is None or not churn:
            return None
        return self.arpu * Fraction(margin) / Fraction(churn)


@dataclass(frozen=True)
class Report:
    """The figures of a range. `snapshot` is the one that its end shows, None where there is none. `churn` is of
    the range, `monthly` of the 30 days up to its end: None where no snapshot shows where they began. `trials` is
    None until the invoices have been read."""

    as_of: datetime
    snapshot: MrrSnapshot | None
    before: MrrSnapshot | None
    currencies: list[Subscribed]
    churn: Churn | None
    monthly: Churn | None
    trials: Trials | None

    @property
    def mrr(self) -> dict[str, int]:
        """By currency, in minor units."""
        return {one.currency: one.mrr for one in self.currencies}

    @property
    def arr(self) -> dict[str, int]:
        """By currency, in minor units."""
        return {one.currency: one.arr for one in self.currencies}

    def of(self, currency: str | None) -> Subscribed | None:
        """One currency's figures; without one, those of the first."""
        if currency is None:
            return self.currencies[0] if self.currencies else None
        return next((one for one in self.currencies if one.currency == currency), None)


def report(session: Session, timezone: ZoneInfo, asked: Range) -> Report:
    """The figures of the days that a range covers, by days of the reporting time zone."""
    first, last = days_of(asked, timezone)
    snapshot = movements.snapshot_at(session, last)
    before = movements.snapshot_at(session, first - DAY)
    now = movements.standing(session, snapshot.day) if snapshot else {}
    earlier = movements.standing(session, before.day) if before else {}
    moved = movements.between(session, [(first, last)])[0]
    instants = {"start": asked.start, "end": asked.end}
    known = is_read(session, "charges")
    paid = {row.currency: row for row in session.execute(PAYERS, instants)} if known else {}
    currencies = [
        Subscribed(
            currency,
            now.get(currency, Standing()),
            earlier.get(currency, Standing()) if before else None,
            moved.get(currency, Moved()),
            paid[currency].paid if currency in paid else 0,
            paid[currency].payers if currency in paid else 0,
        )
        for currency in now.keys() | earlier.keys() | moved.keys() | paid.keys()
    ]
    left = churn.between(session, first, last)
    month = last - MONTH + DAY
    return Report(
        asked.now,
        snapshot,
        before,
        sorted(currencies, key=lambda one: (-one.now.subscribers, -one.payers, one.currency)),
        left,
        left if first == month else churn.between(session, month, last),
        churn.trials(session, asked) if is_read(session, "invoices") else None,
    )


def is_read(session: Session, resource: str) -> bool:
    """Whether all of a list of Stripe's has been read once."""
    found = session.get(StripeResource, resource)
    return found is not None and found.finished_at is not None


def days_of(asked: Range, timezone: ZoneInfo) -> tuple[date, date]:
    """The first and the last day of the reporting time zone that a range touches, as far as it has passed."""
    last = min(local_day(asked.end - timedelta(microseconds=1), timezone), local_day(asked.now, timezone))
    return local_day(asked.start, timezone), max(last, local_day(asked.start, timezone))


def rounded(exact: Fraction | None) -> int | None:
    """Minor units of an exact amount; None stays None."""
    return None if exact is None else money.rounded(exact)
