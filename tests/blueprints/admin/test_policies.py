"""Refund policy, unknown errors and limits on the screen: previewed, published, mapped, by the right role."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from extensions import db
from makegood import error_mappings, generations, limits, policies
from makegood.limits import Limits
from makegood.providers.protocol import ErrorClass, Outcome, Report
from tests.making import TERMS, make_customer, make_generation
from tests.people import add_operator, form_token, log_in

CHANGE = "/admin/policies/change"
ERRORS = "/admin/policies/errors"
LIMITS = "/admin/limits/change"
SHARES = dict.fromkeys(policies.CLASSES, "100") | {"cancelled": "0"}


@pytest.fixture
def viewer(app: Flask) -> FlaskClient:
    add_operator(app, "viewer@example.com", "viewer")
    browser = app.test_client()
    log_in(browser, "viewer@example.com")
    return browser


@pytest.fixture
def failed(app: Flask) -> None:
    """Three generations of 7 credits that failed for reasons nobody knows."""
    with app.app_context():
        customer = make_customer(db.session, 100)
        for number in range(3):
            made = make_generation(db.session, customer, credits=7)
            message = f"Worker {number} lost its mind."
            report = Report(Outcome.FAILED, error_class=ErrorClass.UNKNOWN_ERROR, message=message)
            generations.settle(db.session, made, report, TERMS)
        db.session.commit()


def test_a_policy_is_published_after_its_effect_was_looked_at(operator: FlaskClient, failed: None) -> None:
    form = {"csrf_token": form_token(operator, CHANGE), "based_on": "1", "note": "Try it.", **SHARES}
    form["unknown_error"] = "50"
    preview = operator.post(CHANGE, data=form | {"step": "publish", "previewed": "something else"})
    assert preview.status_code == 200
    assert "Customers would pay for generations that failed." in preview.text
    assert "−9" in preview.text
    looked_at = ",".join(form[code] for code in policies.CLASSES)
    published = operator.post(CHANGE, data=form | {"step": "publish", "previewed": looked_at})
    assert published.status_code == 303
    page = operator.get("/admin/policies").text
    assert "Unknown error 100% → 50%" in page
    assert "Try it." in page
    again = operator.post(CHANGE, data=form | {"step": "publish", "previewed": looked_at})
    assert again.status_code == 409
    assert "ana@example.com published version 2 meanwhile. Nothing was saved." in again.text


def test_a_wrong_share_is_named_and_what_was_typed_is_kept(operator: FlaskClient) -> None:
    form = {
        "csrf_token": form_token(operator, CHANGE),
        "based_on": "1",
        "note": "Why not",
        **SHARES,
        "timeout": "x",
    }
    answer = operator.post(CHANGE, data=form | {"step": "preview"})
    assert answer.status_code == 422
    assert "It must be a whole number from 0 to 100." in answer.text
    assert "Why not</textarea>" in answer.text


def test_unknown_errors_are_listed_mapped_and_taken_back(app: Flask, operator: FlaskClient, failed: None) -> None:
    page = operator.get(ERRORS).text
    assert "worker # lost its mind." in page
    mapping = {
        "csrf_token": form_token(operator, ERRORS),
        "provider": "wavespeed",
        "message": "worker # lost its mind.",
        "error_class": "internal_error",
        "before": "",
    }
    assert operator.post(ERRORS, data=mapping | {"error_class": ""}).status_code == 422
    assert operator.post(ERRORS, data=mapping).status_code == 303
    page = operator.get(ERRORS).text
    assert "No message waits to be mapped" in page
    assert '<option value="internal_error" selected>' in page
    assert operator.post(ERRORS, data=mapping).status_code == 409
    taken_back = mapping | {"before": "internal_error", "step": "unmap"}
    assert operator.post(ERRORS, data=taken_back).status_code == 303
    assert "Seen in the last 30 days" in operator.get(ERRORS).text


def times_asked(app: Flask, operator: FlaskClient, page: str) -> int:
    """How often the page asks whether messages wait to be mapped."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        operator.get(page)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return sum("FROM error_mappings" in statement for statement in asked)


def test_whoever_may_map_errors_is_told_on_every_page_that_some_wait(
    app: Flask, operator: FlaskClient, viewer: FlaskClient, failed: None
) -> None:
    entry = 'Refund policy</span><span class="waits"><span class="visually-hidden">, messages wait to be mapped<'
    said = f'<a href="{ERRORS}">Unknown errors</a> of providers wait to be mapped'
    assert entry in operator.get("/admin/customers").text
    assert said in operator.get("/admin/").text
    assert 'Unknown errors<span class="waits">' in operator.get("/admin/policies").text
    assert "Unknown errors (1)</a>" in operator.get(ERRORS).text
    for page in ("/admin/", "/admin/policies", "/admin/pulse"):
        assert times_asked(app, operator, page) == 1
    assert times_asked(app, operator, "/admin/newer/refunds") == 0
    for page in ("/admin/", "/admin/policies"):
        assert 'class="waits"' not in viewer.get(page).text
        assert "to be mapped" not in viewer.get(page).text
    with app.app_context():
        error_mappings.change(
            db.session(), "wavespeed", "worker 1 lost its mind.", "timeout", before=None, actor="ana@example.com"
        )
        db.session.commit()
    page = operator.get("/admin/").text
    assert entry not in page
    assert "to be mapped" not in page


def test_limits_are_changed_with_a_reason(app: Flask, operator: FlaskClient) -> None:
    page = operator.get("/admin/limits").text
    assert "500 credits" in page
    form = {
        "csrf_token": form_token(operator, LIMITS),
        "based_on": "1",
        "support_per_refund": "1,000",
        "support_per_day": "x",
        "note": "Christmas",
    }
    assert "It must be a whole number" in operator.post(LIMITS, data=form).text
    assert operator.post(LIMITS, data=form | {"support_per_day": ""}).status_code == 303
    with app.app_context():
        assert limits.of(db.session(), "support") == Limits(1000, None, None, None)
        assert limits.of(db.session(), "admin") == Limits(None, None, None, None)
    page = operator.get("/admin/limits").text
    assert "Christmas" in page
    assert "Support: one refund 500 → 1,000; one adjustment that gives 0 → no limit; all given on a day" in page


def test_who_may_only_look_changes_nothing(viewer: FlaskClient) -> None:
    assert "Only an admin changes the shares." in viewer.get("/admin/policies").text
    assert "Only an admin changes the limits." in viewer.get("/admin/limits").text
    token = form_token(viewer, "/admin/policies")
    for path in (CHANGE, LIMITS):
        assert viewer.get(path).status_code == 403
    for path in (CHANGE, LIMITS, ERRORS):
        assert viewer.post(path, data={"csrf_token": token}).status_code == 403
