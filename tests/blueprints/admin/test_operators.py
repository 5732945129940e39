"""The pages with which admins manage operators."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from makegood.models import AuditEntry, Operator
from tests.people import EMAIL, add_operator, add_second_factor, form_token, log_in

BEA = "bea@example.com"


def send(client: FlaskClient, path: str, **form: str) -> TestResponse:
    token = form_token(client, "/admin/confirm")
    return client.post(path, data={"csrf_token": token, **form}, follow_redirects=True)


def page_of(app: Flask, email: str) -> str:
    with app.app_context():
        operator_id = db.session.scalars(select(Operator.id).where(Operator.email == email)).one()
    return f"/admin/operators/{operator_id}"


def stored(app: Flask, email: str) -> Operator:
    with app.app_context():
        return db.session.scalars(select(Operator).where(Operator.email == email)).one()


def test_an_admin_sees_everybody_and_invites_somebody(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "viewer")
    page = operator.get("/admin/operators").text
    assert EMAIL in page
    assert BEA in page
    assert "Nobody is invited at the moment." in page
    made = send(operator, "/admin/operators/invite", email="zoe@example.com", role="support")
    link = re.search(r'value="(http://localhost/invitations/[\w-]{43})"', made.text)
    assert link
    page = operator.get("/admin/operators").text
    assert "zoe@example.com" in page
    assert link[1].rpartition("/")[2] not in page
    withdraw = re.search(r'action="(/admin/operators/invitations/[^"]+)"', page)
    assert withdraw
    assert app.test_client().get(link[1]).status_code == 200
    assert "Its link works no more" in unescape(send(operator, withdraw[1]).text)
    assert app.test_client().get(link[1]).status_code == 404


@pytest.mark.parametrize(
    ("email", "role", "status", "sentence"),
    [
        ("zoe", "support", 422, "That is no e-mail address."),
        (EMAIL, "admin", 409, "already an operator"),
        ("zoe@example.com", "root", 422, "There is no role"),
    ],
)
def test_an_invitation_that_cannot_be_is_answered_beside_what_was_typed(
    operator: FlaskClient, email: str, role: str, status: int, sentence: str
) -> None:
    answer = send(operator, "/admin/operators/invite", email=email, role=role)
    assert answer.status_code == status
    assert sentence in answer.text
    assert f'value="{email}"' in answer.text


def test_a_role_is_changed_and_counts_with_the_next_request(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "viewer")
    bea = app.test_client()
    log_in(bea, BEA)
    assert bea.get("/admin/operators").status_code == 403
    assert "is an admin now" in send(operator, f"{page_of(app, BEA)}/role", role="admin").text
    assert bea.get("/admin/operators").status_code == 200
    assert "There is no role" in unescape(send(operator, f"{page_of(app, BEA)}/role", role="root").text)


def test_somebody_is_disabled_and_enabled_and_the_audit_log_has_both(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "support")
    bea = app.test_client()
    log_in(bea, BEA)
    assert "logged out everywhere" in send(operator, f"{page_of(app, BEA)}/disable").text
    assert bea.get("/admin/account").status_code == 303
    assert log_in(app.test_client(), BEA).status_code == 401
    assert "may log in again" in send(operator, f"{page_of(app, BEA)}/enable").text
    assert log_in(app.test_client(), BEA).status_code == 303
    with app.app_context():
        entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action.like("operator.%abled")))
        assert [(entry.actor, entry.details["after"]) for entry in entries] == [
            (EMAIL, {"active": False}),
            (EMAIL, {"active": True}),
        ]


def test_nobody_shuts_out_themselves(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "admin")
    own = page_of(app, EMAIL)
    assert "This is you." in operator.get(own).text
    assert "You cannot disable yourself." in send(operator, f"{own}/disable").text
    assert "You cannot change your own role." in send(operator, f"{own}/role", role="viewer").text
    assert "You cannot reset your own second factor." in send(operator, f"{own}/reset-second-factor").text
    assert (stored(app, EMAIL).role, stored(app, EMAIL).disabled_at) == ("admin", None)


def test_a_lost_second_factor_is_reset(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "support")
    add_second_factor(app, BEA)
    assert "Reset the second factor" in operator.get(page_of(app, BEA)).text
    assert "has no second factor any more" in send(operator, f"{page_of(app, BEA)}/reset-second-factor").text
    assert log_in(app.test_client(), BEA).location == "/admin/"


def test_sessions_are_seen_and_ended_one_by_one_or_all(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "support")
    browsers = [app.test_client() for _ in range(3)]
    for browser in browsers:
        browser.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Firefox/150.0"
        log_in(browser, BEA)
    page = operator.get(page_of(app, BEA)).text
    assert page.count("Firefox on Linux</strong>") == 3
    one = re.search(r'action="(/admin/operators/[^"]+/sessions/[^"]+/end)"', page)
    assert one
    assert "1 session of" in send(operator, one[1]).text
    assert sorted(browser.get("/admin/account").status_code for browser in browsers) == [200, 200, 303]
    assert "2 sessions of" in send(operator, f"{page_of(app, BEA)}/sessions/end").text
    assert {browser.get("/admin/account").status_code for browser in browsers} == {303}
    assert operator.get("/admin/account").status_code == 200


def test_a_session_of_somebody_else_is_not_ended_under_a_wrong_name(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "support")
    bea = app.test_client()
    log_in(bea, BEA)
    one = re.search(r"/sessions/([^/]+)/end", operator.get(page_of(app, BEA)).text)
    assert one
    send(operator, f"{page_of(app, EMAIL)}/sessions/{one[1]}/end")
    assert bea.get("/admin/account").status_code == 200
    viewer = app.test_client()
    add_operator(app, "vic@example.com", "viewer")
    log_in(viewer, "vic@example.com")
    send(viewer, f"/admin/account/sessions/{one[1]}/end")
    assert bea.get("/admin/account").status_code == 200


@pytest.mark.parametrize("role", ["viewer", "support"])
def test_other_roles_neither_see_nor_change_operators_or_keys(app: Flask, client: FlaskClient, role: str) -> None:
    add_operator(app)
    add_operator(app, BEA, role)
    log_in(client, BEA)
    token, ana = form_token(client, "/admin/confirm"), page_of(app, EMAIL)
    for path in ("/admin/operators", "/admin/operators/invite", ana, "/admin/api-keys", "/admin/api-keys/new"):
        assert client.get(path).status_code == 403, path
    for name in ("operators", "api-keys"):
        assert client.get(f"/admin/exports/{name}.csv").status_code == 404
    changes = [f"{ana}/{what}" for what in ("role", "disable", "enable", "reset-second-factor", "sessions/end")]
    for path in ("/admin/operators/invite", "/admin/api-keys/new", *changes):
        form = {"email": "x@example.com", "role": "admin", "name": "x", "scopes": "platform"}
        assert client.post(path, data={"csrf_token": token, **form}).status_code == 403, path
    assert client.post(f"{page_of(app, BEA)}/role", data={"csrf_token": token, "role": "admin"}).status_code == 403
    assert stored(app, BEA).role == role


def test_what_gives_power_away_asks_who_it_is(app: Flask, operator: FlaskClient) -> None:
    add_operator(app, BEA, "viewer")
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        for path in (
            "/admin/operators/invite",
            "/admin/api-keys/new",
            "/admin/account/second-factor/codes",
            "/admin/account/second-factor/remove",
            *(f"{page_of(app, BEA)}/{what}" for what in ("role", "disable", "enable", "reset-second-factor")),
        ):
            assert "Confirm it is you" in send(operator, path, role="admin", email="x@example.com").text, path
    assert (stored(app, BEA).role, stored(app, BEA).disabled_at) == ("viewer", None)


def test_there_is_no_such_operator(operator: FlaskClient) -> None:
    assert operator.get("/admin/operators/018f3c5e-0000-7000-8000-000000000000").status_code == 404


def test_operators_leave_as_csv_without_secrets(operator: FlaskClient) -> None:
    lines = operator.get("/admin/exports/operators.csv").text.splitlines()
    assert lines[0] == "operator_id,email,role,created_at,disabled_at,second_factor_since"
    assert f",{EMAIL},admin," in lines[1]
