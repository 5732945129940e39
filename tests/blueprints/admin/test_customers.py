"""The customers list, a customer's page with notes, and the adjustment form."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from blueprints.admin.dialogs import opened_from
from extensions import db
from makegood import accounts, audit, ledger, notes
from makegood.models import AuditEntry, CreditAdjustment, CustomerNote, OperatorSession
from tests.making import make_customer, make_generation
from tests.people import add_operator, form_token, log_in
from tests.selling import buy, give_back

NAME = "c/42 “é”"
"""An id of the platform's own may hold anything."""
PAGE = f"/admin/customers/{quote(NAME)}"
ADJUST = f"/admin/adjustments/{quote(NAME)}"
WRITE = f"/admin/notes/{quote(NAME)}"
KEY = "0193aaaa-0000-7000-8000-000000000001"


@pytest.fixture
def customer(app: Flask) -> str:
    """A customer with 10 purchased credits beside the allowance of 5, of which a generation used 2."""
    with app.app_context():
        at = datetime.now(UTC) - timedelta(minutes=10)
        make_customer(db.session, 10, customer_id=NAME, at=at)
        make_generation(db.session, NAME, status="succeeded", at=at)
        db.session.commit()
    return NAME


@pytest.fixture
def support(app: Flask) -> FlaskClient:
    """The browser of somebody in support."""
    add_operator(app, "sam@example.com", role="support")
    browser = app.test_client()
    log_in(browser, "sam@example.com")
    return browser


def balance(app: Flask) -> int:
    with app.app_context():
        return ledger.balance(db.session, NAME)


def adjust(client: FlaskClient, *, htmx: bool = False, **form: str):  # type: ignore[no-untyped-def]
    fields = {
        "csrf_token": form_token(client, PAGE),
        "idempotency_key": KEY,
        "direction": "give",
        "credits": "7",
        "reason": "goodwill",
        "note": "They waited an hour.",
        **form,
    }
    return client.post(ADJUST, data=fields, headers={"HX-Request": "true"} if htmx else {})


@pytest.mark.usefixtures("customer")
def test_the_list_leads_to_the_customer_s_page(operator: FlaskClient) -> None:
    page = operator.get("/admin/customers?q=c/4").text
    assert "1 customer" in page
    link = re.search(r'class="lead-link" href="([^"]+)"', page)
    assert link
    shown = operator.get(link[1]).text
    assert f"<h1>{NAME} " in shown
    assert "2 charged − 0 refunded" in shown


def test_an_empty_list_of_customers_says_why(operator: FlaskClient) -> None:
    assert "No customer yet" in operator.get("/admin/customers").text
    assert "Nothing matches these filters" in operator.get("/admin/customers?q=nobody").text
    assert "There are no more rows" in operator.get("/admin/customers?older=5-x").text


@pytest.mark.usefixtures("customer")
def test_what_a_customer_owes_stands_beside_the_balance(app: Flask, operator: FlaskClient) -> None:
    assert ">owes " not in operator.get(PAGE).text
    with app.app_context():
        at = datetime.now(UTC)
        bought = buy(db.session(), NAME, 30, 300, at=at)
        make_generation(db.session, NAME, credits=38, at=at)
        give_back(db.session(), bought, 300, at=at)
        db.session.commit()
    shown = operator.get(PAGE).text
    [owed] = re.findall(r">owes (\d+)</a> credits whose money went back", shown)
    assert f"<strong>{owed} credits owed.</strong>" in shown
    listed = operator.get("/admin/customers?balance=owes").text
    assert f'<span class="under">owes {owed}</span>' in listed
    assert "<span data-found>1 customer</span>" in listed


def test_nobody_has_no_page(operator: FlaskClient) -> None:
    for path in ("/admin/customers/nobody", "/admin/adjustments/nobody"):
        assert operator.get(path).status_code == 404


@pytest.mark.usefixtures("customer")
def test_the_list_as_a_file_has_balances_and_ids_that_are_no_formulas(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        make_customer(db.session, 3, customer_id="=1+1", at=datetime.now(UTC) - timedelta(minutes=20))
        db.session.commit()
    rows = list(csv.DictReader(io.StringIO(operator.get("/admin/exports/customers.csv").text)))
    assert [(row["customer_id"], row["balance_credits"]) for row in rows] == [(NAME, "13"), ("'=1+1", "8")]


@pytest.mark.usefixtures("customer")
def test_the_ledger_as_a_file_is_this_customer_s(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        make_customer(db.session, 3, customer_id="another")
        db.session.commit()
    link = re.search(r'href="(/admin/exports/ledger[^"]+)"', operator.get(PAGE).text)
    assert link
    assert "<strong>3 rows</strong>" in operator.get(link[1]).text
    file = operator.get(link[1].replace("exports/ledger", "exports/ledger.csv"))
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["entry"], row["credits"]) for row in rows] == [("3", "-2"), ("2", "10"), ("1", "5")]


