"""The page that says how far Stripe has been read."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood.models import AuditEntry, StripeResource
from makegood.stripe import sync
from simulator.stripe.server import SimulatedStripe
from tests.conftest import MakeApp
from tests.people import EMAIL, add_operator, form_token, log_in

PAGE = "/admin/stripe"


@pytest.fixture
def app(make_app: MakeApp, stripe: SimulatedStripe) -> Flask:
    """The application with a key for the simulated Stripe."""
    return make_app(STRIPE_API_KEY=stripe.api_key, STRIPE_BASE_URL=stripe.url)


def read(app: Flask, pages: int = 1000) -> None:
    """Let a worker read that many pages."""
    client = app.extensions["stripe"]
    with app.app_context():
        sync.prepare(db.session(), client.livemode, None)
        while pages and (claimed := sync.claim(db.session())):
            while claimed and pages:
                pages -= 1
                claimed = sync.take(db.session(), claimed, sync.read(client, claimed))
        db.session.commit()


def post(browser: FlaskClient, path: str) -> int:
    """Press a button of the page."""
    return browser.post(f"{PAGE}/{path}", data={"csrf_token": form_token(browser, PAGE)}).status_code


def test_what_is_not_set_up_says_how_to(make_app: MakeApp) -> None:
    """With every permission that the key needs."""
    app = make_app()
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    page = browser.get(PAGE).text
    assert "Stripe is not connected" in page
    assert "Charges and Refunds" in page
    assert "http://localhost/webhooks/stripe" in page


def test_before_the_first_reading_it_waits_for_the_worker(operator: FlaskClient) -> None:
    """A key alone reads nothing."""
    assert "The first reading begins as soon as the worker runs." in operator.get(PAGE).text


def test_a_backfill_shows_how_far_it_is(app: Flask, stripe: SimulatedStripe, operator: FlaskClient) -> None:
    """And asks again every three seconds, until all is read."""
    for _ in range(250):
        stripe.account.pay(500)
    read(app, pages=9)
    page = operator.get(PAGE).text
    assert "9 of 14" in page
    assert "100 objects read so far" in page
    assert "every 3s" in page
    read(app)
    reading = operator.get(f"{PAGE}/reading").text
    assert "13 of 14" in reading  # charges are leased by who read the first page
    with app.app_context():
        db.session.execute(StripeResource.__table__.update().values(leased_until=None))
        db.session.commit()
    read(app)
    reading = operator.get(f"{PAGE}/reading").text
    assert "14 of 14" in reading
    assert "every 15s" in reading


def test_a_failed_list_says_why_and_can_be_tried_at_once(
    app: Flask, stripe: SimulatedStripe, operator: FlaskClient
) -> None:
    """By the worker: the page itself asks Stripe nothing."""
    stripe.account.deny("disputes")
    read(app)
    assert "let it read “Disputes”" in operator.get(PAGE).text
    stripe.account.denied.clear()
    assert post(operator, "lists/disputes/try-again") == 303
    assert post(operator, "lists/nothing/try-again") == 404
    read(app)
    assert "Try again now" not in operator.get(PAGE).text


def test_reading_everything_again_is_audited(app: Flask, operator: FlaskClient) -> None:
    """What is known stays known. A second click does not begin it anew."""
    read(app)
    assert "Read all again…" in operator.get(PAGE).text
    assert f'action="{PAGE}/read-again"' in operator.get(f"{PAGE}/read-again").text
    assert post(operator, "read-again") == 303
    assert operator.get(PAGE).text.count("Not yet again") == 13
    read(app, pages=1)
    assert post(operator, "read-again") == 303
    assert "Read all again…" not in operator.get(PAGE).text
    assert "being read already" in operator.get(f"{PAGE}/read-again").text
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "stripe.read_again")).one()
        assert entry.actor == EMAIL
        assert db.session.get_one(StripeResource, "charges").read_at is not None


def test_who_may_not_ask_sees_how_far_it_is(app: Flask) -> None:
    """Without the buttons."""
    read(app)
    add_operator(app, "viewer@example.com", role="viewer")
    browser = app.test_client()
    log_in(browser, "viewer@example.com")
    page = browser.get(PAGE).text
    assert "14 of 14" in page
    assert "Read all again" not in page
    assert browser.post(f"{PAGE}/read-again", data={"csrf_token": form_token(browser, PAGE)}).status_code == 403
