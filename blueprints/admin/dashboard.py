"""The dashboard: loaded with its data, and kept fresh by one request that brings all panels in one snapshot."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import current_app, render_template

from blueprints import formats
from blueprints.access import poll
from blueprints.admin import blueprint
from extensions import db
from makegood import calendars, inbox, stats, switches

PANELS = ("health", "alerts", "cards", "chart", "month", "providers", "tiers", "failures", "refunds")
SUCCESS_TARGET = Decimal("0.95")


@blueprint.get("/")
def dashboard() -> str:
    """The page."""
    return render_template("admin/dashboard.html", **_figures())


@blueprint.get("/pulse")
@poll
def pulse() -> str:
    """All panels as fragments."""
    return render_template("admin/pulse.html", **_figures())


def _figures() -> dict[str, Any]:
    stats.begin_snapshot(db.session())
    view = stats.overview(db.session(), current_app.config["SETTINGS"].terms)
    today = calendars.local_day(view.as_of, view.timezone)
    return {
        "view": view,
        "panels": PANELS,
        "title": _title(view),
        "success_target": SUCCESS_TARGET,
        "today": today,
        "week_start": today - timedelta(days=6),
        "month_start": calendars.month_of(today),
        "thirty_days_start": view.days[0].day,
        "chart_data": _chart(view),
        "long_waits": inbox.long_waits(db.session(), at=view.as_of),
        "switched_off": switches.listed(db.session()),
    }


def _title(view: stats.Overview) -> str:
    """What a tab in the background should show: open alerts first, then bad health."""
    if view.alerts_open:
        return f"({view.alerts_open}) Open alerts – Overview"
    return "Overview" if view.health.status == "healthy" else f"{view.health.label} – Overview"


def _chart(view: stats.Overview) -> str:
    usages = [row.usage for row in view.days]
    return json.dumps(
        {
            "days": [formats.day(row.day) for row in view.days],
            "generations": [usage.generations for usage in usages],
            "failed": [usage.failed for usage in usages],
            "cost": [
                None if (cost := usage.known_cost_micros) is None else cost / formats.MICROS for usage in usages
            ],
        }
    )
