"""GET /api/admin/stats: the figures of a range and of the period before as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from extensions import db
from tests.backend import Platform
from tests.making import make_customer, make_generation
from tests.people import add_key


def read(platform: Platform, query: str = "", status: int = 200) -> Any:
    key = add_key(platform.app, "stats")
    answer = platform.client.get(f"/api/admin/stats?{query}", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == status
    return answer.json


@pytest.fixture
def history(platform: Platform) -> datetime:
    """Three generations of today, one of which failed, and one of eight days ago."""
    now = datetime.now(UTC)
    with platform.app.app_context():
        customer = make_customer(db.session(), at=now - timedelta(days=20))
        for status in ("succeeded", "succeeded", "failed"):
            make_generation(db.session(), customer, status=status, at=now - timedelta(seconds=1))
        make_generation(
            db.session(), customer, status="succeeded", at=now - timedelta(days=8) - timedelta(seconds=5)
        )
        db.session.commit()
    return now


def test_the_range_is_told_with_the_period_before_and_its_steps(platform: Platform, history: datetime) -> None:
    figures = read(platform)
    assert (figures["range"]["name"], figures["range"]["partial"], figures["range"]["timezone"]) == (
        "7d",
        True,
        "UTC",
    )
    now = figures["now"]
    assert (now["generations"], now["succeeded"], now["failed"], now["refunds"]) == (3, 2, 1, 1)
    assert (now["creditsCharged"], now["creditsNet"], now["cost"], now["platformLoss"]) == (
        6,
        4,
        "0.081",
        "0.027",
    )
    assert now["successRate"] == 0.666667
    assert figures["before"]["generations"] == 1
    assert len(figures["steps"]) == 7
    last = figures["steps"][-1]
    assert (last["unit"], last["generations"], last["costByProvider"]) == ("day", 3, {"wavespeed": "0.081"})
    assert last["creditsByTier"] == {"free": 4}
    assert figures["providers"][0]["name"] == "wavespeed"
    assert sum(step["generations"] for step in figures["steps"]) == now["generations"]


def test_an_hour_can_be_asked_for_in_any_zone(platform: Platform, history: datetime) -> None:
    hour = history.replace(minute=0, second=0, microsecond=0)
    span = f"from={hour:%Y-%m-%dT%H:%M}Z&to={hour + timedelta(hours=1):%Y-%m-%dT%H:%M}Z&zone=Asia/Kathmandu"
    figures = read(platform, span)
    assert figures["range"]["timezone"] == "Asia/Kathmandu"
    assert figures["activeCustomers"]["now"] is None
    counted = sum(1 for at in [history - timedelta(seconds=1)] * 3 if at >= hour)
    assert figures["now"]["generations"] == counted


@pytest.mark.parametrize("query", ["range=fortnight", "from=x", "zone=Mars", "from=2026-11-09&to=2026-11-03"])
def test_what_is_no_range_is_refused_and_not_replaced_by_another(platform: Platform, query: str) -> None:
    assert "error" in read(platform, query, 422)
