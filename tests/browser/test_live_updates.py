"""The dashboard keeps itself fresh, and leaves people alone while it does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, Response, expect
from sqlalchemy import update

from blueprints.admin import nudges
from extensions import db
from makegood import alerts
from makegood.models import OperatorSession
from makegood.providers.protocol import ErrorClass
from tests.browser.conftest import Site, Visitor, path_of
from tests.browser.sample import RICH, Maker
from tests.conftest import MakeApp

PULSE = "**/admin/pulse*"
HIDE = """
    window.pretendHidden = (hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    };
"""


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """The dashboard, with a clock that the test moves."""
    page = visitor.open("/admin/", clock=True)
    page.evaluate(HIDE)
    return page


def pass_time(page: Page, seconds: int) -> None:
    """Move the page's clock, but not while it waits for an answer."""
    for _ in range(0, seconds, 2):
        page.clock.run_for(2000)
        while page.evaluate("document.querySelector('#pulse[data-asked]') !== null"):
            page.wait_for_timeout(5)


def wait_for_pulse(page: Page) -> None:
    """Let time pass until the next pulse has been answered and shown."""
    answered: list[str] = []

    def note(response: Response) -> None:
        if "/pulse" in response.url:
            answered.append(response.url)

    page.on("response", note)
    for _ in range(20):
        pass_time(page, 2)
        if answered:
            break
    page.remove_listener("response", note)
    assert answered, "no pulse within 40 seconds"


def generations_today(page: Page) -> int:
    card = page.locator(".stat", has=page.get_by_role("heading", name="Generations", exact=True))
    return int(card.locator(".stat-value").inner_text().replace(",", ""))


def charge_one(site: Site, count: int = 1) -> None:
    with site.app.app_context():
        maker = Maker(db.session(), site.app.extensions["providers"]["wavespeed"], datetime.now(UTC))
        maker.count = 100_000 + count
        maker.charged(RICH, datetime.now(UTC))
        db.session.commit()


def test_a_pulse_brings_new_figures_and_leaves_focus_details_and_typed_text_alone(page: Page, site: Site) -> None:
    before = generations_today(page)
    page.locator("#panel-generations summary").click()
    page.get_by_role("searchbox").fill("half an i")
    page.locator("#panel-failures .lead-link").first.focus()
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    charge_one(site)
    wait_for_pulse(page)
    assert generations_today(page) == before + 1
    assert page.locator("#panel-generations details").evaluate("it => it.open")
    assert page.get_by_role("searchbox").input_value() == "half an i"
    assert page.evaluate("document.activeElement.getAttribute('href')") == focused
    expect(page.locator("#as-of")).to_have_text("Updated just now")


def test_the_age_of_the_figures_is_shown_with_the_exact_time_behind_it(page: Page) -> None:
    pass_time(page, 12)
    stamp = page.locator("#as-of")
    expect(stamp).to_have_text("Updated 12 s ago")
    assert str(datetime.now(UTC).year) in (stamp.get_attribute("title") or "")


