"""Log-ins with a code, deployments that require one, and invitations, through the browser's eyes."""

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

import settings
from extensions import db
from makegood import invitations, operators, second_factor, throttles
from makegood.models import Operator, OperatorSession
from tests.conftest import MakeApp, environment
from tests.people import EMAIL, PASSWORD, add_key, add_operator, add_second_factor, form_token, log_in


def send_code(client: FlaskClient, code: str, after: str = "/admin/account") -> TestResponse:
    data = {"csrf_token": form_token(client, "/login/code"), "code": code, "next": after}
    return client.post("/login/code", data=data)


def set_up(client: FlaskClient, code: str | None = None) -> TestResponse:
    """Send the set-up form with the code that its secret has now, or another."""
    page = client.get("/admin/account/second-factor").text
    sealed = re.search(r'name="secret" value="([^"]+)"', page)
    secret = re.search(r"<code[^>]*>([A-Z2-7 ]+)</code>", page)
    assert sealed
    assert secret
    data = {"csrf_token": form_token(client, "/admin/account/second-factor"), "secret": sealed[1]}
    return client.post(
        "/admin/account/second-factor",
        data={**data, "code": code or second_factor.pyotp.TOTP(secret[1].replace(" ", "")).now()},
    )


def test_the_password_leads_to_the_code_and_the_code_to_the_page(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    phone = add_second_factor(app)
    first = log_in(client, next="/admin/account")
    assert (first.status_code, first.location) == (303, "/login/code?next=/admin/account")
    assert client.get("/admin/account").status_code == 303, "the password alone opened the console"
    form = client.get(first.location).text
    assert 'autocomplete="one-time-code"' in form
    assert 'name="next" value="/admin/account"' in form
    wrong = send_code(client, "000000")
    assert wrong.status_code == 401
    assert "That code is wrong" in wrong.text
    right = send_code(client, phone.now())
    assert (right.status_code, right.location) == (303, "/admin/account")
    assert client.get("/admin/account").status_code == 200
    assert client.get("/login/code").location == "/login?next=/admin/"


def test_the_code_page_is_nothing_without_the_password(client: FlaskClient) -> None:
    assert client.get("/login/code?next=/admin/account").location == "/login?next=/admin/account"
    answer = client.post("/login/code", data={"csrf_token": form_token(client), "code": "123456"})
    assert answer.status_code == 401
    assert "Begin again" in answer.text


def test_a_second_step_leads_nowhere_else(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    phone = add_second_factor(app)
    log_in(client)
    assert send_code(client, phone.now(), "//evil.example").location == "/admin/"


def test_a_guesser_of_codes_is_stopped_even_with_the_right_one(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    phone = add_second_factor(app)
    log_in(client)
    for _ in range(throttles.CODES[0].attempts):
        assert send_code(client, "000000").status_code == 401
    stopped = send_code(client, phone.now())
    assert stopped.status_code == 429
    assert int(stopped.headers["Retry-After"]) > 0
    assert "Too many attempts" in stopped.text
    again = app.test_client()
    log_in(again)
    assert send_code(again, phone.now()).status_code == 429, "another browser was not stopped"


def test_an_admin_who_needs_a_second_factor_can_do_nothing_before(make_app: MakeApp) -> None:
    app = make_app(REQUIRE_SECOND_FACTOR="admin")
    add_operator(app)
    admin = app.test_client()
    log_in(admin)
    way = "/admin/account/second-factor"
    for path in ("/admin/", "/admin/operators", "/admin/account", "/admin/exports/refunds.csv", "/admin/nothing"):
        assert admin.get(path).location == way, path
    token = form_token(admin, way)
    for path in ("/admin/account/second-factor/remove", "/admin/account/password", "/admin/api-keys/new"):
        assert admin.post(path, data={"csrf_token": token}).location == way, path
    fragment = admin.get("/admin/pulse", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, way)
    assert admin.get("/api/admin/credit-stats").status_code == 403
    assert set_up(admin, "000000").status_code == 422
    assert admin.get("/admin/").location == way
    done = set_up(admin)
    assert len(re.findall(r"<li><code>[\w-]{19}</code>", done.text)) == 10
    assert admin.get("/admin/").status_code == 200
    kept = admin.post("/admin/account/second-factor/remove", data={"csrf_token": token})
    assert kept.status_code == 409
    assert "You can replace it" in kept.text


@pytest.mark.parametrize(
    ("required", "role", "led"), [("admin", "support", 200), ("all", "viewer", 303), ("none", "admin", 200)]
)
def test_who_needs_a_second_factor_is_for_the_deployment_to_say(
    make_app: MakeApp, required: str, role: str, led: int
) -> None:
    app = make_app(REQUIRE_SECOND_FACTOR=required)
    add_operator(app, role=role)
    client = app.test_client()
    log_in(client)
    assert client.get("/admin/account").status_code == led
    key = {"Authorization": f"Bearer {add_key(app, 'stats')}"}
    assert client.get("/api/admin/credit-stats", headers=key).status_code == 200, "keys have no phone"


def test_production_asks_admins_for_a_second_factor_unless_it_says_otherwise() -> None:
    def required(**extra: str) -> str:
        environ = environment("postgresql://nobody@localhost/nothing", **extra)
        return settings.load(environ).require_second_factor

    assert required() == "none"
    assert required(ENVIRONMENT="production") == "admin"
    assert required(ENVIRONMENT="production", REQUIRE_SECOND_FACTOR="none") == "none"
    with pytest.raises(settings.SettingsError, match="must be one of admin, all, none"):
        required(REQUIRE_SECOND_FACTOR="yes")


def test_a_second_factor_asks_for_proof_and_ends_the_other_sessions(app: Flask, operator: FlaskClient) -> None:
    other = app.test_client()
    log_in(other)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=11)):
        asked = operator.get("/admin/account/second-factor")
        assert asked.location.startswith("/admin/confirm?next=")
    assert set_up(operator).status_code == 200
    assert other.get("/admin/account").status_code == 303
    assert operator.get("/admin/account").status_code == 200


def invite(app: Flask) -> str:
    with app.app_context():
        now = datetime.now(UTC)
        token = invitations.send(db.session(), "zoe@example.com", "support", actor="cli", now=now)[1]
        db.session.commit()
    return f"/invitations/{token}"


def accept(client: FlaskClient, path: str, password: str, again: str | None = None) -> TestResponse:
    fields = {"new_password": password, "again": password if again is None else again}
    return client.post(path, data={"csrf_token": form_token(client), **fields})


def test_who_was_invited_sets_a_password_and_logs_in(app: Flask, client: FlaskClient) -> None:
    path = invite(app)
    page = client.get(path)
    assert page.headers["Cache-Control"] == "no-store"
    assert "zoe@example.com" in unescape(page.text)
    assert 'autocomplete="new-password"' in page.text
    different = accept(client, path, "a good long password", "another long password")
    assert different.status_code == 422
    assert "not the same" in different.text
    short = accept(client, path, "short")
    assert short.status_code == 422
    assert "at least 12" in short.text
    done = accept(client, path, "a good long password")
    assert (done.status_code, done.location) == (303, "/login?email=zoe@example.com")
    assert 'value="zoe@example.com"' in client.get(done.location).text
    assert log_in(client, "zoe@example.com", "a good long password").location == "/admin/"
    assert client.get(path).status_code == 404


def test_a_link_that_is_no_more_says_what_to_do(client: FlaskClient) -> None:
    for answer in (
        client.get("/invitations/nonsense"),
        accept(client, "/invitations/nonsense", "a good long one"),
    ):
        assert answer.status_code == 404
        assert "Ask for a new one" in answer.text


def test_the_link_is_not_in_the_log(app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    import logs

    path = invite(app)
    token = path.rpartition("/")[2]
    for text in (f"GET {path} 200", f'"path": "{path}"', f"https://console.example.com{path}?x=1"):
        masked = logs.without_secrets(text)
        assert token not in masked
        assert "/invitations/***" in masked


def test_a_disabled_operator_has_no_second_step(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    add_operator(app, "bea@example.com")
    phone = add_second_factor(app)
    log_in(client)
    page = form_token(client, "/login/code")
    with app.app_context():
        operators.disable(db.session(), EMAIL, actor="tests", now=datetime.now(UTC))
        db.session.commit()
    answer = client.post("/login/code", data={"csrf_token": page, "code": phone.now()})
    assert answer.status_code == 401
    with app.app_context():
        assert db.session.scalars(select(OperatorSession)).all() == []
        assert db.session.scalars(select(Operator.email).where(Operator.disabled_at.is_(None))).all() == [
            "bea@example.com"
        ]
    assert PASSWORD not in answer.text
