"""What every form has in common: what it cannot do without is marked before it is missing."""

from __future__ import annotations

from tests.browser.conftest import Site, Visitor
from tests.browser.sample import RICH, Sample
from tests.browser.test_operators import ADMIN, become_admin
from tests.people import add_operator

FORMS = (
    f"/admin/customers/{RICH}",
    f"/admin/adjustments/{RICH}",
    "/admin/api-keys/new",
    "/admin/bills",
    "/admin/bulk-refunds/new",
    "/admin/limits/change",
    "/admin/operators/invite",
    "/admin/policies/change",
    "/admin/prices/add",
    "/admin/prices/credits/add",
    "/admin/providers/wavespeed/switch-off",
    "/admin/revenue/rates/add",
    "/admin/revenue/rates/import",
)
MARKS = """() => [...document.querySelectorAll("#main :required")].filter(field => field.labels.length)
    .map(field => [field.id, getComputedStyle(field.labels[0], "::after").content])"""


def test_what_a_form_requires_is_marked_before_it_is_missing(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    page = visitor.open(f"/admin/generations/{account.succeeded}/refund")
    add_operator(site.app, ADMIN)
    become_admin(page, site)
    marks = dict(page.evaluate(MARKS))
    assert marks.keys() >= {"refund-credits", "refund-reason", "refund-note"}
    for path in FORMS:
        page.goto(site.url + path)
        found = dict(page.evaluate(MARKS))
        assert found, f"{path} requires nothing"
        marks |= found
    assert {name for name, mark in marks.items() if "(required)" not in mark} == set()


def test_what_a_log_in_requires_needs_no_mark(visitor: Visitor) -> None:
    page = visitor.open("/login", logged_in=False)
    assert {mark for _, mark in page.evaluate(MARKS)} == {"none"}
