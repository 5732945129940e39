"""The whole stream of a busy account's webhooks: however it comes, it ends at the credits that were paid for."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import tasks.stripe
from extensions import db
from makegood import books, customers
from makegood.models import Balance, Charge, PaymentRefund, Purchase, StripeEvent
from makegood.stripe import applying, events, related
from makegood.stripe.client import Client
from simulator.stripe import deliveries
from simulator.stripe.server import SimulatedStripe
from tests.conftest import MakeApp
from tests.makegood.stripe.busy import Busy
from tests.making import TERMS
from tests.stripe import BEGAN

USERS = {f"user-{number}": f"person{number}@example.com" for number in range(1, 6)}
SINCE = BEGAN - timedelta(days=1)
ALLOWANCE = 5
ROUNDS = 4
CUT_EVERY = 7
"""Every so many times that something is taken in, a worker is killed just before or just after."""


class Killed(BaseException):
    """The end of a worker: nothing may catch it."""


@pytest.fixture
def busy(stripe: SimulatedStripe) -> Busy:
    return Busy(stripe.account, USERS, seed=11)


@pytest.fixture
def app(make_app: MakeApp, stripe: SimulatedStripe) -> Flask:
    app = make_app(STRIPE_WEBHOOK_SECRET=deliveries.SECRET, STRIPE_GRANTS_SINCE=SINCE.date().isoformat())
    app.extensions["stripe"] = Client(stripe.api_key, stripe.url, sleep=lambda _: None)
    with app.app_context():
        register(db.session())
        db.session.commit()
    return app


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end before their work is done, so that two workers often do the same at once."""
    monkeypatch.setattr(applying, "LEASE", timedelta(milliseconds=150))
    monkeypatch.setattr(applying, "FIRST_WAIT", timedelta(milliseconds=10))
    monkeypatch.setattr(applying, "LONGEST_WAIT", timedelta(milliseconds=50))
    monkeypatch.setattr(applying, "ATTEMPTS", 10_000)


def register(session: Session) -> None:
    """Our customers, with nothing but their allowances."""
    for name, email in USERS.items():
        customers.upsert(session, name, email=email, tier="free", timezone=TERMS.timezone)


def check(session: Session, busy: Busy) -> None:
    """Everything is done, and everybody has what they paid for and kept."""
    assert set(session.scalars(select(StripeEvent.state))) == {"applied", "ignored"}
    for table, resource in ((Charge, "charges"), (PaymentRefund, "refunds")):
        kept = dict(session.execute(select(table.id, table.body["status"].astext)).all())
        assert kept == {one["id"]: one["status"] for one in busy.account.all(resource)}
    balances = dict(session.execute(select(Balance.customer_id, Balance.balance)).all())
    assert {name: balance - ALLOWANCE for name, balance in balances.items()} == busy.expected()
    assert session.scalar(select(func.sum(Purchase.owed))) == 0
    assert books.violations(session) == []


def post_to(app: Flask) -> Any:
    """How Stripe delivers to the application."""
    return lambda raw, headers: app.test_client().post("/webhooks/stripe", data=raw, headers=headers).status_code


def work(app: Flask, ended: threading.Event) -> None:
    """What a worker does, again and again, until all was delivered and nothing waits. It survives its deaths."""
    while True:
        last = ended.is_set()
        with app.app_context():
            with suppress(Killed):
                tasks.stripe.apply_stripe_events(app)
            db.session.rollback()
            waiting = select(func.count()).select_from(StripeEvent).where(StripeEvent.state == "waiting")
            if not db.session.scalar(waiting) and last:
                return


def test_the_stream_from_several_threads_to_two_workers_that_die_ends_at_what_was_paid_for(
    app: Flask, stripe: SimulatedStripe, busy: Busy, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, lock, take = 0, threading.Lock(), applying.take

    def take_or_die(*args: Any, **options: Any) -> bool:
        nonlocal taken
        with lock:
            taken += 1
            turn = taken % (2 * CUT_EVERY)
        if turn == 0:
            raise Killed
        changed = take(*args, **options)
        if turn == CUT_EVERY:
            raise Killed
        return changed

    monkeypatch.setattr(applying, "take", take_or_die)
    stripe.faults.by_chance(0.05, seed=5)
    ended = threading.Event()
    with ThreadPoolExecutor(2) as workers, ThreadPoolExecutor(4) as senders:
        running = [workers.submit(work, app, ended) for _ in range(2)]
        sending = []
        for number in range(ROUNDS):
            for _ in range(8):
                busy.do_something()
            told = busy.account.all("events")
            due = [one for one in told if one["id"] in busy.account.undelivered] + told[: 5 * number]
            options: dict[str, Any] = {"events": due, "shuffled": number, "copies": 2}
            sending.append(senders.submit(stripe.deliver, post_to(app), **options))
        assert {one.status for sent in sending for one in sent.result(timeout=300)} == {200}
        ended.set()
        for one in running:
            one.result(timeout=300)
    assert taken > 2 * CUT_EVERY
    with app.app_context():
        check(db.session(), busy)


@pytest.mark.parametrize("seed", range(2))
def test_the_stream_in_any_order_with_parts_lost_and_work_dropped_ends_at_what_was_paid_for(
    session: Session, stripe: SimulatedStripe, seed: int
) -> None:
    """Deliveries come while the account changes, late, again or never; what was claimed is dropped or fails."""
    register(session)
    chance = random.Random(seed)
    busy = Busy(stripe.account, USERS, seed)
    client = Client(stripe.api_key, stripe.url, sleep=lambda _: None)
    known = partial(related.is_known, session)
    now = datetime.now(UTC)

    def receive(raw: bytes, _: dict[str, str]) -> int:
        if chance.random() < 0.3:
            return 500
        events.receive(session, raw, grants_since=SINCE)
        return 200

    def apply_some(*, unless: float = 0.0) -> int:
        claimed = applying.claim(session, livemode=False, limit=chance.randint(1, 12), at=now) or []
        for one in claimed:
            answer = applying.read(client, known, one)
            if chance.random() < unless:
                continue
            assert not isinstance(answer, applying.Unread)
            dies = session.begin_nested()
            applying.take(session, one, answer, at=now)
            if chance.random() < unless:
                dies.rollback()
            else:
                dies.commit()
        return len(claimed)

    for _ in range(25):
        busy.do_something()
        if chance.random() < 0.5:
            stripe.deliver(receive, shuffled=seed, copies=2)
        if chance.random() < 0.4:
            now += timedelta(minutes=3)
            apply_some(unless=0.3)
    events.note(session, busy.account.all("events"))
    now += applying.LEASE
    while apply_some():
        pass
    check(session, busy)
