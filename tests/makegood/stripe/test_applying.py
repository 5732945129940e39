"""Applying Stripe's events: what they tell of is read anew and taken in, once, whatever happens on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from makegood import ledger, purchases
from makegood.errors import Conflict, NotFound
from makegood.models import (
    Alert,
    AuditEntry,
    BalanceTransaction,
    Charge,
    PaymentRefund,
    Product,
    StripeCustomer,
    StripeEvent,
)
from makegood.stripe import account, applying, events, related
from makegood.stripe.client import Client
from tests.making import make_customer
from tests.stripe import BEGAN, SimulatedStripe, pack, plan

OURS = "cus_ours"


class Worker:
    """Applies events as the worker's task does, at a moment of its own."""

    def __init__(self, session: Session, stripe: SimulatedStripe) -> None:
        self.session = session
        self.stripe = stripe
        self.client = Client(stripe.api_key, stripe.url, sleep=lambda _: None)
        self.now = datetime.now(UTC) + timedelta(minutes=1)

    def receive(self, **order: Any) -> None:
        """Take in what Stripe delivers."""

        def post(raw: bytes, _: dict[str, str]) -> int:
            events.receive(self.session, raw, grants_since=BEGAN - timedelta(days=1))
            return 200

        self.stripe.deliver(post, **order)

    def work(self, *, livemode: bool | None = False) -> None:
        """Apply what is due."""
        known = partial(related.is_known, self.session)
        while (claimed := applying.claim(self.session, livemode=livemode, limit=10, at=self.now)) is not None:
            for one in claimed:
                answer = applying.read(self.client, known, one)
                if isinstance(answer, applying.Unread):
                    applying.postpone(self.session, one, answer, at=self.now)
                else:
                    applying.take(self.session, one, answer, at=self.now)

    def of(self, *types: str) -> list[StripeEvent]:
        """The events of these types; without any, all."""
        query = select(StripeEvent).order_by(StripeEvent.id).execution_options(populate_existing=True)
        return list(self.session.scalars(query.where(StripeEvent.type.in_(types)) if types else query))

    def states(self) -> set[str]:
        """The states that there are."""
        return {event.state for event in self.of()}

    @property
    def balance(self) -> int:
        """Our customer's credits."""
        return ledger.balance(self.session, OURS)


@pytest.fixture
def worker(session: Session, stripe: SimulatedStripe) -> Worker:
    make_customer(session, 0, customer_id=OURS)
    session.flush()
    return Worker(session, stripe)


@pytest.fixture
def sold(worker: Worker) -> dict[str, Any]:
    """Two packs of 100 credits, bought at Stripe by our customer."""
    a = worker.stripe.account
    return a.buy(pack(a), 2, customer=a.customer("a@example.com"), payment_metadata={"user_id": OURS})


def charge_of(worker: Worker) -> dict[str, Any]:
    return worker.stripe.account.all("charges")[0]


def test_what_was_paid_is_credited_once_however_often_and_in_whatever_order_it_is_told(
    worker: Worker, sold: dict[str, Any]
) -> None:
    worker.receive(shuffled=3, copies=3)
    worker.work()
    assert worker.balance == 205
    assert worker.states() <= {"applied", "ignored"}
    again = update(StripeEvent).where(StripeEvent.state == "applied")
    worker.session.execute(again.values(state="waiting", done_at=None, next_try_at=worker.now))
    worker.work()
    assert worker.balance == 205


def test_the_checkouts_event_alone_brings_all_that_the_credits_need(worker: Worker, sold: dict[str, Any]) -> None:
    worker.receive()
    worker.session.execute(delete(StripeEvent).where(StripeEvent.type != "checkout.session.completed"))
    worker.work()
    assert worker.balance == 205
    for table in (Charge, StripeCustomer, Product, BalanceTransaction):
        assert worker.session.scalar(select(table.id)) is not None


def test_an_invoices_event_alone_brings_all_that_the_credits_need(worker: Worker) -> None:
    a = worker.stripe.account
    a.subscribe(a.customer("a@example.com", metadata={"user_id": OURS}), [(plan(a), 1)])
    worker.receive()
    worker.session.execute(delete(StripeEvent).where(StripeEvent.type != "invoice.paid"))
    worker.work()
    assert worker.balance == 205


def test_a_refund_and_its_failure_follow_the_charge(worker: Worker, sold: dict[str, Any]) -> None:
    a = worker.stripe.account
    refund = a.refund(charge_of(worker), 900)
    worker.receive(shuffled=1)
    worker.work()
    assert worker.balance == 105
    a.fail_refund(refund)
    worker.receive(copies=2)
    worker.work()
    assert worker.balance == 205
    kept = worker.session.get_one(PaymentRefund, refund["id"])
    assert kept.failure_balance_transaction is not None
    assert worker.session.get(BalanceTransaction, kept.failure_balance_transaction) is not None


