"""Every page, on a desktop and a phone, light and dark: clean, accessible, never wider than the screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Site, Spectator, Visitor, accessibility_problems, open_details
from tests.browser.sample import RICH, Sample
from tests.people import add_operator

PAGES = (
    "/login",
    "/admin/",
    "/admin/?range=yesterday&zone=Asia/Kathmandu",
    "/admin/refunds",
    "/admin/refunds?provider=wavespeed&reason=timeout&from=2026-01-31&to=2026-01-01",
    "/admin/failures",
    "/admin/failures?customer=nobody",
    "/admin/monitoring/usage",
    "/admin/monitoring/customers?sort=cost",
    "/admin/monitoring/failures?range=90d",
    "/admin/monitoring/refunds?provider=nobody",
    "/admin/monitoring/latency",
    "/admin/generations/{succeeded}",
    "/admin/generations/{failed}",
    "/admin/generations/{in_flight}",
    "/admin/generations/{succeeded}/refund",
    "/admin/generations",
    "/admin/customers?q=user_100&balance=some",
    f"/admin/customers/{RICH}",
    "/admin/stripe",
    "/admin/revenue",
    "/admin/revenue?currency=eur&range=90d",
    "/admin/revenue/transactions",
    "/admin/margin",
    "/admin/margin/customers?range=90d",
    "/admin/margin/customers?range=90d&group=losing&sort=cash",
    "/admin/liability?range=90d",
    "/admin/revenue/rates",
    "/admin/subscriptions?range=90d",
    "/admin/subscriptions/all",
    "/admin/subscriptions/movements?kind=churn",
    f"/admin/payment-methods/{RICH}",
    "/admin/stripe/events",
    "/admin/stripe/events?type=charge.&state=waiting",
    "/admin/stripe/events/{stripe_event}",
    "/admin/purchases?state=owed",
    "/admin/purchases",
    "/admin/purchases/{purchase}",
    "/admin/purchases/unlinked",
    "/admin/purchases/check",
    "/admin/search?q=user_10",
    "/admin/search?q=nothing",
    "/admin/nothing-here",
)
LOOKS = (("desktop", "light"), ("phone", "dark"))


def widths_beyond_the_screen(page: Page) -> int:
    overflow: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return overflow


@pytest.mark.parametrize(("width", "theme"), LOOKS)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_and_fits_its_screen(
    spectator: Spectator, account: Sample, path: str, width: str, theme: str
) -> None:
    if path.endswith("nothing-here"):
        spectator.expect("404")
    page = spectator.look_at(path.format(**vars(account)), width=width, theme=theme, logged_in=path != "/login")
    open_details(page)
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0


@pytest.mark.parametrize(("width", "theme"), [("desktop", "dark"), ("phone", "light")])
def test_the_dashboard_is_accessible_in_the_other_two_looks(visitor: Visitor, width: str, theme: str) -> None:
    page = visitor.open("/admin/", width=width, theme=theme)
    page.get_by_role("button", name="Account and theme").click()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0


@pytest.mark.parametrize("database", ["empty"], indirect=True)
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_an_empty_account_has_its_own_words(visitor: Visitor, site: Site, width: str, theme: str) -> None:
    add_operator(site.app)
    page = visitor.open("/admin/", width=width, theme=theme)
    assert page.get_by_text("No generation was charged in this range.").first.is_visible()
    assert page.get_by_text("No generation failed in this range.").is_visible()
    assert page.locator("#panel-cards").get_by_text("No data").first.is_visible()
    assert page.locator("#panel-alerts").filter(visible=True).count() == 0
    assert accessibility_problems(page) == []
    page.goto(site.url + "/admin/refunds")
    assert page.get_by_role("heading", name="No refund yet").is_visible()
    page.goto(site.url + "/admin/failures")
    assert page.get_by_role("heading", name="No generation has failed yet").is_visible()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0
