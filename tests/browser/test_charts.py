"""Charts: values by pointer and by keys, series on and off, zoom, and the way from a day to its rows."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visitor

PLOT = "#panel-generations [data-plot]"
LEGEND = "#panel-generations [data-legend]"


@pytest.fixture
def page(visitor: Visitor) -> Page:
    found = visitor.open("/admin/?range=7d")
    expect(found.locator(f"{PLOT} canvas")).to_be_visible()
    return found


def hover(page: Page, share: float) -> dict[str, float]:
    """Point at this share of the plot's width."""
    box = page.locator(f"{PLOT} .u-over").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * share, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    return {"x": x, "y": y}


def figures(page: Page) -> list[str]:
    return page.locator(f"{LEGEND} .chart-series b").all_inner_texts()


def rows(page: Page) -> Locator:
    return page.locator("#panel-generations tbody tr")


def test_the_pointer_reads_the_same_values_as_the_table(page: Page) -> None:
    page.locator("#more-generations summary").click()
    label = page.locator(f"{LEGEND} .chart-at")
    expect(label).to_have_text("All of the range")
    assert figures(page) == page.locator("#panel-generations tfoot td").all_inner_texts()[:3]
    page.locator(PLOT).scroll_into_view_if_needed()
    hover(page, 0.97)
    expect(label).to_contain_text(", so far")
    assert figures(page) == rows(page).first.locator("td").all_inner_texts()[:3]
    hover(page, 0.02)
    expect(label).to_have_text(rows(page).last.locator("th").inner_text())
    assert figures(page) == rows(page).last.locator("td").all_inner_texts()[:3]


def test_a_click_on_a_day_leads_to_its_rows(page: Page) -> None:
    page.locator(PLOT).scroll_into_view_if_needed()
    place = hover(page, 0.97)
    page.mouse.click(place["x"], place["y"])
    page.wait_for_url("**/admin/generations?**")
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["by"] == ["ended"]
    assert asked["from"] == asked["to"]


def test_a_figure_of_the_table_leads_to_as_many_rows(page: Page) -> None:
    page.locator("#more-generations summary").click()
    link = rows(page).first.locator("td a").first
    shown = int(link.inner_text())
    link.click()
    page.wait_for_url("**/admin/generations?**")
    expect(page.locator(".rows tbody tr")).to_have_count(shown)


def test_keys_read_the_chart_zoom_and_open_the_rows(page: Page) -> None:
    plot, label = page.locator(PLOT), page.locator(f"{LEGEND} .chart-at")
    plot.focus()
    page.keyboard.press("Home")
    first = label.inner_text()
    page.keyboard.press("ArrowRight")
    expect(label).not_to_have_text(first)
    expect(page.locator("#announce")).to_contain_text("Succeeded")
    page.keyboard.press("+")
    reset = page.locator(LEGEND).get_by_role("button", name="Show all")
    expect(reset).to_be_visible()
    expect(page.locator("#panel-cost").get_by_role("button", name="Show all")).to_be_visible()
    page.keyboard.press("Escape")
    expect(reset).to_be_hidden()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/generations?**")


def test_a_drag_zooms_and_a_button_shows_all_again(page: Page) -> None:
    page.locator(PLOT).scroll_into_view_if_needed()
    before = page.locator(f"{PLOT} canvas").evaluate("it => it.toDataURL()")
    hover(page, 0.3)
    page.mouse.down()
    hover(page, 0.5)
    hover(page, 0.8)
    page.mouse.up()
    reset = page.locator(LEGEND).get_by_role("button", name="Show all")
    expect(reset).to_be_visible()
    assert page.locator(f"{PLOT} canvas").evaluate("it => it.toDataURL()") != before
    reset.click()
    expect(reset).to_be_hidden()
    assert page.url.endswith("/admin/?range=7d")


def test_a_series_is_switched_off_and_on_and_stays_so_when_the_chart_is_drawn_again(page: Page) -> None:
    series = page.locator(LEGEND).get_by_role("button", name="Succeeded")
    expect(series).to_have_attribute("aria-pressed", "true")
    series.click()
    expect(series).to_have_attribute("aria-pressed", "false")
    expect(series).to_be_focused()
    page.set_viewport_size({"width": 900, "height": 800})
    expect(page.locator(PLOT)).to_be_visible()
    expect(series).to_have_attribute("aria-pressed", "false")
    series.click()
    expect(series).to_have_attribute("aria-pressed", "true")


def test_a_custom_range_is_chosen_with_two_dates_and_everything_follows(visitor: Visitor) -> None:
    page = visitor.open("/admin/", javascript=False)
    page.get_by_text("Custom", exact=True).click()
    page.get_by_label("First day").fill("2026-01-05")
    page.get_by_label("Last day").fill("2026-01-06")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/admin/?from=2026-01-05&to=2026-01-06")
    expect(page.locator("#range-said")).to_contain_text("5 – 6 Jan 2026, compared with 3 – 4 Jan")
    expect(page.locator("#panel-generations")).to_contain_text("No generation was charged or ended in this range.")
