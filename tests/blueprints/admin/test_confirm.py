"""Asking operators once more who they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from blueprints import access
from extensions import db
from makegood import throttles
from makegood.models import AuditEntry
from tests.conftest import MakeApp
from tests.people import PASSWORD, add_operator, form_token, log_in

LATER = timedelta(minutes=11)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application of the test's own, to which it can add a view."""
    return make_app()


@pytest.fixture
def done() -> list[list[tuple[str, str]]]:
    """The forms that a view behind `@access.confirmed` has acted on."""
    return []


@pytest.fixture
def desk(app: Flask, done: list[list[tuple[str, str]]]) -> Iterator[FlaskClient]:
    """An admin's browser, eleven minutes after the log-in, at an application with a view that wants to be sure."""

    @access.requires("view")
    @access.confirmed
    def grave() -> str:
        done.append([pair for pair in request.form.items(multi=True) if pair[0] != "csrf_token"])
        return "done"

    app.add_url_rule("/admin/grave", endpoint="admin.grave", view_func=grave, methods=["GET", "POST"])
    add_operator(app)
    browser = app.test_client()
    log_in(browser)
    with time_machine.travel(datetime.now(UTC) + LATER):
        yield browser


def fields(page: str) -> dict[str, list[str]]:
    """What the page's form holds already."""
    found: dict[str, list[str]] = {}
    page = page.partition('id="confirm-form"')[2].partition("</form>")[0]
    for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page):
        found.setdefault(unescape(name), []).append(unescape(value))
    return found


def send(desk: FlaskClient, headers: dict[str, str] | None = None, **form: object) -> TestResponse:
    data = {"csrf_token": form_token(desk, "/admin/confirm"), **form}
    return desk.post("/admin/grave?a=1", data=data, headers=headers)


def test_a_page_is_reached_by_way_of_the_question(desk: FlaskClient, done: list[object]) -> None:
    asked = desk.get("/admin/grave?a=1")
    assert (asked.status_code, asked.location) == (303, "/admin/confirm?next=/admin/grave?a%3D1")
    form = fields(desk.get(asked.location).text)
    assert form["next"] == ["/admin/grave?a=1"]
    sent = {"csrf_token": form["csrf_token"], "next": form["next"]}
    refused = desk.post("/admin/confirm", data={**sent, "confirmation": "wrong wrong wrong"})
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    assert fields(refused.text)["next"] == ["/admin/grave?a=1"]
    assert not done
    right = desk.post("/admin/confirm", data={**sent, "confirmation": PASSWORD})
    assert (right.status_code, right.location) == (303, "/admin/grave?a=1")
    assert desk.get(right.location).text == "done"


def test_a_form_keeps_what_was_typed_until_the_password_is_right(desk: FlaskClient, done: list[object]) -> None:
    typed = {"note": 'two\nlines & "quotes"', "id": ["1", "2"]}
    asked = send(desk, {"Referer": "http://localhost/admin/account?x=1"}, **typed)
    assert asked.status_code == 200
    assert 'href="/admin/account" data-close' in asked.text
    assert 'action="/admin/grave?a=1"' in asked.text
    refused = send(desk, **{**fields(asked.text), "confirmation": "wrong wrong wrong"})
    assert refused.status_code == 422
    assert "wrong wrong wrong" not in refused.text
    assert not done
    accepted = send(desk, **{**fields(refused.text), "confirmation": PASSWORD})
    assert accepted.text == "done"
    assert [pair for pair in done[0] if pair[0] != "confirmation"] == [  # type: ignore[attr-defined]
        ("note", 'two\nlines & "quotes"'),
        ("id", "1"),
        ("id", "2"),
    ]
    assert send(desk).text == "done", "asked again within ten minutes"


def test_a_password_that_was_typed_is_never_written_into_a_page(desk: FlaskClient) -> None:
    assert "my secret words" not in send(desk, new_password="my secret words").text


def test_a_dialog_is_answered_in_its_place(desk: FlaskClient, done: list[object]) -> None:
    asked = send(desk, {"HX-Request": "true"}, note="kept")
    assert asked.text.lstrip().startswith("<form")
    assert fields(asked.text)["note"] == ["kept"]
    led = desk.get("/admin/grave", headers={"HX-Request": "true"})
    assert (led.status_code, led.headers["HX-Redirect"]) == (200, "/admin/confirm?next=/admin/grave")
    assert not done


def test_a_log_in_counts_for_ten_minutes(app: Flask, desk: FlaskClient) -> None:
    other = app.test_client()
    log_in(other)
    assert other.get("/admin/grave").text == "done"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10)):
        assert other.get("/admin/grave").status_code == 303


def test_proof_in_one_session_is_none_in_another(app: Flask, desk: FlaskClient) -> None:
    log_in(app.test_client())
    assert desk.get("/admin/grave").status_code == 303


def test_a_guesser_is_stopped_and_told_until_when(desk: FlaskClient, done: list[object]) -> None:
    for _ in range(throttles.CONFIRMATIONS[0].attempts):
        assert send(desk, confirmation="wrong wrong wrong").status_code == 422
    stopped = send(desk, confirmation=PASSWORD, note="kept")
    assert stopped.status_code == 429
    assert int(stopped.headers["Retry-After"]) > 0
    assert "Too many attempts. Try again in" in stopped.text
    assert fields(stopped.text)["note"] == ["kept"]
    assert not done


def test_being_right_is_not_counted_and_both_outcomes_are_audited(app: Flask, desk: FlaskClient) -> None:
    for _ in range(throttles.CONFIRMATIONS[0].attempts):
        assert send(desk, confirmation=PASSWORD).text == "done"
    with time_machine.travel(datetime.now(UTC) + LATER):
        send(desk, confirmation="wrong wrong wrong")
    with app.app_context():
        entries = db.session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("confirmation.%")))
        assert entries.all() == ["confirmation.succeeded", "confirmation.failed"]


@pytest.mark.parametrize("referrer", ["http://[bad", "javascript:alert(1)", "http://localhost/admin/../x"])
def test_a_hostile_referrer_leads_to_the_first_page(desk: FlaskClient, referrer: str) -> None:
    assert 'href="/admin/" data-close' in send(desk, {"Referer": referrer}).text


def test_nobody_is_led_elsewhere(desk: FlaskClient) -> None:
    data = {"csrf_token": form_token(desk, "/admin/confirm"), "confirmation": PASSWORD, "next": "//evil.example"}
    assert desk.post("/admin/confirm", data=data).location == "/admin/"