def test_a_hidden_tab_asks_nothing_and_at_once_when_it_is_shown_again(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("pretendHidden(true)")
    pass_time(page, 300)
    assert asked == []
    with page.expect_response(PULSE):
        page.evaluate("pretendHidden(false)")
    assert len(asked) == 1


def test_nobody_is_disturbed_in_a_menu_or_with_a_selection(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Account and theme").click()
    pass_time(page, 120)
    page.keyboard.press("Escape")
    page.evaluate("getSelection().selectAllChildren(document.getElementById('title-period'))")
    pass_time(page, 120)
    assert asked == []
    with page.expect_response(PULSE):
        page.evaluate("getSelection().removeAllRanges()")
        pass_time(page, 2)


def test_without_a_server_the_last_figures_stay_marked_as_stale_and_recover(
    page: Page, site: Site, visitor: Visitor
) -> None:
    visitor.expect("ERR_CONNECTION_REFUSED", "htmx")
    before = generations_today(page)
    site.stop()
    with page.expect_event("requestfailed"):
        pass_time(page, 34)
    expect(page.locator("#panels")).to_have_attribute("data-stale", "")
    expect(page.locator("#stale-note")).to_be_visible()
    expect(page.locator("#as-of")).to_contain_text("Stale: updated")
    expect(page.locator("#announce")).to_contain_text("Connection lost")
    assert generations_today(page) == before
    site.start()
    charge_one(site)
    with page.expect_response(PULSE):
        pass_time(page, 70)
    expect(page.locator("#panels")).not_to_have_attribute("data-stale", "")
    expect(page.locator("#stale-note")).to_be_hidden()
    expect(page.locator("#announce")).to_contain_text("Connection restored")
    assert generations_today(page) == before + 1


def test_a_server_in_trouble_is_asked_less_and_less_often(page: Page, visitor: Visitor) -> None:
    visitor.expect("503")
    asked: list[str] = []
    page.route(PULSE, lambda route: (asked.append("x"), route.fulfill(status=503, body="<h1>down</h1>")))
    for _ in range(20):
        pass_time(page, 30)
        page.wait_for_timeout(20)
    assert 3 <= len(asked) <= 6, "30, 60, 120 and then 240 seconds apart within ten minutes"
    assert page.get_by_text("down", exact=True).count() == 0
    assert generations_today(page) > 0


def test_an_answer_that_is_not_ours_counts_as_a_failure(page: Page) -> None:
    page.route(PULSE, lambda route: route.fulfill(status=200, body="<h1>Welcome to the hotel's network</h1>"))
    wait_for_pulse(page)
    expect(page.locator("#panels")).to_have_attribute("data-stale", "")
    assert page.get_by_text("Welcome to the hotel").count() == 0


def test_when_the_session_has_ended_the_page_leads_to_the_log_in(page: Page, site: Site, visitor: Visitor) -> None:
    visitor.expect("401")
    with site.app.app_context():
        db.session.execute(update(OperatorSession).values(ended_at=datetime.now(UTC)))
        db.session.commit()
    page.clock.run_for(34_000)
    page.wait_for_url("**/login*")
    assert page.get_by_label("Password").is_visible()


def test_a_pause_and_the_interval_last_beyond_the_page(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: "pulse" in request.url and asked.append(request.url))
    page.get_by_label("Refresh every").select_option("300")
    pass_time(page, 120)
    page.get_by_role("button", name="Pause").click()
    pass_time(page, 900)
    assert asked == []
    page.reload()
    pass_time(page, 900)
    assert asked == []
    assert page.get_by_label("Refresh every").input_value() == "300"
    expect(page.locator("#as-of")).to_contain_text("Paused, updated")
    with page.expect_response(PULSE):
        page.get_by_role("button", name="Resume").click()


def test_a_change_of_health_is_announced_and_stands_in_the_title(page: Page, site: Site) -> None:
    with site.app.app_context():
        maker = Maker(db.session(), site.app.extensions["providers"]["wavespeed"], datetime.now(UTC))
        maker.count = 200_000
        for _ in range(7):
            generation_id = maker.charged(RICH, datetime.now(UTC))
            maker.fail(generation_id, datetime.now(UTC), ErrorClass.TIMEOUT)
        db.session.commit()
    wait_for_pulse(page)
    expect(page.locator("#panel-health h2")).to_have_text("High failure rate")
    expect(page.locator("#announce")).to_have_text("Health changed: High failure rate")


def test_the_chart_survives_a_pulse_and_follows_data_and_theme(page: Page, site: Site) -> None:
    canvas = page.locator("#panel-cost canvas")
    expect(canvas).to_be_visible()
    legend = page.locator("#panel-cost [data-legend]")
    canvas.evaluate("it => { it.sameAsBefore = true; }")
    before = legend.inner_text()
    wait_for_pulse(page)
    assert canvas.evaluate("it => it.sameAsBefore")
    assert legend.inner_text() == before
    charge_one(site)
    wait_for_pulse(page)
    assert canvas.count() == 1
    assert legend.inner_text() != before
    light = canvas.evaluate("it => it.toDataURL()")
    page.get_by_role("button", name="Account and theme").click()
    page.get_by_role("button", name="Dark").click()
    pass_time(page, 1)
    assert canvas.evaluate("it => it.toDataURL()") != light


def test_an_acknowledged_alert_leaves_the_dashboard(page: Page) -> None:
    alert = page.locator("#panel-alerts")
    expect(alert).to_contain_text("Refund failed")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("[data-toast]")).to_contain_text("Acknowledged")
    expect(alert).to_be_hidden()
    assert path_of(page) == "/admin/"


def test_what_changed_is_marked_once_and_ages_are_not(page: Page, site: Site) -> None:
    charge_one(site)
    wait_for_pulse(page)
    changed = page.locator(".changed")
    expect(page.locator(".stat", has=changed).first).to_be_visible()
    assert changed.locator("time").count() == 0
    page.clock.run_for(2000)
    expect(changed).to_have_count(0)


def test_a_refresh_does_not_move_what_is_being_read(page: Page, site: Site) -> None:
    page.locator("#panel-refunds").scroll_into_view_if_needed()
    before = page.locator("#panel-refunds").bounding_box()
    with site.app.app_context():
        for number in range(5):
            alerts.raise_alert(db.session(), "refund_failed", f"test {number}", "A refund could not be written.")
        db.session.commit()
    wait_for_pulse(page)
    expect(page.locator(".alert-row")).to_have_count(6)
    after = page.locator("#panel-refunds").bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) <= 1


def test_a_key_refreshes_at_once_also_while_updates_are_paused(page: Page, site: Site) -> None:
    page.get_by_role("button", name="Pause").click()
    before = generations_today(page)
    charge_one(site)
    with page.expect_response(PULSE):
        page.keyboard.press("r")
    card = page.locator(".stat", has=page.get_by_role("heading", name="Generations", exact=True))
    expect(card.locator(".stat-value")).to_have_text(str(before + 1))


def test_a_nudge_brings_news_at_once(
    make_app: MakeApp, chromium: Browser, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudges, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(nudges, "PING_EVERY", 0.1)  # a stream ends when nobody takes its ping
    site = Site(make_app(LIVE_NUDGE="on"))
    visitor = Visitor(chromium, site)
    page = visitor.blank()
    page.context.add_cookies([visitor._session_cookie()])  # type: ignore[list-item]
    with page.expect_response("**/admin/nudges"):
        page.goto(site.url + "/admin/")
    wait_until_it_looked(site)
    with page.expect_response(PULSE), site.app.app_context():
        alerts.raise_alert(db.session(), "refund_failed", "news", "A refund could not be written.")
        db.session.commit()
    expect(page.locator(".alert-row")).to_have_count(2)
    page.context.close()
    site.stop()
    wait_until_nobody_looks(site)
    assert visitor.unexpected() == []


def wait_until_it_looked(site: Site) -> None:
    bell = site.app.extensions["nudges"]
    while bell._mark is None:
        bell.wait(bell.rung, 0.01)


def wait_until_nobody_looks(site: Site) -> None:
    bell = site.app.extensions["nudges"]
    while bell._watched:
        bell.wait(bell.rung, 0.01)
