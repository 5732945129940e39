"""The navigation: what a role may open, where the page is, and what waits."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blueprints.admin import navigation
from tests.people import add_operator, log_in


def entries(page: str) -> dict[str, str]:
    """Labels of the navigation with their aria-current, or ""."""
    inside = page[page.index('id="mainnav"') : page.index("</nav>")]
    links = re.findall(r'<a href="[^"]+"( aria-current="\w+")?.*?<span class="nav-label">([^<]+)<', inside)
    return {label: current.strip() for current, label in links}


def browser_of(app: Flask, role: str) -> FlaskClient:
    add_operator(app, f"{role}@example.com", role=role)
    browser = app.test_client()
    log_in(browser, f"{role}@example.com")
    return browser


def test_every_entry_leads_to_a_page_that_an_admin_can_open(operator: FlaskClient) -> None:
    named = {entry.label for _, group in navigation.GROUPS for entry in group} - {"Notifications"}
    page = operator.get("/admin/").text
    assert set(entries(page)) == named
    for address in re.findall(r'<li><a href="([^"]+)"', page[: page.index("</nav>")]):
        assert operator.get(address).status_code == 200, address


def test_a_viewer_is_not_shown_what_is_not_theirs(app: Flask) -> None:
    shown = entries(browser_of(app, "viewer").get("/admin/").text)
    assert {"Overview", "Generations", "Refunds"} <= set(shown)
    assert shown.keys().isdisjoint({"Operators", "API keys", "Audit log", "Settings"})


def test_a_page_below_an_entry_marks_the_entry_and_only_that(operator: FlaskClient) -> None:
    assert {
        label: current for label, current in entries(operator.get("/admin/refunds").text).items() if current
    } == {"Refunds": 'aria-current="page"'}
    below = entries(operator.get("/admin/bulk-refunds/new").text)
    assert {label: current for label, current in below.items() if current} == {
        "Bulk refunds": 'aria-current="true"'
    }


def test_the_keys_after_g_are_each_used_once() -> None:
    keys = [entry.key for _, group in navigation.GROUPS for entry in group if entry.key]
    assert len(keys) == len(set(keys))


def test_what_waits_is_counted_beside_its_entry(operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(navigation._badges, "admin.refunds", lambda: 1234)
    assert re.search(r'Refunds</span><span class="count">1,234<', operator.get("/admin/").text)
