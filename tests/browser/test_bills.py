"""The bill check in a browser: from a file to accepted differences, and its looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from extensions import db
from makegood import operators
from makegood.bills import lines
from makegood.ids import uuid7
from makegood.models import Bill
from makegood.providers.billing import BilledLine
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details, path_of
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen
from tests.people import EMAIL

JOBS = "SELECT provider_job_id, cost_micros, status FROM generations ORDER BY id LIMIT 40"

PATHS = ("", "/{bill}", "/{bill}/more", "/{bill}/unknown", "/{bill}/more/accept", "/{bill}/unknown/accept")


@pytest.fixture
def bill(site: Site) -> UUID:
    """An import of the sample's month in which something of everything differs; the operator is an admin."""
    with site.app.app_context():
        session, now = db.session(), datetime.now(UTC)
        session.execute(text("UPDATE operators SET role = 'admin' WHERE email = :email"), {"email": EMAIL})
        made = Bill(
            id=uuid7(),
            provider="wavespeed",
            origin="api",
            period_start=now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=31),
            period_end=now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1),
            state="done",
            finished_at=now,
            actor="makegood",
        )
        session.add(made)
        session.flush()
        billed = [line for number, row in enumerate(session.execute(text(JOBS))) for line in told(number, *row)]
        billed.append(BilledLine("line-x", "task-of-somebody-else", "charge", 380_000, now, '{"price": 0.38}'))
        lines.store(session, made, billed)
        session.commit()
        return made.id


def told(number: int, job: str, cost: int, status: str) -> list[BilledLine]:
    """What the provider says of a job: most is as recorded."""
    at = datetime.now(UTC) - timedelta(hours=number)
    amount = cost + 1500 if number % 9 == 1 else cost - 2000 if number % 13 == 2 else cost
    charge = BilledLine(
        f"line-{number}", job, "charge", amount, at, '{"price": 0.038}', model="google/nano-banana"
    )
    if (status == "failed" and number % 2) or number == 5:
        return [charge, BilledLine(f"refund-{number}", job, "refund", amount, at, '{"price": 0.038}')]
    return [charge]


def open_bill(visitor: Visitor, path: str, **look: str) -> Page:
    return visitor.open(f"/admin/bills{path}", **look)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
@pytest.mark.parametrize(
    "path", ["", "/{bill}", "/{bill}/more", "/{bill}/unknown", "/{bill}/more/accept", "/{bill}/unknown/accept"]
)
def test_a_page_of_the_bill_check_is_accessible_and_fits_its_screen(
    visitor: Visitor, bill: UUID, path: str, width: str, theme: str
) -> None:
    page = open_bill(visitor, path.format(bill=bill), width=width, theme=theme)
    open_details(page)
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_a_difference_is_accepted_and_leaves_the_list(
    visitor: Visitor, bill: UUID, width: str, javascript: bool
) -> None:
    page = visitor.open(f"/admin/bills/{bill}/more", width=width, javascript=javascript)
    buttons = page.get_by_role("button", name="Accept")
    before = buttons.count()
    assert before >= 2
    buttons.first.click()
    expect(page.get_by_text("Credits did not change.")).to_be_visible()
    expect(buttons).to_have_count(before - 1)
    assert path_of(page) == f"/admin/bills/{bill}/more"


def test_what_another_operator_accepted_meanwhile_is_said_so(visitor: Visitor, bill: UUID) -> None:
    visitor.expect("409")
    first = open_bill(visitor, f"/{bill}/more/accept")
    second = open_bill(visitor, f"/{bill}/more")
    second.get_by_role("button", name="Accept").first.click()
    expect(second.get_by_text("Credits did not change.")).to_be_visible()
    wanted = first.get_by_label("Type").get_attribute("id")
    assert wanted == "accept-typed"
    first.get_by_label("Type").fill("4")
    first.get_by_role("button", name="Accept").click()
    expect(first.get_by_role("alert")).to_contain_text("This has changed meanwhile. Nothing was accepted")
    count = first.get_by_role("button", name="Accept").inner_text().split()[1]
    first.get_by_label("Type").fill(count)
    first.get_by_role("button", name="Accept").click()
    expect(first.get_by_text("Credits did not change.")).to_be_visible()
    assert path_of(first) == f"/admin/bills/{bill}"


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_file_becomes_a_bill_with_its_columns_corrected(
    visitor: Visitor, bill: UUID, tmp_path: Path, width: str, theme: str
) -> None:
    file = tmp_path / "november.csv"
    file.write_text("Reference,Charged,When\ntask-000003-8f2c1d7e,0.05,yesterday\ntask-000004-8f2c1d7e,0.02,\n")
    page = open_bill(visitor, "", width=width, theme=theme)
    if width == "phone":
        page.get_by_text("Import a bill").click()
    form = page.get_by_role("form", name="From a CSV file")
    form.get_by_label("Provider").select_option("wavespeed")
    form.get_by_label("File").set_input_files(file)
    form.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Say first what the columns are.")).to_be_visible()
    assert accessibility_problems(page) == []
    page.get_by_label("Job id").select_option("Reference")
    page.get_by_label("Date").select_option("When")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_text("1 row cannot be imported, so nothing is.")).to_be_visible()
    expect(page.get_by_role("button", name="Import 2 rows")).to_be_disabled()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0
    page.get_by_label("Date").select_option("No column")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_text("Charges $0.070, refunds $0.00")).to_be_visible()
    assert widths_beyond_the_screen(page) == 0
    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_text("Imported 2 lines of wavespeed.")).to_be_visible()


def test_the_list_follows_an_import_by_itself(visitor: Visitor, bill: UUID, site: Site) -> None:
    page = open_bill(visitor, "")
    form = page.get_by_role("form", name="From a billing API")
    form.get_by_role("button", name="Import").click()
    expect(page.locator("#imports").get_by_text("Waiting")).to_be_visible()
    with site.app.app_context():
        db.session.execute(text("UPDATE bills SET state = 'done', finished_at = now() WHERE state = 'waiting'"))
        db.session.commit()
    expect(page.locator("#imports").get_by_text("Waiting")).to_have_count(0)
    assert page.locator("#imports").get_attribute("hx-trigger") is None


@pytest.mark.parametrize("database", ["empty"], indirect=True)
def test_an_empty_list_says_what_it_is_for(visitor: Visitor, site: Site) -> None:
    with site.app.app_context():
        operators.create(db.session(), EMAIL, "admin", "correct horse battery staple", actor="tests")
        db.session.commit()
    page = open_bill(visitor, "", width="phone")
    expect(page.get_by_role("heading", name="No bill has been imported yet")).to_be_visible()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0
