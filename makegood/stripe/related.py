"""What has to be read anew because of an event: the object that it is about, and what hangs together with it.

An event is old when it is applied, and others may have been lost, so nothing is taken from its body. Of what an
object only refers to, such as its customer, one reading is enough: changes of that have events of their own. What
the key may not read is left out, unless the event is about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood.stripe.client import Client, NotPermitted
from makegood.stripe.mirror import MODELS
from makegood.stripe.resources import RESOURCE_OF, RESOURCES

Body = Mapping[str, Any]
Known = Callable[[str, str], bool]
"""Whether an object, by its resource and id, has been read before."""


@dataclass(frozen=True)
class Found:
    """An object as Stripe has it now; `body` None: it does not exist (any more)."""

    resource: str
    id: str
    body: Body | None
    read_at: datetime


def read(client: Client, known: Known, object_type: str, object_id: str) -> list[Found]:
    """The object and its company, in the order of RESOURCES. Open no transaction.

    Raises NotPermitted, Rejected, Unreachable, Refused as the client does.
    """
    reading = _Reading(client, known)
    body = reading.fetch(object_type, object_id)
    if body is not None and object_type in COMPANY:
        COMPANY[object_type](reading, body)
    order = list(RESOURCES)
    return sorted(reading.found.values(), key=lambda found: (order.index(found.resource), found.id))


def is_known(session: Session, resource: str, object_id: str) -> bool:
    """Whether the object has been read before."""
    table: Any = MODELS[resource]
    return session.scalar(select(table.id).where(table.id == object_id)) is not None


class _Reading:
    """What one event has made us read so far: nothing is asked for twice."""

    def __init__(self, client: Client, known: Known) -> None:
        self._client = client
        self._known = known
        self.found: dict[tuple[str, str], Found] = {}

    def fetch(self, object_type: str, object_id: str) -> Body | None:
        """The object as it is now."""
        resource = RESOURCE_OF[object_type]
        if (resource, object_id) not in self.found:
            fetched = self._client.fetch(object_type, object_id)
            self.found[resource, object_id] = Found(resource, object_id, fetched.object, fetched.read_at)
        return self.found[resource, object_id].body

    def with_it(self, object_type: str, reference: Any) -> Body | None:
        """Another object that changes together with this one; None also where the key may not read it."""
        try:
            return self.fetch(object_type, _id(reference)) if reference else None
        except NotPermitted:
            return None

    def once(self, object_type: str, *references: Any) -> None:
        """Objects that this one refers to, where they were never read."""
        for name in sorted({_id(reference) for reference in references if reference}):
            if not self._known(RESOURCE_OF[object_type], name):
                self.with_it(object_type, name)

    def every(self, resource: str, **filters: str) -> list[Body]:
        """The objects of a list that belong to this one."""
        try:
            listing = self._client.every(resource, **filters)
        except NotPermitted:
            return []
        for one in listing.objects:
            self.found[resource, one["id"]] = Found(resource, one["id"], one, listing.read_at)
        return list(listing.objects)


def _charge(reading: _Reading, charge: Body) -> None:
    if charge.get("amount_refunded"):
        for refund in reading.every("refunds", charge=charge["id"]):
            _moves(reading, refund)
    _moves(reading, charge)
    reading.once("customer", charge.get("customer"))


def _refund(reading: _Reading, refund: Body) -> None:
    _moves(reading, refund)
    reading.with_it("charge", refund.get("charge"))


def _dispute(reading: _Reading, dispute: Body) -> None:
    reading.once("balance_transaction", *(dispute.get("balance_transactions") or ()))
    reading.with_it("charge", dispute.get("charge"))


def _invoice(reading: _Reading, invoice: Body) -> None:
    if invoice.get("amount_paid"):
        for paid in reading.every("invoice_payments", invoice=invoice["id"]):
            _payment(reading, paid)
    lines = _at(invoice, "lines").get("data") or ()
    reading.once("product", *(_at(line, "pricing", "price_details").get("product") for line in lines))
    reading.once("customer", invoice.get("customer"))
    reading.once("subscription", _at(invoice, "parent", "subscription_details").get("subscription"))


def _invoice_payment(reading: _Reading, paid: Body) -> None:
    invoice = reading.with_it("invoice", paid.get("invoice"))
    if invoice is not None:
        _invoice(reading, invoice)


def _payment(reading: _Reading, paid: Body) -> None:
    """The charges of an invoice's payment: of its payment intent, or one that was made without any."""
    payment = _at(paid, "payment")
    _charges(reading, payment.get("payment_intent"))
    charge = reading.with_it("charge", payment.get("charge"))
    if charge is not None:
        _charge(reading, charge)


def _checkout_session(reading: _Reading, session: Body) -> None:
    _charges(reading, session.get("payment_intent"))
    items = _at(session, "line_items").get("data") or ()
    reading.once("product", *(_at(item, "price").get("product") for item in items))
    reading.once("customer", session.get("customer"))
    reading.once("subscription", session.get("subscription"))
    reading.once("invoice", session.get("invoice"))


def _subscription(reading: _Reading, subscription: Body) -> None:
    prices = [_at(item, "price") for item in _at(subscription, "items").get("data") or ()]
    reading.once("product", *(price.get("product") for price in prices))
    reading.once("price", *(price.get("id") for price in prices))
    reading.once("customer", subscription.get("customer"))


def _price(reading: _Reading, price: Body) -> None:
    reading.once("product", price.get("product"))


def _charges(reading: _Reading, payment_intent: Any) -> None:
    if payment_intent:
        for charge in reading.every("charges", payment_intent=_id(payment_intent)):
            _charge(reading, charge)


def _moves(reading: _Reading, moved: Body) -> None:
    """What it moved at Stripe: of a refund that failed, also its way back."""
    names = ("balance_transaction", "failure_balance_transaction")
    reading.once("balance_transaction", *(moved.get(name) for name in names))


COMPANY: Mapping[str, Callable[[_Reading, Body], None]] = {
    "charge": _charge,
    "refund": _refund,
    "dispute": _dispute,
    "invoice": _invoice,
    "invoice_payment": _invoice_payment,
    "checkout.session": _checkout_session,
    "subscription": _subscription,
    "price": _price,
    "payout": _moves,
}
"""By an object's type, what is read with it."""


def _id(reference: Any) -> str:
    """The id of what is referred to, by its id or as the whole object."""
    return reference if isinstance(reference, str) else str(reference["id"])


def _at(body: Body, *names: str) -> Body:
    """What the body has under these names, one inside the other."""
    for name in names:
        body = body.get(name) or {}
    return body


def batches(found: Iterable[Found]) -> list[tuple[str, list[Found]]]:
    """The objects by their resource, in the same order."""
    grouped: dict[str, list[Found]] = {}
    for one in found:
        grouped.setdefault(one.resource, []).append(one)
    return list(grouped.items())
