"""The price book over HTTP: what it shows, who may change it, and what is refused."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import generations
from makegood.models import AuditEntry, CreditPrice, Price
from makegood.prices import book, sheet
from makegood.prices.lines import Line
from tests.making import MODEL, make_customer, make_generation
from tests.people import add_operator, log_in

FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}
LINE = Line("wavespeed", MODEL, "image")
GOOD = {
    "provider": "nanobanana",
    "model": "acme/painter",
    "unit": "image",
    "qualifier": "",
    "per": "1",
    "currency": "USD",
    "amount": "0.04",
    "rate": "",
    "effective_from": "",
    "source": "price list",
    "certainty": "documented",
}


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form."""
    form = page[page.index('id="price-form"') :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


def shipped(app: Flask, line: Line = LINE) -> Price:
    with app.app_context():
        return book.line(db.session(), line).held[-1]


def versions(app: Flask, line: Line = LINE) -> list[tuple[int, int, bool]]:
    with app.app_context():
        return [
            (price.version, price.unit_price_micros, price.withdrawn_at is not None)
            for price in book.line(db.session(), line).versions
        ]


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    add_operator(app, email="vic@example.com", role="viewer")
    browser = app.test_client()
    log_in(browser, email="vic@example.com")
    return browser


def test_the_book_shows_every_line_with_its_certainty_and_source(operator: FlaskClient) -> None:
    page = operator.get("/admin/prices").text
    for text in ("seedream-v4", "$0.027", "Documented", "per 1,000 characters", "$0.005", "720p 5s", "Any model"):
        assert text in page
    assert "acme" not in page
    only = operator.get("/admin/prices?provider=bfl").text
    assert "pricing.md" in only
    assert "seedream" not in only
    assert "nano-banana" not in operator.get("/admin/prices?certainty=documented").text
    assert "Nothing matches" in operator.get("/admin/prices?show=ended").text


def test_a_viewer_sees_and_changes_nothing(app: Flask, viewer: FlaskClient) -> None:
    price = shipped(app)
    page = viewer.get("/admin/prices").text
    assert "seedream-v4" in page
    assert "Add a price" not in page
    assert "/change" not in page
    for path in ("add", f"{price.id}/change", f"{price.id}/correct", f"{price.id}/end", "import", "credits/add"):
        assert viewer.get(f"/admin/prices/{path}").status_code == 403
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
    for path in (f"{price.id}/change", "add", "import", "import/apply", "recompute", "credits/add"):
        assert viewer.post(f"/admin/prices/{path}", data=GOOD | {"csrf_token": token}).status_code == 403
    assert versions(app) == [(1, 27_000, False)]


def test_a_line_is_added_and_audited(app: Flask, operator: FlaskClient) -> None:
    path = "/admin/prices/add?provider=nanobanana&model=acme/painter&unit=image"
    page = operator.get(path).text
    assert 'value="acme/painter"' in page
    response = operator.post("/admin/prices/add", data=GOOD | hidden(page))
    assert response.status_code == 303
    shown = operator.get(response.location).text
    assert "Added: nanobanana acme/painter per image." in shown
    assert "ana@example.com" in shown
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "price.added")).one()
        assert (entry.actor, entry.address) == ("ana@example.com", "127.0.0.1")


def test_change_correct_and_end(app: Flask, operator: FlaskClient) -> None:
    path = f"/admin/prices/{shipped(app).id}/change"
    form = operator.get(path, headers=FRAGMENT).text
    assert form.startswith("<dialog")
    response = operator.post(path, data=GOOD | {"amount": "0.03"} | hidden(form), headers=FRAGMENT)
    assert response.headers["HX-Redirect"].startswith("/admin/prices/line?provider=wavespeed")
    assert versions(app) == [(1, 27_000, False), (2, 30_000, False)]
    path = f"/admin/prices/{shipped(app).id}/correct"
    operator.post(path, data=GOOD | {"amount": "0.031"} | hidden(operator.get(path).text))
    assert versions(app) == [(1, 27_000, False), (2, 30_000, True), (3, 31_000, False)]
    path = f"/admin/prices/{shipped(app).id}/end"
    response = operator.post(path, data={"effective_to": "2099-01-01T00:00"} | hidden(operator.get(path).text))
    assert response.status_code == 303
    page = operator.get(response.location).text
    assert page.count("Withdrawn") >= 1
    assert "1 Jan 2099" in page


def test_a_wrong_form_keeps_what_was_typed(app: Flask, operator: FlaskClient) -> None:
    page = operator.get("/admin/prices/add").text
    response = operator.post(
        "/admin/prices/add",
        data=GOOD | {"amount": "-1", "model": "kept/model", "effective_from": "soon"} | hidden(page),
        headers=FRAGMENT,
    )
    assert response.status_code == 422
    for text in ("must not be negative", "kept/model", 'value="soon"', "must be a date"):
        assert text in response.text
    assert versions(app, Line("nanobanana", "kept/model", "image")) == []


