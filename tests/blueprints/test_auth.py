from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import logins, operators, throttles
from makegood.models import AuditEntry, Operator, OperatorSession, Throttle
from tests.conftest import MakeApp
from tests.people import EMAIL, PASSWORD, add_operator, form_token, log_in

WRONG = "wrong wrong wrong"
START = datetime(2026, 5, 4, 8, 0, 30, tzinfo=ZoneInfo("UTC"))


def cookie(client: FlaskClient) -> str | None:
    found = client.get_cookie("makegood_session")
    return found.value if found else None


def is_in(client: FlaskClient) -> bool:
    answer = client.get("/admin/refunds")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


def test_an_operator_logs_in_and_goes_where_they_wanted(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    turned_away = client.get("/admin/refunds?provider=wavespeed&from=2026-05-01")
    assert turned_away.status_code == 303
    assert turned_away.location.startswith("/login?next=")
    form = client.get(turned_away.location).text
    found = re.search(r'name="next" value="([^"]*)"', form)
    assert found
    answer = log_in(client, next=found[1].replace("&amp;", "&"))
    assert (answer.status_code, answer.location) == (
        303,
        "/admin/refunds?provider=wavespeed&from=2026-05-01",
    )
    assert is_in(client)


def test_the_bare_address_leads_to_the_console(client: FlaskClient) -> None:
    assert client.get("/").location == "/admin/"


def test_whoever_is_logged_in_needs_no_form(operator: FlaskClient) -> None:
    assert operator.get("/login").location == "/admin/"
    assert operator.get("/login?next=/admin/failures").location == "/admin/failures"


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    cookies = log_in(client).headers.getlist("Set-Cookie")
    (own,) = [text for text in cookies if text.startswith("makegood_session=")]
    assert re.fullmatch(r"makegood_session=[\w-]{43}; HttpOnly; Path=/; SameSite=Lax", own)


def test_over_https_the_cookies_are_bound_to_this_host(make_app: MakeApp) -> None:
    app = make_app(PUBLIC_URL="https://makegood.example.com")
    add_operator(app)
    client = app.test_client()
    base = "https://makegood.example.com"
    page = client.get("/login", base_url=base)
    (form_cookie,) = page.headers.getlist("Set-Cookie")
    assert form_cookie.startswith("__Host-makegood_form=")
    assert "; Secure; HttpOnly; Path=/; SameSite=Lax" in form_cookie
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    answer = client.post(
        "/login",
        base_url=base,
        data={"csrf_token": token[1], "email": EMAIL, "password": PASSWORD},
        headers={"Referer": f"{base}/login", "Origin": base, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 303
    (own,) = [text for text in answer.headers.getlist("Set-Cookie") if "_session=" in text]
    assert re.fullmatch(r"__Host-makegood_session=[\w-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", own)
    assert "Domain" not in own


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "gone@example.com", "not an address"])
def test_a_wrong_log_in_says_the_same_whoever_it_names_and_keeps_the_address(
    app: Flask, client: FlaskClient, email: str
) -> None:
    add_operator(app)
    add_operator(app, "gone@example.com")
    with app.app_context():
        operator = db.session.scalars(select(Operator).where(Operator.email == "gone@example.com")).one()
        operator.disabled_at = START
        db.session.commit()
    answer = log_in(client, email, PASSWORD if email == "gone@example.com" else WRONG)
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong." in answer.text
    assert f'value="{email}"' in answer.text
    assert WRONG not in answer.text
    assert cookie(client) is None


def test_a_wrong_log_in_shows_hostile_text_as_text(app: Flask, client: FlaskClient) -> None:
    answer = log_in(client, '"><script>alert(1)</script>', WRONG, next="/admin/?q=\"'><b>")
    assert "<script>alert" not in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    "after",
    [
        "//evil.example",
        "https://evil.example",
        "https:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/admin\\@evil.example",
        "/admin.evil.example",
        "/administrator",
        "/admin/../logout",
        "/admin/\r\nSet-Cookie: x=1",
        "/admin/\x00",
        "/admin/\u2028x",
        " /admin/",
        "javascript:alert(1)",
        "/logout",
        "/api/v1/openapi.json",
        "",
        "/admin/" + "x" * 3000,
    ],
)
def test_nobody_is_redirected_to_another_place(app: Flask, client: FlaskClient, after: str) -> None:
    add_operator(app)
    answer = log_in(client, next=after)
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert client.get("/login", query_string={"next": after}).location == "/admin/"


@pytest.mark.parametrize(
    ("asked", "after"),
    [
        ("/admin/refunds?customer=%C3%BC%20%26", "/admin/refunds?customer=%C3%BC%20%26"),
        ("/admin", "/admin"),
        ("/admin/", None),
        ("/admin/no-such-page", "/admin/no-such-page"),
        ("/admin//evil.example/..", None),
    ],
)
def test_a_page_turns_a_stranger_to_the_form_and_remembers_the_way(
    client: FlaskClient, asked: str, after: str | None
) -> None:
    answer = client.get(asked)
    assert answer.status_code == 303
    form = urlsplit(answer.location)
    assert form.path == "/login"
    assert parse_qs(form.query).get("next") == (None if after is None else [after])


