"""Who stopped paying in a range, and which trials were then paid for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.revenue import movements

DAY = timedelta(days=1)
ACTIVITY = text("""
    SELECT change.stripe_customer_id AS customer, change.currency, change.day, change.kind,
           change.after <> '0' AS pays
      FROM mrr_changes AS change
      JOIN (SELECT DISTINCT stripe_customer_id FROM mrr_changes WHERE day BETWEEN :first AND :last) AS touched
        ON touched.stripe_customer_id = change.stripe_customer_id
     WHERE change.day <= :last
     ORDER BY change.stripe_customer_id, change.day, change.kind = 'restated'
""")
TRIALS = text("""
    SELECT count(*) AS ended,
           count(*) FILTER (WHERE paid) AS converted,
           count(*) FILTER (WHERE NOT paid AND status IN ('active', 'past_due')) AS undecided
      FROM (SELECT subscription.status,
                   EXISTS (SELECT FROM stripe_invoices AS invoice
                            WHERE invoice.subscription_id = subscription.id AND invoice.status = 'paid'
                              AND invoice.amount_paid > 0
                              AND invoice.created_at >= subscription.trial_end - interval '1 day') AS paid
              FROM stripe_subscriptions AS subscription
             WHERE least(subscription.trial_end, subscription.ended_at) >= :start
               AND least(subscription.trial_end, subscription.ended_at) < least(:end, :now)
               AND subscription.trial_end IS NOT NULL) AS trials
""")


@dataclass(frozen=True)
class Churn:
    """Of `active` customers at the start and `joined` since then, `left` pay nothing any more at the end and left
    by themselves."""

    active: int
    joined: int
    left: int

    @property
    def rate(self) -> Decimal | None:
        """Stripe's churn rate; None where nobody could leave."""
        base = self.active + self.joined
        return Decimal(self.left) / base if base else None


@dataclass(frozen=True)
class Trials:
    """Trials that ended in a range: how many were then paid for, and how many may still be."""

    ended: int
    converted: int
    undecided: int

    @property
    def rate(self) -> Decimal | None:
        """Converted of those that ended."""
        return Decimal(self.converted) / self.ended if self.ended else None


def between(session: Session, first: date, last: date) -> Churn | None:
    """Who left between two days, both included; None where no snapshot shows who was there before. A customer who
    pays in several currencies left when nothing is paid in any."""
    start = movements.snapshot_at(session, first - DAY)
    if start is None:
        return None
    joined = left = 0
    rows = session.execute(ACTIVITY, {"first": first, "last": last})
    for _, changes in groupby(rows, key=lambda row: row.customer):
        pays: dict[str, bool] = {}
        was, churned = False, False
        for change in changes:
            before = any(pays.values())
            pays[change.currency] = change.pays
            if change.day < first:
                was = any(pays.values())
            elif before and not any(pays.values()):
                churned = change.kind == "churn"
        joined += not was
        left += churned and not any(pays.values())
    return Churn(start.subscribers, joined, left)


def trials(session: Session, asked: Range) -> Trials:
    """The trials that ended in a range, also by a cancellation, as far as it has passed."""
    instants = {"start": asked.start, "end": asked.end, "now": asked.now}
    return Trials(**session.execute(TRIALS, instants).one()._mapping)
