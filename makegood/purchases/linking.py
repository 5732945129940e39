"""Whose a payment, an invoice or a subscription of Stripe's is: which of our customers.

The first of these that says anything decides: the charge's `metadata.user_id`, the subscription's, the checkout
session's `client_reference_id`, the Stripe customer's `metadata.user_id`, the e-mail address (the Stripe
customer's, then the payment's; case does not matter). A user id that none of our customers has links nothing,
whatever comes after it; neither does an address that several of them have. For what nobody could link an operator
decides, and that stays. A better link replaces a worse one, but not that of a purchase: what was granted never
moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from makegood.models import Charge, CheckoutSession, Customer, Invoice, StripeCustomer, Subscription
from makegood.purchases.families import Family, around

LINKED_BY = {
    "charge": "the payment's metadata",
    "subscription": "the subscription's metadata",
    "reference": "the checkout's client reference",
    "customer": "the Stripe customer's metadata",
    "email": "the e-mail address",
    "operator": "an operator",
}
"""How the customer of an object was found, the strongest first."""
STRENGTH = {how: place for place, how in enumerate(LINKED_BY)}

Claim = tuple[str, str | None]
Link = tuple[str, str]

# What another transaction has locked is left out: what it changes it links itself after us, and what it only read
# again is found by `unfinished`.
WRITE = """
    UPDATE {table} AS t SET customer_id = found.customer_id, linked_by = found.linked_by
      FROM unnest(CAST(:ids AS text[]), CAST(:customers AS text[]), CAST(:hows AS text[]))
        AS found (id, customer_id, linked_by)
     WHERE t.id = found.id
       AND t.id IN (SELECT id FROM {table} WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
       AND NOT EXISTS (SELECT FROM purchases WHERE source_kind IN ('checkout_session', 'invoice')
                          AND source_id = t.id)"""


@dataclass(frozen=True)
class Known:
    """Our customers that are named: by id, and by an e-mail address (in lower case) that only one of them has."""

    ids: frozenset[str]
    emails: dict[str, str]

    def first(self, claims: Iterable[Claim]) -> Link | None:
        """Whom the first claim that says anything names."""
        for how, said in claims:
            if how == "email":
                found = self.emails.get((said or "").strip().lower())
                if found is not None:
                    return found, how
            elif said:
                return (said, how) if said in self.ids else None
        return None


def link(session: Session, resource: str, ids: Sequence[str]) -> Family:
    """Link what is around these objects, as far as nothing better links it. Returns what is around them."""
    family = around(session, resource, ids)
    known = _known(session, family)
    owners: dict[str, Link] = {}
    links: dict[str, Link] = {}
    for one in family.held[StripeCustomer].values():
        found = _better(one, known.first(_claims_of_customer(family, one)))
        if found is not None:
            links[one.id] = found
        if found is not None or one.customer_id is not None:
            owners[one.id] = found or (one.customer_id, one.linked_by)
    write(session, StripeCustomer, links)
    for table in (Charge, CheckoutSession, Subscription, Invoice):
        links = {}
        for one in family.held[table].values():
            found = _better(one, _found(family, known, owners, table, one))
            if found is not None:
                links[one.id] = found
        write(session, table, links)
    return family


def unfinished(session: Session) -> dict[str, list[str]]:
    """The ids, by their list, of customers of Stripe's who are linked while something of theirs is not, though
    it names nobody else; and of guests' charges whose checkout is linked."""
    owners: set[str] = set()
    for table, named in (
        (Charge, Charge.user_id),
        (CheckoutSession, CheckoutSession.client_reference_id),
        (Invoice, None),
        (Subscription, Subscription.user_id),
    ):
        known = select(StripeCustomer.id).where(StripeCustomer.customer_id.is_not(None))
        theirs = select(table.stripe_customer_id).where(table.stripe_customer_id.in_(known)).distinct()
        nobodys = theirs.where(table.customer_id.is_(None))
        owners.update(session.scalars(nobodys if named is None else nobodys.where(named.is_(None))))
    guests = (
        select(Charge.id)
        .join(CheckoutSession, CheckoutSession.payment_intent == Charge.payment_intent)
        .where(Charge.stripe_customer_id.is_(None), Charge.customer_id.is_(None), Charge.user_id.is_(None))
        .where(CheckoutSession.customer_id.is_not(None))
    )
    return {"customers": sorted(owners), "charges": sorted(set(session.scalars(guests)))}


def write(session: Session, table: Any, links: dict[str, Link]) -> None:
    """Keep who these objects of one table belong to, and by what."""
    if links:
        values = {
            "ids": list(links),
            "customers": [customer_id for customer_id, _ in links.values()],
            "hows": [how for _, how in links.values()],
        }
        session.execute(text(WRITE.format(table=table.__tablename__)), values)


def _better(row: Any, found: Link | None) -> Link | None:
    """What was found, if it links what is not linked or links it by something stronger."""
    if found is None or row.linked_by == "operator":
        return None
    if row.customer_id is not None and STRENGTH[found[1]] >= STRENGTH.get(row.linked_by, len(STRENGTH)):
        return None
    return found


def _found(family: Family, known: Known, owners: dict[str, Link], table: Any, row: Any) -> Link | None:
    owner, by_owner = family.owner(row), owners.get(row.stripe_customer_id or "")
    said = [claim for claim in _claims(family, table, row) if claim[1]]
    paid_with = family.charges_of(row.payment_intent) if table is CheckoutSession else ()
    by_operator = next((one.customer_id for one in paid_with if one.linked_by == "operator"), None)
    if by_owner is not None and by_owner[1] == "operator":
        by_operator = by_owner[0]
    if said or by_operator is not None:
        return known.first(said) or (by_operator and (by_operator, "operator"))
    if by_owner is not None or (owner is not None and owner.user_id):
        return by_owner
    return known.first([("email", getattr(row, "email", None))])


def _claims(family: Family, table: Any, row: Any) -> Iterator[Claim]:
    """What is said of an object's customer, other than by its Stripe customer, the strongest first."""
    if table is Charge:
        yield "charge", row.user_id
        for subscription_id in family.subscriptions_of(row):
            yield from _of_subscription(family, subscription_id)
        yield from (("reference", one.client_reference_id) for one in family.sessions_of(row.payment_intent))
    elif table is CheckoutSession:
        yield from (("charge", one.user_id) for one in family.charges_of(row.payment_intent))
        yield from _of_subscription(family, row.subscription_id)
        yield "reference", row.client_reference_id
    elif table is Invoice:
        yield from (("charge", one.user_id) for one in family.charges_of_invoice(row.id))
        yield from _of_subscription(family, row.subscription_id)
    else:
        yield from _of_subscription(family, row.id)


def _of_subscription(family: Family, subscription_id: str | None) -> Iterator[Claim]:
    """Its metadata, then the checkout that began it."""
    subscription = family.held[Subscription].get(subscription_id or "")
    if subscription is not None:
        yield "subscription", subscription.user_id
    yield from (("reference", one.client_reference_id) for one in family.sessions_of(subscription_id))


def _claims_of_customer(family: Family, row: Any) -> Iterator[Claim]:
    """Its metadata; else the one user whom all that belongs to it names; else its e-mail address."""
    yield "customer", row.user_id
    for how, table, name in (
        ("charge", Charge, "user_id"),
        ("subscription", Subscription, "user_id"),
        ("reference", CheckoutSession, "client_reference_id"),
    ):
        named = {getattr(one, name) for one in family.belongings(row.id, table)} - {None, ""}
        if len(named) == 1:
            yield how, named.pop()
    yield "email", row.email


def _known(session: Session, family: Family) -> Known:
    rows = [row for held in family.held.values() for row in held.values()]
    named = {getattr(row, name, None) for row in rows for name in ("user_id", "client_reference_id")} - {None}
    addresses = {row.email.strip().lower() for row in rows if getattr(row, "email", None)}
    ids = session.scalars(select(Customer.id).where(Customer.id.in_(named))) if named else ()
    address = func.lower(Customer.email)
    only_one = (
        select(address, func.min(Customer.id))
        .where(address.in_(addresses))
        .group_by(address)
        .having(func.count() == 1)
    )
    emails = {row[0]: row[1] for row in session.execute(only_one)} if addresses else {}
    return Known(frozenset(ids), emails)
