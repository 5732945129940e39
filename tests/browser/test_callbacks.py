"""The callbacks inbox, as people use it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import expect

from extensions import db
from makegood import ledger
from makegood.generations import get
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details, path_of
from tests.browser.sample import Sample
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen
from tests.makegood.test_inbox import deliver
from tests.people import add_operator


@pytest.fixture
def waiting(site: Site, account: Sample) -> UUID:
    """A failure of the generation in flight that could not be applied when it came."""
    with site.app.app_context():
        callback = deliver(
            db.session(),
            account.in_flight,
            attempts=3,
            detail="could not be applied yet: OperationalError",
            received_at=datetime.now(UTC) - timedelta(minutes=14),
        )
        db.session.commit()
    return callback


def balance(site: Site, account: Sample) -> int:
    with site.app.app_context():
        return ledger.balance(db.session(), get(db.session(), account.in_flight).customer_id)


@pytest.mark.parametrize(("width", "theme"), [*LOOKS, ("phone", "light"), ("desktop", "dark")])
@pytest.mark.parametrize("path", ["", "?state=rejected", "?generation=nothing", "/{waiting}"])
def test_a_page_is_accessible_and_fits_its_screen(
    visitor: Visitor, waiting: UUID, path: str, width: str, theme: str
) -> None:
    page = visitor.open("/admin/callbacks" + path.format(waiting=waiting), width=width, theme=theme)
    open_details(page)
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_a_delivery_that_waits_is_found_and_applied_again(
    visitor: Visitor, site: Site, account: Sample, waiting: UUID, width: str
) -> None:
    before = balance(site, account)
    page = visitor.open("/admin/", width=width)
    page.get_by_role("link", name="1 delivery").press("Enter")
    page.wait_for_url("**/admin/callbacks?state=waiting")
    page.locator(f"#callback-{waiting} .lead-link").press("Enter")
    page.get_by_role("button", name="Apply again").press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("Applied: it ended the generation as failed.")
    assert path_of(page) == f"/admin/callbacks/{waiting}"
    expect(page.get_by_role("button", name="Apply again")).to_have_count(0)
    with site.app.app_context():
        charged = get(db.session(), account.in_flight).credits_charged
    assert balance(site, account) == before + charged


@pytest.mark.parametrize("database", ["empty"], indirect=True)
def test_an_empty_inbox_and_an_account_without_use_have_their_own_words(visitor: Visitor, site: Site) -> None:
    add_operator(site.app)
    page = visitor.open("/admin/callbacks", width="phone")
    assert page.get_by_role("heading", name="No provider has called back yet").is_visible()
    assert accessibility_problems(page) == []
    page.goto(site.url + "/admin/providers")
    assert page.get_by_role("heading", name="Not configured and never used").is_visible()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0
