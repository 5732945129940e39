"""Reversing a refund over HTTP: the form, what it answers, and who may."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from extensions import db
from makegood import ledger, limits, refunds
from makegood.models import OperatorSession, Refund, Reversal
from tests.making import TERMS, make_customer, make_generation, reserve
from tests.people import add_operator, log_in


@pytest.fixture
def refund_id(app: Flask) -> UUID:
    """Eight of ten credits came back to ada, who holds 98 now."""
    with app.app_context():
        session = db.session()
        generation_id = make_generation(
            session, make_customer(session, 95, customer_id="ada"), credits=10, status="succeeded"
        )
        made = refunds.issue_manual(
            session, generation_id, TERMS, credits=8, reason="goodwill", note="x", actor="bert",
            idempotency_key="k", expected_refunded=0,
        )  # fmt: skip
        session.commit()
        return made.id


def send(browser: FlaskClient, page: str, note: str = "Wrong customer.", **headers: str) -> TestResponse:
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    action = re.findall(r'action="([^"]+/reverse)"', page)[0]
    return browser.post(action, data=fields | {"note": note}, headers=headers)


def balance(app: Flask) -> int:
    with app.app_context():
        return ledger.balance(db.session(), "ada")


def test_a_refund_is_reversed_once_and_its_page_says_so(
    app: Flask, operator: FlaskClient, refund_id: UUID
) -> None:
    page = operator.get(f"/admin/refunds/{refund_id}/reverse").text
    assert "Reverse 8 credits" in page
    for _ in range(2):
        answer = send(operator, page)
        assert (answer.status_code, balance(app)) == (303, 90)
    story = operator.get(answer.location).text
    assert "Refund of 8 credits reversed" in story
    assert "Wrong customer." in story
    assert "Reverse this refund" not in story
    assert "Reversed" in operator.get("/admin/refunds?reversed=yes").text
    assert "ada" not in operator.get("/admin/refunds?reversed=no").text
    assert "has reversed this refund already" in operator.get(f"/admin/refunds/{refund_id}/reverse").text


@pytest.mark.parametrize(
    ("back", "lands"),
    [
        ("/admin/customers/ada", "/admin/customers/ada"),
        ("https://evil.example/", "/admin/generations/"),
        ("//evil.example", "/admin/generations/"),
    ],
)
def test_it_leads_back_to_the_page_of_the_console_that_led_there(
    operator: FlaskClient, refund_id: UUID, back: str, lands: str
) -> None:
    page = operator.get(f"/admin/refunds/{refund_id}/reverse", query_string={"back": back}).text
    assert send(operator, page).location.startswith(lands)


def test_credits_that_were_spent_meanwhile_stay(app: Flask, operator: FlaskClient, refund_id: UUID) -> None:
    page = operator.get(f"/admin/refunds/{refund_id}/reverse").text
    with app.app_context():
        reserve(db.session(), "ada", credits=96)
        db.session.commit()
    answer = send(operator, page)
    assert answer.status_code == 409
    assert "Only 2 of the 8 credits are still there" in answer.text
    assert "No credits moved" in answer.text
    assert balance(app) == 2
    assert "Reverse 8 credits" not in operator.get(f"/admin/refunds/{refund_id}/reverse").text


def test_in_a_dialog_the_answer_takes_the_forms_place(app: Flask, operator: FlaskClient, refund_id: UUID) -> None:
    htmx = {"HX-Request": "true"}
    page = operator.get(f"/admin/refunds/{refund_id}/reverse", headers=htmx).text
    assert page.lstrip().startswith("<dialog")
    again = send(operator, page, note=" ", **htmx)
    assert (again.status_code, again.text.lstrip()[:5]) == (422, "<form")
    assert "Say in a few words why." in again.text
    done = send(operator, page, **htmx)
    assert done.headers["HX-Redirect"].startswith("/admin/generations/")
    assert balance(app) == 90


def test_a_large_reversal_asks_who_it_is(app: Flask, operator: FlaskClient, refund_id: UUID) -> None:
    page = operator.get(f"/admin/refunds/{refund_id}/reverse").text
    with app.app_context():
        roles = {role: replace(limits.of(db.session(), role), confirm_from=8) for role in limits.ROLES}
        limits.publish(db.session(), roles, based_on=1, note="x", actor="bert")
        long_ago = datetime.now(UTC) - timedelta(minutes=11)
        db.session.execute(update(OperatorSession).values(confirmed_at=long_ago))
        db.session.commit()
    assert "Confirm it is you" in send(operator, page).text
    assert balance(app) == 98


def test_the_policys_refund_offers_no_reversal(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        session = db.session()
        generation_id = make_generation(session, make_customer(session, 95), credits=10, status="failed")
        refund_id = session.scalars(select(Refund.id)).one()
        session.commit()
    assert "Reverse this refund" not in operator.get(f"/admin/generations/{generation_id}").text
    page = operator.get(f"/admin/refunds/{refund_id}/reverse").text
    assert "The refund policy returned these credits" in page
    assert send(operator, page).status_code == 409


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("support", 200)])
def test_who_refunds_may_reverse(app: Flask, refund_id: UUID, role: str, status: int) -> None:
    add_operator(app, f"{role}@example.com", role)
    browser = app.test_client()
    log_in(browser, f"{role}@example.com")
    assert browser.get(f"/admin/refunds/{refund_id}/reverse").status_code == status
    with app.app_context():
        assert db.session.scalars(select(Reversal)).all() == []


def test_a_link_of_before_leads_to_the_filter_s_name_of_now(operator: FlaskClient) -> None:
    kept = operator.get("/admin/refunds?standing=yes&customer=ada&reversed=yes").headers["Location"]
    assert kept == "/admin/refunds?reversed=no&customer=ada"
    assert operator.get("/admin/refunds?standing=no").headers["Location"] == "/admin/refunds?reversed=yes"
    assert operator.get("/admin/refunds?standing=maybe").status_code == 200
