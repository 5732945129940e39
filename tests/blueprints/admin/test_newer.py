"""A list says how many rows it has got since it was shown, and does not move."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blueprints.admin import filters, newer
from extensions import db
from tests.making import make_customer, make_generation
from tests.people import add_operator, log_in

START = datetime.now(UTC) - timedelta(hours=1)
LISTS = ("generations", "failures", "refunds", "customers")


def fail(app: Flask, number: int) -> None:
    """A new customer with a generation that failed and was refunded."""
    with app.app_context():
        at = START + timedelta(minutes=number)
        customer = make_customer(db.session, 10, customer_id=f"c/{number}", at=at)
        make_generation(db.session, customer, status="failed", at=at)
        db.session.commit()


def asking(page: str) -> str | None:
    """The address that the list asks at."""
    found = re.search(r'data-newer hx-get="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else None


@pytest.mark.parametrize("name", LISTS)
def test_a_list_counts_what_came_since_with_its_filters(app: Flask, operator: FlaskClient, name: str) -> None:
    fail(app, 0)
    address = asking(operator.get(f"/admin/{name}?range=7d").text)
    assert address
    assert operator.get(address).status_code == 204
    fail(app, 1)
    fail(app, 2)
    answer = operator.get(address)
    assert "2 newer rows – show" in answer.text
    assert f'href="/admin/{name}?range=7d"' in answer.text
    long_ago = "from=2020-01-01&to=2020-01-02"
    assert operator.get(address.replace("range=7d", long_ago)).status_code == 204


@pytest.mark.parametrize(
    "query",
    ["?to=2020-01-01", "?older=1-00000000000000000000000000000000", "?newer=1-00000000000000000000000000000000"],
)
def test_a_list_that_cannot_get_rows_at_its_head_does_not_ask(
    app: Flask, operator: FlaskClient, query: str
) -> None:
    fail(app, 0)
    assert asking(operator.get(f"/admin/generations{query}").text) is None


def test_many_rows_are_not_counted_one_by_one(
    app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newer, "MOST", 1)
    fail(app, 0)
    address = asking(operator.get("/admin/failures").text)
    assert address
    for number in (1, 2, 3):
        fail(app, number)
    assert "More than 1 newer rows" in operator.get(address).text


def test_only_lists_are_asked_and_only_by_who_may_see_them(app: Flask, operator: FlaskClient) -> None:
    assert operator.get("/admin/newer/admin.dashboard").status_code == 404
    assert operator.get("/admin/newer/auth.login").status_code == 404
    fail(app, 0)
    add_operator(app, "vera@example.com", role="viewer")
    viewer = app.test_client()
    log_in(viewer, "vera@example.com")
    assert viewer.get("/admin/newer/admin.failures").status_code == 200
    assert app.test_client().get("/admin/newer/admin.failures").status_code == 303


def test_asking_is_no_activity(app: Flask) -> None:
    assert app.view_functions["admin.newer_rows"].is_poll  # type: ignore[attr-defined]


def test_a_page_has_as_many_rows_as_the_operator_wants(app: Flask, operator: FlaskClient) -> None:
    with app.test_request_context(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "current_user", type("Wants", (), {"page_size": 25}))
        assert filters.page_size() == 25
