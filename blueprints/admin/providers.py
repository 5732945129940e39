"""The provider pages: all side by side, and each in detail. They keep themselves fresh like the dashboard.

Figures are of the range in the URL; switches, what is in flight, the last endings, what waits and the balances are
of now.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import current_app, redirect, render_template, url_for
from sqlalchemy import Select
from sqlalchemy.orm import Session
from werkzeug import Response

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, filters, provider_charts
from blueprints.admin.dashboard import DEFAULT_RANGE
from blueprints.admin.filters import Filters
from blueprints.admin.monitoring import begin
from blueprints.admin.monitoring_usage import MEASURES
from makegood import provider_health, throttles
from makegood.errors import NotFound
from makegood.provider_health import figures
from makegood.provider_health.balances import written
from makegood.ranges import Range
from makegood.terms import Terms

NAMES = ("provider",)
LIST_PANELS = ("provider_list",)
PANELS = (
    "provider_now",
    "provider_ended",
    "provider_latency",
    "provider_models",
    "provider_failures",
    "provider_callbacks",
)
ALL, ONE = "admin.providers", "admin.provider"


@blueprint.get("/providers")
@access.throttled(throttles.STATS)
def providers() -> str | Response:
    """The page of all providers. With one in the query, as its CSV files lead back, it is that one's."""
    asked = _asked(ALL)
    if asked["provider"]:
        return redirect(url_for(ONE, name=asked["provider"], **asked.span), 303)
    return render_template("admin/providers.html", **_all(asked))


@blueprint.get("/pulse/providers")
@poll
def providers_pulse() -> str:
    """Its panels as fragments."""
    return render_template("admin/pulse.html", **_all(_asked(ALL)))


@blueprint.get("/providers/<name>")
@access.throttled(throttles.STATS)
def provider(name: str) -> str:
    """One provider's page."""
    return render_template("admin/provider.html", **_one(name))


@blueprint.get("/pulse/providers/<name>")
@poll
def provider_pulse(name: str) -> str:
    """Its panels as fragments."""
    return render_template("admin/pulse.html", **_one(name))


def _all(asked: Filters) -> dict[str, Any]:
    session, terms, span = begin(asked)
    adapters = current_app.extensions["providers"]
    view = provider_health.survey(session, adapters, terms, span)
    names = [health.name for health in view.providers]
    setups = provider_health.describe_all(adapters, _settings().providers, names)
    shown = [
        health for health in view.providers if health.used or setups[health.name].configured or health.switches
    ]
    return _common(asked) | {
        "view": view,
        "panels": LIST_PANELS,
        "setups": setups,
        "shown": shown,
        "unused": [health for health in view.providers if health not in shown],
    }


def _one(name: str) -> dict[str, Any]:
    asked = _asked(ONE)
    session, terms, span = begin(asked)
    adapters = current_app.extensions["providers"]
    view = provider_health.examine(session, name, terms, span)
    if name not in adapters and not view.health.used:
        raise NotFound("There is no such provider.")
    return _common(asked) | {
        "view": view,
        "panels": PANELS,
        "health": view.health,
        "setup": provider_health.describe(name, adapters.get(name), _settings().providers.get(name)),
        "switchable": name in adapters,
        "files": replace(asked, values={**asked.values, "provider": name}),
        "charts": provider_charts.of(view, span),
        "empty": {
            "provider_ended": "Nothing ended there in this range.",
            "provider_latency": "Nothing succeeded there in this range.",
        },
    }


def _asked(endpoint: str) -> Filters:
    """The range in the URL. The page's address is `endpoint`, also where its panels are asked for."""
    return replace(filters.read(NAMES if endpoint == ALL else (), default_range=DEFAULT_RANGE), endpoint=endpoint)


def _common(asked: Filters) -> dict[str, Any]:
    return {"filters": asked, "compared": True, "balance_left": written}


def _settings() -> Any:
    return current_app.config["SETTINGS"]


def _export(name: str, title: str, columns: tuple[str, ...], query: Any) -> None:
    """Add a table of these pages to the files: of the provider in the query, or of all."""

    def asked_for() -> Select[*tuple[Any, ...]]:
        asked = filters.read(NAMES, default_range=DEFAULT_RANGE)
        session, terms, span = begin(asked)
        found: Select[*tuple[Any, ...]] = query(session, terms, span, asked["provider"])
        return found

    latencies = (exports.column(f"{share}_ms", share) for share in ("p50", "p95", "p99"))
    keys = (exports.column(key) for key in columns)
    exports.add(exports.Table(name, title, ALL, asked_for, (*keys, *MEASURES, *latencies)))


def _providers(session: Session, terms: Terms, span: Range, name: str | None) -> Select[*tuple[Any, ...]]:
    return figures.by(session, terms, span, figures.PROVIDER, name)


def _models(session: Session, terms: Terms, span: Range, name: str | None) -> Select[*tuple[Any, ...]]:
    return figures.by(session, terms, span, figures.MODEL, name)


_export("providers", "Providers", ("provider",), _providers)
_export("provider-models", "Models by provider", ("provider", "model"), _models)
_export("provider-steps", "A provider by day", ("starts_at",), figures.by_step)
