"""Tasks of an operator's day, done as somebody new would: from the overview, by what stands on the screen.

Four more are walked beside what they use: a customer's trouble made good and noted (test_customers.py), an
incident refunded as a whole (test_bulk_refunds.py), a refund that a second operator approves (test_approvals.py),
a second factor set up and used (test_operators.py).
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from extensions import db
from makegood.models import Generation, Operator
from tests.browser.conftest import Site, Visitor, path_of
from tests.browser.sample import RICH, Sample


@pytest.fixture
def page(visitor: Visitor, site: Site) -> Page:
    """The overview, as an admin sees it."""
    with site.app.app_context():
        db.session.execute(update(Operator).values(role="admin"))
        db.session.commit()
    return visitor.open("/admin/")


def go(page: Page, entry: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=entry, exact=True).click()
    expect(page.locator("#mainnav [aria-current]")).to_contain_text(entry)


def test_what_fails_most_this_month_and_why(page: Page) -> None:
    go(page, "Failure rates")
    page.get_by_role("link", name="30 days").click()
    page.get_by_role("link", name="All failures of the range").click()
    expect(page).to_have_url(re.compile(r"/admin/failures\?.*range=30d"))
    page.locator("main .lead-link").first.click()
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()


def test_what_yesterday_cost(page: Page) -> None:
    page.get_by_role("link", name="Yesterday").click()
    cost = page.locator(".stat", has=page.get_by_role("heading", name="Cost", exact=True))
    expect(cost).to_contain_text(re.compile(r"\$\d+\.\d\d"))
    expect(page.locator(".environment").first).to_have_text("Test")


def test_who_uses_most_and_what_they_have_left(page: Page) -> None:
    go(page, "Top customers")
    first = page.get_by_role("region", name="Top customers").locator("tbody tr").first.get_by_role("link").first
    name = first.inner_text()
    first.click()
    page.wait_for_url(re.compile("/admin/(customers|generations)"))
    page.keyboard.press("/")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/customers/{name}")
    expect(page.locator(".stat", has=page.get_by_role("heading", name="Balance"))).to_contain_text("credits")


def test_this_month_s_refunds_as_a_file(page: Page) -> None:
    go(page, "Refunds")
    page.get_by_role("link", name="This month").click()
    page.get_by_role("link", name="CSV").click()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("link", name=re.compile(r"^Download \d+ rows?$")).click()
    assert re.search(r"refunds.*\.csv", download.value.suggested_filename)


def test_a_provider_writes_about_a_job(page: Page, site: Site, account: Sample) -> None:
    with site.app.app_context():
        job = db.session.get_one(Generation, account.failed).provider_job_id
    page.keyboard.press("Control+k")
    page.keyboard.type(str(job))
    page.locator("#palette-list [role=option]").filter(has_text="generation").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/generations/{account.failed}")
    expect(page.locator("h1")).to_be_visible()


def test_a_provider_in_trouble_gets_no_new_generations(page: Page) -> None:
    go(page, "Providers")
    page.locator("main").get_by_role("link", name="wavespeed").first.click()
    page.get_by_role("link", name=re.compile("^Switch off")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Their status page says so.")
    dialog.get_by_role("button", name=re.compile("^Switch off")).click()
    page.locator("[data-toast]").wait_for()
    go(page, "Overview")
    expect(page.locator("#panel-health")).to_contain_text("Switched off for new generations: wavespeed")


def test_who_changed_that(page: Page, account: Sample) -> None:
    go(page, "Customers")
    page.locator("main").get_by_role("link", name=RICH).first.click()
    page.get_by_role("link", name="Adjust credits…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Credits", exact=True).fill("5")
    dialog.get_by_label("Reason").select_option(index=1)
    dialog.get_by_label("Note").fill("For the trouble.")
    dialog.locator("[data-submit], .btn-primary").last.click()
    page.locator("[data-toast]").wait_for()
    go(page, "Audit log")
    expect(page.locator("main tbody tr").first).to_contain_text("ana@example.com")
    expect(page.locator("main tbody tr").first).to_contain_text("→")


def test_a_viewer_sees_what_there_is_and_is_told_what_is_not_theirs(visitor: Visitor, site: Site) -> None:
    visitor.expect("403")
    with site.app.app_context():
        db.session.execute(update(Operator).values(role="viewer"))
        db.session.commit()
    page = visitor.open("/admin/")
    navigation = page.get_by_role("navigation", name="Main")
    expect(navigation.get_by_role("link", name="Refunds", exact=True)).to_be_visible()
    for hidden in ("Operators", "API keys", "Audit log"):
        expect(navigation.get_by_role("link", name=hidden)).to_have_count(0)
    page.goto(site.url + "/admin/operators")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not allowed")
    expect(page.get_by_text("An admin can do it")).to_be_visible()
    assert path_of(page) == "/admin/operators"
