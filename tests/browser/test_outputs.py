"""Outputs, late results and notifications in a real browser: seen, accessible, within the screen."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from extensions import db
from makegood import generations, notifications
from makegood.notifications import Result
from makegood.providers.protocol import ErrorClass, File, Outcome, Report
from simulator import pictures
from tests.browser.conftest import Site, Visitor, accessibility_problems
from tests.making import TERMS, make_customer, make_generation

LOOKS = (("desktop", "light"), ("phone", "dark"))
TOLD = replace(TERMS, notify=True)
PICTURE = File("image/svg+xml", pictures.draw("outputs", 1))


def look(page: Page, name: str) -> None:
    """The page is clean; with SHOTS set, a picture of it is kept there."""
    assert accessibility_problems(page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    if os.environ.get("SHOTS"):
        page.screenshot(path=Path(os.environ["SHOTS"]) / f"{name}.png", full_page=True)


def late(site: Site, *, taken: bool) -> UUID:
    """A generation that timed out, was refunded, and succeeded after all; the platform was told of both."""
    with site.app.app_context():
        one = make_generation(db.session(), make_customer(db.session()))
        generations.fail(db.session(), one, ErrorClass.TIMEOUT, "no result within 1800 seconds", TOLD)
        report = Report(Outcome.SUCCEEDED, files=(PICTURE,))
        generations.settle(db.session(), one, report, TOLD)
        db.session.commit()
        at = datetime.now(UTC) + timedelta(seconds=1)
        for due in notifications.claim(db.session(), limit=10, at=at):
            result = Result(200, "HTTP 200") if taken or due.event == "failed" else Result(503, "HTTP 503")
            notifications.record(db.session(), due, result)
        db.session.commit()
    return one


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_late_result_is_seen_with_its_picture_and_when_it_dies(
    visitor: Visitor, site: Site, width: str, theme: str
) -> None:
    one = late(site, taken=True)
    page = visitor.open(f"/admin/generations/{one}", width=width, theme=theme)
    expect(page.get_by_text("Succeeded late")).to_be_visible()
    expect(page.get_by_text("Your platform was told: late outcome")).to_be_visible()
    dies = page.get_by_text("Die in 24 hours").or_(page.get_by_text("Die in 1 day"))
    expect(dies).to_be_visible()
    assert str(datetime.now(UTC).year) in (dies.locator("time").get_attribute("title") or "")
    picture = page.get_by_role("img", name="Output 1")
    expect(picture).to_be_hidden()
    page.get_by_text("Preview").press("Enter")
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('.preview img').naturalWidth > 0")
    look(page, f"generation-late-{width}-{theme}")


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_links_that_died_are_no_links(visitor: Visitor, site: Site, width: str, theme: str) -> None:
    with site.app.app_context():
        one = make_generation(db.session(), make_customer(db.session()))
        died = datetime.now(UTC) - timedelta(hours=2)
        report = Report(Outcome.SUCCEEDED, outputs=("https://delivery.example/1.png",), outputs_expire_at=died)
        generations.settle(db.session(), one, report, TERMS)
        db.session.commit()
    page = visitor.open(f"/admin/generations/{one}", width=width, theme=theme)
    expect(page.get_by_text("Died 2 hours ago")).to_be_visible()
    expect(page.get_by_role("link", name="delivery.example")).to_have_count(0)
    expect(page.get_by_text("Preview")).to_have_count(0)
    look(page, f"generation-died-{width}-{theme}")


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_failure_log_counts_late_results(visitor: Visitor, site: Site, width: str, theme: str) -> None:
    late(site, taken=True)
    page = visitor.open("/admin/failures", width=width, theme=theme)
    page.get_by_role("link", name="1 result").click()
    expect(page.get_by_role("link", name="Reported late")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    look(page, f"failures-late-{width}-{theme}")


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_notification_that_was_not_taken_is_sent_again(
    visitor: Visitor, site: Site, width: str, theme: str
) -> None:
    late(site, taken=False)
    page = visitor.open("/admin/notifications", width=width, theme=theme)
    row = page.locator("tbody tr")
    expect(row).to_contain_text("HTTP 503.")
    look(page, f"notifications-{width}-{theme}")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("The notification is sent again within a few seconds.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(0)
    look(page, f"notifications-empty-{width}-{theme}")
