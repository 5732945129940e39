"""The price book in a browser: looked at, changed by keyboard, imported, recomputed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

import tasks.providers
from extensions import db
from makegood import generations
from makegood.generations import costs
from makegood.models import Operator
from makegood.prices import book, sheet
from makegood.prices.lines import Line
from tests.browser.conftest import Site, Visitor, accessibility_problems
from tests.browser.sample import MODELS, Sample
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen

SEEDREAM = Line("wavespeed", MODELS[1], "image")
PAGES = (
    "/admin/prices",
    "/admin/prices?provider=luma&certainty=reported",
    "/admin/prices?show=ended",
    f"/admin/prices/line?provider=wavespeed&model={MODELS[1]}&unit=image",
    "/admin/prices/add",
    "/admin/prices/import",
    "/admin/prices/credits",
    "/admin/prices/credits/add",
    "/admin/prices/recompute?provider=wavespeed",
)
THE_PRICE = f"the price of {SEEDREAM}"
ROW = "nanobanana,acme/painter,image,,1,USD,0.04,,2026-03-01,,price list,documented"


@pytest.fixture(autouse=True)
def admin(site: Site) -> None:
    """The operator may edit prices."""
    with site.app.app_context():
        db.session.execute(update(Operator).values(role="admin"))
        db.session.commit()


def held(site: Site, line: Line = SEEDREAM) -> list[int]:
    with site.app.app_context():
        return [price.unit_price_micros for price in book.line(db.session(), line).held]


@pytest.mark.parametrize(("width", "theme"), [*LOOKS, ("desktop", "dark"), ("phone", "light")])
def test_every_page_is_accessible_and_fits_its_screen(
    visitor: Visitor, site: Site, account: Sample, width: str, theme: str
) -> None:
    with site.app.app_context():
        costs.set_cost(db.session(), account.succeeded, None, source="unknown")
        db.session.commit()
    page = visitor.open(PAGES[0], width=width, theme=theme)
    for path in (*PAGES, f"/admin/generations/{account.succeeded}"):
        page.goto(site.url + path)
        assert (path, accessibility_problems(page)) == (path, [])
        assert (path, widths_beyond_the_screen(page)) == (path, 0)


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_a_price_is_changed_in_a_dialog_without_a_mouse(visitor: Visitor, site: Site, width: str) -> None:
    page = visitor.open("/admin/prices?provider=wavespeed", width=width)
    page.get_by_role("link", name=f"Change {THE_PRICE}", exact=True).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="New price")
    expect(dialog.get_by_label("Amount")).to_be_focused()
    assert accessibility_problems(page) == []
    assert widths_beyond_the_screen(page) == 0
    page.keyboard.press("Control+a")
    page.keyboard.type("0.031")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toast]")).to_contain_text(
        "Changed: wavespeed bytedance/seedream-v4/edit per image."
    )
    expect(page.get_by_role("cell", name="2 Running")).to_be_visible()
    assert held(site) == [27_000, 31_000]


def test_escape_closes_the_dialog_and_gives_the_focus_back(visitor: Visitor, site: Site) -> None:
    page = visitor.open("/admin/prices?provider=wavespeed")
    end = page.get_by_role("link", name=f"End {THE_PRICE}", exact=True)
    end.click()
    page.get_by_role("dialog", name="End a price").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(end).to_be_focused()
    assert held(site) == [27_000]


def test_mistakes_and_leaps_are_told_in_the_dialog(visitor: Visitor, site: Site) -> None:
    visitor.expect("422")
    page = visitor.open("/admin/prices?provider=wavespeed")
    page.get_by_role("link", name=f"Correct {THE_PRICE}", exact=True).click()
    dialog = page.get_by_role("dialog", name="Correct a price")
    dialog.get_by_label("Amount").fill("-1")
    dialog.get_by_role("button", name="Correct").click()
    expect(dialog.locator("[data-error-summary]")).to_be_focused()
    expect(dialog.locator("[data-error-summary]")).to_contain_text("must not be negative")
    expect(dialog.get_by_label("Amount")).to_have_value("-1")
    assert accessibility_problems(page) == []
    dialog.get_by_label("Amount").fill("270")
    dialog.get_by_role("button", name="Correct").click()
    meant = dialog.get_by_label("The price for one image is 10,000 times what it was. That is meant.")
    meant.check()
    assert held(site) == [27_000]
    dialog.get_by_role("button", name="Correct").click()
    expect(page.locator("[data-toast]")).to_contain_text("Corrected")
    assert held(site) == [270_000_000]


@pytest.mark.parametrize("javascript", [True, False])
def test_a_file_is_previewed_and_imported(visitor: Visitor, site: Site, javascript: bool, tmp_path: Path) -> None:
    visitor.expect("422")
    file = tmp_path / "prices.csv"
    file.write_text(f"{','.join(sheet.HEADER)}\n{ROW}\n{ROW.replace('0.04', 'x')}\n")
    page = visitor.open("/admin/prices/import", javascript=javascript)
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("cell", name="must be a number such as 0.038")).to_be_visible()
    text = page.get_by_label("Or its text")
    text.fill(text.input_value().replace(ROW.replace("0.04", "x"), ""))
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("1 new, 0 changed")).to_be_visible()
    if javascript:
        assert accessibility_problems(page) == []
    page.get_by_role("button", name="Import 1 price").click()
    expect(page.locator("[data-toast]")).to_contain_text("Imported 1 price: 1 new.")
    assert held(site, Line("nanobanana", "acme/painter", "image")) == [40_000]


def test_a_recompute_shows_its_progress_by_itself(visitor: Visitor, site: Site, account: Sample) -> None:
    with site.app.app_context():
        costs.set_cost(db.session(), account.succeeded, None, source="unknown")
        db.session.commit()
    page = visitor.open(f"/admin/prices/recompute?provider=wavespeed&model={MODELS[2]}")
    field = page.get_by_label("Type 1 to confirm")
    field.fill("1")
    page.get_by_role("button", name="Recompute", exact=True).click()
    expect(page.get_by_text("0 of 1")).to_be_visible()
    assert accessibility_problems(page) == []
    with site.app.app_context():
        tasks.providers.recompute_costs(site.app)
    expect(page.get_by_text("1 of 1")).to_be_visible()
    expect(page.get_by_text("Finished")).to_be_visible()
    with site.app.app_context():
        assert generations.get(db.session(), account.succeeded).cost_micros == 27_000
    page.goto(f"{site.url}/admin/generations/{account.succeeded}")
    expect(page.locator(".story")).to_contain_text("Cost adjusted to $0.027")
