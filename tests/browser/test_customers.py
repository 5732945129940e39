"""A customer's page, saved views and newer rows, as an operator meets them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from extensions import db
from makegood import ledger
from makegood.models import Customer, Operator
from tests.browser.conftest import Site, Visitor, accessibility_problems
from tests.browser.sample import RICH, Sample
from tests.browser.test_pages import widths_beyond_the_screen
from tests.making import make_customer

CUSTOMER = f"/admin/customers/{RICH}"


def balance(site: Site) -> int:
    with site.app.app_context():
        return ledger.balance(db.session, RICH)


def become_admin(site: Site) -> None:
    """The visitor, who is of support, may adjust credits from now on."""
    with site.app.app_context():
        db.session.execute(update(Operator).values(role="admin"))
        db.session.commit()


def fill_adjustment(page: Page, credits: int) -> None:
    page.get_by_role("dialog").get_by_label("Credits", exact=True).fill(str(credits))
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_role("textbox", name="Note").fill("They waited an hour.")


def test_a_customer_s_trouble_is_found_made_good_and_noted(visitor: Visitor, site: Site, account: Sample) -> None:
    before = balance(site)
    page = visitor.open("/admin/customers")
    page.get_by_label("Begins with").fill("USER_1001@")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name=RICH, exact=True).click()
    page.get_by_role("link", name="Refund…").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").select_option("bad_result")
    dialog.get_by_role("textbox", name="Note").fill("Blurred.")
    dialog.get_by_role("button", name="Refund").click()
    expect(page).to_have_url(site.url + CUSTOMER)
    expect(page.get_by_text(f"Refunded 4 credits to {RICH}.")).to_be_visible()
    assert balance(site) == before + 4
    page.get_by_label("What happened").fill("Made good the blurred picture.")
    page.get_by_role("button", name="Save the note").click()
    expect(page.locator("#notes")).to_contain_text("Made good the blurred picture.")
    expect(page.locator("#refunds-title")).to_be_visible()


def test_an_adjustment_says_what_it_will_do_and_never_takes_more_than_there_is(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    visitor.expect("409")
    become_admin(site)
    had = balance(site)
    page = visitor.open(CUSTOMER)
    page.get_by_role("link", name="Adjust credits…").click()
    dialog = page.get_by_role("dialog")
    fill_adjustment(page, 10)
    expect(dialog.locator("[data-after]")).to_have_text(f"{had + 10:,}")
    expect(dialog.get_by_role("button", name="Give 10 credits")).to_be_visible()
    dialog.get_by_label("Take credits away").check()
    expect(dialog.get_by_role("button", name="Take 10 credits")).to_be_visible()
    assert accessibility_problems(page) == []
    dialog.get_by_label("Credits", exact=True).fill(str(had + 1))
    expect(dialog.locator("[data-after]")).to_have_text(f"only {had:,} to take")
    dialog.get_by_role("button", name="Adjust").click()
    expect(dialog.get_by_role("alert").first).to_contain_text("No credits moved")
    assert dialog.get_by_label("Note").input_value() == "They waited an hour."
    assert balance(site) == had
    dialog.get_by_label("Credits", exact=True).fill(str(had))
    dialog.get_by_role("button", name="Take").click()
    expect(page.get_by_text(f"Took {had:,} credits from {RICH}.")).to_be_visible()
    assert balance(site) == 0


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_the_first_key_in_a_dialog_that_moves_credits_moves_none(visitor: Visitor, site: Site, width: str) -> None:
    become_admin(site)
    had = balance(site)
    page = visitor.open(CUSTOMER, width=width)
    dialog = page.get_by_role("dialog")
    for name in ("Refund…", "Adjust credits…"):
        opener = page.get_by_role("link", name=name).first
        opener.press("Enter")
        cancel = dialog.get_by_role("link", name="Cancel")
        expect(cancel).to_be_focused()
        for part in (cancel, dialog.get_by_role("heading").first):
            expect(part).to_be_in_viewport(ratio=1)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()
        assert balance(site) == had


def test_without_javascript_credits_are_adjusted_and_notes_written_all_the_same(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    visitor.expect("422")
    become_admin(site)
    had = balance(site)
    page = visitor.open(CUSTOMER, javascript=False, width="phone")
    page.get_by_label("What happened").fill("Called.")
    page.get_by_role("button", name="Save the note").click()
    assert "Called." in page.locator("#notes").inner_text()
    page.get_by_role("link", name="Adjust credits…").click()
    page.get_by_label("Credits", exact=True).fill("5")
    page.get_by_role("button", name="Adjust").click()
    assert "choose a reason" in page.get_by_role("alert").first.inner_text()
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_label("Note").fill("Sorry.")
    page.get_by_role("button", name="Give 5 credits").click()
    assert page.url == site.url + CUSTOMER
    assert balance(site) == had + 5


def test_a_view_is_saved_under_a_name_and_opens_the_page(visitor: Visitor, account: Sample) -> None:
    page = visitor.open("/admin/failures?error=timeout&range=30d")
    page.get_by_text("Views").click()
    page.get_by_label("Save these filters as").fill("Slow ones")
    page.get_by_label("Open the page with it").check()
    assert accessibility_problems(page) == []
    page.get_by_role("button", name="Save the view").click()
    expect(page.locator(".views summary")).to_have_text("Slow ones")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Failures", exact=True).click()
    expect(page.locator(".views summary")).to_have_text("Slow ones")
    page.locator(".views summary").click()
    page.get_by_role("button", name="Delete the view Slow ones").click()
    expect(page.locator(".views summary")).to_have_text("Views")
    assert "error=timeout" in page.url


def test_newer_rows_are_announced_above_a_list_that_stays(visitor: Visitor, site: Site, account: Sample) -> None:
    page = visitor.open("/admin/customers", clock=True)
    rows = page.locator("tbody tr").count()
    with site.app.app_context():
        make_customer(db.session, 5, customer_id="latecomer", at=datetime.now(UTC))
        db.session.commit()
    page.clock.run_for(40_000)
    link = page.get_by_role("link", name="1 newer row – show")
    expect(link).to_be_visible()
    assert page.locator("tbody tr").count() == rows
    link.click()
    expect(page.locator("tbody tr").first).to_contain_text("latecomer")


def test_a_customer_s_long_names_and_large_figures_stay_within_page_and_list(visitor: Visitor, site: Site) -> None:
    long = "c" * 200
    with site.app.app_context():
        make_customer(db.session, customer_id=long, credits=1_000_000_000)
        db.session.execute(update(Customer).where(Customer.id == long).values(email=f"{'e' * 200}@example.com"))
        db.session.commit()
    page = visitor.open(f"/admin/customers/{long}", theme="dark")
    page.set_viewport_size({"width": 320, "height": 640})
    assert widths_beyond_the_screen(page) == 0
    figure = page.locator(".stat-value").first
    assert figure.inner_text() == "1,000,000,005"  # with the allowance
    assert figure.evaluate("it => it.clientHeight < 2 * parseFloat(getComputedStyle(it).lineHeight)")
    assert accessibility_problems(page) == []
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{site.url}/admin/customers?q=c")
    assert page.locator(".scroller").evaluate("it => it.scrollWidth <= it.clientWidth")
    page.goto(f"{site.url}/admin/search?q={'x' * 200}")
    page.set_viewport_size({"width": 320, "height": 640})
    assert widths_beyond_the_screen(page) == 0