@pytest.mark.parametrize("name", ["ledger", "grants", "notes"])
def test_the_tables_of_nobody_are_not_found(operator: FlaskClient, name: str) -> None:
    for query in ("", "?customer_id=nobody"):
        assert operator.get(f"/admin/exports/{name}{query}").status_code == 404
        assert operator.get(f"/admin/exports/{name}.csv{query}").status_code == 404


@pytest.mark.usefixtures("customer")
def test_open_grants_as_a_file_add_up_to_the_balance(app: Flask, operator: FlaskClient) -> None:
    assert "/admin/exports/grants?customer_id=" in operator.get(PAGE).text
    file = operator.get("/admin/exports/grants.csv", query_string={"customer_id": NAME})
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["source"], row["remaining"]) for row in rows] == [("allowance", "3"), ("purchase", "10")]
    assert sum(int(row["remaining"]) for row in rows) == balance(app)


@pytest.mark.usefixtures("customer")
def test_the_ledger_says_in_words_which_way_an_amount_went(operator: FlaskClient) -> None:
    ledger_rows = re.findall(r'<tr[^>]* id="entry-\d+">(.*?)</tr>', operator.get(PAGE).text, re.S)
    amounts = [" ".join(re.sub(r"<[^>]+>", " ", row).split()).split(" balance ")[0] for row in ledger_rows]
    assert [re.search(r"\S+ , \w+$", amount)[0] for amount in amounts] == [
        "−2 , debit",
        "+10 , credit",
        "+5 , credit",
    ]  # type: ignore[index]


@pytest.mark.usefixtures("customer")
def test_ledger_pages_lead_back_and_forth(operator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ENTRIES", 2)
    first = operator.get(PAGE).text
    assert "2 to 3 of 3" in first
    second = operator.get(f"{PAGE}?before=2").text
    assert "1 to 1 of 3" in second
    assert f'href="{PAGE}#ledger-title"' in second


@pytest.mark.usefixtures("customer")
def test_a_note_is_kept_once_with_its_author(app: Flask, support: FlaskClient) -> None:
    form = {"csrf_token": form_token(support, PAGE), "idempotency_key": KEY, "body": "<b>Called</b> back"}
    for _ in range(2):
        assert support.post(WRITE, data=form).status_code == 303
    page = support.get(PAGE).text
    assert "&lt;b&gt;Called&lt;/b&gt; back" in page
    assert "sam@example.com" in page
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(CustomerNote)) == 1


@pytest.mark.usefixtures("customer")
def test_a_note_that_is_too_long_comes_back_as_typed(app: Flask, support: FlaskClient) -> None:
    typed = "x" * (notes.MAX_LENGTH + 1)
    form = {"csrf_token": form_token(support, PAGE), "idempotency_key": KEY, "body": typed}
    response = support.post(WRITE, data=form)
    assert response.status_code == 422
    assert typed in response.text
    assert "Nothing was saved" in response.text


@pytest.mark.usefixtures("customer")
def test_a_viewer_reads_and_does_nothing(app: Flask) -> None:
    add_operator(app, "vera@example.com", role="viewer")
    viewer = app.test_client()
    log_in(viewer, "vera@example.com")
    page = viewer.get(PAGE).text
    assert "Adjust credits" not in page
    assert "note-form" not in page
    assert "Refund…" not in page
    token = form_token(viewer, PAGE)
    assert viewer.post(WRITE, data={"csrf_token": token, "body": "x"}).status_code == 403
    assert viewer.post(ADJUST, data={"csrf_token": token, "credits": "7"}).status_code == 403


@pytest.mark.usefixtures("customer")
def test_support_may_not_adjust(app: Flask, support: FlaskClient) -> None:
    assert "Adjust credits" not in support.get(PAGE).text
    assert support.get(ADJUST).status_code == 403
    assert adjust(support).status_code == 403
    assert balance(app) == 13


