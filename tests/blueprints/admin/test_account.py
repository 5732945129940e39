"""One's own account: preferences, password, sessions, second factor."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import current_user
from werkzeug.test import TestResponse

from extensions import db
from makegood import second_factor, throttles
from tests.people import PASSWORD, add_operator, add_second_factor, form_token, log_in

NEW = "another good password"


def send(client: FlaskClient, path: str, **form: str) -> TestResponse:
    token = form_token(client, "/admin/confirm")
    return client.post(f"/admin/account/{path}", data={"csrf_token": token, **form}, follow_redirects=True)


def chosen() -> tuple[str | None, int, bool]:
    return current_user.timezone, current_user.page_size, current_user.single_keys


def test_preferences_are_kept_and_known_to_every_page(app: Flask, client: FlaskClient) -> None:
    add_operator(app, role="viewer")
    log_in(client)
    with client:
        client.get("/admin/account")
        assert chosen() == (None, 50, True)
        send(client, "preferences", timezone="Asia/Kathmandu", page_size="100")
        client.get("/admin/account")
        assert chosen() == (
            "Asia/Kathmandu",
            100,
            False,
        )
        send(client, "preferences", timezone="", page_size="25", single_keys="on")
        client.get("/admin/account")
        assert chosen() == (None, 25, True)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"timezone": "Mars/Olympus", "page_size": "50"}, "There is no time zone"),
        ({"timezone": "../../etc/passwd", "page_size": "50"}, "There is no time zone"),
        ({"timezone": "UTC", "page_size": "1000000"}, "A page has 25, 50, 100, 200 rows."),
        ({"timezone": "UTC", "page_size": "٥٠"}, "A page has"),
    ],
)
def test_preferences_that_do_not_exist_are_refused(
    operator: FlaskClient, form: dict[str, str], sentence: str
) -> None:
    answer = send(operator, "preferences", **form)
    assert answer.status_code == 422
    assert sentence in unescape(answer.text)


def test_a_password_is_changed_here_and_ends_the_other_sessions(app: Flask, operator: FlaskClient) -> None:
    other = app.test_client()
    log_in(other)
    changed = send(operator, "password", current=PASSWORD, new_password=NEW, again=NEW)
    assert "Your password is changed." in changed.text
    assert operator.get("/admin/account").status_code == 200
    assert other.get("/admin/account").status_code == 303
    assert log_in(app.test_client()).status_code == 401
    assert log_in(app.test_client(), password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("current", "new", "again", "field"),
    [
        ("wrong wrong wrong", NEW, NEW, "account-current"),
        (PASSWORD, NEW, NEW + "x", "account-again"),
        (PASSWORD, "short", "short", "account-new_password"),
    ],
)
def test_what_is_wrong_with_a_new_password_stands_beside_the_field(
    app: Flask, operator: FlaskClient, current: str, new: str, again: str, field: str
) -> None:
    answer = send(operator, "password", current=current, new_password=new, again=again)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert NEW not in answer.text
    assert log_in(app.test_client()).status_code == 303


def test_a_guesser_of_the_present_password_is_stopped(operator: FlaskClient) -> None:
    for _ in range(throttles.CONFIRMATIONS[0].attempts):
        send(operator, "password", current="wrong wrong wrong", new_password=NEW, again=NEW)
    stopped = send(operator, "password", current=PASSWORD, new_password=NEW, again=NEW)
    assert stopped.status_code == 429
    assert int(stopped.headers["Retry-After"]) > 0
    assert "Too many attempts" in stopped.text


def test_own_sessions_are_ended_one_by_one_or_all_others(app: Flask, operator: FlaskClient) -> None:
    others = [app.test_client() for _ in range(3)]
    for other in others:
        log_in(other)
    page = operator.get("/admin/account").text
    assert page.count("This session, since") == 1
    one = re.search(r"/admin/account/(sessions/[0-9a-f-]{36}/end)", page)
    assert one
    assert "That session has ended." in send(operator, one[1]).text
    assert sorted(other.get("/admin/account").status_code for other in others) == [200, 200, 303]
    assert "2 other sessions ended." in send(operator, "sessions/end-others").text
    assert {other.get("/admin/account").status_code for other in others} == {303}
    assert operator.get("/admin/account").status_code == 200


def test_recovery_codes_are_renewed_and_shown_once(app: Flask, operator: FlaskClient) -> None:
    add_second_factor(app)
    codes = re.findall(r"<li><code>([\w-]{19})</code>", send(operator, "second-factor/codes").text)
    assert len(codes) == 10
    assert codes[0] not in operator.get("/admin/account").text
    with operator:
        operator.get("/admin/account")
        owner = current_user.operator_id
    with app.app_context():
        assert second_factor.codes_left(db.session(), owner) == 10


def test_a_second_factor_that_nobody_requires_can_be_removed(app: Flask, operator: FlaskClient) -> None:
    add_second_factor(app)
    assert "Your second factor is removed." in send(operator, "second-factor/remove").text
    assert log_in(app.test_client()).location == "/admin/"
    none = send(operator, "second-factor/codes")
    assert none.status_code == 409
    assert "There is no second factor" in none.text
