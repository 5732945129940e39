"""Credits sold through Stripe: whose a payment is, what it grants, and what is taken back when money goes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from makegood.purchases import debts, fulfilment, linking, locks, returns
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE, Source
from makegood.purchases.locks import begin

__all__ = ["FOLLOWED", "absorb", "absorb_all", "begin", "debts"]

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
CHUNK = 500
"""How many objects are linked, or read with their bodies, at once."""


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
    transaction that stored them, after the last one was stored, and once: from then until the commit only one
    transaction at a time draws consequences, and it sees what those before it stored. `lifetime` is how long
    credits live whose own grant has expired.
    """
    absorb_all(session, {resource: ids}, lifetime=lifetime, at=at)


def absorb_all(
    session: Session,
    changed: Mapping[str, Sequence[str]],
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
) -> None:
    """The same for objects of several lists, by their list: everybody concerned is locked at once."""
    followed = {resource: ids for resource, ids in changed.items() if ids and resource in FOLLOWED}
    if not followed:
        return
    begin(session)
    sources: set[str] = set()
    for resource, ids in followed.items():
        sources.update(ids, linking.link(session, resource, ids).sources())
    if "products" in followed:
        for found in fulfilment.candidates(session, followed["products"]).values():
            sources.update(found)
    settle(session, fulfilment.waiting(session, sources), sources, lifetime, at)


def settle(
    session: Session, due: Sequence[Source], sources: set[str], lifetime: timedelta, at: datetime | None = None
) -> int:
    """Credit what is due, and take back or restore for these sources. Returns how many were credited.

    `at` is when it happens; None: now, once nobody else can write to the balances any more.
    """
    returned = returns.differing(session, sources)
    owners = {one.row.customer_id for one in due if one.row.customer_id is not None}
    locks.balances(session, owners | {one.customer_id for one in returned})
    at = at or datetime.now(UTC)
    credited = sum(fulfilment.sell(session, one, lifetime, at=at) for one in due)
    returns.follow(session, returns.differing(session, sources), lifetime, at=at)
    return credited


def catch_up(
    session: Session,
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
    limit: int = 500,
) -> int:
    """Link what can be linked now, and credit what could not be credited when it was stored and can be now.

    Credits at most `limit`, the oldest first. Returns how many were credited.

    The hour of patience is over, or whom it names has become a customer, or another transaction kept a link from
    being written. What waits is looked for before others are kept waiting.
    """
    unfinished, candidates = linking.unfinished(session), fulfilment.candidates(session)
    begin(session)
    for resource, ids in (*unfinished.items(), *candidates.items()):
        for chunk in _chunks(ids):
            linking.link(session, resource, chunk)
    due: list[Source] = []
    for chunk in _chunks(fulfilment.linked(session, candidates)):
        ready = fulfilment.waiting(session, chunk)
        due += [one for one in ready if fulfilment.problem(session, one, at or datetime.now(UTC)) is None]
        if len(due) >= limit:
            break
    del due[limit:]
    return settle(session, due, {one.row.id for one in due}, lifetime, at)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[first : first + CHUNK] for first in range(0, len(ids), CHUNK))
