"""Alerts, the theme, customers and finding by id."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import alerts, customers
from makegood.ids import uuid7
from makegood.models import Alert, AuditEntry
from tests.making import TERMS, make_customer, make_generation
from tests.people import add_operator, form_token, log_in


def test_an_acknowledged_alert_leaves_the_dashboard_and_is_audited(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        alerts.raise_alert(db.session(), "refund_failed", "x", "A refund could not be written.")
        db.session.commit()
        alert_id = db.session.scalars(select(Alert.id)).one()
    assert "A refund could not be written." in operator.get("/admin/").text
    token = form_token(operator, "/admin/")
    response = operator.post(f"/admin/alerts/{alert_id}/acknowledge", data={"csrf_token": token})
    assert (response.status_code, response.location) == (303, "/admin/")
    page = operator.get("/admin/").text
    assert "Acknowledged: A refund could not be written." in page
    assert "Open alerts</h2>" not in page
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "alert.acknowledged")).one()
        assert entry.actor == "ana@example.com"
    missing = operator.post(f"/admin/alerts/{uuid7()}/acknowledge", data={"csrf_token": token})
    assert missing.status_code == 404


def test_a_viewer_sees_alerts_without_a_button(app: Flask) -> None:
    with app.app_context():
        alerts.raise_alert(db.session(), "refund_failed", "x", "A refund could not be written.")
        db.session.commit()
    add_operator(app, email="vera@example.com", role="viewer")
    viewer = app.test_client()
    log_in(viewer, email="vera@example.com")
    page = viewer.get("/admin/").text
    assert "A refund could not be written." in page
    assert "Acknowledge" not in page


@pytest.mark.parametrize(
    ("chosen", "rendered"),
    [
        ("dark", '<html lang="en" data-bs-theme="dark">'),
        ("light", '<html lang="en" data-bs-theme="light">'),
        ("system", '<html lang="en">'),
        ('"><script>', '<html lang="en">'),
    ],
)
def test_the_chosen_theme_is_rendered(operator: FlaskClient, chosen: str, rendered: str) -> None:
    token = form_token(operator, "/admin/")
    fields = {"csrf_token": token, "theme": chosen, "next": "/admin/failures?customer=a"}
    response = operator.post("/admin/theme", data=fields)
    assert response.location == "/admin/failures?customer=a"
    assert rendered in operator.get("/admin/").text


def test_a_theme_cookie_that_is_not_ours_is_ignored(operator: FlaskClient) -> None:
    operator.set_cookie("theme", "dark onload=x")
    assert '<html lang="en">' in operator.get("/admin/").text


def test_the_theme_leads_to_no_other_site(operator: FlaskClient) -> None:
    token = form_token(operator, "/admin/")
    fields = {"csrf_token": token, "theme": "dark", "next": "https://elsewhere.example/admin/"}
    assert operator.post("/admin/theme", data=fields).location == "/admin/"


def test_an_exact_id_leads_to_its_page(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        customer = make_customer(db.session())
        made = make_generation(db.session(), customer, job="job-42")
        db.session.commit()
    for wanted in (str(made), "job-42", f"  {made} "):
        response = operator.get("/admin/search", query_string={"q": wanted})
        assert response.location == f"/admin/generations/{made}"
    response = operator.get("/admin/search", query_string={"q": customer})
    assert response.location == f"/admin/customers/{customer}"
    page = operator.get("/admin/search", query_string={"q": "<i>nobody"})
    assert page.status_code == 200
    assert "Nothing has the id “&lt;i&gt;nobody”" in page.text


@pytest.mark.parametrize("name", ["plain", "a/b", "with space", "q?x=1#y", "ünï", "%2e%2e", "a&b"])
def test_a_customer_s_page_opens_whatever_the_platform_s_id_is(
    app: Flask, operator: FlaskClient, name: str
) -> None:
    with app.app_context():
        customers.upsert(db.session(), name, email=None, tier="pro", timezone=TERMS.timezone)
        db.session.commit()
    found = operator.get("/admin/search", query_string={"q": name})
    page = operator.get(found.location)
    assert page.status_code == 200
    assert "monthly allowance" in page.text
    assert operator.get(f"/admin/customers/{quote(name, safe='')}").status_code == 200


@pytest.mark.parametrize("before", ["0", "-1", "x", "9" * 30, "1"])
def test_no_ledger_page_breaks(app: Flask, operator: FlaskClient, before: str) -> None:
    with app.app_context():
        customer = make_customer(db.session())
        db.session.commit()
    assert operator.get(f"/admin/customers/{customer}?before={before}").status_code == 200


def test_a_customer_who_does_not_exist_is_404(operator: FlaskClient) -> None:
    assert operator.get("/admin/customers/nobody").status_code == 404
