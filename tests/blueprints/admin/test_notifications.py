"""The page of notifications that the platform has not taken, and the worker that delivers them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

import tasks.generations
from extensions import db
from makegood import generations, notifications
from makegood.models import AuditEntry, Notification
from makegood.notifications import Result
from settings import SettingsError, load
from tests.conftest import environment
from tests.loopback import Loopback, Request
from tests.making import SUCCESS, TERMS, make_customer, make_generation
from tests.people import add_key, add_operator, log_in

TOLD = replace(TERMS, notify=True)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
LATER = timedelta(seconds=1)


def told(app: Flask, count: int = 1) -> list[UUID]:
    with app.app_context():
        made = [make_generation(db.session(), make_customer(db.session())) for _ in range(count)]
        for one in made:
            generations.settle(db.session(), one, SUCCESS, TOLD)
        db.session.commit()
    return made


def refused(app: Flask, status: int = 500) -> UUID:
    """A notification that the platform did not take."""
    [generation_id] = told(app)
    with app.app_context():
        for due in notifications.claim(db.session(), limit=10, at=datetime.now(UTC) + LATER):
            notifications.record(db.session(), due, Result(status, f"HTTP {status}"))
        db.session.commit()
    return generation_id


def genuine(request: Request, secret: bytes = b"k" * 32) -> bool:
    """Verified as README tells the platform to."""
    identifier, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = f"{identifier}.{timestamp}.".encode() + request.body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(f"v1,{expected}", one) for one in request.headers["webhook-signature"].split())


def test_the_worker_tells_the_platform_what_the_api_shows(make_app: Any) -> None:
    with Loopback((204, b"")) as receiver:
        app = make_app(NOTIFY_URL=f"{receiver.url}/hook", NOTIFY_SECRET=SECRET)
        made = told(app, 20)
        with app.app_context():
            tasks.generations.deliver_notifications(app)
            tasks.generations.deliver_notifications(app)
        assert len(receiver.requests) == 20
        assert all(genuine(request) for request in receiver.requests)
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 20
        messages = {UUID(body["data"]["id"]): body for body in (json.loads(one.body) for one in receiver.requests)}
        assert messages.keys() == set(made)
        body = messages[made[0]]
        assert body["type"] == "generation.succeeded"
        headers = {"Authorization": f"Bearer {add_key(app, 'platform')}"}
        assert app.test_client().get(f"/api/v1/generations/{made[0]}", headers=headers).json == body["data"]
        with app.app_context():
            rows = db.session.execute(
                select(Notification.attempts, Notification.answer, Notification.next_at)
            ).all()
        assert {tuple(row) for row in rows} == {(1, "HTTP 204", None)}


def test_a_receiver_that_fails_gets_the_same_notification_again(make_app: Any) -> None:
    with Loopback((500, b"")) as receiver:
        app = make_app(NOTIFY_URL=receiver.url, NOTIFY_SECRET=SECRET)
        told(app)
        with app.app_context():
            tasks.generations.deliver_notifications(app)
            db.session.execute(text("UPDATE notifications SET next_at = now()"))
            db.session.commit()
            receiver.answer = (200, b"")
            tasks.generations.deliver_notifications(app)
            tasks.generations.deliver_notifications(app)
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert genuine(second)


def test_two_workers_deliver_each_notification_once_and_hold_no_transaction_open(make_app: Any) -> None:
    with Loopback((200, b"")) as receiver:
        app = make_app(NOTIFY_URL=receiver.url, NOTIFY_SECRET=SECRET)
        told(app, 40)

        def work() -> None:
            with app.app_context():
                tasks.generations.deliver_notifications(app)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        identifiers = [request.headers["webhook-id"] for request in receiver.requests]
        assert len(identifiers) == len(set(identifiers)) == 40


def test_without_an_address_nothing_is_delivered(app: Flask) -> None:
    told(app)
    with app.app_context():
        tasks.generations.deliver_notifications(app)
        assert db.session.scalars(select(Notification.attempts)).all() == [0]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("ftp://p.example", SECRET),
        ("p.example", SECRET),
        ("https://user:secret@p.example", SECRET),
        ("https://p.example", ""),
        ("https://p.example", "whsec_"),
        ("https://p.example", "secret-that-is-long-enough-for-all"),
        ("https://p.example", "whsec_" + base64.b64encode(b"k" * 23).decode()),
        ("https://p.example", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("https://p.example", f"{SECRET},whsec_short"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_not_repeated(url: str, secret: str) -> None:
    with pytest.raises(SettingsError, match="NOTIFY_") as caught:
        load(environment("postgresql://localhost/x", NOTIFY_URL=url, NOTIFY_SECRET=secret))
    assert not secret or secret == "whsec_" or secret not in str(caught.value)


def test_production_sends_over_https_only() -> None:
    given = environment("postgresql://localhost/x", NOTIFY_URL="http://p.example", NOTIFY_SECRET=SECRET)
    with pytest.raises(SettingsError, match="NOTIFY_URL"):
        load(given | {"ENVIRONMENT": "production"})
    loaded = load(given)
    assert (loaded.terms.notify, loaded.notify_secrets) == (True, (SECRET,))
    assert SECRET not in repr(loaded)


def test_the_page_lists_what_was_not_taken_and_sends_it_again(app: Flask, operator: FlaskClient) -> None:
    assert "Nothing waits to be sent" in operator.get("/admin/notifications").text
    generation_id = refused(app, 410)
    page = operator.get("/admin/notifications").text
    assert str(generation_id) in page
    assert "Given up" in page
    assert "HTTP 410." in page
    story = operator.get(f"/admin/generations/{generation_id}").text
    assert "Your platform is to be told: succeeded" in story
    assert "1 try, the last one with HTTP 410. Given up." in story
    [action] = re.findall(r'action="(/admin/notifications/[^"]+/send-again)"', page)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
    answer = operator.post(action, data={"csrf_token": token}, follow_redirects=True)
    assert "The notification is sent again within a few seconds." in answer.text
    with app.app_context():
        assert db.session.scalars(select(Notification.next_at)).one() <= datetime.now(UTC)
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "notification.sent_again")).one()
        assert (entry.actor, entry.subject) == ("ana@example.com", f"generation:{generation_id}")
        [due] = notifications.claim(db.session(), limit=1, at=datetime.now(UTC) + LATER)
        notifications.record(db.session(), due, Result(200, "HTTP 200"))
        db.session.commit()
    assert "Your platform was told: succeeded" in operator.get(f"/admin/generations/{generation_id}").text
    again = operator.post(action, data={"csrf_token": token}, follow_redirects=True)
    assert "It was not sent again." in again.text


def test_a_viewer_sees_the_page_and_may_not_send(app: Flask) -> None:
    refused(app)
    add_operator(app, "viewer@example.com", role="viewer")
    browser = app.test_client()
    assert log_in(browser, "viewer@example.com").status_code == 303
    page = browser.get("/admin/notifications").text
    assert "HTTP 500" in page
    assert "send-again" not in page
    with app.app_context():
        one = db.session.scalars(select(Notification.id)).one()
    token = re.findall(r'name="csrf_token" value="([^"]+)"', browser.get("/admin/").text)[0]
    path = f"/admin/notifications/{one}/send-again"
    assert browser.post(path, data={"csrf_token": token}).status_code == 403