def test_a_fragment_answers_a_stranger_without_a_body(client: FlaskClient) -> None:
    answer = client.get(
        "/admin/pulse", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/admin/refunds?x=1"}
    )
    assert (answer.status_code, answer.data) == (401, b"")
    assert answer.headers["HX-Redirect"] == "/login?next=%2Fadmin%2Frefunds%3Fx%3D1"


@pytest.mark.parametrize("url", ["", "https://evil.example//x", "http://[", "x" * 9000, "/admin/\\x"])
def test_a_hostile_current_url_leads_to_the_bare_form(client: FlaskClient, url: str) -> None:
    answer = client.get("/admin/pulse", headers={"HX-Request": "true", "HX-Current-URL": url})
    assert answer.headers["HX-Redirect"] in ("/login", "/login?next=%2Fadmin%2F%255Cx")


def test_logging_out_ends_the_session_at_once_for_every_copy_of_the_cookie(operator: FlaskClient) -> None:
    stolen = cookie(operator)
    assert stolen
    token = form_token(operator, "/admin/refunds")
    answer = operator.post("/logout", data={"csrf_token": token})
    assert (answer.status_code, answer.location) == (303, "/login")
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert cookie(operator) is None
    assert "You are logged out." in operator.get("/login").text
    thief = operator.application.test_client()
    thief.set_cookie("makegood_session", stolen)
    assert not is_in(thief)


def test_a_link_cannot_log_anybody_out(operator: FlaskClient) -> None:
    assert operator.get("/logout").status_code == 405
    assert operator.post("/logout").status_code == 400
    assert is_in(operator)


def test_logging_out_twice_is_harmless(operator: FlaskClient) -> None:
    for _ in range(2):
        token = form_token(operator, "/admin/refunds" if is_in(operator) else "/login")
        assert operator.post("/logout", data={"csrf_token": token}).status_code == 303


def test_a_session_known_before_the_log_in_is_worth_nothing_after_it(app: Flask) -> None:
    add_operator(app)
    add_operator(app, "eve@example.com", "viewer")
    eve = app.test_client()
    log_in(eve, "eve@example.com")
    planted = cookie(eve)
    assert planted
    victim = app.test_client()
    victim.set_cookie("makegood_session", planted)
    assert log_in(victim).status_code == 303
    assert cookie(victim) != planted
    assert not is_in(eve)
    assert is_in(victim)


def test_a_csrf_token_does_not_outlive_the_log_in(app: Flask, client: FlaskClient) -> None:
    add_operator(app)
    before = form_token(client)
    assert log_in(client).status_code == 303
    assert client.post("/logout", data={"csrf_token": before}).status_code == 400
    assert is_in(client)


