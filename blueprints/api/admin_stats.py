"""GET /api/admin/credit-stats: the dashboard as JSON, for operators' sessions and keys with the scope `stats`.

The modules beside this one add their routes to `blueprint`.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from blueprints import access, api_access
from blueprints.api.fields import MICROS, dollars, iso
from extensions import db
from makegood import stats, throttles
from makegood.stats import Overview, Usage

blueprint = Blueprint("api_admin", __name__, url_prefix="/api/admin")

ONE_PLACE = Decimal("0.1")


@blueprint.before_request
def check_reader() -> None:
    """Turn everybody else away."""
    api_access.require_operator_or_api_key("stats")


@blueprint.get("/credit-stats")
@access.poll
@access.throttled(throttles.STATS)
def credit_stats() -> Response:
    """The figures of the panels, by the same functions, as of one instant."""
    stats.begin_snapshot(db.session)
    overview = stats.overview(db.session, current_app.config["SETTINGS"].terms)
    return jsonify(_body(overview))


def _body(overview: Overview) -> dict[str, Any]:
    return {
        "todayStats": {"activeUsers": overview.active_today, **_usage(overview.today)},
        "monthStats": _usage(overview.month),
        "successRate": _rate(overview.week),
        "refundsLast7Days": overview.week.refunds,
        "userStats": {
            "usersWithCredits": overview.customers_with_credits,
            "totalCreditsInCirculation": overview.credits_in_circulation,
            "creditsByTier": {
                row.tier: {
                    "count": row.customers,
                    "totalCredits": row.credits,
                    "totalConsumed": row.consumed.net_credits,
                }
                for row in overview.tiers
            },
        },
        "providers": [
            {
                "name": row.provider,
                "totalCalls": row.usage.generations,
                "successful": row.usage.succeeded,
                "failed": row.usage.failed,
                "successRate": _rate(row.usage),
                "totalCost": _cost(row.usage),
                "unknownCosts": row.usage.unknown_costs,
            }
            for row in overview.providers
        ],
        "recentFailures": [
            {
                "id": str(failure.generation_id),
                "provider": failure.provider,
                "error": failure.error_class,
                "time": iso(failure.ended_at) if failure.ended_at else None,
            }
            for failure in overview.failures
        ],
        "systemHealth": {
            "status": overview.health.status,
            "tasksLast24h": overview.health.generations_24h,
            "failureLast24h": overview.health.failures_24h,
        },
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "generations": usage.generations,
        "successful": usage.succeeded,
        "failed": usage.failed,
        "cost": None if usage.known_cost_micros is None else usage.known_cost_micros / MICROS,
        "unknownCosts": usage.unknown_costs,
    }


def _cost(usage: Usage) -> str | None:
    """US dollars; None when there were generations and the cost of every one is unknown."""
    return None if usage.known_cost_micros is None else dollars(usage.known_cost_micros)


def _rate(usage: Usage) -> str | None:
    """Percent with one decimal; None when nothing ended."""
    rate = usage.success_rate.exact
    return None if rate is None else str((rate * 100).quantize(ONE_PLACE, ROUND_HALF_UP))


from blueprints.api import range_stats, revenue  # noqa: E402, F401 (their routes belong to the blueprint)
