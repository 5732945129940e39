"""The provider pages, as people use them: fresh by themselves, switched off and on with the keyboard."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from extensions import db
from makegood import switches
from makegood.provider_health import balances
from makegood.provider_health.balances import Asked
from makegood.providers.protocol import Account
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details, path_of
from tests.browser.sample import RICH, Maker, Sample
from tests.browser.test_live_updates import pass_time
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen

PAGE = "/admin/providers/wavespeed"


@pytest.fixture(autouse=True)
def observed(site: Site, account: Sample) -> None:
    """An admin looks; a model is off, a balance is known and could not be asked again."""
    now = datetime.now(UTC)
    with site.app.app_context():
        db.session.execute(text("UPDATE operators SET role = 'admin'"))
        left = Account(Decimal("4.20"), "USD", usd_micros=4_200_000)
        balances.keep(db.session(), Asked("wavespeed", left, None, now - timedelta(minutes=16)))
        balances.keep(
            db.session(), Asked("wavespeed", None, "no answer (ReadTimeout)", now - timedelta(minutes=1))
        )
        switches.switch_off(
            db.session(), ["wavespeed"], "wavespeed", "bytedance/seedream-v4/edit", reason="Too slow.", actor="ana"
        )
        db.session.commit()


def charge_one(site: Site) -> None:
    with site.app.app_context():
        maker = Maker(db.session(), site.app.extensions["providers"]["wavespeed"], datetime.now(UTC))
        maker.count = 200_000
        maker.charged(RICH, datetime.now(UTC))
        db.session.commit()


def in_flight(page: Page) -> str:
    return page.locator("#panel-provider_now dt", has_text="In flight now").locator("+ dd").inner_text()


@pytest.mark.parametrize(("width", "theme"), [*LOOKS, ("phone", "light"), ("desktop", "dark")])
@pytest.mark.parametrize("path", ["/admin/providers?range=30d", f"{PAGE}?range=30d", f"{PAGE}/switch-off"])
def test_a_page_is_accessible_and_fits_its_screen(visitor: Visitor, path: str, width: str, theme: str) -> None:
    page = visitor.open(path, width=width, theme=theme)
    open_details(page)
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0


def test_the_chart_is_drawn_with_its_table_behind_it(visitor: Visitor) -> None:
    page = visitor.open(f"{PAGE}?range=30d")
    expect(page.locator("figure canvas")).to_have_count(2)
    page.locator("#more-provider_ended summary").click()
    table = page.get_by_role("region", name="Succeeded and failed as a table")
    expect(table.locator("tbody tr")).to_have_count(30)
    expect(table.locator("tbody tr").first).to_contain_text("so far")


def test_the_range_is_in_the_address(visitor: Visitor) -> None:
    page = visitor.open(PAGE)
    page.get_by_role("navigation", name="Range").get_by_role("link", name="30 days").click()
    page.wait_for_url("**?range=30d")
    expect(page.locator("#pulse")).to_have_attribute("hx-get", "/admin/pulse/providers/wavespeed?range=30d")


def test_the_page_keeps_itself_fresh_with_one_request(visitor: Visitor, site: Site) -> None:
    page = visitor.open(PAGE, clock=True)
    before = int(in_flight(page))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    charge_one(site)
    for _ in range(20):
        pass_time(page, 2)
        if asked:
            break
    expect(page.locator("#panel-provider_now dt", has_text="In flight now").locator("+ dd")).to_have_text(
        str(before + 1)
    )
    assert len(asked) == 1
    expect(page.locator("figure canvas")).to_have_count(2)


def test_a_provider_is_switched_off_and_on_without_a_mouse(visitor: Visitor, site: Site) -> None:
    page = visitor.open(PAGE)
    page.get_by_role("link", name="Switch off…", exact=True).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    assert accessibility_problems(page) == []
    page.keyboard.press("Tab")
    visitor.expect("422")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert").first).to_contain_text("Nothing was switched off.")
    dialog.get_by_label("Reason").fill("They have an outage.")
    dialog.get_by_role("button", name="Switch off").press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("wavespeed takes no new generations.")
    assert path_of(page) == PAGE
    expect(page.locator("#panel-provider_now")).to_contain_text("They have an outage.")
    page.get_by_role("button", name=re.compile("^Switch on.*all models$")).press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text("wavespeed takes new generations again.")
    with site.app.app_context():
        assert [one.model for one in switches.listed(db.session())] == ["bytedance/seedream-v4/edit"]


def test_nothing_that_is_being_typed_is_taken_away(visitor: Visitor) -> None:
    page = visitor.open(PAGE, clock=True)
    page.get_by_role("link", name="Switch off…", exact=True).click()
    page.get_by_label("Reason").fill("They have an out")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pass_time(page, 80)
    assert asked == []
    expect(page.get_by_label("Reason")).to_have_value("They have an out")


def test_without_javascript_the_form_is_a_page(visitor: Visitor) -> None:
    page = visitor.open(PAGE, javascript=False)
    page.get_by_role("link", name="Switch off…", exact=True).click()
    page.get_by_label("Reason").fill("Outage.")
    page.get_by_role("button", name="Switch off").click()
    assert path_of(page) == PAGE
    expect(page.locator("[data-toast]")).to_contain_text("takes no new generations")
