"""Saved views of a page: named filters, one of them the default."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from makegood import saved_views
from makegood.models import Operator, SavedView
from tests.people import add_operator, form_token, log_in

LIST = "/admin/failures"
FILTERS = "error=timeout&provider=wavespeed"


def save(client: FlaskClient, name: str, query: str, **more: str) -> str:
    """Save a view of the failure log. Returns where that leads."""
    form = {"csrf_token": form_token(client, LIST), "page": "admin.failures", "query": query, "name": name}
    return client.post("/admin/views", data=form | more).location


def views(client: FlaskClient, address: str = LIST) -> list[str]:
    """The views that the page offers."""
    panel = re.search(r'class="views-panel">(.*?)</details>', client.get(address).text, re.S)
    assert panel
    return re.findall(r'<a href="[^"]*"[^>]*>([^<]+)</a>', panel[1])


def test_a_view_keeps_the_filters_but_not_the_place_in_the_list(operator: FlaskClient) -> None:
    location = save(operator, "  Slow \n ones ", "provider=wavespeed&older=1-2&error=timeout&customer=")
    assert location == f"{LIST}?{FILTERS}"
    page = operator.get(location).text
    assert views(operator) == ["Slow ones"]
    assert "These filters are saved as “Slow ones”." in page
    assert f'<a href="{LIST}?error=timeout&amp;provider=wavespeed" aria-current="true">Slow ones</a>' in page


def test_a_view_of_the_same_name_is_replaced(operator: FlaskClient) -> None:
    save(operator, "Mine", FILTERS)
    save(operator, "Mine", "late=succeeded")
    assert views(operator) == ["Mine"]
    assert "These filters are saved" in operator.get(f"{LIST}?late=succeeded").text


def test_the_navigation_opens_a_page_with_its_default_view_and_there_is_one(
    app: Flask, operator: FlaskClient
) -> None:
    def leads_to() -> list[str]:
        return re.findall(rf'<a href="({LIST}[^"]*)"[^>]*data-go', operator.get("/admin/refunds").text)

    assert leads_to() == [LIST]
    save(operator, "Mine", FILTERS, is_default="yes")
    assert leads_to() == [f"{LIST}?error=timeout&amp;provider=wavespeed"]
    save(operator, "Late", "late=succeeded", is_default="yes")
    assert leads_to() == [f"{LIST}?late=succeeded"]
    with app.app_context():
        late = db.session.query(SavedView).filter_by(name="Late").one().id
    form = {"csrf_token": form_token(operator, LIST), "is_default": "no"}
    assert operator.post(f"/admin/views/{late}/default", data=form).location == LIST
    assert leads_to() == [LIST]


def test_a_view_is_its_operator_s_own(app: Flask, operator: FlaskClient) -> None:
    save(operator, "Mine", FILTERS)
    add_operator(app, "vera@example.com", role="viewer")
    other = app.test_client()
    log_in(other, "vera@example.com")
    assert views(other) == []
    with app.app_context():
        view_id = db.session.query(SavedView).one().id
    form = {"csrf_token": form_token(other, LIST)}
    assert other.post(f"/admin/views/{view_id}/delete", data=form).status_code == 404
    assert other.post(f"/admin/views/{view_id}/default", data=form | {"is_default": "yes"}).status_code == 404
    form = {"csrf_token": form_token(operator, LIST)}
    assert operator.post(f"/admin/views/{view_id}/delete", data=form).status_code == 303
    assert views(operator) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
def test_a_name_that_is_none_is_said_so_and_the_filters_stay(operator: FlaskClient, name: str) -> None:
    location = save(operator, name, FILTERS)
    assert location == f"{LIST}?{FILTERS}"
    assert "Nothing was saved" in operator.get(location).text
    assert views(operator) == []


@pytest.mark.parametrize("page", ["admin.generation", "auth.login", "static", "admin.save_view", "nonsense", ""])
def test_only_pages_of_the_console_have_views(operator: FlaskClient, page: str) -> None:
    form = {"csrf_token": form_token(operator, LIST), "page": page, "query": "", "name": "x"}
    assert operator.post("/admin/views", data=form).status_code == 404


def test_there_are_not_more_views_than_a_menu_can_hold(
    app: Flask, operator: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_views, "MOST", 2)
    for name in ("one", "two", "three", "two"):
        save(operator, name, FILTERS)
    assert views(operator) == ["one", "two"]
    with app.app_context():
        assert db.session.query(Operator).count() == 1
