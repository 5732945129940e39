"""Usage of a range: by provider, by model and kind, and by day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import url_for

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import Chart, Series
from blueprints.admin.filters import Filters
from makegood import throttles
from makegood.generation_log import BY_END
from makegood.stats import usage
from makegood.stats.usage import UsageFilters, UsageReport

PAGE = monitoring.Page(
    "admin.monitoring_usage",
    "Usage",
    "Charged and cost when charged; succeeded and failed when ended; refunds when issued",
    ("monitoring_usage_cards", "monitoring_steps", "monitoring_usage_providers", "monitoring_usage_models"),
    ("provider", "model", "kind", "tier"),
    "No generation was charged or ended in this range.",
    "usage-days",
)


def _known_cost(row: Any) -> Decimal | None:
    """USD; none where the cost of every generation is unknown, as on the page."""
    wholly_unknown = row.generations and row.unknown_costs == row.generations
    return None if wholly_unknown else Decimal(row.cost_micros).scaleb(-6)


MEASURES = (
    exports.column("generations"),
    exports.column("succeeded"),
    exports.column("failed"),
    exports.column("cancelled"),
    exports.column("refunds"),
    exports.column("credits_charged"),
    exports.column("credits_refunded"),
    exports.Column("cost_usd", _known_cost),
    exports.column("unknown_costs"),
    exports.usd("platform_loss_usd", "loss_micros"),
)


@blueprint.get("/monitoring/usage")
@access.throttled(throttles.STATS)
def monitoring_usage() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/monitoring/usage")
@poll
def monitoring_usage_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = usage.report(session, terms, span, _wanted(asked))
    tiers = session.execute(usage.by(session, terms, span, UsageFilters(), usage.TIER))
    seen = {
        "provider": [line.provider for line in view.providers],
        "model": [line.model for line in view.models],
        "kind": [line.kind for line in view.models],
        "tier": [row.tier for row in tiers],
    }
    return PAGE.show(template, asked, view, [_chart(view, asked)], choices=PAGE.choices(seen, asked))


def _wanted(asked: Filters) -> UsageFilters:
    return UsageFilters(asked["provider"], asked["model"], asked["kind"], asked["tier"])


def _chart(view: UsageReport, asked: Filters) -> Chart:
    usages = [step.usage for step in view.steps]
    kept = PAGE.kept(asked)
    assert asked.range is not None
    charged = url_for("admin.generations", **kept)
    by_end = kept | {"by": BY_END}
    return Chart(
        monitoring.STEPS,
        monitoring.by_unit(asked.range),
        "Succeeded and failed when they ended, the rest when they were charged",
        asked.range,
        [
            Series(
                "Succeeded",
                [used.succeeded for used in usages],
                "chart-1",
                view.total.succeeded,
                url_for("admin.generations", status="succeeded", **by_end),
            ),
            Series(
                "Failed",
                [used.failed for used in usages],
                "chart-bad",
                view.total.failed,
                url_for("admin.generations", status="failed", **by_end),
            ),
        ],
        link=charged,
        beside=[
            Series("Charged", [used.generations for used in usages], "", view.total.generations, charged),
            Series("Credits net", [used.net_credits for used in usages], "", view.total.net_credits),
            Series(
                "Cost (USD)",
                [used.known_cost_micros for used in usages],
                "",
                view.total.known_cost_micros,
                unit="usd",
            ),
            Series(
                "Unknown costs",
                [used.unknown_costs for used in usages],
                "",
                view.total.unknown_costs,
                url_for("admin.generations", cost="unknown", **kept),
            ),
        ],
    )


monitoring.export(
    PAGE,
    "usage-providers",
    "Usage by provider",
    lambda session, terms, span, asked: usage.by(session, terms, span, _wanted(asked), usage.PROVIDER),
    (exports.column("provider"), *MEASURES),
)
monitoring.export(
    PAGE,
    "usage-models",
    "Usage by model and kind",
    lambda session, terms, span, asked: usage.by(session, terms, span, _wanted(asked), usage.MODEL),
    (exports.column("provider"), exports.column("model"), exports.column("kind"), *MEASURES),
)
monitoring.export(
    PAGE,
    "usage-days",
    "Usage by day",
    lambda session, terms, span, asked: usage.by_step(session, terms, span, _wanted(asked)),
    (exports.column("starts_at"), *MEASURES),
)
