"""What belongs together at Stripe: a customer's or guest's charges, checkouts, invoices and subscriptions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from makegood.models import (
    Charge,
    CheckoutSession,
    Dispute,
    Invoice,
    InvoicePayment,
    PaymentRefund,
    StripeCustomer,
    Subscription,
)

LINK = ("id", "customer_id", "linked_by")
COLUMNS: dict[Any, tuple[str, ...]] = {
    StripeCustomer: (*LINK, "email", "user_id"),
    Charge: (*LINK, "stripe_customer_id", "payment_intent", "email", "user_id"),
    CheckoutSession: (
        *LINK, "stripe_customer_id", "payment_intent", "email", "client_reference_id", "subscription_id",
    ),
    Invoice: (*LINK, "stripe_customer_id", "subscription_id"),
    Subscription: (*LINK, "stripe_customer_id", "user_id"),
}  # fmt: skip
"""What is read of each: all but the bodies."""


@dataclass
class Family:
    """Objects that belong together, as far as they are stored, by their ids."""

    held: dict[Any, dict[str, Any]] = field(default_factory=lambda: {table: {} for table in COLUMNS})
    payments: Sequence[Any] = ()

    def __post_init__(self) -> None:
        self._charges: dict[str, list[Any]] = defaultdict(list)
        for one in self.held[Charge].values():
            self._charges[one.payment_intent or ""].append(one)
        self._sessions: dict[str, list[Any]] = defaultdict(list)
        for one in self.held[CheckoutSession].values():
            self._sessions[one.payment_intent or ""].append(one)
            self._sessions[one.subscription_id or ""].append(one)
        self._payments: dict[str, list[Any]] = defaultdict(list)
        for one in self.payments:
            for key in {one.invoice_id, one.payment_intent, one.charge_id} - {None}:
                self._payments[key].append(one)

    def owner(self, row: Any) -> Any:
        """The Stripe customer of an object."""
        return self.held[StripeCustomer].get(row.stripe_customer_id or "")

    def charges_of(self, payment_intent: str | None) -> list[Any]:
        """The charges that tried to pay this."""
        return self._charges.get(payment_intent or "", []) if payment_intent else []

    def charges_of_invoice(self, invoice_id: str) -> list[Any]:
        """The charges that tried to pay this invoice."""
        found: dict[str, Any] = {}
        for payment in self._payments.get(invoice_id, ()):
            direct = self.held[Charge].get(payment.charge_id)
            found |= {one.id: one for one in (*self.charges_of(payment.payment_intent), direct) if one}
        return list(found.values())

    def sessions_of(self, key: str | None) -> list[Any]:
        """The checkouts that this payment paid, or that began this subscription."""
        return self._sessions.get(key, []) if key else []

    def subscriptions_of(self, charge: Any) -> Iterator[str]:
        """The subscriptions whose invoices a charge paid."""
        for payment in (*self._payments.get(charge.payment_intent, ()), *self._payments.get(charge.id, ())):
            invoice = self.held[Invoice].get(payment.invoice_id)
            if invoice is not None and invoice.subscription_id:
                yield invoice.subscription_id

    def belongings(self, owner_id: str, table: Any) -> Iterator[Any]:
        """What belongs to a Stripe customer."""
        return (one for one in self.held[table].values() if one.stripe_customer_id == owner_id)

    def sources(self) -> list[str]:
        """The checkouts and invoices among them."""
        return [*self.held[CheckoutSession], *self.held[Invoice]]


def around(session: Session, resource: str, ids: Iterable[str]) -> Family:
    """The families of these objects: those of their Stripe customers, and of guests those of their payments."""
    own = set(ids)
    owners: set[str] = set()
    intents: set[str] = set()
    if resource == "customers":
        owners |= own
    elif resource in ("refunds", "disputes"):
        _add(session, Charge, Charge.id.in_(_charged(session, resource, own)), owners, intents)
    elif resource == "invoice_payments":
        paid = select(InvoicePayment.invoice_id).where(InvoicePayment.id.in_(own))
        _add(session, Invoice, Invoice.id.in_(paid), owners, intents)
    elif resource in SEEDS:
        seed = SEEDS[resource]
        _add(session, seed, seed.id.in_(own), owners, intents)
    if not owners and not intents and resource not in SEEDS:
        return Family()

    def theirs(table: Any, *, pays: bool = False) -> dict[str, Any]:
        conditions = [table.stripe_customer_id.in_(owners)]
        if pays:
            conditions.append(table.payment_intent.in_(intents))
        if resource in SEEDS and table is SEEDS[resource]:
            conditions.append(table.id.in_(own))
        return _read(session, table, or_(*conditions))

    held = {
        StripeCustomer: _read(session, StripeCustomer, StripeCustomer.id.in_(owners)),
        Charge: theirs(Charge, pays=True),
        CheckoutSession: theirs(CheckoutSession, pays=True),
        Invoice: theirs(Invoice),
        Subscription: theirs(Subscription),
    }
    paid_for = InvoicePayment.invoice_id.in_(held[Invoice])
    columns = (InvoicePayment.invoice_id, InvoicePayment.payment_intent, InvoicePayment.charge_id)
    return Family(held, session.execute(select(*columns).where(paid_for)).all())


SEEDS: dict[str, Any] = {
    "charges": Charge,
    "checkout_sessions": CheckoutSession,
    "invoices": Invoice,
    "subscriptions": Subscription,
}


def _charged(session: Session, resource: str, ids: set[str]) -> list[str | None]:
    table: Any = PaymentRefund if resource == "refunds" else Dispute
    return list(session.scalars(select(table.charge_id).where(table.id.in_(ids))))


def _add(session: Session, table: Any, condition: Any, owners: set[str], intents: set[str]) -> None:
    """Note the Stripe customers of these objects, and what was paid with them."""
    for row in _read(session, table, condition).values():
        if row.stripe_customer_id is not None:
            owners.add(row.stripe_customer_id)
        if getattr(row, "payment_intent", None) is not None:
            intents.add(row.payment_intent)


def _read(session: Session, table: Any, condition: Any) -> dict[str, Any]:
    columns = [getattr(table, name) for name in COLUMNS[table]]
    return {row.id: row for row in session.execute(select(*columns).where(condition).order_by(table.id))}
