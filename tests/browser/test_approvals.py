"""Refunds beyond the limits in a real browser, and the pages of admins in every look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from extensions import db
from makegood import adjustment_approvals, error_mappings, limits, policies, refund_approvals, throttles
from makegood.limits import Limits
from makegood.models import Approval, Operator
from tests.blueprints.test_throttled import use_up
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details
from tests.browser.sample import Sample
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen
from tests.people import EMAIL, add_operator, log_in

ADMIN = "admin@example.com"
CUSTOMER = "user_1001"
ADMINS_PAGES = (
    "/admin/approvals",
    "/admin/approvals/{refund}",
    "/admin/approvals/{adjustment}",
    f"/admin/customers/{CUSTOMER}",
    f"/admin/adjustments/{CUSTOMER}",
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
    page.get_by_text("A refund of 2 credits waits for a second operator.").wait_for()
    become_admin(page, site)
    page.locator("#main").get_by_role("link", name="See the request").click()
    page.get_by_role("button", name="Approve 2 credits").click()
    page.get_by_text("It was approved and done").wait_for()
    with strict.app_context():
        approval = db.session.scalars(select(Approval)).one()
        assert (approval.state, approval.decided_by) == ("approved", ADMIN)


def test_the_adjustment_forms_button_asks_as_soon_as_it_is_beyond_the_limit_of_its_direction(
    strict: Flask, visitor: Visitor, site: Site, account: Sample
) -> None:
    with strict.app_context():
        admins = replace(limits.of(db.session(), "admin"), per_adjustment=50, per_taking=1)
        wanted = {"support": limits.of(db.session(), "support"), "admin": admins}
        limits.publish(db.session(), wanted, based_on=2, note="x", actor=ADMIN)
        db.session.commit()
    page = visitor.blank()
    become_admin(page, site)
    page.goto(f"{site.url}/admin/customers/{CUSTOMER}")
    page.get_by_role("link", name="Adjust credits…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Credits", exact=True).fill("2")
    expect(dialog.get_by_text("You may give up to 50 credits alone")).to_be_visible()
    expect(dialog.get_by_role("button", name="Give 2 credits")).to_be_visible()
    dialog.get_by_label("Take credits away").check()
    expect(dialog.get_by_text("You may take up to 1 credit alone")).to_be_visible()
    expect(dialog.get_by_text("You may give up to")).to_be_hidden()
    dialog.get_by_label("Reason").select_option("correction")
    dialog.get_by_label("Note").fill("Given twice.")
    dialog.get_by_role("button", name="Ask to take 2 credits").click()
    page.get_by_text("Taking 2 credits waits for a second operator.").wait_for()


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
        adjustment = adjustment_approvals.ask(
            db.session(), CUSTOMER, 400, reason="goodwill", note="x", actor=EMAIL, idempotency_key="form",
            at=datetime.now(UTC),
        )  # fmt: skip
        db.session.commit()
        waiting = {"refund": ask(strict, account.succeeded), "adjustment": adjustment.id}
    page = visitor.blank(width=width, theme=theme)
    become_admin(page, site)
    for path in ADMINS_PAGES:
        page.goto(site.url + path.format(**waiting))
        open_details(page)
        assert accessibility_problems(page) == [], path
        assert widths_beyond_the_screen(page) == 0, path
