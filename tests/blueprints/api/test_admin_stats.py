"""GET /api/admin/credit-stats: the dashboard's figures as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from makegood.providers.protocol import ErrorClass, SubmitRefused
from tests.backend import Platform
from tests.people import add_key


def read(platform: Platform) -> Any:
    """The figures, as a key with the scope `stats` sees them."""
    key = add_key(platform.app, "stats")
    answer = platform.client.get("/api/admin/credit-stats", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    return answer.json


def test_an_empty_account_has_zeros_and_no_rate(platform: Platform) -> None:
    assert read(platform) == {
        "todayStats": {
            "activeUsers": 0,
            "generations": 0,
            "successful": 0,
            "failed": 0,
            "cost": 0,
            "unknownCosts": 0,
        },
        "monthStats": {"generations": 0, "successful": 0, "failed": 0, "cost": 0, "unknownCosts": 0},
        "successRate": None,
        "refundsLast7Days": 0,
        "userStats": {
            "usersWithCredits": 0,
            "totalCreditsInCirculation": 0,
            "creditsByTier": {
                tier: {"count": 0, "totalCredits": 0, "totalConsumed": 0} for tier in ("free", "plus", "pro")
            },
        },
        "providers": [],
        "recentFailures": [],
        "systemHealth": {"status": "healthy", "tasksLast24h": 0, "failureLast24h": 0},
    }


def test_the_figures_are_those_of_the_account(platform: Platform) -> None:
    rich, poor = platform.make_customer(100), platform.make_customer()
    for customer in (rich, rich, poor):
        generation_id = platform.start(customer, provider="external", model="own", credits=5).json["id"]
        outcome = {"status": "succeeded", "cost_usd": "0.0385"}
        platform.send("POST", f"/generations/{generation_id}/outcome", outcome)
    platform.provider.answer = SubmitRefused(ErrorClass.INTERNAL_ERROR, "no")
    failed = platform.start(rich).json["generation_id"]
    figures = read(platform)
    assert figures["todayStats"] == {
        "activeUsers": 2,
        "generations": 4,
        "successful": 3,
        "failed": 1,
        "cost": 0.1155,
        "unknownCosts": 0,
    }
    assert figures["monthStats"] == {
        "generations": 4,
        "successful": 3,
        "failed": 1,
        "cost": 0.1155,
        "unknownCosts": 0,
    }
    assert (figures["successRate"], figures["refundsLast7Days"]) == ("75.0", 1)
    assert figures["userStats"]["usersWithCredits"] == 1
    assert figures["userStats"]["totalCreditsInCirculation"] == 95
    assert figures["userStats"]["creditsByTier"]["free"] == {"count": 2, "totalCredits": 95, "totalConsumed": 15}
    assert figures["providers"] == [
        {
            "name": "external",
            "totalCalls": 3,
            "successful": 3,
            "failed": 0,
            "successRate": "100.0",
            "totalCost": "0.1155",
            "unknownCosts": 0,
        },
        {
            "name": "wavespeed",
            "totalCalls": 1,
            "successful": 0,
            "failed": 1,
            "successRate": "0.0",
            "totalCost": "0.00",
            "unknownCosts": 0,
        },
    ]
    [failure] = figures["recentFailures"]
    assert (failure["id"], failure["provider"], failure["error"]) == (failed, "wavespeed", "internal_error")
    assert datetime.fromisoformat(failure["time"]).tzinfo is not None
    assert figures["systemHealth"] == {"status": "healthy", "tasksLast24h": 4, "failureLast24h": 1}


def test_a_cost_that_is_wholly_unknown_is_null_and_counted(platform: Platform) -> None:
    customer = platform.make_customer(100)
    for _ in range(2):
        platform.start(customer, provider="external", model="own", credits=5)
    figures = read(platform)
    for stats in (figures["todayStats"], figures["monthStats"]):
        assert (stats["generations"], stats["cost"], stats["unknownCosts"]) == (2, None, 2)
    [provider] = figures["providers"]
    assert (provider["totalCost"], provider["unknownCosts"]) == (None, 2)
    platform.start(customer)
    figures = read(platform)
    assert (figures["todayStats"]["cost"], figures["todayStats"]["unknownCosts"]) == (0.027, 2)


def test_an_operator_reads_them_in_the_browser(operator: FlaskClient) -> None:
    assert operator.get("/api/admin/credit-stats").status_code == 200


@pytest.mark.parametrize(("scope", "status"), [("stats", 200), ("platform", 403), (None, 401)])
def test_others_do_not(platform: Platform, scope: str | None, status: int) -> None:
    headers = {"Authorization": f"Bearer {add_key(platform.app, scope)}"} if scope else {}
    assert platform.client.get("/api/admin/credit-stats", headers=headers).status_code == status


def test_an_operators_session_does_not_help_a_wrong_key(operator: FlaskClient) -> None:
    answer = operator.get("/api/admin/credit-stats", headers={"Authorization": "Bearer mg_" + "x" * 43})
    assert answer.status_code == 401
