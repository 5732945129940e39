"""The keyboard: single keys, the palette, and that both keep out of the way."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect
from sqlalchemy import update

from extensions import db
from makegood.models import Operator
from tests.browser.conftest import Site, Visitor, accessibility_problems, path_of
from tests.browser.sample import RICH, Sample
from tests.people import add_operator


def focused_row(page: Page) -> str:
    row: str = page.evaluate("document.activeElement.closest('.leads')?.id ?? ''")
    return row


def test_keys_lead_through_the_console_and_its_rows(visitor: Visitor) -> None:
    page = visitor.open("/admin/")
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/admin/failures")
    rows = page.locator("main tr.leads").evaluate_all("rows => rows.map((row) => row.id)")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert focused_row(page) == rows[1]
    page.keyboard.press("k")
    assert focused_row(page) == rows[0]
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/generations/**")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("gfj?")
    assert page.get_by_role("searchbox").input_value() == "gfj?"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Failures")
    assert accessibility_problems(page) == []


def test_focus_is_never_under_the_top_bar(visitor: Visitor) -> None:
    page = visitor.open("/admin/failures")
    for _ in range(12):
        page.keyboard.press("j")
    for _ in range(12):
        page.keyboard.press("k")
        top = page.evaluate("document.activeElement.getBoundingClientRect().top")
        assert top >= page.locator(".topbar").bounding_box()["height"]  # type: ignore[index]


def test_the_navigation_stays_in_sight_and_leads_on_from_far_down(visitor: Visitor) -> None:
    page = visitor.open("/admin/generations")
    page.evaluate("scrollTo(0, 1500)")
    assert page.locator("#mainnav").evaluate("it => it.getBoundingClientRect().top") > 0
    head = page.locator("main thead th").first.evaluate("it => it.getBoundingClientRect().top")
    assert 40 < head < 70


def test_single_keys_can_be_switched_off_but_the_palette_stays(visitor: Visitor, site: Site) -> None:
    with site.app.app_context():
        db.session.execute(update(Operator).values(single_keys=False))
        db.session.commit()
    page = visitor.open("/admin/failures")
    for key in ("/", "?", "j", "g", "r"):
        page.keyboard.press(key)
    assert path_of(page) == "/admin/failures"
    assert focused_row(page) == ""
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Page, action, customer or id")).to_be_focused()


def test_the_palette_finds_pages_ids_and_what_was_seen(visitor: Visitor, account: Sample) -> None:
    page = visitor.open(f"/admin/generations/{account.failed}")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/admin/refunds")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list [role=option]").first).to_contain_text("Seen lately")
    page.keyboard.type("prov")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Providers")
    assert accessibility_problems(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/providers")
    page.keyboard.press("Control+k")
    page.keyboard.type(RICH)
    found = page.locator("#palette-list [role=option]").filter(has_text="customer")
    expect(found.first).to_contain_text(RICH)
    found.first.click()
    page.wait_for_url(f"**/admin/customers/{RICH}")


def test_the_palette_knows_what_pages_are_called_elsewhere_and_what_is_done_on_them(visitor: Visitor) -> None:
    page = visitor.open("/admin/")
    page.keyboard.press("Control+k")
    page.keyboard.type("undo")
    chosen = page.locator("#palette-list [aria-selected=true]")
    expect(chosen).to_contain_text("Reverse a refund")
    expect(chosen).to_contain_text("Action · On the generation’s page")
    expect(page.locator("#palette [role=status]")).to_have_text("1 found")
    assert accessibility_problems(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/refunds")
    page.keyboard.press("/")
    page.keyboard.type("2fa")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/search?q=2fa")
    expect(page.locator("main .lead-link")).to_contain_text(["Your account", "Set up a second factor"])


def test_what_one_operator_saw_is_not_told_to_the_next_in_the_same_tab(
    visitor: Visitor, site: Site, account: Sample
) -> None:
    page = visitor.open(f"/admin/generations/{account.failed}")
    page.evaluate("makegood.toast('Refunded 5 credits.')")
    add_operator(site.app, "vera@example.com", role="viewer")
    page.context.add_cookies([visitor._session_cookie("vera@example.com")])  # type: ignore[list-item]
    page.goto(f"{site.url}/admin/")
    page.keyboard.press("m")
    expect(page.get_by_role("dialog", name="Messages")).to_contain_text("Nothing was said yet")
    expect(page.locator("#messages-list li")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-list [role=option]").first).to_contain_text("Overview")


def test_without_suggestions_the_palette_leads_to_the_search(visitor: Visitor) -> None:
    visitor.expect("500")
    page = visitor.open("/admin/")
    page.route("**/search/suggest*", lambda route: _fail(route))
    page.keyboard.press("Control+k")
    page.keyboard.type("no such thing")
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text("Search for “no such thing”")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/search?q=no%20such%20thing")


def _fail(route: Route) -> None:
    route.fulfill(status=500, body="boom")
