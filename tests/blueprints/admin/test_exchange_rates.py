"""Exchange rates: added, corrected and imported by who may, and never forgotten."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood.models import AuditEntry, ExchangeRate
from tests.people import add_operator, form_token, log_in

GOOD = {"currency": "EUR", "day": "2026-11-02", "usd_per_unit": "1.0842", "source": "ECB"}


def add(browser: FlaskClient, **fields: str) -> int:
    data = {"csrf_token": form_token(browser, "/admin/revenue/rates/add"), **GOOD, **fields}
    return browser.post("/admin/revenue/rates/add", data=data).status_code


def send(browser: FlaskClient, text: str, source: str = "ECB") -> tuple[int, str]:
    data = {"csrf_token": form_token(browser, "/admin/revenue/rates/import"), "text": text, "source": source}
    answer = browser.post("/admin/revenue/rates/import", data=data)
    return answer.status_code, answer.text


def table(app: Flask) -> list[tuple[str, str, Decimal, bool]]:
    with app.app_context():
        rows = db.session.scalars(select(ExchangeRate).order_by(ExchangeRate.created_at))
        return [
            (row.currency, str(row.day), row.usd_per_unit.normalize(), row.replaced_at is None) for row in rows
        ]


def test_a_correction_takes_the_place_of_the_rate_which_stays_in_the_table(
    app: Flask, operator: FlaskClient
) -> None:
    assert add(operator) == 303
    assert add(operator) == 409
    assert add(operator, usd_per_unit="1.0824") == 303
    assert table(app) == [
        ("eur", "2026-11-02", Decimal("1.0842"), False),
        ("eur", "2026-11-02", Decimal("1.0824"), True),
    ]
    page = operator.get("/admin/revenue/rates").text
    assert "<s>$1.0842</s>" in page
    with app.app_context():
        entries = select(AuditEntry).where(AuditEntry.action == "exchange_rates.saved").order_by(AuditEntry.id)
        told = [entry.details["rates"][0] for entry in db.session.scalars(entries)]
    assert [(rate["before"], rate["after"]) for rate in told] == [(None, "1.0842"), ("1.084200000000", "1.0824")]


@pytest.mark.parametrize(
    "fields",
    [
        {"currency": "USD"},
        {"currency": "EURO"},
        {"day": "2126-01-01"},
        {"day": "02/11/2026"},
        {"usd_per_unit": "0"},
        {"usd_per_unit": "NaN"},
        {"usd_per_unit": "1e7"},
        {"usd_per_unit": "0.0000000000001"},
        {"source": ""},
    ],
)
def test_what_is_no_rate_is_refused_and_named(app: Flask, operator: FlaskClient, fields: dict[str, str]) -> None:
    assert add(operator, **fields) == 422
    assert table(app) == []


def test_a_file_is_taken_whole_or_not_at_all(app: Flask, operator: FlaskClient) -> None:
    head = "currency,day,usd_per_unit\r\n"
    status, page = send(operator, head + "EUR,2026-11-02,1.08\r\nJPY,2026-11-02,x\r\nEUR,2026-11-02,1.09\r\n")
    assert status == 422
    assert "Line 3, usd per unit" in page
    assert "Line 4, day" in page
    assert table(app) == []
    assert send(operator, head + "EUR,2026-11-02,1.08\r\njpy,2026-11-02,0.0066\r\n")[0] == 303
    assert send(operator, head + "EUR,2026-11-02,1.08\r\nEUR,2026-11-03,1.09\r\n")[0] == 303
    assert [row[:2] for row in table(app)] == [
        ("eur", "2026-11-02"),
        ("jpy", "2026-11-02"),
        ("eur", "2026-11-03"),
    ]


def test_others_may_look_at_the_rates_only(app: Flask, client: FlaskClient) -> None:
    add_operator(app, role="support")
    log_in(client)
    page = client.get("/admin/revenue/rates")
    assert (page.status_code, "Add a rate" in page.text) == (200, False)
    assert client.get("/admin/revenue/rates/add").status_code == 403
