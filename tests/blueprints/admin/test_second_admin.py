"""Higher limits and another admin: what one admin asks for, a second one decides on the request's page."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from makegood import limits
from makegood.limits import AMOUNTS, ROLES
from makegood.models import Approval, Operator
from tests.people import add_operator, form_token, log_in

BEN, SUE = "ben@example.com", "sue@example.com"


def second(app: Flask) -> FlaskClient:
    """The browser of another admin."""
    add_operator(app, BEN)
    browser = app.test_client()
    log_in(browser, BEN)
    return browser


def send(client: FlaskClient, path: str, **form: str) -> TestResponse:
    return client.post(path, data={"csrf_token": form_token(client, "/admin/confirm"), **form})


def test_higher_limits_wait_for_the_other_admin(app: Flask, operator: FlaskClient) -> None:
    ben = second(app)
    assert "wait until another admin approves them" in operator.get("/admin/limits/change").text
    asked = send(operator, "/admin/limits/change", based_on="1", note="Christmas", support_per_refund="1000")
    assert asked.status_code == 303
    page = operator.get(asked.location).text
    assert "another admin has to decide. Nothing of this holds yet." in page
    with app.app_context():
        assert limits.of(db.session(), "support").per_refund == 500
    page = ben.get(asked.location).text
    assert "Support: one refund</dt><dd>500 → 1,000" in page
    assert "Admin: one adjustment that gives</dt><dd>5,000 → no limit" in page
    assert asked.location in ben.get("/admin/limits").text
    assert "They hold from then on" in page
    assert "Higher limits" in ben.get("/admin/approvals?kind=new_limits").text
    assert send(ben, f"{asked.location}/approve").status_code == 303
    assert "the limits hold since then" in ben.get(asked.location).text
    with app.app_context():
        assert limits.of(db.session(), "support").per_refund == 1000


def test_lower_limits_hold_at_once(app: Flask, operator: FlaskClient) -> None:
    second(app)
    nothing = {f"{role}_{name}": "0" for role in ROLES for name in AMOUNTS}
    assert send(operator, "/admin/limits/change", based_on="1", note="calm", **nothing).location == "/admin/limits"
    with app.app_context():
        assert limits.of(db.session(), "admin") == limits.NOTHING


def test_a_save_that_lowers_one_limit_and_raises_another_lowers_at_once_and_asks_for_the_rest(
    app: Flask, operator: FlaskClient
) -> None:
    ben = second(app)

    def now() -> dict[str, int | None]:
        with app.app_context():
            found = limits.of(db.session(), "support")
        return {"per_refund": found.per_refund, "per_day": found.per_day, "confirm_from": found.confirm_from}

    assert now() == {"per_refund": 500, "per_day": 2000, "confirm_from": 200}
    with app.app_context():
        held = {
            f"{role}_{name}": "" if amount is None else str(amount)
            for role in ROLES
            for name, amount in vars(limits.of(db.session(), role)).items()
        }
    held |= {
        "support_per_refund": "1",
        "support_per_day": "",
        "support_confirm_from": "100",
        "admin_per_refund": "9",
    }
    asked = send(operator, "/admin/limits/change", based_on="1", note="in a hurry", **held)
    assert now() == {"per_refund": 1, "per_day": 2000, "confirm_from": 100}
    page = operator.get(asked.location).text
    assert "The lower limits hold from now on. Another admin has to approve the higher ones." in page
    assert "Support: all given on a day</dt><dd>2,000 → no limit" in page
    assert "one refund" not in page
    assert asked.location in operator.get("/admin/limits").text
    assert send(ben, f"{asked.location}/approve").status_code == 303
    assert now() == {"per_refund": 1, "per_day": None, "confirm_from": 100}
    with app.app_context():
        assert limits.of(db.session(), "admin").per_refund == 9


def test_limits_that_changed_meanwhile_are_not_approved_and_the_page_says_so(
    app: Flask, operator: FlaskClient
) -> None:
    ben = second(app)
    asked = send(operator, "/admin/limits/change", based_on="1", note="Christmas", support_per_refund="1000")
    nothing = {f"{role}_{name}": "0" for role in ROLES for name in AMOUNTS}
    send(ben, "/admin/limits/change", based_on="1", note="calm", **nothing)
    assert "The limits were changed since this was asked for." in ben.get(asked.location).text
    assert send(ben, f"{asked.location}/approve").status_code == 409
    assert send(ben, f"{asked.location}/reject", note="no").status_code == 303
    assert "It was rejected. Nothing changed." in ben.get(asked.location).text


def test_another_admin_is_made_by_two(app: Flask, operator: FlaskClient) -> None:
    ben = second(app)
    add_operator(app, SUE, "support")
    with app.app_context():
        sue = db.session.scalars(select(Operator.id).where(Operator.email == SUE)).one()
    page = f"/admin/operators/{sue}"
    send(operator, f"{page}/role", role="admin")
    shown = operator.get(page).text
    assert "another admin has to approve it" in shown
    assert f"Make {SUE} an admin: this waits for a second admin." in shown
    with app.app_context():
        assert db.session.get_one(Operator, sue).role == "support"
        request = db.session.scalars(select(Approval.id)).one()
    assert f"Make {SUE} an admin" in ben.get(f"/admin/approvals/{request}").text
    assert send(ben, f"/admin/approvals/{request}/approve").status_code == 303
    with app.app_context():
        assert db.session.get_one(Operator, sue).role == "admin"


def test_an_invitation_offers_no_admin_where_another_one_has_to_agree(app: Flask, operator: FlaskClient) -> None:
    def offer(answer: TestResponse) -> str:
        return answer.text.partition('value="admin"')[2].partition(">")[0]

    assert "disabled" not in offer(operator.get("/admin/operators/invite"))
    second(app)
    page = operator.get("/admin/operators/invite")
    assert "disabled" in offer(page)
    assert "It takes two admins" in page.text
    answer = send(operator, "/admin/operators/invite", email="new@example.com", role="admin")
    assert answer.status_code == 409
    assert "checked" not in offer(answer)
    assert 'value="support" checked' in answer.text
    assert "It takes two admins" in answer.text
