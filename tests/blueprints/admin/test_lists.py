"""The failure log and the refund history: their filters live in the URL."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from blueprints.admin import filters
from extensions import db
from makegood import refunds, reversals, rollups
from makegood.models import Refund
from tests.making import TERMS, make_customer, make_generation

LISTS = ("/admin/failures", "/admin/refunds")


@pytest.fixture
def failures(app: Flask) -> tuple[str, str]:
    """Two customers, with five failures of today and one of ten days ago."""
    with app.app_context():
        now = datetime.now(UTC)
        one = make_customer(db.session(), at=now - timedelta(days=20))
        two = make_customer(db.session(), at=now - timedelta(days=20))
        for _ in range(5):
            make_generation(db.session(), one, status="failed", at=now)
        make_generation(db.session(), two, status="failed", at=now - timedelta(days=10))
        db.session.commit()
    return one, two


def rows(html: str) -> int:
    return html.count('<tr class="leads"')


@pytest.mark.parametrize("path", LISTS)
def test_filters_in_the_url_narrow_the_list_and_stand_as_chips(
    operator: FlaskClient, failures: tuple[str, str], path: str
) -> None:
    _, two = failures
    today = datetime.now(UTC).date()
    assert rows(operator.get(path).text) == 6
    page = operator.get(path, query_string={"customer": two, "provider": "wavespeed"}).text
    assert rows(page) == 1
    assert f"Customer: {two}" in page
    assert f'href="{path}?provider=wavespeed"' in page
    assert rows(operator.get(path, query_string={"from": today}).text) == 5
    until = operator.get(path, query_string={"to": today - timedelta(days=1)}).text
    assert rows(until) == 1
    assert f'value="{today - timedelta(days=1)}"' in until


def test_refunds_are_summed_as_the_filters_say(
    app: Flask, operator: FlaskClient, failures: tuple[str, str]
) -> None:
    one, two = failures

    def total(**query: str) -> str:
        page = operator.get("/admin/refunds", query_string=query).text
        found = re.search(r'<p class="block quiet summed">(.*?)</p>', page, re.DOTALL)
        return re.sub(r"<[^>]+>", "", found[1]) if found else ""

    with app.app_context():
        given = make_generation(db.session(), two, status="succeeded", credits=4, at=datetime.now(UTC))
        kept = refunds.issue_manual(
            db.session(), given, TERMS, credits=3, expected_refunded=0, reason="other", note="x", actor="ana",
            idempotency_key="1",
        )  # fmt: skip
        db.session.commit()
        refund_id = kept.id
        credits = db.session.scalar(select(Refund.credits).where(Refund.customer_id == one).limit(1)) or 0
    assert total() == f"{6 * credits + 3} credits returned by 7 refunds; reversed ones are not counted"
    assert total(range="today").startswith(f"{5 * credits + 3} credits returned by 6 refunds")
    assert total(customer=two).startswith(f"{credits + 3} credits returned by 2 refunds")
    with app.app_context():
        reversals.reverse(db.session(), refund_id, TERMS, note="x", actor="ana", idempotency_key="2")
        rollups.fold(db.session(), TERMS.timezone)
        db.session.commit()
    assert total(reversed="no") == f"{6 * credits} credits returned by 6 refunds"
    assert total(customer=two).startswith(f"{credits} credits returned by 1 refund")
    assert total(reversed="yes") == "3 credits of 1 refund that was reversed"


@pytest.mark.parametrize("path", LISTS)
def test_an_inverted_range_is_corrected_and_said_so(
    operator: FlaskClient, failures: tuple[str, str], path: str
) -> None:
    today = datetime.now(UTC).date()
    page = operator.get(path, query_string={"from": today, "to": today - timedelta(days=30)}).text
    assert rows(page) == 6
    assert "its ends were exchanged" in page


@pytest.mark.parametrize("path", ["/admin/", "/admin/providers", "/admin/providers/wavespeed"])
def test_so_it_is_on_a_page_of_figures(operator: FlaskClient, path: str) -> None:
    assert "its ends were exchanged" in operator.get(path + "?from=2026-11-09&to=2026-11-03").text


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=0001-01-01",
        "to=9999-12-31",
        "from=20261-1-1",
        "older=x&newer=y",
        "customer=%00",
        "customer=" + "x" * 500,
        "provider=%F0%9F%98%80&reason=<b>&error=<b>",
        "from=%FF",
        "older=99999999999999999-" + "f" * 32,
    ],
)
def test_no_query_breaks_a_list(operator: FlaskClient, path: str, query: str) -> None:
    response = operator.get(f"{path}?{query}")
    assert response.status_code == 200
    assert "<b>" not in response.text


def test_a_date_that_is_none_is_left_out_and_said_so(operator: FlaskClient) -> None:
    page = operator.get("/admin/failures?from=yesterday").text
    assert "“yesterday” is no date" in page
    assert "No generation has failed yet" in page


def test_an_empty_list_says_whether_filters_hide_something(operator: FlaskClient) -> None:
    assert "No refund yet" in operator.get("/admin/refunds").text
    page = operator.get("/admin/refunds?reason=goodwill").text
    assert "Nothing matches these filters" in page
    assert "Reason: Goodwill" in page


@pytest.mark.parametrize("path", LISTS)
def test_pages_keep_the_filters(
    operator: FlaskClient, failures: tuple[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "page_size", lambda: 2)
    address = f"{path}?provider=wavespeed"
    seen = 0
    for _ in range(5):
        page = operator.get(address).text
        seen += rows(page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        if older is None:
            break
        address = older[1].replace("&amp;", "&")
        assert "provider=wavespeed" in address
    assert seen == 6
    assert 'rel="prev"' in page
