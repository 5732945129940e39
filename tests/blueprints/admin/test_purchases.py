"""The pages of what was sold: purchases, what waits to be linked, and the payment check."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from extensions import db
from makegood import ledger, throttles
from makegood.models import AuditEntry, OperatorSession, Purchase, StripeAccount, StripeResource
from makegood.purchases import checks
from tests.making import make_customer
from tests.people import add_operator, form_token, log_in
from tests.sold import sell

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.fixture
def purchase_id(app: Flask) -> UUID:
    """Of a customer some of whose money went back; beside guests whom nobody knows."""
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=datetime(2026, 10, 1, tzinfo=UTC)))
        make_customer(db.session(), 0, customer_id="ada", at=NOW)
        made = sell(db.session(), "ada", NOW)
        db.session.commit()
    return made


def page(browser: FlaskClient, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, address
    return answer.text


def unlinked_payment(browser: FlaskClient) -> str:
    """The form about the guest whom nobody knows."""
    listed = page(browser, "/admin/purchases/unlinked?kind=payment")
    assert "guest@example.com" in listed
    start = "/admin/purchases/unlinked/payment/"
    return start + listed.partition(f'href="{start}')[2].partition('"')[0]


def test_where_stripe_is_not_set_up_the_pages_say_so(operator: FlaskClient) -> None:
    for place in ("", "/unlinked", "/check"):
        assert "Stripe is not connected" in page(operator, f"/admin/purchases{place}")
    assert "Nothing matches" in page(operator, "/admin/purchases?customer=nobody")


def test_where_nothing_was_sold_yet_they_say_that(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=NOW))
        read = {name: StripeResource(name=name, state="current", finished_at=NOW) for name in checks.PAID_BY}
        db.session.add_all(read.values())
        make_customer(db.session(), 0, customer_id="ada", at=NOW)
        db.session.commit()
    assert "No purchase yet" in page(operator, "/admin/purchases")
    assert "Everybody who paid is known here" in page(operator, "/admin/purchases/unlinked")
    assert "All is well.<" in page(operator, "/admin/purchases/check")
    assert "Nothing bought through Stripe yet" in page(operator, "/admin/customers/ada")


def test_before_every_list_is_read_no_page_says_that_there_is_nothing_more(
    app: Flask, operator: FlaskClient
) -> None:
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=NOW))
        for name in checks.PAID_BY - {"refunds", "disputes"}:
            db.session.add(StripeResource(name=name, state="current", finished_at=NOW))
        db.session.add(StripeResource(name="refunds", state="failed", problem="HTTP 500", finished_at=NOW))
        make_customer(db.session(), 0, customer_id="ada", at=NOW)
        db.session.commit()
    for place in ("purchases/check", "purchases/unlinked", "customers/ada"):
        shown = page(operator, f"/admin/{place}")
        assert "as far as Stripe has been read" in shown, place
        assert "“Refunds” and “Disputes” have not been read completely" in shown, place
        assert not any(words in shown for words in ("Everybody who paid", "All is well.<", "Stripe yet"))


def test_the_check_of_one_operator_is_throttled(operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(throttles, "count", lambda _session, limit, *_, **__: asked.append(limit.scope))
    operator.get("/admin/purchases/check")
    assert asked == ["stats"]


def test_purchases_are_listed_and_lead_to_what_was_taken_back(operator: FlaskClient, purchase_id: UUID) -> None:
    everything = page(operator, "/admin/purchases")
    assert everything.count('id="purchase-') == 4
    assert "All went back" in everything
    assert re.findall(r'<option value="\w+">([^<]+)<', everything) == [
        *("Checkout", "Invoice"),
        *("All kept", "A part went back", "All went back", "Credits are owed"),
    ]
    assert page(operator, "/admin/purchases?state=returned").count('id="purchase-') == 1
    assert 'href="/admin/customers?balance=owes"' in page(operator, "/admin/purchases?state=owed")
    one = page(operator, f"/admin/purchases/{purchase_id}")
    assert "Payment disputed" in one or "Payment refunded" in one
    assert operator.get(f"/admin/purchases/{UUID(int=1)}").status_code == 404
    customer = page(operator, "/admin/customers/ada")
    assert f"/admin/purchases/{purchase_id}" in customer
    assert "Payment methods" in customer


def test_a_guest_is_linked_by_whoever_may_and_credited_at_once(
    app: Flask, operator: FlaskClient, purchase_id: UUID
) -> None:
    address = unlinked_payment(operator)
    assert "guest@example.com" in page(operator, address)
    token = {"csrf_token": form_token(operator, address)}
    wrong = operator.post(address, data={"customer_id": "nobody", **token})
    assert (wrong.status_code, "There is no customer with this id" in wrong.text) == (422, True)
    with app.app_context():
        before = ledger.balance(db.session(), "ada")
    asked = operator.post(address, data={"customer_id": "ada", **token})
    assert (asked.status_code, "Link and credit 50 credits" in asked.text) == (200, True)
    assert "The e-mail addresses differ" not in asked.text, "ada has none"
    with app.app_context():
        assert ledger.balance(db.session(), "ada") == before, "nothing moved for being looked at"
        assert not db.session.scalars(select(AuditEntry).where(AuditEntry.action == "stripe.linked")).all()
    other = operator.post(address, data={"customer_id": "ada", "purchases": 1, "credits": 20, "taken": 0, **token})
    assert (other.status_code, "has changed meanwhile" in other.text) == (409, True)
    with app.app_context():
        assert ledger.balance(db.session(), "ada") == before, "it was not what the operator had seen"
    agreed = {"customer_id": "ada", "purchases": 1, "credits": 50, "taken": 0, **token}
    done = operator.post(address, data=agreed)
    assert (done.status_code, "/admin/customers/ada" in done.location) == (303, True)
    with app.app_context():
        assert ledger.balance(db.session(), "ada") == before + 50
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "stripe.linked")).one()
        assert (entry.details["customer_id"], entry.details["credited"]) == ("ada", 1)
    assert "credited 1 purchase" in page(operator, "/admin/customers/ada")
    assert operator.post(address, data=agreed).status_code == 303
    again = page(operator, "/admin/customers/ada")
    assert "It was linked to ada already. Nothing was changed." in again
    with app.app_context():
        assert ledger.balance(db.session(), "ada") == before + 50


def test_a_viewer_sees_what_waits_and_cannot_link_it(app: Flask, purchase_id: UUID) -> None:
    add_operator(app, "viewer@example.com", role="viewer")
    browser = app.test_client()
    log_in(browser, "viewer@example.com")
    listed = page(browser, "/admin/purchases/unlinked")
    assert "guest@example.com" in listed
    assert "Link…" not in listed
    assert browser.get("/admin/purchases/unlinked/payment/ch_1").status_code == 403
    sent = {"customer_id": "ada", "csrf_token": form_token(browser, "/admin/purchases")}
    assert browser.post("/admin/purchases/unlinked/payment/ch_1", data=sent).status_code == 403


def test_the_check_says_what_it_could_not_check(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        db.session.add(StripeAccount(id=1, livemode=False, grants_since=NOW))
        db.session.add(StripeResource(name="charges", state="no_permission", problem="It lacks a permission."))
        db.session.commit()
    found = page(operator, "/admin/purchases/check")
    assert "The key may not read Charges, so nobody can tell" in found
    assert "is credited was paid for" not in found


def test_the_check_names_what_is_paid_and_not_credited_and_what_does_not_say_its_credits(
    operator: FlaskClient, purchase_id: UUID
) -> None:
    found = page(operator, "/admin/purchases/check")
    assert found.count("Nobody knows whose it is") == 2
    assert "Sticker sheet" in found
    assert "This is as far as Stripe has been read." in found
    assert "All is well" not in found


def test_ids_of_stripe_are_found(app: Flask, operator: FlaskClient, purchase_id: UUID) -> None:
    with app.app_context():
        bought = db.session.get_one(Purchase, purchase_id)
        source = bought.source_id
    assert f"/admin/purchases/{purchase_id}" in page(operator, f"/admin/search?q={source}")
    assert operator.get(f"/admin/search?q={purchase_id}").location == f"/admin/purchases/{purchase_id}"


def test_a_link_asks_who_it_is_once_more_when_the_log_in_was_long_ago(
    app: Flask, operator: FlaskClient, purchase_id: UUID
) -> None:
    address = unlinked_payment(operator)
    token = form_token(operator, address)
    with app.app_context():
        db.session.execute(update(OperatorSession).values(confirmed_at=NOW))
        before = ledger.balance(db.session(), "ada")
        db.session.commit()
    agreed = {"customer_id": "ada", "purchases": 1, "credits": 50, "taken": 0, "csrf_token": token}
    asked = operator.post(address, data=agreed)
    assert "Confirm it is you" in asked.text
    with app.app_context():
        assert ledger.balance(db.session(), "ada") == before
