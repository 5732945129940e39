"""Refunds beyond the limits in a real browser, and the pages of admins in every look."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from extensions import db
from makegood import error_mappings, limits, policies, refund_approvals, throttles
from makegood.limits import Limits
from makegood.models import Approval, Operator
from tests.blueprints.test_throttled import use_up
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details
from tests.browser.sample import Sample
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen
from tests.people import EMAIL, add_operator, log_in

ADMIN = "admin@example.com"
ADMINS_PAGES = (
    "/admin/approvals",
    "/admin/approvals/{waiting}",
    "/admin/approvals?state=rejected",
    "/admin/policies",
    "/admin/policies/change",
    "/admin/policies/errors",
    "/admin/limits",
    "/admin/limits/change",
    "/admin/audit",
    "/admin/audit?actor=nobody",
    "/admin/settings",
)


@pytest.fixture
def strict(app: Flask) -> Flask:
    """Support may refund one credit alone; there is an admin."""
    add_operator(app, ADMIN)
    with app.app_context():
        wanted = {"support": Limits(1, 10, 0, None), "admin": limits.of(db.session(), "admin")}
        limits.publish(db.session(), wanted, based_on=1, note="For the tests", actor=ADMIN)
        db.session.commit()
    return app


def become_admin(page: Page, site: Site) -> None:
    """The same browser, with the admin's session."""
    client = site.app.test_client()
    log_in(client, ADMIN)
    cookie = client.get_cookie("makegood_session")
    assert cookie is not None
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site.url}])


def ask(app: Flask, generation: UUID) -> UUID:
    """A request for 2 credits that waits."""
    with app.app_context():
        asked = refund_approvals.ask(
            db.session(), generation, credits=2, reason="goodwill", note="They waited for hours.", actor=EMAIL,
            idempotency_key="form", expected_refunded=0, at=datetime.now(UTC),
        )  # fmt: skip
        db.session.commit()
        return asked.id


def test_beyond_the_limit_the_same_button_asks_and_an_admin_approves(
    strict: Flask, visitor: Visitor, site: Site, account: Sample
) -> None:
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    page.get_by_role("link", name="Refund…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("You may refund up to 1 credit alone")).to_be_visible()
    dialog.get_by_label("Credits", exact=True).fill("1")
    dialog.get_by_role("button", name="Refund 1 credit", exact=True).wait_for()
    dialog.get_by_label("Credits", exact=True).fill("2")
    dialog.get_by_label("Reason").select_option("bad_result")
    dialog.get_by_label("Note").fill("The hands have six fingers.")
    dialog.get_by_role("button", name="Ask for approval of 2 credits").click()
    page.get_by_text("A refund of 2 credits waits for approval.").wait_for()
    become_admin(page, site)
    page.locator("#main").get_by_role("link", name="See the request").click()
    page.get_by_role("button", name="Approve 2 credits").click()
    page.get_by_text("It was approved and done").wait_for()
    with strict.app_context():
        approval = db.session.scalars(select(Approval)).one()
        assert (approval.state, approval.decided_by) == ("approved", ADMIN)


def test_a_throttled_refund_says_so_in_the_dialog(app: Flask, visitor: Visitor, account: Sample) -> None:
    visitor.expect("429")
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    with app.app_context():
        who = db.session.scalar(select(Operator.id).where(Operator.email == EMAIL))
    use_up(app, throttles.REFUNDS, who)
    page.get_by_role("link", name="Refund…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").select_option("goodwill")
    dialog.get_by_label("Note").fill("Sorry.")
    dialog.get_by_role("button", name="Refund 4 credits").click()
    expect(dialog.get_by_text("Too many refunds. Try again in")).to_be_visible()
    assert dialog.get_by_label("Note").input_value() == "Sorry."


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_of_admins_are_accessible_and_fit_their_screen(
    strict: Flask, visitor: Visitor, site: Site, account: Sample, width: str, theme: str
) -> None:
    with strict.app_context():
        shares = dict.fromkeys(policies.CLASSES, 100)
        policies.publish(db.session(), shares, based_on=1, note="Cancelled ones too.", actor=ADMIN)
        error_mappings.change(db.session(), "wavespeed", "core 7 broke", "timeout", before=None, actor=ADMIN)
        db.session.commit()
    waiting = ask(strict, account.succeeded)
    page = visitor.blank(width=width, theme=theme)
    become_admin(page, site)
    for path in ADMINS_PAGES:
        page.goto(site.url + path.format(waiting=waiting))
        open_details(page)
        assert accessibility_problems(page) == [], path
        assert widths_beyond_the_screen(page) == 0, path
