"""The charts of a provider's page: what ended there, and how long what succeeded took."""

from __future__ import annotations

from flask import url_for

from blueprints.admin.charts import Chart, Series
from makegood.generation_log import BY_END
from makegood.provider_health import OneProvider
from makegood.ranges import Range


def of(view: OneProvider, span: Range) -> dict[str, Chart]:
    """Both, by their panels."""
    return {chart.id: chart for chart in (_ended(view, span), _latency(view, span))}


def _ended(view: OneProvider, span: Range) -> Chart:
    name, total = view.health.name, view.health.now.usage
    usages = [step.figures.usage for step in view.steps]
    return Chart(
        "provider_ended",
        "Succeeded and failed",
        "When they ended",
        span,
        [
            Series(
                "Succeeded",
                [usage.succeeded for usage in usages],
                "chart-1",
                total.succeeded,
                url_for("admin.generations", provider=name, by=BY_END, status="succeeded"),
            ),
            Series(
                "Failed",
                [usage.failed for usage in usages],
                "chart-bad",
                total.failed,
                url_for("admin.failures", provider=name),
            ),
        ],
        link=url_for("admin.generations", provider=name, by=BY_END),
        beside=[
            Series("Success rate", [usage.success_rate for usage in usages], "", total.success_rate, unit="rate"),
            Series(
                "Cost when charged (USD)",
                [usage.known_cost_micros for usage in usages],
                "",
                total.known_cost_micros,
                unit="usd",
            ),
        ],
    )


def _latency(view: OneProvider, span: Range) -> Chart:
    total = view.health.now.latency
    found = [step.figures.latency for step in view.steps]
    link = url_for("admin.generations", provider=view.health.name, by=BY_END, status="succeeded")
    return Chart(
        "provider_latency",
        "Latency",
        "Of what succeeded; within 3 %",
        span,
        [
            Series("p50", [one.p50_ms for one in found], "chart-2", total.p50_ms, line=True),
            Series("p95", [one.p95_ms for one in found], "chart-4", total.p95_ms, line=True),
        ],
        unit="duration",
        link=link,
        beside=[Series("Succeeded", [one.count for one in found], "", total.count, link, unit="count")],
    )
