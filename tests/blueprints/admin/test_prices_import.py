"""Importing prices over HTTP: previewed, applied as previewed, and nothing that was sent is lost."""

from __future__ import annotations

import html
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from makegood.models import AuditEntry
from makegood.prices import book, sheet
from makegood.prices.lines import Line

HEAD = ",".join(sheet.HEADER)
ROW = "nanobanana,acme/painter,image,,1,USD,0.04,,2026-03-01,,“price” list,documented"
LINE = Line("nanobanana", "acme/painter", "image")


def token(browser: FlaskClient) -> dict[str, str]:
    page = browser.get("/admin/prices/import").text
    return {"csrf_token": re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]}


def send(browser: FlaskClient, content: bytes) -> TestResponse:
    """Choose a file and press Preview."""
    data = token(browser) | {"file": (io.BytesIO(content), "prices.csv")}
    return browser.post("/admin/prices/import", data=data, content_type="multipart/form-data")


def confirm(browser: FlaskClient, page: str, **more: str) -> TestResponse:
    """Press Import on the preview, as a browser sends it: with CR LF."""
    fingerprint = re.findall(r'name="fingerprint" value="([^"]+)"', page)[0]
    return browser.post(
        "/admin/prices/import/apply",
        data=token(browser) | {"fingerprint": fingerprint, "text": text_of(page).replace("\n", "\r\n")} | more,
    )


def text_of(page: str) -> str:
    """The file's text that came back."""
    return html.unescape(re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)[0])


def held(app: Flask) -> list[int]:
    with app.app_context():
        return [price.unit_price_micros for price in book.line(db.session(), LINE).held]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_was_previewed_is_imported(app: Flask, operator: FlaskClient, end: str) -> None:
    response = send(operator, f"{HEAD}{end}{ROW}{end}".encode())
    assert response.status_code == 200
    assert "1 new, 0 changed, 0 ended, 0 equal" in response.text
    assert text_of(response.text) == f"{HEAD}\n{ROW}\n"
    assert held(app) == []
    done = confirm(operator, response.text)
    assert (done.status_code, done.location) == (303, "/admin/prices")
    assert "Imported 1 price: 1 new." in operator.get("/admin/prices").text
    assert held(app) == [40_000]
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "prices.imported")).one()
        assert (entry.actor, entry.details["new"]) == ("ana@example.com", 1)


def test_every_bad_row_is_named_and_the_text_comes_back(app: Flask, operator: FlaskClient) -> None:
    text = f"{HEAD}\n{ROW}\n{ROW.replace('0.04', '-1').replace('image', 'hour')}\n"
    response = send(operator, text.encode())
    assert response.status_code == 422
    assert "2 problems" in response.text
    assert re.search(r">3</td><td>amount</td>.*must not be negative", response.text)
    assert text_of(response.text) == text
    assert "fingerprint" not in response.text
    assert held(app) == []


def test_wrong_encodings_and_sizes_are_one_sentence(app: Flask, operator: FlaskClient) -> None:
    response = send(operator, f"{HEAD}\n{ROW}".encode("latin-1", "replace").replace(b"painter", b"p\xe4inter"))
    assert response.status_code == 422
    assert "not UTF-8 (line 2)" in response.text
    assert "acme/p\N{REPLACEMENT CHARACTER}inter" in text_of(response.text)
    large = send(operator, b"x" * (sheet.MOST_BYTES + 1))
    assert (large.status_code, "larger than 200 kB" in large.text) == (422, True)
    assert "nothing to import" in send(operator, b"").text


def test_a_book_that_changed_meanwhile_is_previewed_again(app: Flask, operator: FlaskClient) -> None:
    first = send(operator, f"{HEAD}\n{ROW}\n".encode()).text
    second = send(operator, f"{HEAD}\n{ROW.replace('0.04', '0.05')}\n".encode()).text
    assert confirm(operator, first).status_code == 303
    response = confirm(operator, second)
    assert response.status_code == 409
    assert "changed meanwhile" in response.text
    assert "0 new, 1 changed" in response.text
    assert held(app) == [40_000]
    assert confirm(operator, response.text).status_code == 303
    assert held(app) == [50_000]


def test_another_text_than_the_previewed_one_is_not_imported(app: Flask, operator: FlaskClient) -> None:
    page = send(operator, f"{HEAD}\n{ROW}\n".encode()).text
    response = confirm(operator, page.replace(",0.04,", ",0.05,"))
    assert response.status_code == 409
    assert held(app) == []


def test_leaps_are_confirmed_together(app: Flask, operator: FlaskClient) -> None:
    confirm(operator, send(operator, f"{HEAD}\n{ROW}\n".encode()).text)
    page = send(operator, f"{HEAD}\n{ROW.replace('0.04', '40')}\n".encode()).text
    assert "Is 1,000 times what it was" in page
    response = confirm(operator, page)
    assert response.status_code == 422
    assert held(app) == [40_000]
    assert confirm(operator, response.text, confirmed="yes").status_code == 303
    assert held(app) == [40_000_000]
