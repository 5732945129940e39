"""Bulk refunds over HTTP and by the worker: preview, typed count, progress, stop, and who may."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

import tasks.generations
from blueprints import confirmation
from extensions import db
from makegood import approvals, books, bulk_refunds, generations, limits, refunds, rollups
from makegood.limits import Limits
from makegood.models import Approval, BulkRefund
from tests.making import TERMS, make_customer, make_generation
from tests.people import EMAIL, PASSWORD, add_operator, log_in

PATH = "/admin/bulk-refunds"
NOTE = "Pictures were black."


@pytest.fixture
def made(app: Flask) -> list[UUID]:
    """Three generations of 10 credits that succeeded, of one customer."""
    with app.app_context():
        session = db.session()
        customer = make_customer(session, 95, customer_id="ada")
        made = [make_generation(session, customer, credits=10, status="succeeded") for _ in range(3)]
        session.commit()
    return made


def window() -> str:
    now = datetime.now(UTC)
    since, until = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (-1, 1))
    return f"{PATH}/new?provider=wavespeed&since={since}&until={until}"


def send(browser: FlaskClient, page: str, count: str, **typed: str) -> TestResponse:
    """Type the number and press the button."""
    form = page[page.index("bulk-confirm") :]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    action = re.findall(r'action="([^"]+)" autocomplete', form)[0].replace("&amp;", "&")
    return browser.post(action, data=fields | {"reason": "outage", "note": NOTE, "count": count} | typed)


def post(browser: FlaskClient, path: str) -> TestResponse:
    token = re.findall(r'name="csrf_token" value="([^"]+)"', browser.get(PATH).text)[0]
    return browser.post(path, data={"csrf_token": token})


def only(app: Flask) -> BulkRefund:
    with app.app_context():
        return db.session.scalars(select(BulkRefund)).one()


def refunded(app: Flask, made: list[UUID]) -> list[int]:
    with app.app_context():
        return [generations.get(db.session(), one).credits_refunded for one in made]


def test_an_incident_is_previewed_typed_and_refunded_by_the_worker(
    app: Flask, operator: FlaskClient, made: list[UUID]
) -> None:
    page = operator.get(window()).text
    assert "Type 3 to confirm" in page
    assert "Refund 30 credits" in page
    shortcut = re.search(r'href="([^"]+)">in the last hour</a>', operator.get(window()).text)
    assert shortcut
    assert "Type 3 to confirm" in operator.get(html.unescape(shortcut[1])).text
    response = send(operator, page, "3")
    assert (response.status_code, refunded(app, made)) == (303, [0, 0, 0])
    page = operator.get(response.location).text
    assert "Refunding: 3 generations, 30 credits." in page
    assert 'hx-trigger="every 2s"' in page
    with app.app_context():
        tasks.generations.refund_in_bulk(app)
        assert books.violations(db.session()) == []
    assert refunded(app, made) == [10, 10, 10]
    progress = operator.get(f"{response.location}/progress").text
    assert "3 of 3 generations done" in progress
    assert "hx-trigger" not in progress
    assert progress.count('<span class="tag tag-ok">Refunded</span>') == 3  # the list below is as new
    assert "Finished" in operator.get(PATH).text


def test_without_a_worker_it_is_said_before_one_is_begun_and_while_it_waits(
    app: Flask, operator: FlaskClient, made: list[UUID]
) -> None:
    before, under_way = "It can be confirmed all the same", "It goes on by itself as soon as one is"
    assert before not in operator.get(window()).text
    with app.app_context():
        db.session.execute(text("UPDATE rollup_state SET folded_at = clock_timestamp() - interval '3 minutes'"))
        db.session.commit()
    page = operator.get(window()).text
    assert before in page
    begun = send(operator, page, "3").location
    for path in (begun, f"{begun}/progress"):
        shown = operator.get(path).text
        assert under_way in shown
        assert '<span class="tag tag-warn">Waiting for a worker</span>' in shown
    assert 'id="no-worker"' in operator.get("/admin/customers").text
    overview = operator.get("/admin/").text
    assert '<h2 id="title-health">No worker is at work</h2>' in overview
    assert "Healthy" not in overview
    with app.app_context():
        rollups.fold(db.session(), TERMS.timezone)
        db.session.commit()
    assert under_way not in operator.get(f"{begun}/progress").text
    assert 'id="no-worker"' not in operator.get("/admin/customers").text


def test_what_changed_meanwhile_is_previewed_again(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    page = operator.get(window()).text
    with app.app_context():
        refunds.issue_manual(
            db.session(), made[0], TERMS, credits=4, reason="other", note="x", actor="bert",
            idempotency_key="k", expected_refunded=0,
        )  # fmt: skip
        db.session.commit()
    again = send(operator, page, "3")
    assert again.status_code == 409
    assert "The generations changed meanwhile. No credits moved." in again.text
    assert "Refund 26 credits" in again.text
    assert NOTE in again.text
    assert refunded(app, made) == [4, 0, 0]
    assert send(operator, again.text, "3").status_code == 303
    assert only(app).credits == 26


@pytest.mark.parametrize(
    ("typed", "words"),
    [({"count": "2"}, "It must be 3"), ({"count": "x"}, "It must be 3"), ({"note": ""}, "Say in a few words"),
     ({"reason": "mood"}, "Choose a reason")],
)  # fmt: skip
def test_a_wrong_form_says_what_is_wrong_and_keeps_what_was_typed(
    app: Flask, operator: FlaskClient, made: list[UUID], typed: dict[str, str], words: str
) -> None:
    page = operator.get(window()).text
    answer = send(operator, page, **{"count": "3"} | typed)
    assert answer.status_code == 422
    assert words in answer.text
    assert "No credits moved" in answer.text
    assert ("Pictures were black." in answer.text) == ("note" not in typed)
    assert refunded(app, made) == [0, 0, 0]


def test_the_same_form_twice_is_one_bulk_refund(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    page = operator.get(window()).text
    first, second = send(operator, page, "3"), send(operator, page, "3")
    assert first.location == second.location
    assert only(app).generations == 3


def test_one_that_runs_is_stopped_and_goes_on(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    path = send(operator, operator.get(window()).text, "3").location
    with app.app_context():
        bulk_refunds.work(db.session(), TERMS)
        db.session.commit()
    assert "Stopped. 2 generations not refunded" in operator.get(post(operator, f"{path}/stop").location).text
    assert "This bulk refund is stopped by now." in operator.get(post(operator, f"{path}/stop").location).text
    with app.app_context():
        tasks.generations.refund_in_bulk(app)
    assert sorted(refunded(app, made)) == [0, 0, 10]
    assert "Going on with the 2 generations left." in operator.get(post(operator, f"{path}/resume").location).text
    with app.app_context():
        tasks.generations.refund_in_bulk(app)
    assert refunded(app, made) == [10, 10, 10]


def test_beyond_the_limit_a_second_operator_approves(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    with app.app_context():
        session = db.session()
        amounts = {"support": limits.of(session, "support"), "admin": Limits(None, None, 29, None)}
        limits.publish(session, amounts, based_on=1, note="x", actor="t")
        session.commit()
    page = operator.get(window()).text
    assert "Ask for approval of 30 credits" in page
    path = send(operator, page, "3").location
    assert "Nothing is refunded before a second operator approves." in operator.get(path).text
    story = f"/admin/generations/{made[0]}"
    assert "A bulk refund that has not come to it yet waits for a second operator." in operator.get(story).text
    add_operator(app, "second@example.com")
    with app.app_context():
        tasks.generations.refund_in_bulk(app)
        approval = db.session.scalars(select(Approval)).one()
        approvals.approve(db.session(), approval.id, actor="second@example.com", terms=TERMS, at=datetime.now(UTC))
        db.session.commit()
        assert refunded(app, made) == [0, 0, 0]
        tasks.generations.refund_in_bulk(app)
    assert refunded(app, made) == [10, 10, 10]
    assert "second@example.com" in operator.get(path).text
    assert "has not come to it yet" not in operator.get(story).text


def test_the_days_bulk_refunds_add_up_and_the_preview_says_what_is_left(
    app: Flask, operator: FlaskClient, made: list[UUID]
) -> None:
    with app.app_context():
        amounts = {
            "support": limits.of(db.session(), "support"),
            "admin": Limits(None, None, None, None, per_bulk_day=35),
        }
        limits.publish(db.session(), amounts, based_on=1, note="x", actor="t")
        db.session.commit()
    page = operator.get(window()).text
    assert "You may refund in bulk up to 35 credits alone; 35 of your 35 for today are left." in page
    assert send(operator, page, "3").status_code == 303
    with app.app_context():
        make_generation(db.session, make_customer(db.session, 95), credits=10, status="succeeded")
        db.session.commit()
    page = operator.get(window()).text
    assert "You may refund in bulk up to 5 credits alone" in page
    assert "Ask for approval of" in page


def test_an_old_session_is_asked_who_it_is_and_keeps_what_was_typed(
    app: Flask, operator: FlaskClient, made: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = operator.get(window()).text
    monkeypatch.setattr(confirmation, "LASTS", timedelta(0))
    asked = send(operator, page, "3")
    assert "Confirm it is you" in asked.text
    assert NOTE in asked.text
    with app.app_context():
        assert db.session.scalars(select(BulkRefund)).all() == []
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked.text))
    action = re.findall(r'id="confirm-form"[^>]*action="([^"]+)"', asked.text)[0].replace("&amp;", "&")
    assert operator.post(action, data=fields | {"confirmation": PASSWORD}).status_code == 303
    assert only(app).note == NOTE


def test_each_has_its_rows_as_a_file(app: Flask, operator: FlaskClient, made: list[UUID]) -> None:
    path = send(operator, operator.get(window()).text, "3").location
    with app.app_context():
        tasks.generations.refund_in_bulk(app)
    bulk_id = path.rsplit("/", 1)[1]
    file = operator.get(f"/admin/exports/bulk-refund.csv?bulk_refund_id={bulk_id}&outcome=refunded").text
    rows = list(csv.DictReader(io.StringIO(file)))
    assert {row["generation_id"] for row in rows} == {str(one) for one in made}
    assert {(row["credits_refunded"], row["outcome"]) for row in rows} == {("10", "refunded")}
    [row] = csv.DictReader(io.StringIO(operator.get("/admin/exports/bulk-refunds.csv").text))
    assert (row["id"], row["by"], row["credits_refunded"]) == (bulk_id, EMAIL, "30")
    assert operator.get("/admin/exports/bulk-refund.csv?bulk_refund_id=x").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_who_may_not_sees_them_and_begins_none(app: Flask, made: list[UUID], role: str) -> None:
    add_operator(app, f"{role}@example.com", role)
    browser = app.test_client()
    log_in(browser, f"{role}@example.com")
    page = browser.get(PATH)
    assert page.status_code == 200
    assert "Your role may not begin one." in page.text
    assert browser.get(window()).status_code == 403
    assert post(browser, f"{PATH}/{made[0]}/stop").status_code == 403


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "Nothing chosen yet"), ("provider=bfl&range=7d", "No generation was charged in this window"),
     ("provider=bfl&since=soon&until=2026-01-01T00:00", "is no time"),
     ("provider=bfl&since=2026-01-02T00:00&until=2026-01-01T00:00", "ends before it begins")],
)  # fmt: skip
def test_a_page_without_a_preview_says_why(operator: FlaskClient, query: str, words: str) -> None:
    page = operator.get(f"{PATH}/new?{query}")
    assert (page.status_code, words in page.text) == (200, True)


def test_one_that_does_not_exist_is_not_found(operator: FlaskClient, made: list[UUID]) -> None:
    assert operator.get(f"{PATH}/{made[0]}").status_code == 404
    assert post(operator, f"{PATH}/{made[0]}/stop").status_code == 404
