"""The pages of the bill check, as an operator uses them."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

import tasks.providers
from extensions import db
from makegood import ledger
from makegood.bills import acceptance
from makegood.models import AuditEntry, Bill, BillLine, CostAdjustment
from tests.conftest import MakeApp
from tests.loopback import Loopback
from tests.makegood.bills.making import COST, DAY, bill_of, billed_generation, cost, line
from tests.people import add_operator, form_token, log_in

CSV = "Task ID,Cost,Type,Created\njob-1,0.05,charge,2026-11-20\njob-9,0.01,charge,2026-11-20\n"


def send(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    """Send a form as the page does."""
    return client.post(path, data={"csrf_token": form_token(client, "/admin/bills"), **fields})


def upload(client: FlaskClient, content: str | bytes = CSV, **changes: Any) -> TestResponse:
    """Upload a file."""
    raw = content.encode() if isinstance(content, str) else content
    fields = {"provider": "wavespeed", "from": str(DAY), "to": str(DAY), "file": (io.BytesIO(raw), "nov.csv")}
    return send(client, "/admin/bills/upload", **(fields | changes))


@pytest.fixture
def bill(app: Flask) -> tuple[UUID, UUID]:
    """A bill with one job billed more than recorded and one unknown line; the bill's id and the generation's."""
    with app.app_context():
        generation_id = billed_generation(db.session(), "job-1")
        made = bill_of(db.session(), line("job-1", COST + 500), line("=cmd|1", 9), line("job-1", 0))
        db.session.commit()
        return made.id, generation_id


def visible(html: str) -> str:
    """The page's text."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("<main")[1]).split())


def test_an_empty_page_says_what_it_is_for_and_what_to_do(operator: FlaskClient) -> None:
    page = operator.get("/admin/bills")
    assert "No bill has been imported yet" in page.text
    assert "upload last month’s bill as CSV" in page.text
    assert "every 3s" not in page.text


def test_an_import_is_started_once_and_its_progress_is_shown(operator: FlaskClient, app: Flask) -> None:
    fields = {"provider": "wavespeed", "from": "2026-11-20", "to": "2026-11-21"}
    assert send(operator, "/admin/bills", **fields).status_code == 303
    page = operator.get("/admin/bills").text
    assert "every 3s" in page
    assert "wavespeed, <span" in page
    assert "20 Nov 2026 to 21 Nov 2026" in page
    again = send(operator, "/admin/bills", **fields)
    assert again.status_code == 409
    assert "already under way" in again.text
    assert "Waiting" in operator.get("/admin/bills/progress").text
    with app.app_context():
        [bill] = db.session.scalars(select(Bill))
        assert (bill.state, bill.actor) == ("waiting", "ana@example.com")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"provider": "wavespeed", "from": "soon", "to": "2026-11-20"}, "must be a date"),
        ({"provider": "wavespeed", "from": "2026-11-21", "to": "2026-11-20"}, "ends before it starts"),
        ({"provider": "kling", "from": "2026-11-20", "to": "2026-11-20"}, "as CSV instead"),
        ({}, "must be a date"),
    ],
)
def test_a_form_that_is_not_right_comes_back_as_it_was_typed(
    operator: FlaskClient, fields: dict[str, str], said: str
) -> None:
    answer = send(operator, "/admin/bills", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert all(f'value="{fields[name]}"' in answer.text for name in ("from", "to") if name in fields)


def test_the_worker_imports_what_was_started(make_app: MakeApp) -> None:
    with Loopback() as loopback:
        app = make_app(WAVESPEED_BASE_URL=loopback.url)
        add_operator(app)
        client = app.test_client()
        log_in(client)
        loopback.answer = 200, b'{"code": 200, "data": {"page": 1, "total": 0, "items": []}}'
        send(client, "/admin/bills", provider="wavespeed", **{"from": "2026-11-20", "to": "2026-11-20"})
        with app.app_context():
            tasks.providers.read_bills(app)
        assert "Imported" in client.get("/admin/bills").text
        loopback.answer = 403, b'{"message": "Access denied"}'
        send(client, "/admin/bills", provider="wavespeed", **{"from": "2026-11-19", "to": "2026-11-19"})
        with app.app_context():
            tasks.providers.read_bills(app)
            [failed] = db.session.scalars(select(Bill.id).where(Bill.state == "failed"))
        assert "refuses with the code 403: Access denied" in client.get("/admin/bills").text
        assert "The import failed." in client.get(f"/admin/bills/{failed}").text
        assert send(client, f"/admin/bills/{failed}/again").status_code == 303
        assert send(client, f"/admin/bills/{failed}/again").status_code == 409


def test_the_clock_starts_yesterdays_import(app: Flask) -> None:
    with app.app_context():
        tasks.providers.start_bills(app)
        started = db.session.scalars(select(Bill)).all()
        expected = datetime.now(UTC).hour >= 3
        assert [(bill.provider, bill.actor) for bill in started] == [("wavespeed", "makegood")] * expected
        if expected:
            assert started[0].period_end.date() == datetime.now(UTC).date()


def test_a_bill_shows_its_categories_with_sums_and_rows(operator: FlaskClient, bill: tuple[UUID, UUID]) -> None:
    bill_id, generation_id = bill
    page = visible(operator.get(f"/admin/bills/{bill_id}").text)
    assert "Billed more 1 to accept The provider charged more" in page
    assert "1 1 $0.0275 $0.027 +$0.0005" in page
    assert "Billed but unknown to us 1 to review" in page
    rows = operator.get(f"/admin/bills/{bill_id}/more").text
    assert f"/admin/generations/{generation_id}" in rows
    assert "It never changes credits." in rows
    empty = operator.get(f"/admin/bills/{bill_id}/less")
    assert "Nothing is in this category" in empty.text
    assert operator.get(f"/admin/bills/{bill_id}/nonsense").status_code == 404


def test_a_row_is_accepted_as_shown_and_only_once(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    bill_id, generation_id = bill
    path = f"/admin/bills/{bill_id}/more"
    shown = r'action="([^"]+/accept)".*?name="net" value="(\d+)".*?name="recorded" value="(\d+)"'
    form = re.search(shown, operator.get(path).text, re.S)
    assert form is not None
    assert (form[2], form[3]) == (str(COST + 500), str(COST))
    done = send(operator, form[1], net=form[2], recorded=form[3])
    assert (done.status_code, done.location) == (303, path)
    again = send(operator, form[1], net=form[2], recorded=form[3])
    assert again.status_code == 409
    assert "This has changed meanwhile. Nothing was accepted, and no credits moved." in again.text
    with app.app_context():
        assert cost(db.session(), generation_id) == (COST + 500, "bill")
        assert db.session.scalar(text("SELECT count(*) FROM cost_adjustments")) == 1
        [entry] = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "bill.accepted"))
        assert (entry.actor, entry.address) == ("ana@example.com", "127.0.0.1")


