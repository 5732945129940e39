"""What Stripe has told us is kept once, and the newest reading wins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood.models import BalanceTransaction, Charge, Invoice, StripeCustomer, Subscription
from makegood.stripe import account, mirror
from makegood.stripe.client import Client
from makegood.stripe.resources import RESOURCES
from simulator.stripe.billing import Account
from simulator.stripe.rendering import shown
from simulator.stripe.server import SimulatedStripe
from tests.stripe import BEGAN, pack, plan

MINUTE = timedelta(minutes=1)


def charge(**changes: Any) -> dict[str, Any]:
    """A charge as Stripe shows it."""
    store = Account()
    store.at(BEGAN)
    return shown(store, store.pay(500, email="A@b.example"), []) | changes


def test_an_object_is_new_then_known_then_changed(session: Session) -> None:
    """Only what is news is reported; the time of reading is kept in each case."""
    one = charge()
    assert mirror.store(session, "charges", [one], BEGAN) == [one["id"]]
    assert mirror.store(session, "charges", [one], BEGAN + MINUTE) == []
    assert mirror.store(session, "charges", [one | {"amount_refunded": 5}], BEGAN + 2 * MINUTE) == [one["id"]]
    kept = session.scalars(select(Charge)).one()
    assert (kept.amount_refunded, kept.body["amount_refunded"], kept.read_at) == (5, 5, BEGAN + 2 * MINUTE)


def test_an_older_reading_never_overwrites_a_newer_one(session: Session) -> None:
    """Also where the newer reading found nothing new: what comes late is older than what is known to hold."""
    one = charge()
    mirror.store(session, "charges", [one], BEGAN)
    mirror.store(session, "charges", [one], BEGAN + 2 * MINUTE)
    assert mirror.store(session, "charges", [one | {"status": "failed"}], BEGAN + MINUTE) == []
    assert session.scalars(select(Charge.status)).one() == "succeeded"


def test_whose_an_object_is_survives_reading_it_again(session: Session) -> None:
    """Only the linking sets it."""
    one = charge()
    mirror.store(session, "charges", [one], BEGAN)
    kept = session.scalars(select(Charge)).one()
    kept.linked_by = "operator"
    session.flush()
    mirror.store(session, "charges", [one | {"amount_refunded": 5}], BEGAN + MINUTE)
    session.refresh(kept)
    assert (kept.linked_by, kept.amount_refunded) == ("operator", 5)


def test_what_stripe_deleted_stays_with_its_last_body(session: Session) -> None:
    """And is news once."""
    store = Account()
    buyer = shown(store, store.customer("a@b.example"), [])
    mirror.store(session, "customers", [buyer], BEGAN)
    assert mirror.mark_deleted(session, "customers", buyer["id"], BEGAN - MINUTE) is False
    assert mirror.mark_deleted(session, "customers", buyer["id"], BEGAN + MINUTE) is True
    assert mirror.mark_deleted(session, "customers", buyer["id"], BEGAN + MINUTE) is False
    kept = session.scalars(select(StripeCustomer)).one()
    assert (kept.deleted, kept.email) == (True, "a@b.example")


def test_the_same_object_twice_on_a_page_is_kept_once(session: Session) -> None:
    """The list may move while it is read."""
    one = charge()
    assert mirror.store(session, "charges", [one, one], BEGAN) == [one["id"]]
    assert mirror.store(session, "charges", [], BEGAN) == []


def test_text_that_cannot_be_stored_does_not_stop_the_rest(session: Session) -> None:
    """Metadata can hold anything."""
    one = charge(metadata={"user_id": "a\0b\ud800", "n\0": ["\0"]})
    mirror.store(session, "charges", [one], BEGAN)
    kept = session.scalars(select(Charge)).one()
    assert (kept.user_id, kept.body["metadata"]["n\ufffd"]) == ("a\ufffdb\ufffd", ["\ufffd"])


def test_objects_that_name_no_mode_are_of_the_accounts(session: Session) -> None:
    """Balance transactions and refunds do not say."""
    account.ensure(session, None, livemode=True)
    store = Account()
    store.pay(500)
    mirror.store(session, "balance_transactions", [shown(store, store.all("balance_transactions")[0], [])], BEGAN)
    assert session.scalars(select(BalanceTransaction.livemode)).one() is True


def test_every_resource_is_kept_as_received(session: Session, stripe: SimulatedStripe) -> None:
    """With the columns that others search by."""
    store = stripe.account
    buyer = store.customer("a@b.example", metadata={"user_id": "u1"})
    subscription = store.subscribe(buyer, [(plan(store), 1)], coupons=[store.coupon(percent_off=25)])
    store.buy(pack(store), 2, customer=buyer)
    paid = store.pay(500)
    store.refund(paid, 100)
    store.dispute(paid)
    store.pay_out(100)
    client = Client(stripe.api_key, stripe.url)
    for name in RESOURCES:
        page = client.page(name)
        assert sorted(one["id"] for one in page.objects) == mirror.store(session, name, page.objects, BEGAN) != []
        kept = session.scalars(select(mirror.MODELS[name])).all()
        assert {one.id: one.body for one in kept} == {one["id"]: one for one in page.objects}
    invoice = session.scalars(select(Invoice)).one()
    assert (invoice.subscription_id, invoice.stripe_customer_id) == (subscription["id"], buyer["id"])
    assert invoice.paid_at is not None
    assert session.scalars(select(Subscription.status)).all() == ["active"]
    assert session.scalars(select(StripeCustomer.user_id)).one() == "u1"
