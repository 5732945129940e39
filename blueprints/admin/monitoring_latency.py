"""How long generations took that succeeded in a range: by day, by provider, and by model and kind."""

from __future__ import annotations

from flask import url_for

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import Chart, Series
from blueprints.admin.filters import Filters
from makegood import throttles
from makegood.generation_log import BY_END
from makegood.stats import latency
from makegood.stats.latency import LatencyFilters, LatencyReport

PAGE = monitoring.Page(
    "admin.monitoring_latency",
    "Latency",
    "From the submit to the end, of what succeeded; percentiles are within 3 % of the exact ones",
    ("monitoring_latency_cards", "monitoring_steps", "monitoring_latency_providers", "monitoring_latency_models"),
    ("provider", "model", "kind"),
    "No generation succeeded in this range.",
    "latency-days",
)
MEASURES = (
    exports.column("succeeded"),
    exports.column("p50_ms", "p50"),
    exports.column("p95_ms", "p95"),
    exports.column("p99_ms", "p99"),
)


@blueprint.get("/monitoring/latency")
@access.throttled(throttles.STATS)
def monitoring_latency() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/monitoring/latency")
@poll
def monitoring_latency_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = latency.report(session, terms, span, _wanted(asked))
    seen = {
        "provider": [line.provider for line in view.providers],
        "model": [line.model for line in view.models],
        "kind": [line.kind for line in view.models],
    }
    return PAGE.show(template, asked, view, [_chart(view, asked)], choices=PAGE.choices(seen, asked))


def _wanted(asked: Filters) -> LatencyFilters:
    return LatencyFilters(asked["provider"], asked["model"], asked["kind"])


def _chart(view: LatencyReport, asked: Filters) -> Chart:
    kept = PAGE.kept(asked)
    assert asked.range is not None
    link = url_for("admin.generations", **(kept | {"status": "succeeded", "by": BY_END}))
    found = [step.latency for step in view.steps]
    return Chart(
        monitoring.STEPS,
        monitoring.by_unit(asked.range),
        "Half of what succeeded took at most p50, 95 of 100 at most p95, 99 of 100 at most p99",
        asked.range,
        [
            Series("p50", [one.p50_ms for one in found], "chart-2", view.total.p50_ms, line=True),
            Series("p95", [one.p95_ms for one in found], "chart-4", view.total.p95_ms, line=True),
            Series("p99", [one.p99_ms for one in found], "chart-3", view.total.p99_ms, line=True),
        ],
        unit="duration",
        link=link,
        beside=[Series("Succeeded", [one.count for one in found], "", view.total.count, link, unit="count")],
    )


monitoring.export(
    PAGE,
    "latency-providers",
    "Latency by provider",
    lambda session, terms, span, asked: latency.by(session, terms, span, _wanted(asked), latency.PROVIDER),
    (exports.column("provider"), *MEASURES),
)
monitoring.export(
    PAGE,
    "latency-models",
    "Latency by model and kind",
    lambda session, terms, span, asked: latency.by(session, terms, span, _wanted(asked), latency.MODEL),
    (exports.column("provider"), exports.column("model"), exports.column("kind"), *MEASURES),
)
monitoring.export(
    PAGE,
    "latency-days",
    "Latency by day",
    lambda session, terms, span, asked: latency.by_step(session, terms, span, _wanted(asked)),
    (exports.column("starts_at"), *MEASURES),
)
