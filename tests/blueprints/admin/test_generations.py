"""The generation page and the manual refund over HTTP."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from extensions import db
from makegood import generations, ledger
from makegood.generations import costs
from makegood.ids import uuid7
from makegood.models import AuditEntry, CreditTransaction, Refund
from makegood.providers.protocol import Outcome, Report, Units
from tests.making import TERMS, make_customer, make_generation
from tests.people import add_operator, log_in

FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def generation_id(app: Flask) -> UUID:
    """A generation of 6 credits that succeeded."""
    with app.app_context():
        customer = make_customer(db.session(), 100)
        made = make_generation(db.session(), customer, status="succeeded", credits=6)
        db.session.commit()
    return made


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the refund form."""
    form = page[page.index('id="refund-form"') :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


def send(
    browser: FlaskClient, generation_id: UUID, headers: dict[str, str] | None = None, **fields: str
) -> TestResponse:
    """Open the form and send it, as a browser does."""
    path = f"/admin/generations/{generation_id}/refund"
    filled = {"credits": "2", "reason": "goodwill", "note": "a birthday", **form_of(browser.get(path).text)}
    return browser.post(path, data=filled | fields, headers=headers)


def refunded(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Refund.credits).order_by(Refund.id)))


def test_a_refund_writes_refund_ledger_row_and_audit_entry_and_leads_back(
    app: Flask, operator: FlaskClient, generation_id: UUID
) -> None:
    response = send(operator, generation_id)
    assert (response.status_code, response.location) == (303, f"/admin/generations/{generation_id}")
    page = operator.get(response.location).text
    assert "Refunded 2 credits to" in page
    assert "2 of 6 refunded" in page
    with app.app_context():
        refund = db.session.scalars(select(Refund)).one()
        assert (refund.credits, refund.reason, refund.note) == (2, "goodwill", "a birthday")
        assert refund.actor == "ana@example.com"
        row = db.session.get_one(CreditTransaction, refund.transaction_id)
        assert (row.amount, row.balance_after) == (2, ledger.balance(db.session(), refund.customer_id))
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "refund.issued")).one()
        assert entry.actor == "ana@example.com"
        assert entry.details["credits"] == 2


def test_htmx_is_led_back_by_a_header(operator: FlaskClient, generation_id: UUID) -> None:
    response = send(operator, generation_id, headers=FRAGMENT)
    assert response.status_code == 200
    assert response.headers["HX-Redirect"] == f"/admin/generations/{generation_id}"


@pytest.mark.parametrize(
    "fields",
    [
        {"credits": "0"},
        {"credits": "7"},
        {"credits": "-1"},
        {"credits": "1.5"},
        {"credits": "٣"},
        {"credits": ""},
        {"credits": "9" * 30},
        {"reason": ""},
        {"reason": "because"},
        {"note": ""},
        {"note": "   "},
        {"note": "x" * 1001},
        {"note": "nul \0 inside"},
        {"idempotency_key": ""},
        {"idempotency_key": "not-a-key"},
        {"expected_refunded": ""},
        {"expected_refunded": "x"},
    ],
)
def test_a_wrong_form_moves_nothing_and_keeps_the_input(
    app: Flask, operator: FlaskClient, generation_id: UUID, fields: dict[str, str]
) -> None:
    response = send(operator, generation_id, **fields)
    assert response.status_code == 422
    assert "No credits moved" in response.text
    assert refunded(app) == []
    kept = {"credits": "2", "note": "a birthday"} | fields
    assert f'value="{kept["credits"]}"' in response.text
    assert kept["note"].strip() in response.text


def test_a_wrong_form_that_is_sent_again_corrected_works(
    app: Flask, operator: FlaskClient, generation_id: UUID
) -> None:
    again = form_of(send(operator, generation_id, idempotency_key="").text)
    assert send(operator, generation_id, **again).status_code == 303
    assert refunded(app) == [2]


