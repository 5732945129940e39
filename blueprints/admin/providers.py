"""The provider pages: all side by side, and each in detail. They keep themselves fresh like the dashboard."""

from __future__ import annotations

import json
from typing import Any

from babel.dates import format_datetime
from flask import current_app, render_template, request

from blueprints import formats
from blueprints.access import poll
from blueprints.admin import blueprint
from extensions import db
from makegood import provider_health
from makegood.errors import NotFound
from makegood.provider_health import OneProvider, Span, Step
from makegood.provider_health.balances import written
from makegood.stats import begin_snapshot

LIST_PANELS = ("provider_list",)
PANELS = ("provider_now", "provider_chart", "provider_models", "provider_failures", "provider_callbacks")
SPAN_LABELS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
STEP_PATTERNS = {"24h": "HH:mm", "7d": "d MMM HH:mm", "30d": "d MMM"}


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
        "chart_data": _chart(view),
        "step_label": lambda step: _label(view.span, step),
    }


def _common(span: Span) -> dict[str, Any]:
    return {"spans": SPAN_LABELS, "span": span.name, "span_label": SPAN_LABELS[span.name], "balance_left": written}


def _asked() -> str:
    return request.args.get("range", "")


def _settings() -> Any:
    return current_app.config["SETTINGS"]


def _label(span: Span, step: Step) -> str:
    zone = _settings().terms.timezone
    return format_datetime(step.start, STEP_PATTERNS[span.name], tzinfo=zone, locale=formats.LOCALE)


def _chart(view: OneProvider) -> str:
    return json.dumps(
        {
            "days": [_label(view.span, step) for step in view.steps],
            "ended": [step.usage.ended for step in view.steps],
            "failed": [step.usage.failed for step in view.steps],
            "p50": [step.latency.p50 for step in view.steps],
            "p95": [step.latency.p95 for step in view.steps],
        }
    )
