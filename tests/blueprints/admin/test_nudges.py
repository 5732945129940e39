"""Nudges: off unless asked for, few at a time, and only when there is news."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from blueprints.admin import nudges
from extensions import db
from makegood import alerts
from tests.conftest import MakeApp
from tests.people import add_operator, log_in


@pytest.fixture
def nudged(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application with nudges, which looks often."""
    monkeypatch.setattr(nudges, "LOOK_EVERY", 0.02)
    app = make_app(LIVE_NUDGE="on")
    add_operator(app)
    return app


def browser_of(app: Flask) -> FlaskClient:
    browser = app.test_client()
    log_in(browser)
    return browser


def test_without_the_setting_there_are_no_nudges(operator: FlaskClient) -> None:
    assert operator.get("/admin/nudges").status_code == 204
    assert "data-nudges" not in operator.get("/admin/").text


def test_an_alert_nudges_who_listens(nudged: Flask) -> None:
    response = browser_of(nudged).get("/admin/nudges", buffered=False)
    assert response.mimetype == "text/event-stream"
    parts: Iterator[bytes] = iter(response.iter_encoded())
    assert next(parts).startswith(b"retry:")
    bell = nudged.extensions["nudges"]
    while bell._mark is None:  # its thread has looked once
        bell.wait(bell.rung, 0.01)
    with nudged.app_context():
        alerts.raise_alert(db.session(), "refund_failed", "test", "A refund could not be written.")
        db.session.commit()
    assert next(parts) == b"data: news\n\n"
    response.close()


def test_who_comes_when_enough_listen_is_told_to_give_up_until_one_leaves(nudged: Flask) -> None:
    browser = browser_of(nudged)
    listening = [browser.get("/admin/nudges", buffered=False) for _ in range(nudges.MOST_STREAMS)]
    assert {response.status_code for response in listening} == {200}
    assert browser.get("/admin/nudges").status_code == 204
    listening.pop().close()
    listening.append(browser.get("/admin/nudges", buffered=False))
    assert listening[-1].status_code == 200
    for response in listening:
        response.close()


def test_a_stream_keeps_no_session_alive(nudged: Flask) -> None:
    view = nudged.view_functions["admin.nudges"]
    assert getattr(view, "is_poll", False)
