"""How a customer can pay, asked at Stripe."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import throttles
from makegood.errors import Throttled
from makegood.models import AuditEntry
from makegood.stripe import mirror
from simulator.stripe.rendering import shown
from simulator.stripe.server import SimulatedStripe
from tests.conftest import MakeApp
from tests.making import make_customer
from tests.stripe import BEGAN


@pytest.fixture
def app(make_app: MakeApp, stripe: SimulatedStripe) -> Flask:
    """The application with a key for the simulated Stripe."""
    return make_app(STRIPE_API_KEY=stripe.api_key, STRIPE_BASE_URL=stripe.url)


def linked(app: Flask, stripe: SimulatedStripe) -> str:
    """The page about a customer of ours with a customer at Stripe who pays by card."""
    owner = stripe.account.customer("a@b.example")
    stripe.account.card(owner, expires=(2, 2031))
    with app.app_context():
        ours = make_customer(db.session)
        mirror.store(db.session(), "customers", [shown(stripe.account, owner, [])], BEGAN)
        kept = db.session.get_one(mirror.MODELS["customers"], owner["id"])
        kept.customer_id, kept.linked_by = ours, "test"
        db.session.commit()
        return f"/admin/payment-methods/{ours}"


def test_stripe_is_asked_when_somebody_looks(app: Flask, stripe: SimulatedStripe, operator: FlaskClient) -> None:
    """And only about the customer at hand."""
    path = linked(app, stripe)
    assert stripe.requests == []
    page = operator.get(path).text
    assert len(stripe.requests) == 1
    assert "ends in 4242" in page
    assert "02/2031" in page
    assert "<dialog" in operator.get(path, headers={"HX-Request": "true"}).text


def test_who_looked_is_written_and_nobody_asks_without_end(
    app: Flask, stripe: SimulatedStripe, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = linked(app, stripe)
    operator.get(path)
    operator.get(path)
    with app.app_context():
        seen = select(AuditEntry.subject).where(AuditEntry.action == "payment_methods.viewed")
        assert db.session.scalars(seen).all() == [path.replace("/admin/payment-methods/", "payment_methods:")]
    asked = len(stripe.requests)
    monkeypatch.setattr(
        throttles, "count", lambda *_, **__: (_ for _ in ()).throw(Throttled("No.", retry_after=9))
    )
    assert operator.get(path).status_code == 429
    assert len(stripe.requests) == asked


def test_what_stripe_does_not_say_is_said(app: Flask, stripe: SimulatedStripe, operator: FlaskClient) -> None:
    """Why, and that nobody is linked."""
    path = linked(app, stripe)
    stripe.account.deny("customers", "payment_methods")
    assert "Stripe did not say." in operator.get(path).text
    with app.app_context():
        other = make_customer(db.session)
        db.session.commit()
    assert "nobody to ask about" in operator.get(f"/admin/payment-methods/{other}").text
    assert operator.get("/admin/payment-methods/nobody").status_code == 404
