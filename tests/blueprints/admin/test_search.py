"""The search page and what the palette is proposed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import notes
from makegood.models import CreditTransaction, Grant
from makegood.models import Price as PriceRow
from tests.making import make_customer, make_generation


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


def test_several_hits_are_listed(operator: FlaskClient, known: dict[str, str]) -> None:
    page = operator.get("/admin/search?q=a/").text
    assert re.findall(r'class="lead-link" href="([^"]+)"', page) == [
        "/admin/customers/a/1",
        "/admin/customers/a/10",
    ]


def test_the_palette_is_proposed_pages_as_json(operator: FlaskClient, known: dict[str, str]) -> None:
    hits = operator.get("/admin/search/suggest?q=a/1").get_json()["hits"]
    assert [(hit["kind"], hit["title"]) for hit in hits] == [("customer", "a/1"), ("customer", "a/10")]
    assert operator.get(hits[0]["url"]).status_code == 200
    for nothing in ("", "a", "zzz", "\0"):
        assert operator.get("/admin/search/suggest", query_string={"q": nothing}).get_json() == {"hits": []}


def test_a_stranger_is_proposed_nothing(client: FlaskClient) -> None:
    response = client.get("/admin/search/suggest?q=a/1")
    assert response.status_code == 303
    assert "/login" in response.headers["Location"]
