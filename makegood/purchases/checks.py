"""Whether everything that was paid for is credited, and everything that is credited was paid for.

Both answers are empty when all is well. They come from what is stored of Stripe, by queries of their own. Once a
day everything is looked at; in between only what was not in order then, and what changed since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import literal, select, text
from sqlalchemy.orm import Session

from makegood import alerts
from makegood.models import Purchase, StripeAccount, StripeResource
from makegood.purchases import changes, fulfilment, returns, without_credits
from makegood.purchases.without_credits import WithoutCredits
from makegood.stripe import progress

KINDS = {"purchase_not_credited": "paid but not credited", "purchase_not_paid": "credited but not paid"}
"""The alerts of the check."""

PAYMENTS = {"checkout_session": {"charges"}, "invoice": {"charges", "invoice_payments"}}
"""The lists that have to be read to tell whether the payment of each kind is there."""

PAID_BY = frozenset({"charges", "checkout_sessions", "disputes", "invoice_payments", "invoices", "refunds"})
"""The lists that tell who paid, and what went back: without one of them no answer is complete."""

# An invoice that somebody marked paid at Stripe, because the money came in elsewhere, has no charge there.
# `amount_paid_off_stripe` is not in every answer; the payment's record is
# (docs.stripe.com/changelog/dahlia/2026-05-27/invoice-object-amount-paid-off-stripe-property).
# What has its payment is set aside first, all at once: of the few that are left each is looked at. `found` are
# those that were waited for long enough.
_NOT_PAID = """
    WITH doubtful AS (
        SELECT * FROM purchases
         WHERE source_kind = 'checkout_session' {among} AND NOT EXISTS (
               SELECT FROM stripe_checkout_sessions s JOIN stripe_charges c ON c.payment_intent = s.payment_intent
                WHERE s.id = source_id AND s.payment_status IN ('paid', 'no_payment_required')
                  AND c.amount_captured > 0)
        UNION ALL
        SELECT * FROM purchases
         WHERE source_kind = 'invoice' {among} AND NOT EXISTS (
               SELECT FROM stripe_invoices i
                 JOIN stripe_invoice_payments ON invoice_id = i.id
                 JOIN stripe_charges c USING (payment_intent)
                WHERE i.id = source_id AND i.status = 'paid' AND c.amount_captured > 0)
    )
    SELECT p.source_kind, p.source_id, p.customer_id, p.credits, p.amount, p.currency, p.paid_at,
           CASE WHEN said.paid THEN 'its payment has not been read'
                ELSE coalesce('Stripe says: ' || coalesce(s.payment_status, i.status),
                              'nothing is known of it from Stripe') END AS problem,
           NOT said.paid OR p.granted_at < :patient AND p.source_kind = ANY(:kinds) AS found
      FROM doubtful p
      LEFT JOIN stripe_checkout_sessions s ON p.source_kind = 'checkout_session' AND s.id = p.source_id
      LEFT JOIN stripe_invoices i ON p.source_kind = 'invoice' AND i.id = p.source_id
     CROSS JOIN LATERAL (SELECT coalesce(s.payment_status IN ('paid', 'no_payment_required'),
                                         i.status = 'paid', false)) AS said (paid)
     WHERE NOT said.paid
        OR p.paid > 0
       AND NOT EXISTS (
            SELECT FROM stripe_invoice_payments payment JOIN stripe_charges c ON c.id = payment.charge_id
             WHERE payment.invoice_id = p.source_id AND c.amount_captured > 0)
       AND NOT EXISTS (
            SELECT FROM stripe_invoice_payments
             WHERE invoice_id = p.source_id AND status = 'paid'
               AND body -> 'payment' ->> 'type' = 'payment_record')
       AND ((i.body ->> 'amount_paid_off_stripe')::bigint >= i.amount_paid) IS NOT TRUE
     ORDER BY 7, 2
"""
NOT_PAID = text(_NOT_PAID.format(among="AND source_id = ANY(CAST(:sources AS text[]))"))
ALL_NOT_PAID = text(_NOT_PAID.format(among=""))


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
class NotPaid:
    """Something that was credited although the money is not, or no longer, there."""

    source_kind: str
    source_id: str
    customer_id: str
    credits: int
    amount: int
    currency: str
    paid_at: datetime
    problem: str


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
    values = {"patient": at - fulfilment.PATIENCE, "kinds": kinds, "sources": sources}
    doubtful = session.execute(ALL_NOT_PAID if everything else NOT_PAID, values).all()
    not_paid = [NotPaid(*row) for *row, found in doubtful if found]
    not_paid += _not_taken_back(session, sources)
    return Check(
        at,
        since,
        not_credited,
        not_paid,
        without_credits.sold(session, since),
        unread,
        progress.unread(session, PAID_BY),
        [one.source_id for one in not_credited]
        + [one.source_id for one in not_paid]
        + [row.source_id for row in doubtful],
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


def _not_taken_back(session: Session, sources: list[str] | None) -> list[NotPaid]:
    """Purchases whose money went back, or came again, without that their credits followed."""
    moved = [one.purchase_id for one in returns.differing(session, sources)]
    if not moved:
        return []
    columns = (
        Purchase.source_kind, Purchase.source_id, Purchase.customer_id, Purchase.credits, Purchase.amount,
        Purchase.currency, Purchase.paid_at, literal("money moved since, and its credits have not followed"),
    )  # fmt: skip
    query = select(*columns).where(Purchase.id.in_(moved)).order_by(Purchase.paid_at, Purchase.id)
    return [NotPaid(*row) for row in session.execute(query)]
