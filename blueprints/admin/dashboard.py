"""The dashboard: loaded with its data, and kept fresh by one request that brings all panels in one snapshot.

Its figures, charts and lists follow the range in the URL; health, alerts and what customers hold are of now.
"""

from __future__ import annotations

from typing import Any

from flask import current_app, render_template

from blueprints.access import poll
from blueprints.admin import approvals, blueprint, dashboard_charts, filters, unmapped_errors
from blueprints.admin.dashboard_charts import SUCCESS_TARGET
from extensions import db
from makegood import inbox, stats, switches
from makegood.revenue import in_short
from makegood.stats.figures import FEW

DEFAULT_RANGE = "7d"
PANELS = (
    "health",
    "alerts",
    "cards",
    "generations",
    "period",
    "cost",
    "credits",
    "success",
    "refunded",
    "latency",
    "providers",
    "tiers",
    "failures",
    "refunds",
)
EMPTY = {
    "generations": "No generation was charged or ended in this range.",
    "cost": "Nothing of a known cost was charged in this range.",
    "credits": "No credits were used in this range.",
    "success": f"Too few generations ended in each step of this range for a rate: fewer than {FEW}.",
    "refunded": "No refund was issued in this range.",
    "latency": "No generation succeeded in this range.",
}


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
    asked = filters.read((), default_range=DEFAULT_RANGE)
    assert asked.range is not None
    stats.begin_snapshot(db.session())
    terms = current_app.config["SETTINGS"].terms
    view = stats.period(db.session(), terms, asked.range)
    return {
        "view": view,
        "filters": asked,
        "compared": True,
        "panels": PANELS,
        "charts": dashboard_charts.of(view),
        "empty": EMPTY,
        "title": _title(view),
        "success_target": SUCCESS_TARGET,
        "to_decide": approvals.waiting(),
        "long_waits": inbox.long_waits(db.session(), at=view.as_of),
        "switched_off": switches.listed(db.session()),
        "unknown_errors_wait": unmapped_errors.some_wait(),
        "short": in_short.of(db.session(), terms.timezone, asked.range, view.now.known_cost_micros),
    }


def _title(view: stats.Period) -> str:
    """What a tab in the background should show: open alerts first, then bad health."""
    if view.alerts_open:
        return f"({view.alerts_open}) Open alerts – Overview"
    return "Overview" if view.health.status == "healthy" else f"{view.health.label} – Overview"