@pytest.mark.parametrize("fields", [{}, {"net": "x"}, {"net": "27500", "recorded": "x"}, {"net": "9" * 30}])
def test_figures_that_were_not_shown_accept_nothing(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID], fields: dict[str, str]
) -> None:
    bill_id, generation_id = bill
    answer = send(operator, f"/admin/bills/{bill_id}/more/generations/{generation_id}/accept", **fields)
    assert answer.status_code == 409
    with app.app_context():
        assert cost(db.session(), generation_id) == (COST, "price_book")


def test_all_of_a_category_are_accepted_with_the_count_typed(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    bill_id, generation_id = bill
    path = f"/admin/bills/{bill_id}/more/accept"
    with app.app_context():
        customer = db.session.scalar(text("SELECT customer_id FROM generations"))
        before = ledger.balance(db.session(), customer)
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', operator.get(path).text)
    assert seen is not None
    wrong = send(operator, path, seen=seen[1], typed="2")
    assert wrong.status_code == 422
    assert "must be 1, the number of generations" in wrong.text
    assert 'value="2"' in wrong.text
    assert send(operator, path, seen="0" * 64, typed="1").status_code == 409
    assert send(operator, path, seen=seen[1], typed="1").status_code == 303
    again = send(operator, path, seen=seen[1], typed="1")
    assert again.status_code == 409
    assert "Nothing waits for a decision in this category any more." in again.text
    with app.app_context():
        assert cost(db.session(), generation_id) == (COST + 500, "bill")
        assert db.session.scalar(text("SELECT count(*) FROM cost_adjustments")) == 1
        assert ledger.balance(db.session(), customer) == before


def test_an_unknown_line_is_reviewed_with_a_note(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    bill_id, _ = bill
    found = re.search(r"/admin/bills/lines/[0-9a-f-]+", operator.get(f"/admin/bills/{bill_id}/unknown").text)
    assert found is not None
    assert "None of yours has this job" in operator.get(found[0]).text
    refused = send(operator, f"{found[0]}/review", note=" ")
    assert refused.status_code == 422
    assert "must have 1 to 1,000 characters" in refused.text
    assert send(operator, f"{found[0]}/review", note="<b>the laboratory</b>").status_code == 303
    assert "&lt;b&gt;the laboratory" in operator.get(found[0]).text
    assert "Reviewed" in operator.get(f"/admin/bills/{bill_id}/unknown").text
    assert send(operator, f"{found[0]}/review", note="again").status_code == 409


def test_all_unknown_lines_are_reviewed_with_the_count_typed(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    path = f"/admin/bills/{bill[0]}/unknown/accept"
    assert "Type 1, the number of lines" in operator.get(path).text
    assert send(operator, path, typed="1", note="").status_code == 422
    assert send(operator, path, typed="1", note="ours, by hand").status_code == 303
    with app.app_context():
        assert db.session.scalars(select(BillLine.note).where(BillLine.note.is_not(None))).all() == [
            "ours, by hand"
        ]
        assert db.session.scalars(select(CostAdjustment)).all() == []


def test_a_category_comes_as_csv_without_formulas(operator: FlaskClient, bill: tuple[UUID, UUID]) -> None:
    bill_id, generation_id = bill
    rows = f"/admin/exports/bill_rows.csv?bill_id={bill_id}&category="
    answer = operator.get(f"{rows}unknown")
    assert answer.mimetype == "text/csv"
    header, row = answer.text.splitlines()
    assert header.startswith("billed_at,provider_job_id,generation_id")
    assert row == "2026-11-20T12:00:00+00:00,'=cmd|1,,,,0.000009,0.000000,0.000009,,,0.000009"
    more = operator.get(f"{rows}more").text
    amounts = "0.027500,0.000000,0.027500,0.027000,price_book,0.000500"
    assert f"job-1,{generation_id},bytedance/seedream-v4,succeeded,{amounts}" in more
    for wrong in ("/admin/exports/bill_rows?bill_id=x", f"/admin/exports/bill_rows?bill_id={bill_id}&category=x"):
        assert operator.get(wrong).status_code == 404


def test_pages_of_a_category_keep_their_place_when_a_row_is_accepted(
    operator: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makegood.pages.SIZE", 2)
    with app.app_context():
        for number in range(5):
            billed_generation(db.session(), f"job-{number}")
        bill_id = bill_of(db.session(), *(line(f"job-{number}", 1) for number in range(5))).id
        db.session.commit()
    first = operator.get(f"/admin/bills/{bill_id}/less").text
    older = re.search(r'href="([^"]+)" rel="next"', first)
    assert older is not None
    second = operator.get(older[1]).text
    assert second.count('<tr class="leads"') == 2
    form = re.search(r'action="([^"]+/accept\?older=[^"]+)"', second)
    assert form is not None
    assert "older=" in send(operator, form[1], net="1", recorded=str(COST)).location


def test_a_file_is_uploaded_previewed_and_imported(operator: FlaskClient, app: Flask) -> None:
    kept = upload(operator)
    assert kept.status_code == 303
    page = operator.get(kept.location).text
    assert "Nothing is imported yet." in page
    assert "Charges $0.060, refunds $0.00" in visible(page)
    assert "Not imported yet" in operator.get("/admin/bills").text
    fields = dict(re.findall(r'<input type="hidden" name="(job|amount|kind|date|currency)" value="(\w+)"', page))
    assert fields == {"job": "0", "amount": "1", "kind": "2", "date": "3", "currency": "usd"}
    done = send(operator, f"{kept.location}/import", **fields)
    assert (done.status_code, done.location) == (303, kept.location)
    assert "Billed but unknown to us" in operator.get(kept.location).text
    with app.app_context():
        assert db.session.scalar(text("SELECT sum(amount_micros) FROM bill_lines")) == 60_000
    assert send(operator, f"{kept.location}/import", **fields).status_code == 409


def test_columns_are_corrected_and_bad_rows_named(operator: FlaskClient, app: Flask) -> None:
    kept = upload(operator, "a,b,c\njob-1,ten,0.5\njob-2,20,0.7\n").location
    page = operator.get(kept).text
    assert "Say first what the columns are." in page
    wrong = operator.get(f"{kept}?job=0&amount=1").text
    assert "1 row cannot be imported, so nothing is." in visible(wrong)
    assert "is &#39;ten&#39;; write it as 0.038" in wrong
    refused = send(operator, f"{kept}/import", job="0", amount="1")
    assert refused.status_code == 422
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM bill_lines")) == 0
    right = operator.get(f"{kept}?job=0&amount=2&currency=credits&rate=0.01").text
    assert "Charges $0.012" in visible(right)
    assert 'name="rate" value="0.01"' in right
    assert operator.get(f"{kept}?job=x&amount=99999").status_code == 200
    assert send(operator, f"{kept}/import").status_code == 422
    assert send(operator, f"{kept}/discard").status_code == 303
    assert operator.get(kept).status_code == 404


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"provider": "nobody"}, "must be one of the list"),
        ({"from": "2026-13-01"}, "must be a date"),
        ({"file": (io.BytesIO(b""), "")}, "must be chosen"),
        ({"file": (io.BytesIO(b"\xff\xfe"), "x.csv")}, "not UTF-8 text"),
    ],
)
def test_an_upload_that_is_not_right_says_why_and_keeps_the_form(
    operator: FlaskClient, changes: dict[str, Any], said: str
) -> None:
    answer = upload(operator, **changes)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{changes.get("from", DAY)}"' in answer.text


