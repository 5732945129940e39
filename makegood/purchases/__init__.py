"""Credits sold through Stripe: whose a payment is, what it grants, and what is taken back when money goes back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.models import CheckoutSession, Invoice
from makegood.purchases import debts, fulfilment, linking, returns
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE, Source

__all__ = ["FOLLOWED", "absorb", "debts"]

FOLLOWED = frozenset(
    {
        "charges",
        "checkout_sessions",
        "customers",
        "disputes",
        "invoice_payments",
        "invoices",
        "products",
        "refunds",
        "subscriptions",
    }
)
"""The lists of Stripe's that have consequences for customers."""
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('makegood.purchases', 0))")


def absorb(
    session: Session,
    resource: str,
    ids: Sequence[str],
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
) -> None:
    """Draw the consequences of stored objects that are new or changed: links, grants, claw-backs, restorations.

    Does what is not done yet, so a repeat changes nothing, and objects may come in any order. Call it in the
    transaction that stored them, after the last one was stored: from then until the commit only one transaction
    at a time draws consequences, and it sees what those before it stored. `lifetime` is how long restored credits
    live whose own grant has expired.
    """
    if not ids or resource not in FOLLOWED:
        return
    begin(session)
    family = linking.link(session, resource, ids)
    due = fulfilment.due(session, resource, ids, family)
    settle(session, due, {*family.sources(), *(one.row.id for one in due)}, lifetime, at or datetime.now(UTC))


def begin(session: Session) -> None:
    """Wait until no other transaction draws consequences, and keep others waiting until the end of this one."""
    session.flush()
    session.execute(ONE_AT_A_TIME)


def settle(session: Session, due: Sequence[Source], sources: set[str], lifetime: timedelta, at: datetime) -> int:
    """Credit what is due, and take back or restore for these sources. Returns how many were credited."""
    returned = returns.differing(session, sources)
    owners = {one.row.customer_id for one in due if one.row.customer_id is not None}
    returns.lock(session, owners | {one.customer_id for one in returned})
    credited = sum(fulfilment.sell(session, one, at=at) for one in due)
    returns.follow(session, returns.differing(session, sources), lifetime, at=at)
    return credited


def catch_up(
    session: Session,
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
    limit: int = 500,
) -> int:
    """Credit what could not be credited when it was stored and can be now: at most `limit`, the oldest first.

    The hour of patience is over, or whom it names has become a customer. Returns how many were credited.
    """
    begin(session)
    sources = {one.row.id: one.row for one in fulfilment.waiting(session)[:limit]}
    for resource, table in (("checkout_sessions", CheckoutSession), ("invoices", Invoice)):
        linking.link(session, resource, [key for key, row in sources.items() if isinstance(row, table)])
    due = fulfilment.waiting(session, sources)
    return settle(session, due, set(sources), lifetime, at or datetime.now(UTC))
