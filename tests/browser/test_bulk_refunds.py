"""Bulk refunds and reversals in a browser: looked at, confirmed by keyboard, watched, stopped, taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select, update

import tasks.generations
from extensions import db
from makegood import bulk_refunds, ledger
from makegood.models import BulkRefund, Operator, Refund
from makegood.terms import Terms
from tests.browser.conftest import Site, Visitor, accessibility_problems, path_of
from tests.browser.sample import RICH, Sample
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen

NEW = "/admin/bulk-refunds/new?provider=wavespeed&status=succeeded&range=7d"


@pytest.fixture(autouse=True)
def admin(site: Site) -> None:
    """The operator may refund in bulk."""
    with site.app.app_context():
        db.session.execute(update(Operator).values(role="admin"))
        db.session.commit()


@pytest.fixture
def bulk(site: Site) -> BulkRefund:
    """One that has refunded two generations of several, and is stopped."""
    now = datetime.now(UTC)
    with site.app.app_context():
        scope = bulk_refunds.Scope("wavespeed", now - timedelta(days=9), now, status="succeeded")
        seen = bulk_refunds.preview(db.session(), scope)
        made = bulk_refunds.start(
            db.session(), scope, Terms(), fingerprint=seen.fingerprint, count=seen.generations, reason="outage",
            note="Pictures were black.", actor="ana@example.com", idempotency_key="k",
        )  # fmt: skip
        db.session.commit()
        for _ in range(2):
            bulk_refunds.work(db.session(), Terms())
            db.session.commit()
        bulk_refunds.stop(db.session(), made.id, actor="ana@example.com")
        db.session.commit()
        return bulk_refunds.get(db.session(), made.id)


def bulk_refunds_made(site: Site) -> int:
    with site.app.app_context():
        return db.session.scalar(select(func.count()).select_from(Refund).where(Refund.origin == "bulk")) or 0


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_are_accessible_and_fit_their_screens(
    visitor: Visitor, site: Site, bulk: BulkRefund, width: str, theme: str
) -> None:
    with site.app.app_context():
        refund = db.session.scalars(select(Refund.id).where(Refund.origin == "bulk").limit(1)).one()
    page = visitor.open("/admin/bulk-refunds", width=width, theme=theme)
    for path in (NEW, f"/admin/bulk-refunds/{bulk.id}", f"/admin/refunds/{refund}/reverse", "/admin/bulk-refunds"):
        page.goto(site.url + path)
        assert accessibility_problems(page) == [], path
        assert widths_beyond_the_screen(page) == 0, path


def test_an_incident_is_refunded_by_keyboard_and_its_progress_seen(visitor: Visitor, site: Site) -> None:
    page = visitor.open(NEW)
    count = page.locator("#bulk-figures dd").first.inner_text()
    page.get_by_label("Note").focus()
    page.keyboard.type("Pictures were black.")
    page.keyboard.press("Tab")
    page.keyboard.type(str(int(count) + 1))
    visitor.expect("422")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No credits moved")
    expect(page.get_by_label("Note")).to_have_value("Pictures were black.")
    page.get_by_label(f"Type {count} to confirm").fill(count)
    page.keyboard.press("Enter")
    expect(page.locator("#bulk-progress")).to_contain_text("Running")
    assert bulk_refunds_made(site) == 0
    with site.app.app_context():
        tasks.generations.refund_in_bulk(site.app)
    expect(page.locator("#bulk-progress")).to_contain_text("Finished")
    expect(page.locator("#bulk-progress")).to_contain_text(f"{count} of {count} generations done")
    assert bulk_refunds_made(site) == int(count)
    expect(page.locator("tr .tag-ok").first).to_have_text("Refunded")


def test_it_is_stopped_and_goes_on_without_javascript(visitor: Visitor, site: Site, bulk: BulkRefund) -> None:
    page = visitor.open(f"/admin/bulk-refunds/{bulk.id}", javascript=False)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#bulk-progress")).to_contain_text("Stopped by ana@example.com")
    assert bulk_refunds_made(site) == 2


def test_a_refund_is_reversed_in_a_dialog(visitor: Visitor, site: Site, account: Sample) -> None:
    def balance() -> int:
        with site.app.app_context():
            return ledger.balance(db.session(), RICH)

    before = balance()
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    page.get_by_role("link", name="Refund…").click()
    page.get_by_label("Credits", exact=True).fill("3")
    page.get_by_label("Reason").select_option("bad_result")
    page.get_by_label("Note").fill("Six fingers.")
    page.get_by_role("button", name="Refund 3 credits").click()
    page.get_by_role("link", name="Reverse this refund…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{before + 3:,}")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()  # it cannot be undone
    page.get_by_label("Why").fill("The picture was fine.")
    assert accessibility_problems(page) == []
    dialog.get_by_role("button", name="Reverse 3 credits").click()
    expect(page.get_by_role("heading", name="Refund of 3 credits reversed")).to_be_visible()
    assert balance() == before
    assert path_of(page) == f"/admin/generations/{account.succeeded}"
