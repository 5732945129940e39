"""The audit log and the settings on the screen: for admins, with what changed, without a secret."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from makegood import audit
from tests.conftest import SECRET_KEY, MakeApp, environment
from tests.people import add_operator, log_in


@pytest.fixture
def written(app: Flask) -> None:
    with app.app_context():
        audit.record(
            db.session(),
            actor="bo@example.com",
            action="refund.issued",
            subject="generation:0193aaaa-0000-7000-8000-000000000001",
            details={"before": {"balance": 90}, "after": {"balance": 1094}, "note": "=HYPERLINK(1)"},
            address="192.0.2.7",
        )
        db.session.commit()


def test_an_entry_says_who_what_when_from_where_before_and_after(operator: FlaskClient, written: None) -> None:
    page = operator.get("/admin/audit?actor=bo@example.com").text
    for said in ("Refund issued", "192.0.2.7", '<span class="was">90</span>', '<span class="is">1,094</span>'):
        assert said in page
    assert "/admin/generations/0193aaaa-0000-7000-8000-000000000001" in page
    assert "=HYPERLINK(1)" in page
    assert "Login succeeded" not in page.partition("<tbody>")[2]


def test_what_an_entry_lists_is_written_for_people(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        rates = [{"currency": "eur", "day": "2026-11-20", "before": None, "after": "1.1656"}]
        details = {"rates": rates, "from": "2026-11-15T00:00:00+00:00", "to": "2026-99-15T00:00:00+00:00"}
        details["note"] = "9999-12-31T23:59:59-12:00"
        audit.record(db.session(), actor="bo", action="rates.saved", subject="exchange-rates", details=details)
        audit.record(db.session(), actor="bo", action="api_key.created", subject="mg_q6S1NkIQ")
        db.session.commit()
    page = operator.get("/admin/audit?actor=bo").text
    assert "<dd>2026-11-20 eur: – → 1.1656</dd>" in page
    assert "<dd>15 Nov 2026, 00:00:00 UTC</dd>" in page
    assert "<dd>2026-99-15T00:00:00+00:00</dd>" in page
    assert "<dd>9999-12-31T23:59:59-12:00</dd>" in page
    assert '/admin/api-keys">API key <span class="nowrap" title="mg_q6S1NkIQ">mg_q6S1NkIQ</span>' in page


def test_filters_that_match_nothing_say_so(operator: FlaskClient) -> None:
    assert "Nothing matches these filters" in operator.get("/admin/audit?subject=generation:x").text
    assert "Login succeeded" in operator.get("/admin/audit?action=login.succeeded").text


def test_the_file_is_disarmed_and_is_itself_an_entry(operator: FlaskClient, written: None) -> None:
    file = operator.get("/admin/exports/audit.csv?actor=bo@example.com")
    assert file.headers["X-Rows"] == "1"
    assert file.text.count("refund.issued") == 1
    assert "Table exported" in operator.get("/admin/audit?action=table.exported").text


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_only_admins_read_the_log_the_settings_and_the_file(app: Flask, role: str) -> None:
    add_operator(app, "other@example.com", role)
    browser = app.test_client()
    log_in(browser, "other@example.com")
    assert browser.get("/admin/audit").status_code == 403
    assert browser.get("/admin/settings").status_code == 403
    assert browser.get("/admin/exports/audit.csv").status_code == 404


def test_the_settings_show_everything_but_secrets(make_app: MakeApp) -> None:
    secret = "whsec_" + "Zm9yIHRlc3RzIG9ubHksIGFuZCBsb25nIGVub3VnaCE="
    app = make_app(NOTIFY_URL="https://hooks.example/T0KEN", NOTIFY_SECRET=secret)
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    page = browser.get("/admin/settings").text
    for shown in (
        "REPORTING_TIMEZONE",
        "hooks.example",
        "2 minutes",
        "As shipped",
        "20 in 10 minutes",
    ):
        assert shown in page, shown
    variables = re.findall(r'data-label="Variable"><code>(\w+)<', page)
    assert {"MRR_COUPONS", "STRIPE_API_KEY"} <= set(variables)
    assert len(variables) == len(set(variables)), "a setting stands there twice"
    given = environment("")
    for hidden in (SECRET_KEY, secret, "T0KEN", given["WAVESPEED_API_KEY"]):
        assert hidden not in page
    database = str(app.config["SQLALCHEMY_DATABASE_URI"])
    assert database not in page
