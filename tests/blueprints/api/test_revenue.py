"""GET /api/admin/revenue: the figures of money as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from extensions import db
from tests.money import NOON, all_read, moved

FIELDS = {
    "range",
    "timezone",
    "currencies",
    "mrr",
    "arr",
    "active_subscribers",
    "churn",
    "arpu",
    "provider_cost",
    "platform_loss",
    "profit",
    "margin",
    "credit_liability",
    "rules",
}


def read(operator: FlaskClient, query: str = "from=2026-11-10&to=2026-11-10") -> Any:
    answer = operator.get(f"/api/admin/revenue?{query}")
    assert answer.status_code == 200
    return answer.json


def test_amounts_are_whole_numbers_of_their_currencys_minor_unit(app: Flask, operator: FlaskClient) -> None:
    with app.app_context():
        moved(db.session, "charge", 1_999, 88)
        moved(db.session, "refund", -500)
        moved(db.session, "tax", -7)
        moved(db.session, "strange", -1)
        moved(db.session, "charge", 3_000, currency="jpy")
        moved(db.session, "charge", 5, at=NOON + timedelta(days=1))
        all_read(db.session, datetime.now(UTC))
        db.session.commit()
    found = read(operator)
    assert set(found) >= FIELDS
    assert (found["range"]["from"], found["range"]["to"], found["timezone"]) == ("2026-11-10", "2026-11-10", "UTC")
    assert found["currencies"] == {
        "usd": {
            "gross": 1_999,
            "refunds": 500,
            "disputes": 0,
            "fees": 88,
            "account_fees": 0,
            "tax_on_fees": 7,
            "net": 1_404,
            "other": -1,
        },
        "jpy": {
            "gross": 3_000,
            "refunds": 0,
            "disputes": 0,
            "fees": 0,
            "account_fees": 0,
            "tax_on_fees": 0,
            "net": 3_000,
            "other": 0,
        },
    }
    assert set(found["currencies"]["usd"]) < set(found["rules"])


def test_what_has_not_been_read_is_null_and_says_why(app: Flask, operator: FlaskClient) -> None:
    assert read(operator)["currencies"] is None
    with app.app_context():
        moved(db.session, "charge", 1_999, 88)
        all_read(db.session, state="backfill", reached=NOON, finished_at=None, read_at=None)
        db.session.commit()
    found = read(operator)
    assert found["currencies"] is None
    assert "still being read" in found["rules"]["currencies"]
    assert read(operator, "from=2026-11-11&to=2026-11-11")["currencies"]["usd"]["gross"] == 0


@pytest.mark.parametrize("query", ["from=yesterday", "range=11d", "from=2026-11-10&to=2026-11-01"])
def test_what_is_no_range_is_refused(operator: FlaskClient, query: str) -> None:
    assert operator.get(f"/api/admin/revenue?{query}").status_code == 422