def test_nothing_is_taken_from_an_events_own_body(worker: Worker, sold: dict[str, Any]) -> None:
    a = worker.stripe.account
    told = next(event for event in a.all("events") if event["type"] == "charge.succeeded")
    forged = json.loads(json.dumps(told))
    forged["data"]["object"]["amount_refunded"] = 1800
    events.receive(worker.session, json.dumps(forged).encode())
    worker.work()
    assert worker.session.get_one(Charge, charge_of(worker)["id"]).amount_refunded == 0


def test_events_about_one_object_are_one_reading(worker: Worker, sold: dict[str, Any]) -> None:
    a = worker.stripe.account
    for _ in range(3):
        a.refund(charge_of(worker), 100)
    worker.receive()
    worker.session.execute(delete(StripeEvent).where(StripeEvent.object_type != "charge"))
    before = len(worker.stripe.requests)
    worker.work()
    asked = [path for path in worker.stripe.requests[before:] if path.startswith("/v1/charges/")]
    assert len(asked) == 1
    assert len(worker.of("charge.refunded")) == 3
    assert worker.states() == {"applied"}


def test_what_was_deleted_at_stripe_is_marked_so(worker: Worker) -> None:
    a = worker.stripe.account
    customer = a.customer("gone@example.com")
    worker.receive()
    worker.work()
    a.delete_customer(customer)
    worker.receive()
    worker.work()
    kept = worker.session.get_one(StripeCustomer, customer["id"], populate_existing=True)
    assert (kept.deleted, kept.email) == (True, "gone@example.com")


def test_an_event_of_the_other_mode_is_ignored_and_says_so(worker: Worker, sold: dict[str, Any]) -> None:
    worker.receive()
    worker.work(livemode=True)
    assert worker.states() == {"ignored"}
    (event,) = worker.of("checkout.session.completed")
    assert event.problem == "It is of test mode, and what is read here is of live mode."
    assert worker.stripe.requests == []
    assert worker.balance == 5


def test_a_test_key_beside_stored_real_payments_grants_nothing_and_loses_no_event(
    worker: Worker, sold: dict[str, Any]
) -> None:
    """Whether test payments or real ones are heard of meanwhile."""
    account.ensure(worker.session, BEGAN - timedelta(days=1), livemode=True)
    worker.receive()
    real = worker.of("charge.succeeded")[0].id
    worker.session.execute(update(StripeEvent).where(StripeEvent.id == real).values(livemode=True))
    known = {event.id for event in worker.of() if event.state == "waiting"}
    worker.work(livemode=False)
    assert known == {event.id for event in worker.of() if event.state == "waiting"}
    assert worker.stripe.requests == []
    assert worker.balance == 5
    worker.work(livemode=None)
    assert {event.id for event in worker.of() if event.state == "applied"} == {real}
    assert worker.states() == {"applied", "ignored"}
    assert worker.balance == 5


def test_stripes_list_of_events_brings_what_was_never_delivered(worker: Worker, sold: dict[str, Any]) -> None:
    account.ensure(worker.session, BEGAN - timedelta(days=1))
    listing = worker.client.events(0)
    strange = {"id": "evt_strange", "object": "event"}
    assert events.note(worker.session, [strange, *listing.objects]) == len(listing.objects)
    assert events.note(worker.session, listing.objects) == 0
    worker.receive()
    worker.work()
    assert worker.balance == 205
    assert {event.source for event in worker.of()} == {"list"}


def test_what_fails_is_tried_again_later_and_later_then_an_alert_stands_for_it(
    worker: Worker, sold: dict[str, Any]
) -> None:
    worker.receive()
    worker.session.execute(delete(StripeEvent).where(StripeEvent.type != "checkout.session.completed"))
    worker.stripe.faults.by_chance(1.0, kinds=("500",))
    waits = []
    for _ in range(applying.ATTEMPTS):
        worker.work()
        (event,) = worker.of()
        waits.append(event.next_try_at - worker.now)
        worker.now = event.next_try_at
    assert waits[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert waits[-2] == applying.LONGEST_WAIT
    assert (event.state, event.attempts) == ("failed", applying.ATTEMPTS)
    assert "HTTP 500" in (event.problem or "")
    alert = worker.session.scalars(select(Alert)).one()
    assert (alert.kind, alert.resolved_at) == ("stripe_event_failed", None)
    assert worker.balance == 5

    worker.stripe.faults.by_chance(0)
    worker.work()
    assert worker.balance == 5
    applying.apply_again(worker.session, event.id, actor="ops@example.com", at=worker.now)
    worker.work()
    applying.resolve_alert(worker.session)
    assert worker.balance == 205
    assert worker.session.scalar(select(Alert.resolved_at)) is not None
    entry = worker.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "stripe_event.applied_again")
    ).one()
    assert (entry.actor, entry.subject) == ("ops@example.com", f"stripe-event:{event.id}")
    assert entry.details["before"]["state"] == "failed"


def test_a_key_that_stripe_does_not_accept_uses_up_no_tries(worker: Worker, sold: dict[str, Any]) -> None:
    worker.receive()
    right, worker.client = worker.client, Client("rk_test_revoked", worker.stripe.url, sleep=lambda _: None)
    for _ in range(applying.ATTEMPTS + 1):
        worker.work()
        worker.now += timedelta(hours=1)
    assert {event.attempts for event in worker.of("checkout.session.completed")} == {0}
    worker.client = right
    worker.work()
    assert worker.balance == 205