def test_the_same_form_sent_twice_refunds_once(app: Flask, operator: FlaskClient, generation_id: UUID) -> None:
    key = str(uuid7())
    for _ in range(2):
        response = send(operator, generation_id, idempotency_key=key, expected_refunded="0")
        assert response.status_code == 303
    assert refunded(app) == [2]


def test_a_generation_that_changed_meanwhile_answers_409_with_the_input_kept(
    app: Flask, operator: FlaskClient, generation_id: UUID
) -> None:
    send(operator, generation_id)
    response = send(operator, generation_id, expected_refunded="0", note="my own words", credits="3")
    assert response.status_code == 409
    assert "2 credits" in response.text
    assert "my own words" in response.text
    assert form_of(response.text)["expected_refunded"] == "2"
    assert refunded(app) == [2]


def test_when_nothing_is_left_the_form_cannot_be_sent(
    app: Flask, operator: FlaskClient, generation_id: UUID
) -> None:
    send(operator, generation_id, credits="6")
    page = operator.get(f"/admin/generations/{generation_id}").text
    assert "Everything charged has been refunded." in page
    assert "Refund…" not in page
    form = operator.get(f"/admin/generations/{generation_id}/refund").text
    assert re.search(r"data-submit disabled", form)
    assert send(operator, generation_id, credits="1").status_code == 422
    assert refunded(app) == [6]


def test_a_viewer_may_look_but_not_refund(app: Flask, generation_id: UUID) -> None:
    add_operator(app, email="vera@example.com", role="viewer")
    viewer = app.test_client()
    log_in(viewer, email="vera@example.com")
    page = viewer.get(f"/admin/generations/{generation_id}").text
    assert "Your role may not refund." in page
    assert "/refund" not in page.split("<main")[1]
    assert viewer.get(f"/admin/generations/{generation_id}/refund").status_code == 403
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    fields = {"csrf_token": token[1], "credits": "1", "reason": "goodwill", "note": "x"}
    assert viewer.post(f"/admin/generations/{generation_id}/refund", data=fields).status_code == 403
    assert refunded(app) == []


def test_an_output_is_a_link_only_when_it_is_a_web_address(app: Flask, operator: FlaskClient) -> None:
    outputs = ("https://cdn.example/1.png", "javascript:alert(1)", "<b>bold</b>")
    with app.app_context():
        made = make_generation(db.session(), make_customer(db.session()))
        generations.settle(db.session(), made, Report(Outcome.SUCCEEDED, outputs=outputs), TERMS)
        db.session.commit()
    page = operator.get(f"/admin/generations/{made}").text
    assert re.search(r'<a href="https://cdn\.example/1\.png" rel="noreferrer noopener"', page)
    assert 'href="javascript' not in page
    assert "<b>bold" not in page


def test_a_generation_that_does_not_exist_is_404(app: Flask, operator: FlaskClient) -> None:
    assert operator.get(f"/admin/generations/{uuid7()}").status_code == 404
    assert operator.get("/admin/generations/not-an-id").status_code == 404
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Refund)) == 0


def test_the_page_says_what_the_cost_rests_on(app: Flask, operator: FlaskClient, generation_id: UUID) -> None:
    page = operator.get(f"/admin/generations/{generation_id}").text
    assert "From the price book: 1 × image." in page
    assert re.search(r"/admin/prices/line\?provider=wavespeed[^\"]*#version-1\">version 1<", page)
    with app.app_context():
        customer = make_customer(db.session(), 10)
        unknown = make_generation(db.session(), customer, model="brand/new", credits=1)
        costs.set_usage(db.session(), unknown, Units("unit", Decimal("2.5")))
        unmeasured = make_generation(db.session(), customer, model="brand/new", credits=1)
        costs.set_usage(db.session(), unmeasured, Units("unit", None))
        db.session.commit()
    page = operator.get(f"/admin/generations/{unknown}").text
    for text in ("Cost is unknown", "The price book had no price for it", "2.5 × unit", "rests on no price"):
        assert text in page
    assert "$0.00" not in page
    page = operator.get(f"/admin/generations/{unmeasured}").text
    assert "The provider has not said how much it used" in page
