"""What makes the console safe to work in: nothing typed is lost, nothing moves, everything is said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import update

from extensions import db
from makegood.models import OperatorSession
from tests.browser.conftest import Site, Visitor, accessibility_problems, path_of
from tests.browser.sample import RICH, Maker, Sample
from tests.people import PASSWORD

NOTE = "The hands have six fingers."
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))"
"""A chart is drawn in the frame after its data came, and what moved in it is known in the next."""
WATCH_SHIFTS = """
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => { shift += entry.value; }))
        .observe({ type: 'layout-shift', buffered: true });
"""


def refund_dialog(visitor: Visitor, account: Sample) -> Page:
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    page.get_by_role("link", name="Refund…").click()
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    return page


def end_all_sessions(site: Site) -> None:
    with site.app.app_context():
        db.session.execute(update(OperatorSession).values(ended_at=datetime.now(UTC)))
        db.session.commit()


def test_typed_text_is_not_thrown_away_by_escape(visitor: Visitor, account: Sample) -> None:
    page = refund_dialog(visitor, account)
    page.get_by_label("Note").fill(NOTE)
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("not sent yet")
    expect(page.get_by_role("button", name="Keep editing")).to_be_focused()
    assert accessibility_problems(page) == []
    page.keyboard.press("Enter")
    assert page.get_by_label("Note").input_value() == NOTE
    page.get_by_role("link", name="Close without a refund").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("link", name="Refund…")).to_be_focused()


def test_a_draft_outlives_the_session(visitor: Visitor, site: Site, account: Sample) -> None:
    visitor.expect("401")
    page = refund_dialog(visitor, account)
    page.get_by_label("Credits", exact=True).fill("2")
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_label("Note").fill(NOTE)
    end_all_sessions(site)
    page.get_by_role("button", name="Refund 2 credits").click()
    page.wait_for_url("**/login?next=**")
    page.get_by_label("E-mail").fill("ana@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("dialog").get_by_label("Note")).to_have_value(NOTE)
    expect(page.get_by_label("Reason")).to_have_value("goodwill")
    expect(page.locator("[data-toast]")).to_contain_text("Your session had ended")
    page.get_by_role("button", name="Refund 2 credits").click()
    expect(page.locator("[data-toast]").first).to_contain_text(f"Refunded 2 credits to {RICH}.")
    assert page.evaluate("sessionStorage.getItem('makegood.draft')") is None


def test_a_draft_is_kept_from_another_operator(visitor: Visitor, site: Site, account: Sample) -> None:
    visitor.expect("401")
    page = refund_dialog(visitor, account)
    page.get_by_label("Note").fill(NOTE)
    page.evaluate("document.body.dataset.operator")
    end_all_sessions(site)
    page.get_by_role("button", name="Refund 4 credits").click()
    page.wait_for_url("**/login?next=**")
    page.evaluate(
        "sessionStorage.setItem('makegood.draft',"
        ' sessionStorage.getItem(\'makegood.draft\').replace(/"operator":"[^"]+"/, \'"operator":"somebody"\'))'
    )
    page.get_by_label("E-mail").fill("ana@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/admin/generations/{account.succeeded}")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("sessionStorage.getItem('makegood.draft')") is None


def test_offline_is_said_and_sends_nothing(visitor: Visitor, account: Sample) -> None:
    page = refund_dialog(visitor, account)
    page.get_by_label("Note").fill(NOTE)
    page.context.set_offline(True)
    expect(page.locator("#announce")).to_have_text("You are offline. Actions are switched off.")
    button = page.get_by_role("button", name="Refund 4 credits")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_attribute("title", "You are offline: nothing can be sent now")
    page.get_by_label("Note").press("Control+Enter")
    button.click(force=True)
    expect(page.locator("[data-toast]")).to_contain_text("nothing was sent")
    assert page.get_by_label("Note").input_value() == NOTE
    page.context.set_offline(False)
    expect(page.locator("#announce")).to_have_text("Back online. Actions work again.")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    assert button.get_attribute("title") is None
    expect(page.locator("#offline")).to_be_hidden()


def test_a_refusal_says_why_and_that_nothing_happened_and_the_request(visitor: Visitor, account: Sample) -> None:
    visitor.expect("429")
    page = refund_dialog(visitor, account)

    def refuse(route: Route) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Request-Id": "01a1-request"}
        route.fulfill(status=429, headers=headers, body="Too many refunds in a minute. Try again in 20 seconds.")

    page.route("**/refund", refuse)
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_label("Note").fill(NOTE)
    page.get_by_role("button", name="Refund 4 credits").click()
    note = page.get_by_role("dialog").get_by_role("alert")
    expect(note).to_contain_text("Nothing was changed. Too many refunds in a minute.")
    expect(note).to_contain_text("01a1-request")
    expect(note).not_to_contain_text("not known")
    assert page.get_by_label("Note").input_value() == NOTE


def test_an_error_page_says_what_to_do_and_the_request_to_name(visitor: Visitor) -> None:
    visitor.expect("404")
    page = visitor.open("/admin/nothing-here")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_text("Every id can be found with the search.")).to_be_visible()
    page.get_by_role("button", name="Copy the request id").click()
    assert len(page.evaluate("navigator.clipboard.readText()")) == 36


def test_messages_can_be_read_after_they_left(visitor: Visitor, account: Sample) -> None:
    page = refund_dialog(visitor, account)
    page.get_by_label("Credits", exact=True).fill("1")
    page.get_by_label("Reason").select_option("goodwill")
    page.get_by_label("Note").fill(NOTE)
    page.get_by_role("button", name="Refund 1 credit").click()
    page.locator("[data-toast]").wait_for()
    page.get_by_role("button", name="Dismiss").click()
    page.keyboard.press("m")
    expect(page.get_by_role("dialog", name="Messages")).to_contain_text(f"Refunded 1 credit to {RICH}.")


def test_exact_times_are_shown_without_a_pointer_and_remembered(visitor: Visitor) -> None:
    page = visitor.open("/admin/")
    time = page.locator("#panel-failures time").first
    short, exact = time.inner_text(), time.get_attribute("title")
    page.keyboard.press("t")
    expect(time).to_have_text(str(exact))
    page.reload()
    expect(time).to_have_text(str(exact))
    page.keyboard.press("t")
    expect(time).to_have_text(short)


def test_paper_has_no_navigation_and_open_details_and_says_where_it_is_from(visitor: Visitor) -> None:
    page = visitor.open("/admin/", theme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".topbar, .mainnav, .live").filter(visible=True)).to_have_count(0)
    expect(page.locator(".print-foot")).to_contain_text(page.url)
    expect(page.locator("#panel-generations details table")).to_be_visible()
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor") == "rgb(255, 255, 255)"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-bs-theme") is None


def test_in_the_colours_of_the_system_nothing_is_said_by_ours_alone(visitor: Visitor, account: Sample) -> None:
    page = visitor.open(f"/admin/generations/{account.succeeded}")
    page.emulate_media(forced_colors="active", color_scheme="dark")
    page.evaluate("document.cookie = 'theme=light; path=/'")  # chosen here, and set aside

    def style(selector: str, name: str) -> str:
        found: str = (
            page.locator(selector)
            .filter(visible=True)
            .first.evaluate("(it, name) => getComputedStyle(it)[name]", name)
        )
        return found

    page.reload()
    assert style("body", "backgroundColor") == "rgb(0, 0, 0)"
    assert style(".btn-primary", "backgroundColor") != "rgb(0, 0, 0)"
    for edged in (".card", ".tag", ".environment"):
        assert style(edged, "borderTopStyle") == "solid", edged
    assert style(".mainnav [aria-current]", "outlineStyle") == "solid"
    page.keyboard.press("Tab")
    assert (style(":focus", "outlineStyle"), style(":focus", "outlineWidth")) == ("solid", "2px")
    page.goto(f"{visitor.site.url}/admin/")
    page.locator("#panel-generations canvas").wait_for()
    legible = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] === 255 && Math.min(data[at], data[at + 1], data[at + 2]) > 230) return true;
        return false;
    }"""
    assert page.locator("#panel-generations canvas").evaluate(legible)  # its numbers are white


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_the_first_view_weighs_less_than_150_kilobytes_and_nothing_moves_then_or_in_a_refresh(
    visitor: Visitor, site: Site, width: str
) -> None:
    page = visitor.blank(width=width)
    weights: dict[str, int] = {}

    def weigh(url: str, size: int) -> None:
        if url.split("?")[0].endswith((".css", ".js")):
            weights[url] = size

    page.on("requestfinished", lambda request: weigh(request.url, request.sizes()["responseBodySize"]))
    page.context.add_cookies([visitor._session_cookie()])  # type: ignore[list-item]
    page.add_init_script(WATCH_SHIFTS)
    page.goto(site.url + "/admin/", wait_until="networkidle")
    assert len(weights) >= 8
    assert sum(weights.values()) < 150_000
    assert page.evaluate("shift") < 0.01
    figure = page.locator(".stat", has=page.get_by_role("heading", name="Generations", exact=True)).locator(
        ".stat-value"
    )
    before = figure.inner_text()
    with site.app.app_context():
        maker = Maker(db.session(), site.app.extensions["providers"]["wavespeed"], datetime.now(UTC))
        maker.count = 100_000
        maker.charged(RICH, datetime.now(UTC))
        db.session.commit()
    page.evaluate("makegood.refresh()")
    expect(figure).not_to_have_text(before)
    page.evaluate(FRAMES)
    assert page.evaluate("shift") < 0.01


@pytest.mark.parametrize("path", ["/admin/", "/admin/failures", "/admin/generations/{succeeded}"])
def test_targets_are_large_enough_for_a_finger(visitor: Visitor, site: Site, account: Sample, path: str) -> None:
    page = visitor.phone(path.format(**vars(account)))
    page.get_by_role("button", name="Menu").tap()
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([type=hidden]), .btn, nav a, summary")]
        .filter((it) => it.checkVisibility() && it.getBoundingClientRect().width)
        .map((it) => [it.outerHTML.slice(0, 120), it.getBoundingClientRect()])
        .filter(([, box]) => Math.min(box.width, box.height) < 43.5)
        .map(([html, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${html}`)"""
    )
    assert small == []
    assert path_of(page).startswith("/admin")
