"""The search page and what the palette is proposed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from blueprints.admin import places_found, search
from extensions import db
from makegood import finding, notes, permissions, throttles
from makegood.models import CreditTransaction, Grant
from makegood.models import Price as PriceRow
from tests.making import make_customer, make_generation
from tests.people import add_operator, log_in


@pytest.fixture
def known(app: Flask) -> dict[str, str]:
    """Ids that an operator may have at hand, by what they are of."""
    with app.app_context():
        at = datetime.now(UTC) - timedelta(hours=1)
        for name in ("a/1", "a/10"):
            make_customer(db.session, 20, customer_id=name, at=at)
        generation_id = make_generation(db.session, "a/1", status="failed", job="job-7", at=at)
        note = notes.add(db.session, "a/1", "hello", actor="ana", idempotency_key="k")
        entry = db.session.scalars(select(CreditTransaction.id).where(CreditTransaction.kind == "refund")).one()
        grant = db.session.scalars(select(Grant.id).where(Grant.customer_id == "a/10")).first()
        price = db.session.scalars(select(PriceRow.id)).first()
        db.session.commit()
        return {
            "generation": str(generation_id),
            "job": "job-7",
            "customer": "a/1",
            "ledger": str(entry),
            "note": str(note.id),
            "grant": str(grant),
            "price": str(price),
        }


def test_every_id_leads_to_the_place_on_its_page(operator: FlaskClient, known: dict[str, str]) -> None:
    for kind, wanted in known.items():
        response = operator.get("/admin/search", query_string={"q": f" {wanted} "})
        assert response.status_code == 303, kind
        path, _, anchor = response.headers["Location"].partition("#")
        page = operator.get(path)
        assert page.status_code == 200, kind
        assert not anchor or f'id="{anchor}"' in page.text, (kind, anchor)


def leads(page: str) -> list[str]:
    """The addresses of what the search page lists."""
    return [unescape(one) for one in re.findall(r'class="lead-link" href="([^"]+)"', page)]


def test_several_hits_are_listed(operator: FlaskClient, known: dict[str, str]) -> None:
    page = operator.get("/admin/search?q=a/").text
    assert leads(page) == ["/admin/customers/a/1", "/admin/customers/a/10"]


def test_places_are_listed_beside_what_has_such_an_id_and_count_as_none_of_it(
    app: Flask, operator: FlaskClient
) -> None:
    listed = operator.get("/admin/search?q=re").text
    assert len(leads(listed)) > finding.LISTED
    assert "The first 20 are listed" not in listed
    with app.app_context():
        for number in range(finding.LISTED + 1):
            make_customer(db.session, 20, customer_id=f"re_{number:02}")
        db.session.commit()
    listed = operator.get("/admin/search?q=re").text
    assert [one for one in leads(listed) if "/re_" in one] == [f"/admin/customers/re_{n:02}" for n in range(20)]
    assert "The first 20 are listed" in listed


def test_a_search_asks_for_an_exact_id_once(
    operator: FlaskClient, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    exact = finding.exact
    monkeypatch.setattr(finding, "exact", lambda *given, **named: asked.append(given[1]) or exact(*given, **named))
    operator.get("/admin/search?q=a/")
    assert asked == ["a/"]


def test_the_palette_is_proposed_pages_as_json(operator: FlaskClient, known: dict[str, str]) -> None:
    hits = operator.get("/admin/search/suggest?q=a/1").get_json()["hits"]
    assert [(hit["kind"], hit["title"]) for hit in hits] == [("customer", "a/1"), ("customer", "a/10")]
    assert operator.get(hits[0]["url"]).status_code == 200
    for nothing in ("", "a", "zzz", "\0"):
        assert operator.get("/admin/search/suggest", query_string={"q": nothing}).get_json() == {"hits": []}


QUESTIONS = {
    "unknown": "/admin/policies/errors",
    "adjust": "/admin/customers",
    "give credits": "/admin/customers",
    "who owes": "/admin/customers?balance=owes",
    "debt": "/admin/customers?balance=owes",
    "dispute": "/admin/purchases",
    "Chargebacks": "/admin/purchases",
    "failure rate": "/admin/monitoring/failures",
    "webhook": "/admin/callbacks",
    "key": "/admin/api-keys",
    "2FA": "/admin/account/second-factor",
    "password": "/admin/account#password-title",
    "take back": "/admin/refunds",
    "outage": "/admin/bulk-refunds/new",
    "churn": "/admin/subscriptions",
    "invoice": "/admin/bills",
    "add a colleague": "/admin/operators/invite",
    "which customer owes us money?": "/admin/customers?balance=owes",
    "refund waiting": "/admin/approvals?state=pending",
}


def test_pages_and_what_is_done_on_them_are_found_by_other_words(operator: FlaskClient) -> None:
    for question, address in QUESTIONS.items():
        hits = operator.get("/admin/search/suggest", query_string={"q": question}).get_json()["hits"]
        assert address in [hit["url"] for hit in hits], question
        response = operator.get("/admin/search", query_string={"q": question})
        assert address in [response.headers.get("Location"), *leads(response.text)], question


def test_a_name_goes_before_other_words_and_an_exact_id_before_both(
    app: Flask, operator: FlaskClient, known: dict[str, str]
) -> None:
    hits = operator.get("/admin/search/suggest?q=refund+policy").get_json()["hits"]
    assert [hit["title"] for hit in hits] == ["Refund policy", "Change the refund policy"]
    hits = operator.get("/admin/search/suggest?q=refund").get_json()["hits"]
    assert hits[0]["title"] == "Refunds"
    for beginning_of_an_id in ("c_", "p@", "a.b c.d"):
        assert operator.get("/admin/search/suggest", query_string={"q": beginning_of_an_id}).get_json() == {
            "hits": []
        }
    with app.app_context():
        make_customer(db.session, 20, customer_id="refunds")
        db.session.commit()
    assert operator.get("/admin/search?q=refunds").headers["Location"] == "/admin/customers/refunds"


@pytest.mark.parametrize("role", ["viewer", "support", "admin"])
def test_every_place_is_proposed_by_its_name_to_whoever_may_open_it_and_to_nobody_else(
    app: Flask, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PROPOSED", len(places_found.EVERY))
    monkeypatch.setattr(throttles, "count", lambda *_, **__: None)
    add_operator(app, f"{role}@example.com", role=role)
    browser = app.test_client()
    log_in(browser, f"{role}@example.com")
    for entry in places_found.EVERY:
        with app.test_request_context():
            address = entry.address
        hits = browser.get("/admin/search/suggest", query_string={"q": entry.label}).get_json()["hits"]
        proposed = (entry.label, address) in [(hit["title"], hit["url"]) for hit in hits]
        response = browser.get(address.partition("#")[0])
        opens = response.status_code == 200 or "/admin/confirm" in response.headers.get("Location", "")
        may = opens and entry.endpoint != "admin.notifications" and entry.action in permissions.PERMISSIONS[role]
        assert proposed == may, entry.label


def test_a_stranger_is_proposed_nothing(client: FlaskClient) -> None:
    response = client.get("/admin/search/suggest?q=a/1")
    assert response.status_code == 303
    assert "/login" in response.headers["Location"]
