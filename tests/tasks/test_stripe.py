"""The worker reads Stripe: each list for itself, and never for so long that it cannot end."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

import tasks.stripe
from extensions import db
from makegood import purchases
from makegood.models import Charge, Product, StripeEvent, StripeResource
from makegood.stripe import events, progress
from simulator.stripe.server import SimulatedStripe
from tests.conftest import MakeApp
from tests.stripe import pack


@pytest.fixture
def app(make_app: MakeApp, stripe: SimulatedStripe) -> Flask:
    """The application with a key for the simulated Stripe."""
    return make_app(STRIPE_API_KEY=stripe.api_key, STRIPE_BASE_URL=stripe.url)


def states() -> dict[str, str]:
    """What has become of each list."""
    return {row.name: row.state for row in progress.read(db.session()).lists}


def test_a_page_that_cannot_be_taken_in_stops_its_list_only(
    app: Flask, stripe: SimulatedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the page is kept, the rest is read, and the next attempt finds it."""
    stripe.account.pay(500)
    pack(stripe.account)
    absorb = purchases.absorb

    def fails_afterwards(session: Any, resource: str, *arguments: Any, **more: Any) -> None:
        absorb(session, resource, *arguments, **more)
        if resource == "charges":
            raise ZeroDivisionError

    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(purchases, "absorb", fails_afterwards)
            tasks.stripe.read_stripe(app)
        assert {name for name, state in states().items() if state != "current"} == {"charges"}
        failed = db.session.get_one(StripeResource, "charges")
        assert "(ZeroDivisionError); the log has more" in (failed.problem or "")
        assert db.session.scalar(select(func.count()).select_from(Charge)) == 0
        assert db.session.scalar(select(func.count()).select_from(Product)) == 1
        failed.next_try_at = None
        db.session.commit()
        tasks.stripe.read_stripe(app)
        assert states()["charges"] == "current"
        assert db.session.scalar(select(func.count()).select_from(Charge)) == 1


def test_a_task_ends_although_there_is_more_to_read(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one goes on."""
    monkeypatch.setattr("tasks.stripe.READING_SECONDS", 0)
    with app.app_context():
        tasks.stripe.read_stripe(app)
        assert set(states().values()) == {"waiting", "current"}
        monkeypatch.undo()
        tasks.stripe.read_stripe(app)
        assert set(states().values()) == {"current"}


def test_events_that_keep_coming_do_not_keep_a_task_from_ending(
    app: Flask, stripe: SimulatedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one goes on."""

    def post(raw: bytes, _: dict[str, str]) -> int:
        events.receive(db.session(), raw)
        return 200

    with app.app_context():
        stripe.account.pay(500)
        stripe.deliver(post)
        db.session.commit()
        waiting = select(func.count()).where(StripeEvent.state == "waiting")
        before = db.session.scalar(waiting)
        assert before
        monkeypatch.setattr("tasks.stripe.READING_SECONDS", 0)
        tasks.stripe.apply_stripe_events(app)
        assert db.session.scalar(waiting) == before
        monkeypatch.undo()
        tasks.stripe.apply_stripe_events(app)
        assert db.session.scalar(waiting) == 0


def test_without_a_key_nothing_is_begun(make_app: MakeApp) -> None:
    """What is paid from the first contact on gives credits: there was none."""
    app = make_app()
    with app.app_context():
        tasks.stripe.read_stripe(app)
        assert states() == {}
