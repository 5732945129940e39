"""Taking a table as a file: how many rows first, then the file, with the keyboard."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor, accessibility_problems


@pytest.mark.parametrize(("width", "theme"), [("desktop", "light"), ("phone", "dark")])
def test_the_dialog_says_how_many_rows_and_the_file_has_them(visitor: Visitor, width: str, theme: str) -> None:
    page = visitor.open("/admin/refunds?provider=wavespeed", width=width, theme=theme)
    opener = page.get_by_role("link", name="CSV")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Refunds as CSV")
    download = dialog.get_by_role("link", name="Download")
    expect(download).to_be_focused()
    assert accessibility_problems(page) == []
    rows = int("".join(filter(str.isdigit, download.inner_text())))
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    file = started.value
    assert file.suggested_filename.startswith("makegood-refunds-")
    with Path(file.path()).open(newline="") as opened:
        assert len(list(csv.reader(opened))) == rows + 1 > 1
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_without_javascript_the_same_is_a_page(visitor: Visitor) -> None:
    page = visitor.open("/admin/failures?customer=nobody", javascript=False)
    page.get_by_role("link", name="CSV").click()
    expect(page.get_by_text("No row matches these filters")).to_be_visible()
    page.get_by_role("link", name="Back", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Failures")).to_be_visible()