def send_file(client: FlaskClient, path: str, content: bytes) -> TestResponse:
    """A form with a file, written by hand: the test client would keep a temporary file open."""
    fields = {"csrf_token": form_token(client, "/admin/bills"), "provider": "kling", "from": DAY, "to": DAY}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()
    ]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="nov.csv"\r\n\r\n')
    body = "\r\n".join(parts).encode() + content + b"\r\n--x--\r\n"
    return client.post(path, data=body, content_type="multipart/form-data; boundary=x")


def test_a_file_may_be_larger_than_other_requests_but_not_without_limit(operator: FlaskClient) -> None:
    large = "job,amount,note\n" + "".join(f"job-{n},1,{'x' * 1900}\n" for n in range(1000))
    assert send_file(operator, "/admin/bills/upload", large.encode()).status_code == 303
    assert send_file(operator, "/admin/bills", large.encode()).status_code == 413
    assert send_file(operator, "/admin/bills/upload", b"x" * 11_000_000).status_code == 413


def test_an_import_is_withdrawn_unless_something_rests_on_it(
    operator: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    bill_id, generation_id = bill
    with app.app_context():
        acceptance.accept(db.session(), generation_id, net=COST + 500, recorded=COST, actor="ana@example.com")
        other = bill_of(db.session(), line("job-1", 3)).id
        db.session.commit()
    refused = send(operator, f"/admin/bills/{bill_id}/withdraw")
    assert refused.status_code == 409
    assert "recorded costs rest on them" in refused.text
    assert send(operator, f"/admin/bills/{other}/withdraw").status_code == 303
    assert "Withdrawn" in operator.get("/admin/bills").text
    assert "This import was withdrawn." in operator.get(f"/admin/bills/{other}").text


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    """The browser of somebody who may only look."""
    add_operator(app, email="vic@example.com", role="viewer")
    browser = app.test_client()
    log_in(browser, email="vic@example.com")
    return browser


def test_who_may_only_look_sees_everything_and_no_button(
    viewer: FlaskClient, app: Flask, bill: tuple[UUID, UUID]
) -> None:
    bill_id, _ = bill
    for path in ("", f"/{bill_id}", f"/{bill_id}/more", f"/{bill_id}/unknown"):
        answer = viewer.get(f"/admin/bills{path}")
        assert answer.status_code == 200
        assert "/accept" not in answer.text
        assert "/withdraw" not in answer.text
        assert "multipart" not in answer.text
    assert viewer.get(f"/admin/bills/{bill_id}/more/accept").status_code == 403


@pytest.mark.parametrize("query", ["older=x", "newer=99999999999999999-" + "f" * 32, "older=%00"])
def test_no_query_breaks_the_lists(operator: FlaskClient, bill: tuple[UUID, UUID], query: str) -> None:
    for path in ("", f"/{bill[0]}/more", "/progress"):
        assert operator.get(f"/admin/bills{path}?{query}").status_code == 200


def test_a_days_bill_names_its_day_in_the_reporting_time_zone(make_app: MakeApp) -> None:
    app = make_app(REPORTING_TIMEZONE="America/Los_Angeles")
    add_operator(app)
    client = app.test_client()
    log_in(client)
    assert upload(client).status_code == 303
    assert "20 Nov 2026" in client.get("/admin/bills").text
    with app.app_context():
        [bill] = db.session.scalars(select(Bill))
        assert bill.period_start == datetime(2026, 11, 20, 8, tzinfo=UTC)
        assert bill.period_end - bill.period_start == timedelta(days=1)
