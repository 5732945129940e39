"""The provider pages: all side by side, and each in detail. They keep themselves fresh like the dashboard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app, render_template, request, url_for

from blueprints.access import poll
from blueprints.admin import blueprint
from blueprints.admin.charts import Chart, Series
from extensions import db
from makegood import provider_health
from makegood.calendars import local_day, start_of
from makegood.errors import NotFound
from makegood.generation_log import BY_END
from makegood.provider_health import OneProvider, Span
from makegood.provider_health.balances import written
from makegood.ranges import Step, within
from makegood.stats import begin_snapshot

LIST_PANELS = ("provider_list",)
PANELS = (
    "provider_now",
    "provider_ended",
    "provider_latency",
    "provider_models",
    "provider_failures",
    "provider_callbacks",
)
SPAN_LABELS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
UNITS = {"24h": "hour", "7d": "hour", "30d": "day"}


@blueprint.get("/providers")
def providers() -> str:
    """The page of all providers."""
    return render_template("admin/providers.html", **_all())


@blueprint.get("/pulse/providers")
@poll
def providers_pulse() -> str:
    """Its panels as fragments."""
    return render_template("admin/pulse.html", **_all())


@blueprint.get("/providers/<name>")
def provider(name: str) -> str:
    """One provider's page."""
    return render_template("admin/provider.html", **_one(name))


@blueprint.get("/pulse/providers/<name>")
@poll
def provider_pulse(name: str) -> str:
    """Its panels as fragments."""
    return render_template("admin/pulse.html", **_one(name))


def _all() -> dict[str, Any]:
    begin_snapshot(db.session())
    adapters = current_app.extensions["providers"]
    view = provider_health.survey(db.session(), adapters, _settings().terms, span=_asked())
    names = [health.name for health in view.providers]
    setups = provider_health.describe_all(adapters, _settings().providers, names)
    shown = [
        health for health in view.providers if health.used or setups[health.name].configured or health.switches
    ]
    return _common(view.span) | {
        "view": view,
        "panels": LIST_PANELS,
        "setups": setups,
        "shown": shown,
        "unused": [health for health in view.providers if health not in shown],
    }


def _one(name: str) -> dict[str, Any]:
    begin_snapshot(db.session())
    adapters = current_app.extensions["providers"]
    view = provider_health.examine(db.session(), name, _settings().terms, span=_asked())
    if name not in adapters and not view.health.used:
        raise NotFound("There is no such provider.")
    return _common(view.span) | {
        "view": view,
        "panels": PANELS,
        "health": view.health,
        "setup": provider_health.describe(name, adapters.get(name), _settings().providers.get(name)),
        "switchable": name in adapters,
        "charts": _charts(view),
        "empty": dict.fromkeys(PANELS, f"Nothing ended there in the last {SPAN_LABELS[view.span.name]}."),
    }


def _common(span: Span) -> dict[str, Any]:
    return {"spans": SPAN_LABELS, "span": span.name, "span_label": SPAN_LABELS[span.name], "balance_left": written}


def _asked() -> str:
    return request.args.get("range", "")


def _settings() -> Any:
    return current_app.config["SETTINGS"]


def _charts(view: OneProvider) -> dict[str, Chart]:
    """What ended and how long it took, in the steps of the span. The last one is not over yet."""
    zone, name = _settings().terms.timezone, view.health.name
    edges = [step.start for step in view.steps]
    ends = [*edges[1:], _end(view, zone)]
    pieces = [
        Step(start, end, local_day(start, zone), local_day(start, zone), UNITS[view.span.name])
        for start, end in zip(edges, ends, strict=True)
    ]
    usages, latencies = ([getattr(step, part) for step in view.steps] for part in ("usage", "latency"))
    span = within(edges[0], ends[-1], zone, view.as_of)
    rows = url_for("admin.generations", provider=name, by=BY_END)
    ended = Chart(
        "provider_ended",
        "Succeeded and failed",
        "When they ended; the last step so far",
        span,
        [
            Series(
                "Succeeded",
                [usage.succeeded for usage in usages],
                "chart-1",
                view.health.usage.succeeded,
                url_for("admin.generations", provider=name, by=BY_END, status="succeeded"),
            ),
            Series(
                "Failed",
                [usage.failed for usage in usages],
                "chart-bad",
                view.health.usage.failed,
                url_for("admin.failures", provider=name),
            ),
        ],
        link=rows,
        beside=[
            Series("Success rate", [usage.success_rate for usage in usages], "", unit="rate"),
            Series("Cost (USD)", [usage.known_cost_micros for usage in usages], "", unit="usd"),
        ],
        pieces=pieces,
    )
    latency = Chart(
        "provider_latency",
        "Latency",
        "From the submit to the end, of what succeeded",
        span,
        [
            Series("p50", [latency.p50 for latency in latencies], "chart-2", view.health.latency.p50, line=True),
            Series("p95", [latency.p95 for latency in latencies], "chart-4", view.health.latency.p95, line=True),
        ],
        unit="duration",
        link=rows,
        pieces=pieces,
    )
    return {chart.id: chart for chart in (ended, latency)}


def _end(view: OneProvider, zone: ZoneInfo) -> datetime:
    """Where the step ends that has begun."""
    start = view.steps[-1].start
    if view.span.name == "30d":
        return start_of(local_day(start, zone) + timedelta(days=1), zone)
    return start + (timedelta(hours=1) if view.span.name == "24h" else timedelta(hours=6))