def test_a_form_without_its_token_is_asked_for_again_with_the_address_kept(client: FlaskClient) -> None:
    answer = client.post("/login", data={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 400
    assert "Please try again" in answer.text
    assert f'value="{EMAIL}"' in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_a_token(
    operator: FlaskClient, headers: dict[str, str]
) -> None:
    token = form_token(operator, "/admin/refunds")
    assert operator.post("/logout", data={"csrf_token": token}, headers=headers).status_code == 403
    assert operator.post("/login", data={"csrf_token": token}, headers=headers).status_code == 403
    assert is_in(operator)


def test_the_forms_own_site_is_welcome(operator: FlaskClient) -> None:
    token = form_token(operator, "/admin/refunds")
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert operator.post("/logout", data={"csrf_token": token}, headers=headers).status_code == 303


def test_polls_do_not_keep_a_session_alive_whatever_their_headers(app: Flask) -> None:
    add_operator(app)
    with time_machine.travel(START, tick=False) as clock:
        client = app.test_client()
        log_in(client)
        for _ in range(11):
            clock.shift(timedelta(minutes=10))
            assert client.get("/admin/pulse").status_code == 200
            assert client.get("/admin/pulse", headers={"HX-Request": "true"}).status_code == 200
        clock.shift(timedelta(minutes=11))
        ended = client.get("/admin/pulse", headers={"HX-Request": "true"})
        assert (ended.status_code, ended.headers["HX-Redirect"]) == (401, "/login")
        assert "Your session has ended" in client.get("/login").text


def test_pages_keep_a_session_alive_until_its_lifetime_ends(app: Flask) -> None:
    add_operator(app)
    with time_machine.travel(START, tick=False) as clock:
        client = app.test_client()
        log_in(client)
        for _ in range(11):
            clock.shift(timedelta(minutes=60))
            assert client.get("/admin/refunds", headers={"HX-Request": "true"}).status_code == 200
        clock.shift(timedelta(minutes=59))
        assert is_in(client)
        clock.shift(timedelta(minutes=1))
        assert not is_in(client)


def test_a_stranger_is_not_told_of_a_session_that_never_was(client: FlaskClient) -> None:
    assert "Your session has ended" not in client.get("/login").text


def test_nothing_is_issued_again_while_polling(operator: FlaskClient) -> None:
    for _ in range(3):
        assert operator.get("/admin/pulse").headers.getlist("Set-Cookie") == []


def disable(email: str) -> None:
    operators.disable(db.session, email, actor="tests", now=datetime.now(ZoneInfo("UTC")))


def change_password(email: str) -> None:
    operators.set_password(
        db.session, email, "another good password", actor="tests", now=datetime.now(ZoneInfo("UTC"))
    )


@pytest.mark.parametrize("change", [disable, change_password])
def test_rights_end_with_the_very_next_request(operator: FlaskClient, change: Callable[[str], None]) -> None:
    add_operator(operator.application, "bea@example.com")  # the last admin could not be disabled
    assert is_in(operator)
    with operator.application.app_context():
        change(EMAIL)
        db.session.commit()
    assert not is_in(operator)
    assert log_in(operator).status_code == 401


def test_too_many_attempts_are_refused_with_the_time_to_wait_and_the_address_kept(
    app: Flask, client: FlaskClient
) -> None:
    add_operator(app)
    with time_machine.travel(START, tick=False):
        for _ in range(throttles.LOGINS_PER_EMAIL.attempts):
            assert log_in(client, password=WRONG).status_code == 401
        answer = log_in(client)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "270"
    assert "Too many attempts. Try again in 5 minutes." in answer.text
    assert f'value="{EMAIL}"' in answer.text
    assert cookie(client) is None
    with time_machine.travel(START + timedelta(minutes=5), tick=False):
        assert log_in(client).status_code == 303


def test_a_refused_attempt_costs_no_hash(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttles, "LOGINS_PER_EMAIL", throttles.Limit("login_email", 1, timedelta(days=9)))
    assert log_in(client).status_code == 401
    monkeypatch.setattr(logins, "log_in", None)
    assert log_in(client).status_code == 429


def test_attempts_are_counted_across_processes_and_side_by_side(make_app: MakeApp) -> None:
    apps = [make_app() for _ in range(2)]
    add_operator(apps[0])
    with time_machine.travel(START, tick=False):

        def attempt(number: int) -> int:
            return log_in(apps[number % 2].test_client(), password=WRONG).status_code

        with ThreadPoolExecutor(8) as threads:
            outcomes = Counter(threads.map(attempt, range(30)))
    assert outcomes == {401: throttles.LOGINS_PER_EMAIL.attempts, 429: 30 - throttles.LOGINS_PER_EMAIL.attempts}


def test_the_count_survives_a_log_in_that_fails_halfway(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(logins, "log_in", broken)
    assert log_in(client).status_code == 500
    with app.app_context():
        assert set(db.session.scalars(select(Throttle.attempts))) == {1}


def test_a_forged_forwarded_address_does_not_escape_the_throttle(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttles, "LOGINS_PER_ADDRESS", throttles.Limit("login_address", 3, timedelta(days=9)))
    token = form_token(client)
    statuses = [
        client.post(
            "/login",
            data={"csrf_token": token, "email": f"e{number}@example.com", "password": WRONG},
            headers={"X-Forwarded-For": f"192.0.2.{number}"},
        ).status_code
        for number in range(4)
    ]
    assert statuses == [401, 401, 401, 429]


def test_only_the_stated_proxies_are_believed_about_addresses(make_app: MakeApp) -> None:
    app = make_app(TRUSTED_PROXIES="1")
    add_operator(app)
    client = app.test_client()
    token = form_token(client)
    client.post(
        "/login",
        data={"csrf_token": token, "email": EMAIL, "password": PASSWORD},
        headers={"X-Forwarded-For": "6.6.6.6, 192.0.2.9", "X-Forwarded-Host": "evil.example"},
    )
    with app.app_context():
        assert db.session.scalars(select(OperatorSession.address)).all() == ["192.0.2.9"]


def test_log_ins_and_log_outs_are_audited(operator: FlaskClient) -> None:
    log_in(operator, password=WRONG)
    operator.post("/logout", data={"csrf_token": form_token(operator, "/admin/refunds")})
    with operator.application.app_context():
        entries = db.session.execute(
            select(AuditEntry.action, AuditEntry.actor, AuditEntry.address).order_by(AuditEntry.id)
        ).all()
    assert [tuple(entry) for entry in entries] == [
        ("operator.created", "tests", None),
        ("login.succeeded", EMAIL, "127.0.0.1"),
        ("login.failed", "stranger", "127.0.0.1"),
        ("logout", EMAIL, "127.0.0.1"),
    ]


@pytest.mark.parametrize("value", ["", "x", "x" * 43, "é" * 43, "x" * 3000, "'; DROP TABLE operators; --"])
def test_a_made_up_cookie_opens_nothing(client: FlaskClient, value: str) -> None:
    client.set_cookie("makegood_session", value)
    assert not is_in(client)


def test_flask_logins_own_remember_cookie_neither_opens_nor_disturbs(operator: FlaskClient) -> None:
    operator.set_cookie("remember_token", "1|abc")
    assert is_in(operator)
    stranger = operator.application.test_client()
    stranger.set_cookie("remember_token", "1|abc")
    assert not is_in(stranger)
