"""GET /api/admin/stats: the figures of a range and of the period before, as the dashboard shows them.

The range is asked for as in the console: `range=7d` (the default), or `from` and `to`, and `zone`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, current_app, jsonify

from blueprints import access
from blueprints.admin import filters
from blueprints.api.admin_stats import blueprint
from blueprints.api.fields import dollars, iso
from extensions import db
from makegood import stats, throttles
from makegood.errors import Invalid
from makegood.ranges import Range
from makegood.stats import Period, StepUsage, Usage
from makegood.stats.latency import Latency

DEFAULT_RANGE = "7d"


@blueprint.get("/stats")
@access.poll
@access.throttled(throttles.STATS)
def range_stats() -> Response:
    """The figures, as of one instant. Raises Invalid for what is no range: a program should not get another."""
    asked = filters.read((), default_range=DEFAULT_RANGE)
    if asked.problems:
        raise Invalid(" ".join(asked.problems))
    assert asked.range is not None
    stats.begin_snapshot(db.session())
    return jsonify(_body(stats.period(db.session(), current_app.config["SETTINGS"].terms, asked.range)))


def _body(view: Period) -> dict[str, Any]:
    return {
        "asOf": iso(view.as_of),
        "range": _range(view.range) | {"name": view.range.preset, "partial": view.range.partial},
        "previousRange": _range(view.range.previous()),
        "now": _usage(view.now) | _latency(view.latency),
        "before": _usage(view.before),
        "activeCustomers": {
            "per": view.active.per,
            "now": None if view.active.now is None else float(view.active.now),
            "before": None if view.active.before is None else float(view.active.before),
        },
        "steps": [_step(step) for step in view.steps if step.step.start <= view.as_of],
        "providers": [{"name": row.provider, **_usage(row.usage)} for row in view.providers],
        "tiers": [
            {"name": row.tier, "customers": row.customers, "creditsHeld": row.credits, **_usage(row.consumed)}
            for row in view.tiers
        ],
    }


def _range(span: Range) -> dict[str, Any]:
    last = (span.end - timedelta(microseconds=1)).astimezone(span.zone).date()
    return {
        "firstDay": span.first.isoformat(),
        "lastDay": max(last, span.first).isoformat(),
        "timezone": span.zone.key,
        "start": iso(span.start),
        "end": iso(span.end),
    }


def _step(step: StepUsage) -> dict[str, Any]:
    return {
        "start": iso(step.step.start),
        "end": iso(step.step.end),
        "unit": step.step.unit,
        **_usage(step.usage),
        **_latency(step.latency),
        "costByProvider": {name: _cost(usage) for name, usage in sorted(step.providers.items())},
        "creditsByTier": {name: usage.net_credits for name, usage in sorted(step.tiers.items())},
    }


def _usage(usage: Usage) -> dict[str, Any]:
    rate = usage.success_rate.exact
    return {
        "generations": usage.generations,
        "succeeded": usage.succeeded,
        "failed": usage.failed,
        "cancelled": usage.cancelled,
        "successRate": None if rate is None else round(float(rate), 6),
        "refunds": usage.refunds,
        "creditsCharged": usage.credits_charged,
        "creditsRefunded": usage.credits_refunded,
        "creditsNet": usage.net_credits,
        "cost": _cost(usage),
        "unknownCosts": usage.unknown_costs,
        "platformLoss": dollars(usage.loss_micros),
    }


def _latency(latency: Latency) -> dict[str, Any]:
    return {"p50Ms": latency.p50_ms, "p95Ms": latency.p95_ms}


def _cost(usage: Usage) -> str | None:
    """US dollars; None when there were generations and the cost of every one is unknown."""
    return None if usage.known_cost_micros is None else dollars(usage.known_cost_micros)