def test_trouble_of_our_own_database_uses_up_no_tries(
    worker: Worker, sold: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise OperationalError("SELECT", {}, Exception("the connection was closed"))

    worker.receive()
    with monkeypatch.context() as patch:
        patch.setattr(related, "is_known", away)
        worker.work()
    troubled = [event for event in worker.of() if event.state == "waiting"]
    assert {event.attempts for event in troubled} == {0}
    assert {event.problem for event in troubled} == {"Our own database could not be asked (OperationalError)."}
    worker.now += applying.DATABASE_WAIT
    worker.work()
    assert worker.balance == 205
    assert worker.states() <= {"applied", "ignored"}


def test_what_the_key_may_not_read_besides_does_not_hold_the_credits_up(
    worker: Worker, sold: dict[str, Any]
) -> None:
    worker.stripe.account.deny("balance_transactions", "customers")
    worker.receive()
    worker.work()
    assert worker.balance == 205
    assert {event.state for event in worker.of("customer.created")} == {"waiting"}
    assert "may not read" in (worker.of("customer.created")[0].problem or "")


def test_what_the_key_may_not_read_is_tried_daily_and_never_fails(worker: Worker, sold: dict[str, Any]) -> None:
    """Somebody who gives no permission for a list wants no alerts about it."""
    worker.stripe.account.deny("customers")
    worker.receive()
    for day in range(applying.ATTEMPTS + 1):
        worker.work()
        (event,) = worker.of("customer.created")
        assert (event.state, event.attempts) == ("waiting", 0)
        assert event.next_try_at - worker.now == timedelta(days=1), day
        worker.now = event.next_try_at
    assert worker.session.scalar(select(Alert.id)) is None
    worker.stripe.account.denied.clear()
    worker.work()
    assert [event.state for event in worker.of("customer.created")] == ["applied"]


def test_what_a_killed_worker_had_claimed_is_due_again_after_its_lease(
    worker: Worker, sold: dict[str, Any]
) -> None:
    worker.receive()
    claimed = applying.claim(worker.session, livemode=False, limit=100, at=worker.now)
    assert claimed
    worker.work()
    assert worker.balance == 5
    worker.now += applying.LEASE
    worker.work()
    assert worker.balance == 205


def test_what_another_ended_meanwhile_is_not_taken_in_again(
    worker: Worker, sold: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.receive()
    claimed = applying.claim(worker.session, livemode=False, limit=100, at=worker.now) or []
    answers = [applying.read(worker.client, lambda *_: False, one) for one in claimed]
    worker.now += applying.LEASE
    worker.work()
    monkeypatch.setattr(purchases, "absorb", lambda *_, **__: pytest.fail("absorbed twice"))
    for one, answer in zip(claimed, answers, strict=True):
        assert not isinstance(answer, applying.Unread)
        assert applying.take(worker.session, one, answer) is False
    assert worker.balance == 205


def test_what_is_ignored_or_not_there_is_not_applied_again(worker: Worker) -> None:
    with pytest.raises(NotFound):
        applying.apply_again(worker.session, "evt_none", actor="t")
    with pytest.raises(NotFound):
        applying.apply_again(worker.session, "evt_\0", actor="t")
    body = {"id": "evt_1", "object": "event", "type": "balance.available", "livemode": False, "created": 1}
    events.receive(worker.session, json.dumps(body | {"data": {"object": {"object": "balance"}}}).encode())
    with pytest.raises(Conflict, match="no credits moved"):
        applying.apply_again(worker.session, "evt_1", actor="t")


def test_an_answer_that_nobody_can_read_holds_no_other_event_up(
    worker: Worker, sold: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(related.COMPANY, "charge", lambda *_: 1 / 0)
    monkeypatch.setitem(related.COMPANY, "checkout.session", lambda *_: None)
    worker.receive()
    worker.work()
    assert {event.state for event in worker.of("charge.succeeded")} == {"waiting"}
    assert "ZeroDivisionError" in (worker.of("charge.succeeded")[0].problem or "")
    assert {event.state for event in worker.of("checkout.session.completed")} == {"applied"}


@pytest.mark.parametrize(("days_later", "credits"), [(0, 205), (4, 5)])
def test_the_payment_of_the_very_first_event_is_credited_unless_it_was_sent_again_long_after(
    worker: Worker, sold: dict[str, Any], days_later: int, credits: int
) -> None:
    first = []

    def post(raw: bytes, _: dict[str, str]) -> int:
        if json.loads(raw)["type"] == "checkout.session.completed":
            first.append(raw)
        return 200

    worker.stripe.deliver(post)
    heard_at = datetime.fromtimestamp(worker.stripe.account.now, UTC) + timedelta(days=days_later, seconds=9)
    assert events.receive(worker.session, first[0], at=heard_at)
    worker.work()
    assert worker.states() == {"applied"}
    assert worker.balance == credits
