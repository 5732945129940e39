"""What nobody types into an address by accident: it is answered, and leads nowhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from tests.making import make_customer

STEERING = (
    "name=x",
    "endpoint=x",
    "_scheme=javascript",
    "_scheme=javascript&_external=1",
    "_method=PUT",
    "_anchor=x",
)
"""What Flask's `url_for` would take for its own arguments."""


@pytest.fixture
def customer(app: Flask) -> str:
    """A customer that the lists have."""
    with app.app_context():
        made = make_customer(db.session, 10, customer_id="c_1", at=datetime.now(UTC) - timedelta(hours=1))
        db.session.commit()
        return made


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize("query", STEERING)
@pytest.mark.parametrize("path", ["exports/customers?q=c", "newer/admin.customers?q=c&newer=1-0"])
def test_an_address_cannot_steer_the_links_that_carry_it_on(operator: FlaskClient, path: str, query: str) -> None:
    page = operator.get(f"/admin/{path}&{query}")
    assert page.status_code == 200
    links = re.findall(r'href="([^"]*(?:\?|&amp;)q=c[^"]*)"', page.text)
    assert links
    assert all(re.match(r"/admin/(exports/)?customers(\.csv)?\?", link) for link in links)


@pytest.mark.parametrize("day", ["２０２６-11-21", "2026-11-2²", "٢٠٢٦-١١-٢١"])
def test_a_files_name_is_ascii_whatever_the_range_is_called(operator: FlaskClient, day: str) -> None:
    answer = operator.get("/admin/exports/customers.csv", query_string={"from": day}, buffered=True)
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="[a-z0-9.-]+"', answer.headers["Content-Disposition"])


@pytest.mark.parametrize(
    ("time", "zone"), [("0001-01-01T00:00", "Europe/Berlin"), ("9999-12-31T23:59", "America/New_York")]
)
def test_a_time_at_the_end_of_all_calendars_is_none(operator: FlaskClient, time: str, zone: str) -> None:
    answer = operator.get("/admin/bulk-refunds/new", query_string={"since": time, "zone": zone})
    assert answer.status_code == 200
    assert "is no time" in answer.text