def test_a_leap_is_confirmed_by_a_mark(app: Flask, operator: FlaskClient) -> None:
    path = f"/admin/prices/{shipped(app).id}/change"
    sent = GOOD | {"amount": "27"} | hidden(operator.get(path).text)
    response = operator.post(path, data=sent)
    assert response.status_code == 422
    assert "is 1,000 times what it was" in response.text
    assert versions(app) == [(1, 27_000, False)]
    assert operator.post(path, data=sent | {"confirmed": "yes"}).status_code == 303
    assert versions(app) == [(1, 27_000, False), (2, 27_000_000, False)]


def test_who_comes_second_is_shown_what_the_first_did(app: Flask, operator: FlaskClient) -> None:
    path = f"/admin/prices/{shipped(app).id}/change"
    first, second = (operator.get(path).text for _ in range(2))
    assert operator.post(path, data=GOOD | {"amount": "0.03"} | hidden(first)).status_code == 303
    response = operator.post(path, data=GOOD | {"amount": "0.035"} | hidden(second))
    assert response.status_code == 409
    for text in ("Somebody else changed", 'value="0.035"', "version 2, $0.03"):
        assert text in response.text
    assert len(versions(app)) == 2
    sent = GOOD | {"amount": "0.035"} | hidden(response.text)
    assert operator.post(path, data=sent).status_code == 303
    assert [micros for _, micros, _ in versions(app)] == [27_000, 30_000, 35_000]


def test_the_export_is_a_file_that_changes_nothing_when_imported(app: Flask, operator: FlaskClient) -> None:
    exported = operator.get("/admin/prices/export.csv")
    assert exported.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment; filename=" in exported.headers["Content-Disposition"]
    assert exported.text.startswith(",".join(sheet.HEADER) + "\r\n")
    page = operator.post("/admin/prices/import", data=_token(operator) | {"text": exported.text}).text
    assert "says all of this already" in page


def test_what_has_no_price_is_counted_and_leads_to_adding_one(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        customer = make_customer(db.session(), 100)
        for _ in range(3):
            make_generation(db.session(), customer, model="brand/new", credits=1)
        db.session.commit()
    page = operator.get("/admin/prices").text
    assert re.search(r'data-label="Generations">3<', page)
    assert "/admin/prices/add?provider=wavespeed&amp;model=brand/new&amp;unit=image" in page
    assert "There is no price" in page


def test_a_line_that_does_not_exist_is_not_found(operator: FlaskClient) -> None:
    assert operator.get("/admin/prices/line?provider=x&model=y&unit=z").status_code == 404
    assert operator.get(f"/admin/prices/{UUID(int=0)}/change").status_code == 404
    assert operator.get("/admin/prices/line?provider=%00").status_code == 404


def test_customers_pay_a_new_price_from_a_date_on(app: Flask, operator: FlaskClient) -> None:
    page = operator.get(f"/admin/prices/credits/add?provider=wavespeed&model={MODEL}").text
    sent = {"provider": "wavespeed", "model": MODEL, "credits": "3", "effective_from": ""} | hidden(page)
    assert operator.post("/admin/prices/credits/add", data=sent).status_code == 303
    assert "costs 3 credits" in operator.get("/admin/prices/credits").text
    with app.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "credit_price.added")).one()
        assert (entry.details["before"], entry.details["after"]) == (2, 3)
        made = make_generation(db.session(), make_customer(db.session(), 10))
        assert generations.get(db.session(), made).credits_charged == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"credits": "0"}, "whole number"),
        ({"credits": "1.5"}, "whole number"),
        ({"provider": "acme"}, "must be one of"),
        ({"model": ""}, "1 to 200 characters"),
        ({"effective_from": "2020-01-01T00:00"}, "must not lie in the past"),
        ({"effective_from": "never"}, "must be a date"),
    ],
)
def test_a_wrong_credit_price_is_refused(
    app: Flask, operator: FlaskClient, wrong: dict[str, str], why: str
) -> None:
    good = {"provider": "wavespeed", "model": "kept/model", "credits": "3", "effective_from": ""}
    page = operator.get("/admin/prices/credits/add").text
    response = operator.post("/admin/prices/credits/add", data=good | wrong | hidden(page), headers=FRAGMENT)
    assert response.status_code == 422
    assert why in response.text
    with app.app_context():
        assert db.session.scalars(select(CreditPrice).where(CreditPrice.model == "kept/model")).all() == []


def _token(browser: FlaskClient) -> dict[str, str]:
    page = browser.get("/admin/prices").text
    return {"csrf_token": re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]}
