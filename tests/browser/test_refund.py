"""The manual refund, as people do it: with the keyboard, twice by mistake, and while somebody else does too."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from extensions import db
from makegood import generations, ledger, refunds
from makegood.models import Refund
from makegood.terms import Terms
from tests.browser.conftest import Site, Visitor, accessibility_problems, path_of
from tests.browser.sample import RICH, Sample


def manual_refunds(site: Site, account: Sample) -> list[Refund]:
    """The manual refunds of the generation that the tests refund."""
    with site.app.app_context():
        query = select(Refund).where(Refund.generation_id == account.succeeded, Refund.origin == "manual")
        return list(db.session.scalars(query.order_by(Refund.id)))


def balance(site: Site) -> int:
    with site.app.app_context():
        return ledger.balance(db.session(), RICH)


def refund_by_somebody_else(site: Site, account: Sample, credits: int) -> None:
    with site.app.app_context():
        refunds.issue_manual(
            db.session(),
            account.succeeded,
            Terms(),
            credits=credits,
            reason="outage",
            note="the same ticket",
            actor="bert@example.com",
            idempotency_key="0193aaaa-0000-7000-8000-00000000ffff",
            expected_refunded=generations.get(db.session(), account.succeeded).credits_refunded,
        )
        db.session.commit()


def open_dialog(visitor: Visitor, account: Sample, **look: str) -> Page:
    page = visitor.open(f"/admin/generations/{account.succeeded}", **look)  # type: ignore[arg-type]
    page.get_by_role("link", name="Refund…").click()
    page.get_by_role("dialog").wait_for()
    return page


def fill_in(page: Page, credits: str = "3") -> None:
    page.get_by_label("Credits", exact=True).fill(credits)
    page.get_by_label("Reason").select_option("bad_result")
    page.get_by_label("Note").fill("The hands have six fingers.")


def test_a_refund_needs_no_mouse(visitor: Visitor, site: Site, account: Sample) -> None:
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    before = balance(site)
    page.get_by_role("link", name="Refund…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    for field in (dialog.get_by_role("link", name="Cancel"), "Note", "Reason", "Credits"):
        if isinstance(field, str):
            page.keyboard.press("Shift+Tab")
            field = page.get_by_label(field, exact=True)
        expect(field).to_be_focused()
    expect(dialog).to_contain_text(f"{before:,}")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    expect(dialog.locator("[data-after]")).to_have_text(f"{before + 3:,}")
    expect(dialog.get_by_role("button", name="Refund 3 credits")).to_be_visible()
    expect(dialog.get_by_role("heading")).to_have_text(f"Refund 3 credits to {RICH}")
    page.keyboard.press("Tab")
    page.keyboard.type("Goodwill")
    page.keyboard.press("Tab")
    page.keyboard.type("Long-standing customer.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text(f"Refunded 3 credits to {RICH}.")
    assert balance(site) == before + 3
    refund = manual_refunds(site, account)[0]
    assert (refund.reason, refund.note) == ("goodwill", "Long-standing customer.")
    assert refund.actor == "ana@example.com"
    expect(page.locator(".story")).to_contain_text("Long-standing customer.")


def test_escape_closes_the_dialog_and_gives_the_focus_back(visitor: Visitor, site: Site, account: Sample) -> None:
    page = open_dialog(visitor, account)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Refund…")).to_be_focused()
    page.get_by_role("link", name="Refund…").click()
    page.get_by_role("dialog").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert manual_refunds(site, account) == []


def test_the_dialog_is_accessible_with_and_without_errors(visitor: Visitor, account: Sample) -> None:
    visitor.expect("422")
    for look in ({"width": "desktop", "theme": "dark"}, {"width": "phone", "theme": "light"}):
        page = open_dialog(visitor, account, **look)
        assert accessibility_problems(page) == []
        page.get_by_role("button", name="Refund 4 credits").click()
        page.get_by_role("alert").first.wait_for()
        assert accessibility_problems(page) == []


def test_a_double_click_refunds_once(visitor: Visitor, site: Site, account: Sample) -> None:
    page = open_dialog(visitor, account)
    before = balance(site)
    fill_in(page, "2")
    page.get_by_role("button", name="Refund 2 credits").dblclick()
    page.locator("[data-toast]").wait_for()
    assert [refund.credits for refund in manual_refunds(site, account)] == [2]
    assert balance(site) == before + 2


def test_a_double_click_refunds_once_without_javascript_too(visitor: Visitor, site: Site, account: Sample) -> None:
    page = visitor.open(f"/admin/generations/{account.succeeded}/refund", javascript=False)
    fill_in(page, "2")
    page.get_by_role("button", name="Refund 4 credits").dblclick()
    expect(page.locator("[data-toast]").first).to_contain_text(f"Refunded 2 credits to {RICH}.")
    assert [refund.credits for refund in manual_refunds(site, account)] == [2]


def test_a_wrong_form_keeps_what_was_typed_and_says_what_is_wrong(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    visitor.expect("422")
    page = open_dialog(visitor, account)
    page.get_by_label("Credits", exact=True).fill("99")
    page.get_by_label("Note").fill("only this")
    page.get_by_role("button", name="Refund", exact=True).click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("[data-error-summary]")).to_contain_text("No credits moved")
    expect(page.get_by_label("Credits", exact=True)).to_have_attribute("aria-invalid", "true")
    assert page.get_by_label("Credits", exact=True).input_value() == "99"
    assert page.get_by_label("Note").input_value() == "only this"
    fill_in(page, "1")
    page.get_by_role("button", name="Refund 1 credit").click()
    page.locator("[data-toast]").wait_for()
    assert [refund.credits for refund in manual_refunds(site, account)] == [1]


def test_a_generation_that_changed_meanwhile_is_shown_with_the_input_kept(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    visitor.expect("409")
    page = open_dialog(visitor, account)
    fill_in(page, "4")
    refund_by_somebody_else(site, account, 1)
    page.get_by_role("button", name="Refund 4 credits").click()
    summary = page.locator("[data-error-summary]")
    expect(summary).to_contain_text("changed meanwhile")
    expect(summary).to_contain_text("1 credit just now by bert@example.com: Incident or outage")
    assert page.get_by_label("Note").input_value() == "The hands have six fingers."
    assert page.get_by_label("Credits", exact=True).input_value() == "4"
    page.get_by_label("Credits", exact=True).fill("3")
    page.get_by_role("button", name="Refund 3 credits").click()
    page.locator("[data-toast]").wait_for()
    assert [refund.credits for refund in manual_refunds(site, account)] == [1, 3]


def test_a_dialog_that_cannot_be_opened_becomes_a_page(visitor: Visitor, account: Sample) -> None:
    visitor.expect("500")
    page = visitor.open(f"/admin/generations/{account.succeeded}")

    def fail_fragments(route: Route) -> None:
        if "hx-request" in route.request.headers:
            route.fulfill(status=500, body="<p>boom</p>", content_type="text/html")
        else:
            route.continue_()

    page.route("**/refund", fail_fragments)
    page.get_by_role("link", name="Refund…").click()
    page.wait_for_url("**/refund")
    assert page.get_by_text("boom").count() == 0
    expect(page.get_by_label("Credits", exact=True)).to_be_visible()


def test_an_error_of_the_server_leaves_the_form_as_it_was(visitor: Visitor, site: Site, account: Sample) -> None:
    visitor.expect("500")
    page = open_dialog(visitor, account)
    fill_in(page, "2")
    page.route("**/refund", lambda route: route.fulfill(status=500, body="<p>boom</p>", content_type="text/html"))
    page.get_by_role("button", name="Refund 2 credits").click()
    expect(page.get_by_text("it is never issued twice")).to_be_visible()
    assert page.get_by_label("Note").input_value() == "The hands have six fingers."
    page.unroute("**/refund")
    page.get_by_role("button", name="Refund 2 credits").click()
    page.locator("[data-toast]").wait_for()
    assert [refund.credits for refund in manual_refunds(site, account)] == [2]


def test_without_an_answer_the_dialog_says_that_sending_again_is_safe(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    visitor.expect("ERR_CONNECTION_REFUSED", "htmx")
    page = open_dialog(visitor, account)
    fill_in(page, "2")
    site.stop()
    page.get_by_role("button", name="Refund 2 credits").click()
    expect(page.get_by_text("it is never issued twice")).to_be_visible()
    site.start()
    page.get_by_role("button", name="Refund 2 credits").click()
    page.locator("[data-toast]").wait_for()
    assert [refund.credits for refund in manual_refunds(site, account)] == [2]


def test_log_in_filter_and_refund_work_without_javascript(visitor: Visitor, site: Site, account: Sample) -> None:
    visitor.expect("422")
    page = visitor.open("/admin/refunds", javascript=False, logged_in=False)
    page.get_by_label("E-mail").fill("ana@example.com")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Log in").click()
    assert path_of(page) == "/admin/refunds"
    page.get_by_label("Customer", exact=True).fill(RICH)
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".chip")).to_contain_text(f"Customer: {RICH}")
    page.goto(f"{site.url}/admin/generations/{account.succeeded}")
    page.get_by_role("link", name="Refund…").click()
    fill_in(page, "0")
    page.get_by_role("button", name="Refund").click()
    expect(page.locator("[data-error-summary]")).to_contain_text("whole number from 1 to 4")
    assert page.get_by_label("Note").input_value() == "The hands have six fingers."
    page.get_by_label("Credits", exact=True).fill("4")
    page.get_by_role("button", name="Refund").click()
    expect(page.locator("[data-toast]")).to_contain_text(f"Refunded 4 credits to {RICH}.")
    assert path_of(page) == f"/admin/generations/{account.succeeded}"
    assert page.get_by_text("Everything charged has been refunded.").is_visible()