@pytest.mark.usefixtures("customer")
def test_an_admin_gives_and_takes_credits_once_for_each_form(app: Flask, operator: FlaskClient) -> None:
    for _ in range(2):
        assert adjust(operator).status_code == 303
    assert balance(app) == 20
    page = operator.get(PAGE).text
    assert "Gave 7 credits to" in page
    assert "Goodwill: They waited an hour." in page
    taken = adjust(operator, direction="take", credits="20", idempotency_key=KEY[:-1] + "2", htmx=True)
    assert (taken.status_code, taken.headers["HX-Redirect"]) == (200, PAGE)
    assert balance(app) == 0


@pytest.mark.usefixtures("customer")
@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"credits": "0"}, 422, "must be a whole number from 1 to 1,000,000"),
        ({"credits": "1.5"}, 422, "must be a whole number"),
        ({"credits": "−7"}, 422, "must be a whole number"),
        ({"credits": "9" * 400}, 422, "must be a whole number"),
        ({"reason": ""}, 422, "hoose a reason"),
        ({"note": ""}, 422, "ay in a few words why"),
        ({"direction": "sideways"}, 422, "The form was incomplete"),
        ({"idempotency_key": "again"}, 422, "The form was incomplete"),
        ({"direction": "take", "credits": "14"}, 409, "only 13 credits"),
    ],
)
def test_a_wrong_adjustment_comes_back_and_says_that_no_credits_moved(
    app: Flask, operator: FlaskClient, form: dict[str, str], status: int, said: str
) -> None:
    for htmx in (False, True):
        response = adjust(operator, htmx=htmx, **form)
        assert response.status_code == status
        assert said in response.text
        assert "No credits moved" in response.text
        assert ("<html" in response.text) is not htmx
    assert balance(app) == 13
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(CreditAdjustment)) == 0


@pytest.mark.usefixtures("customer")
def test_a_large_adjustment_asks_once_more_who_it_is(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        db.session.execute(update(OperatorSession).values(confirmed_at=datetime.now(UTC) - timedelta(hours=1)))
        db.session.commit()
    asked = adjust(operator, credits="900000")
    assert 'type="password"' in asked.text
    assert balance(app) == 13
    assert adjust(operator, credits="7").status_code == 303
    assert balance(app) == 20


@pytest.mark.usefixtures("customer")
def test_who_looked_at_whom_is_written_once_a_day(app: Flask, support: FlaskClient, operator: FlaskClient) -> None:
    for browser in (support, support, operator):
        assert browser.get(PAGE).status_code == 200
    operator.get("/admin/customers/nobody")
    with app.app_context():
        seen = select(AuditEntry.actor, AuditEntry.subject).where(AuditEntry.action == "customer.viewed")
        assert sorted(db.session.execute(seen)) == [
            ("ana@example.com", f"customer:{NAME}"),
            ("sam@example.com", f"customer:{NAME}"),
        ]
        later = datetime.now(UTC) + timedelta(hours=25)
        again = {"actor": "sam@example.com", "subject": f"customer:{NAME}", "address": None}
        assert audit.viewed(db.session(), **again, at=later)


@pytest.mark.usefixtures("customer")
def test_a_refund_from_the_customer_s_page_leads_back_to_it(app: Flask, operator: FlaskClient) -> None:
    link = re.search(r'href="([^"]+/refund\?back=[^"]+)"', operator.get(PAGE).text)
    assert link
    form = operator.get(link[1]).text
    hidden = {
        found[1]: html.unescape(found[2])
        for found in re.finditer(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    }
    assert hidden["back"] == PAGE
    typed = {"credits": "2", "reason": "bad_result", "note": "blurred"}
    sent = operator.post(link[1].partition("?")[0], data=hidden | typed)
    assert sent.location == PAGE
    assert balance(app) == 15
    page = operator.get(PAGE).text
    assert "Refunded 2 credits" in page
    toast = re.search(r'<a href="([^"#]+)#(refund-[^"]+)">See the refund</a>', page)
    assert toast
    assert f'id="{toast[2]}"' in operator.get(toast[1]).text
    assert "Reverse…" in page


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example", "/admin/../x"])
def test_a_form_leads_back_to_nothing_but_the_console(app: Flask, elsewhere: str) -> None:
    with app.test_request_context("/admin/", query_string={"back": elsewhere}):
        assert opened_from("/admin/generations") == "/admin/generations"
