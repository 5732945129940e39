"""Whether everything that was paid for is credited, and everything that is credited was paid for.

Both answers are empty when all is well. They come from what is stored of Stripe, by queries of their own. Once a
day everything is looked at; in between only what was not in order then, and what changed since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import alerts
from makegood.models import StripeAccount, StripeResource
from makegood.purchases import changes, fulfilment, without_credits, without_payment
from makegood.purchases.without_credits import WithoutCredits
from makegood.purchases.without_payment import NotPaid
from makegood.stripe import progress

KINDS = {"purchase_not_credited": "paid but not credited", "purchase_not_paid": "credited but not paid"}
"""The alerts of the check."""

PAYMENTS = {"checkout_session": {"charges"}, "invoice": {"charges", "invoice_payments"}}
"""The lists that have to be read to tell whether the payment of each kind is there."""

PAID_BY = frozenset({"charges", "checkout_sessions", "disputes", "invoice_payments", "invoices", "refunds"})
"""The lists that tell who paid, and what went back: without one of them no answer is complete."""


@dataclass(frozen=True)
class NotCredited:
    """Something that is paid and has given no credits, and why. `soon`: it is waited for, for an hour at most."""

    source_kind: str
    source_id: str
    customer_id: str | None
    stripe_customer_id: str | None
    credits: int | None
    paid: int
    currency: str | None
    paid_at: datetime
    problem: str
    soon: bool


@dataclass(frozen=True)
class Check:
    """What was found. `since` is from when on payments are credited; None: Stripe was never read. `unread` are the
    lists that our key may not read: without them nobody can tell whether the payments themselves are there.
    `incomplete` are the lists that have not been read, or not completely: of what they hold nothing is known.
    `open` are the checkout sessions and invoices that were not in order, or are waited for."""

    at: datetime
    since: datetime | None
    not_credited: list[NotCredited] = field(default_factory=list)
    not_paid: list[NotPaid] = field(default_factory=list)
    without_credits: list[WithoutCredits] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether there is nothing that somebody has to look at."""
        return not (self.late or self.not_paid or self.without_credits)

    @property
    def late(self) -> list[NotCredited]:
        """What is not credited and will not be by itself."""
        return [one for one in self.not_credited if not one.soon]


def run(session: Session, *, at: datetime | None = None, everything: bool = False) -> Check:
    """Compare what is paid with what is credited, since the beginning: what was not in order when `everything` was
    last looked at, and what changed since. Changes nothing."""
    at = at or datetime.now(UTC)
    since = session.scalar(select(StripeAccount.grants_since))
    if since is None:
        return Check(at, None)
    session.flush()
    sources = None if everything else changes.concerned(session)
    due = [one for ids in fulfilment.candidates(session, among=sources).values() for one in ids]
    not_credited = [_not_credited(session, one, at) for one in fulfilment.waiting(session, due)]
    unread = _unread(session)
    kinds = [kind for kind, needed in PAYMENTS.items() if needed.isdisjoint(unread)]
    not_paid, doubtful = without_payment.find(session, sources, at - fulfilment.PATIENCE, kinds)
    return Check(
        at,
        since,
        not_credited,
        not_paid,
        without_credits.sold(session, since),
        unread,
        progress.unread(session, PAID_BY),
        [one.source_id for one in not_credited] + doubtful,
    )


def run_and_alert(session: Session, *, at: datetime | None = None) -> Check:
    """Look at everything, with an alert for each answer that is not empty. It ends when the answer is, and is
    complete. What is in order needs no further look until it changes."""
    if session.scalar(select(StripeAccount.grants_since)) is None:
        return run(session, at=at)
    changes.forget(session)
    found = run(session, at=at, everything=True)
    changes.keep(session, found.open)
    for kind, rows in (("purchase_not_credited", found.late), ("purchase_not_paid", found.not_paid)):
        if rows:
            more = "" if len(rows) == 1 else f" and {len(rows) - 1} more"
            message = f"{KINDS[kind].capitalize()}: {rows[0].source_id}{more}."
            alerts.raise_alert(session, kind, "stripe", message)
        elif not found.incomplete:
            alerts.resolve(session, kind, "stripe")
    return found


def _unread(session: Session) -> list[str]:
    """The lists that tell of payments and that our key may not read."""
    wanted = StripeResource.name.in_(set().union(*PAYMENTS.values()))
    query = select(StripeResource.name).where(wanted, StripeResource.state == "no_permission")
    return list(session.scalars(query.order_by(StripeResource.name)))


def _not_credited(session: Session, source: fulfilment.Source, at: datetime) -> NotCredited:
    row = source.row
    problem = fulfilment.problem(session, source, at)
    return NotCredited(
        source.kind,
        row.id,
        row.customer_id,
        row.stripe_customer_id,
        None if source.bought.problem else source.bought.credits,
        source.paid,
        row.currency,
        source.paid_at,
        problem or "it is credited within minutes",
        at - source.paid_at < fulfilment.PATIENCE and problem != fulfilment.NOBODYS,
    )
