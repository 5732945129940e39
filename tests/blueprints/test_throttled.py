"""Throttles for each operator and key: one request too many is refused with a sentence and the time to wait."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from extensions import db
from makegood import throttles
from makegood.models import ApiKey, Operator, Throttle
from makegood.throttles import Limit
from tests.people import add_key

STATS = "/api/admin/credit-stats"


def use_up(app: Flask, limit: Limit, who: object) -> None:
    """As if this operator or key had just asked as often as it may, in this window and in the next."""
    now = datetime.now(UTC)
    with app.app_context():
        for at in (now, now + limit.window):
            throttles.count(db.session(), limit, str(who), now=at)
        db.session.query(Throttle).update({"attempts": limit.attempts})
        db.session.commit()


def operator_id(app: Flask) -> object:
    with app.app_context():
        return db.session.scalar(select(Operator.id))


def test_an_operator_who_asks_too_often_is_told_when_to_come_back(app: Flask, operator: FlaskClient) -> None:
    use_up(app, throttles.STATS, operator_id(app))
    answer = operator.get(STATS)
    assert (answer.status_code, answer.json["error"]["code"]) == (429, "too_many_requests")
    assert answer.json["error"]["message"].startswith("Too many requests for figures. Try again in ")
    assert 0 < int(answer.headers["Retry-After"]) <= 120


def test_what_one_asked_does_not_count_against_another(app: Flask, operator: FlaskClient) -> None:
    keys = [{"Authorization": f"Bearer {add_key(app, 'stats')}"} for _ in range(2)]
    with app.app_context():
        first = db.session.scalar(select(ApiKey.id).order_by(ApiKey.id).limit(1))
    use_up(app, throttles.STATS, first)
    browser = app.test_client()
    assert browser.get(STATS, headers=keys[0]).status_code == 429
    assert browser.get(STATS, headers=keys[1]).status_code == 200
    assert operator.get(STATS).status_code == 200


def test_each_request_counts_for_good_even_one_that_succeeds(app: Flask, operator: FlaskClient) -> None:
    assert operator.get(STATS).status_code == 200
    assert operator.get(STATS).status_code == 200
    with app.app_context():
        counted = select(Throttle.attempts).where(Throttle.scope == "stats")
        assert sum(db.session.scalars(counted)) == 2


def test_a_page_and_a_fragment_say_it_in_a_sentence(app: Flask, operator: FlaskClient) -> None:
    use_up(app, throttles.SEARCHES, operator_id(app))
    page = operator.get("/admin/search?q=nobody")
    assert page.status_code == 429
    assert "Too many searches. Try again in " in page.text
    fragment = operator.get("/admin/search?q=nobody", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.mimetype) == (429, "text/plain")
    assert fragment.text.startswith("Too many searches. Try again in ")
    assert "Retry-After" in fragment.headers
