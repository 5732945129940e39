"""What all pages share: the theme, copying, toasts, filters, and finding things by id."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site, Visitor, path_of
from tests.browser.sample import RICH, Sample


def test_the_theme_changes_at_once_and_the_server_renders_the_next_page_in_it(visitor: Visitor) -> None:
    page = visitor.open("/admin/", theme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Account and theme").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    assert dark != light
    html = page.request.get(page.url).text()
    assert '<html lang="en" data-bs-theme="dark">' in html
    page.reload()
    assert page.evaluate(background) == dark
    page.get_by_role("button", name="Account and theme").click()
    page.get_by_role("button", name="System").click()
    assert page.evaluate(background) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) == dark


def test_the_theme_can_be_chosen_without_javascript(visitor: Visitor) -> None:
    page = visitor.open("/admin/failures", javascript=False)
    page.get_by_role("button", name="Account and theme").click()
    page.get_by_role("button", name="Dark").click()
    assert path_of(page) == "/admin/failures"
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_ids_are_copied_whole(visitor: Visitor, account: Sample) -> None:
    page = visitor.open(f"/admin/generations/{account.failed}")
    page.get_by_role("button", name="Copy the generation's id").click()
    expect(page.locator("#announce")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == str(account.failed)


def test_a_toast_leaves_by_itself_and_at_once_when_dismissed(visitor: Visitor, account: Sample) -> None:
    page = visitor.open("/admin/")
    page.get_by_role("button", name="Acknowledge").click()
    page.clock.install()
    page.reload()
    expect(page.locator("[data-toast]")).to_have_count(0)

    page = visitor.open(f"/admin/generations/{account.succeeded}/refund")
    page.clock.install()
    page.get_by_label("Credits", exact=True).fill("1")
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_label("Note").fill("note")
    page.get_by_role("button", name="Refund 1 credit").click()
    toast = page.locator("[data-toast]")
    expect(toast).to_be_visible()
    page.clock.run_for(5000)
    expect(toast).to_be_visible()
    page.clock.run_for(5000)
    expect(toast).to_have_count(0)


def test_a_chip_removes_its_filter_and_a_row_leads_to_the_story(visitor: Visitor) -> None:
    page = visitor.open(f"/admin/failures?customer={RICH}&error=content_policy_violation")
    page.get_by_role("link", name=f"Customer: {RICH}").click()
    assert page.url.endswith("?error=content_policy_violation")
    page.locator("tbody tr").first.click(position={"x": 8, "y": 30})
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()


FILTERED = (
    ("failures", "error=timeout&provider=wavespeed", "failures"),
    ("refunds", "reason=timeout&provider=wavespeed&zone=Asia/Tokyo", "refunds"),
    ("generations", f"customer={RICH}&status=succeeded", "generations"),
    ("generations", f"customer={RICH}&status=cancelled", ""),
    ("customers", "q=user_1001&tier=pro", "customers?"),
    ("callbacks", "provider=wavespeed&state=rejected", "deliver(y|ies)"),
    ("monitoring/usage", "provider=wavespeed&kind=image&range=90d", "generations"),
    ("monitoring/failures", "provider=wavespeed&error=timeout&range=90d", "failures"),
    ("monitoring/refunds", "provider=wavespeed&reason=timeout&range=90d", "refunds"),
    ("monitoring/latency", "provider=wavespeed&kind=image&range=90d", "generations that succeeded"),
)
"""Pages with two filters each, and what they are said to find. The range and the zone are no filters."""


def test_filters_are_removed_one_by_one_or_all_and_what_they_find_is_said(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/admin/failures")
    for path, query, found in FILTERED:
        address = f"{site.url}/admin/{path}"
        page.goto(f"{address}?{query}")
        said = rf"(\d+) {found}" if found else "Nothing matches these filters"
        expect(page.locator("#announce")).to_have_text(re.compile(f"^{said}$"))
        if "monitoring" not in path:
            count = int(re.sub(r"\D", "", page.locator("#announce").inner_text()) or 0)
            assert page.locator("main tbody tr").count() == count, path
        chips = page.locator(".chip")
        expect(chips).to_have_count(2)
        asked = parse_qs(urlsplit(page.url).query)
        chips.first.click()
        expect(chips).to_have_count(1)
        left = parse_qs(urlsplit(page.url).query)
        assert len(left) == len(asked) - 1
        assert left.items() <= asked.items(), path
        page.go_back()
        page.get_by_role("link", name="Clear all", exact=True).click()
        expect(chips).to_have_count(0)
        assert parse_qs(urlsplit(page.url).query).keys() <= {"range", "zone"}, path
        assert asked.keys() & {"range", "zone"} == parse_qs(urlsplit(page.url).query).keys(), path
        assert page.locator("#announce").inner_text() == ""


def test_an_id_leads_to_its_page(visitor: Visitor, site: Site, account: Sample) -> None:
    page = visitor.open("/admin/")
    page.get_by_role("searchbox").fill(f" {account.in_flight} ")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/generations/{account.in_flight}")
    expect(page.get_by_text("The provider is working on it.")).to_be_visible()


def test_the_skip_link_is_the_first_stop(visitor: Visitor) -> None:
    page = visitor.open("/admin/failures")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_the_chosen_is_in_sight_and_a_custom_range_opens_below_its_button(visitor: Visitor, width: str) -> None:
    page = visitor.open("/admin/stripe", width=width)
    assert page.evaluate("scrollY") == 0, "the menu brought its entry into sight and moved the page"
    page.goto(page.url.replace("stripe", "generations?range=90d"))
    chosen = page.get_by_role("navigation", name="Range").get_by_role("link", name="90 days")
    expect(chosen).to_be_in_viewport(ratio=1)
    opener = page.locator(".range-custom > summary")
    opener.click()
    box = "element => element.getBoundingClientRect().toJSON()"
    form = page.locator(".range-form").evaluate(box)
    assert form["top"] >= opener.evaluate(box)["bottom"]
    assert form["left"] >= 0
    assert form["right"] <= page.evaluate("innerWidth")
