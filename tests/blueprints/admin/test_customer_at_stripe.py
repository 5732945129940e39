"""What the console says of customers at Stripe: the check on demand, disputes, plans, and finding by e-mail."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from extensions import db
from makegood.models import Alert, Dispute, StripeAccount
from tests.making import make_customer
from tests.people import add_operator, form_token, log_in
from tests.sold import sell

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
CHECK = "/admin/purchases/check"
BUTTON = f'<form method="post" action="{CHECK}">'


@pytest.fixture(autouse=True)
def _sold(app: Flask) -> None:
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=datetime(2026, 10, 1, tzinfo=UTC)))
        make_customer(db.session(), 0, customer_id="ada", at=NOW)
        sell(db.session(), "ada", NOW)
        db.session.commit()


def test_checking_again_opens_the_alerts_and_looking_does_not(app: Flask, operator: FlaskClient) -> None:
    assert BUTTON in operator.get(CHECK).text
    with app.app_context():
        assert not db.session.scalars(select(Alert)).all()
    sent = {"csrf_token": form_token(operator, CHECK)}
    assert operator.post(CHECK, data=sent).status_code == 303
    assert "2 findings to look at" in operator.get(CHECK).text
    with app.app_context():
        alert = db.session.scalars(select(Alert)).one()
        assert (alert.kind, alert.resolved_at) == ("purchase_not_credited", None)


def test_a_viewer_may_look_again_and_opens_no_alert(app: Flask) -> None:
    add_operator(app, "viewer@example.com", role="viewer")
    browser = app.test_client()
    log_in(browser, "viewer@example.com")
    shown = browser.get(CHECK).text
    assert "Check again" in shown
    assert BUTTON not in shown
    sent = {"csrf_token": form_token(browser, "/admin/purchases")}
    assert browser.post(CHECK, data=sent).status_code == 403


def test_a_payment_says_how_its_dispute_stands(app: Flask, operator: FlaskClient) -> None:
    cases = {"lost": "Dispute lost", "won": "Dispute won", "warning_closed": "Inquiry closed", "new": "Disputed"}
    for status, words in cases.items():
        with app.app_context():
            db.session.execute(update(Dispute).values(status=status))
            db.session.commit()
        shown = operator.get("/admin/customers/ada").text
        assert [shown.count(f">{known}</span>") for known in cases.values()] == [
            known == words for known in cases.values()
        ]


def test_a_subscription_names_its_product_and_what_it_costs(operator: FlaskClient) -> None:
    assert "Plan of 30: $19.00 every month" in operator.get("/admin/customers/ada").text


def test_an_email_address_that_only_stripe_knows_is_found(operator: FlaskClient) -> None:
    places = {
        "Guest@example.com": "/admin/purchases/unlinked?email=Guest@example.com",
        "new@example.com": "/admin/purchases/unlinked?email=new@example.com",
        "ada@example.com": "/admin/customers/ada",
    }
    for email, place in places.items():
        found = operator.get("/admin/search", query_string={"q": email})
        assert unquote(found.location or found.text) == place


def test_a_file_of_money_in_several_currencies_says_so_and_has_their_own_units(operator: FlaskClient) -> None:
    assert "money is in the currency that its row names" in operator.get("/admin/exports/unlinked").text
    assert "money is in USD," in operator.get("/admin/exports/customers").text
    found = csv.DictReader(io.StringIO(operator.get("/admin/exports/unlinked.csv").text))
    assert {(row["kind"], row["amount"], row["currency"]) for row in found} == {
        ("payment", "9.00", "usd"),
        ("customer", "", ""),
    }
