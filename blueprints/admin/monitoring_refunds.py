"""What was refunded in a range: by day, by reason, and by provider and model."""

from __future__ import annotations

from flask import url_for

from blueprints import access, formats
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import Chart, Series
from blueprints.admin.filters import Filters
from blueprints.admin.refunds import AUTOMATIC, MANUAL, ORIGINS
from makegood import throttles
from makegood.stats import refunds
from makegood.stats.refunds import RefundFilters, RefundReport

PAGE = monitoring.Page(
    "admin.monitoring_refunds",
    "Refund totals",
    "When they were issued; those that were reversed no longer count",
    ("monitoring_refunds_cards", "monitoring_steps", "monitoring_refunds_reasons", "monitoring_refunds_models"),
    ("provider", "model", "reason", "origin"),
    "No refund was issued in this range.",
    "refunds-days",
    words={
        "reason": AUTOMATIC | MANUAL,
        "origin": {code: formats.words(label) for code, label in ORIGINS.items()},
    },
)
MEASURES = (
    exports.column("refunds"),
    exports.column("credits_refunded"),
    exports.usd("platform_loss_usd", "loss_micros"),
)


@blueprint.get("/monitoring/refunds")
@access.throttled(throttles.STATS)
def monitoring_refunds() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/monitoring/refunds")
@poll
def monitoring_refunds_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = refunds.report(session, terms, span, _wanted(asked))
    seen = {
        "provider": [line.keys[0] for line in view.models],
        "model": [line.keys[1] for line in view.models],
        "reason": [line.keys[1] for line in view.reasons],
        "origin": [line.keys[0] for line in view.reasons],
    }
    choices = PAGE.choices(seen, asked)
    return PAGE.show(template, asked, view, [_chart(view, asked)], choices=choices, origins=PAGE.words["origin"])


def _wanted(asked: Filters) -> RefundFilters:
    return RefundFilters(asked["provider"], asked["model"], asked["reason"], asked["origin"])


def _chart(view: RefundReport, asked: Filters) -> Chart:
    kept = PAGE.kept(asked)
    assert asked.range is not None
    automatic = [step.automatic.refunds for step in view.steps]
    by_hand = [step.by_hand for step in view.steps]
    return Chart(
        monitoring.STEPS,
        monitoring.by_unit(asked.range),
        "Refunds, automatic and by operators",
        asked.range,
        [
            Series(
                "Automatic",
                automatic,
                "chart-1",
                sum(automatic),
                url_for("admin.refunds", reversed="no", **(kept | {"origin": "automatic"})),
            ),
            Series("By operators", by_hand, "chart-3", sum(by_hand)),
        ],
        link=url_for("admin.refunds", reversed="no", **kept),
        beside=[
            Series(
                "Credits",
                [step.total.credits_refunded for step in view.steps],
                "",
                view.total.credits_refunded,
            ),
            Series(
                "Platform loss (USD)",
                [step.total.loss_micros for step in view.steps],
                "",
                view.total.loss_micros,
                unit="usd",
            ),
        ],
    )


monitoring.export(
    PAGE,
    "refunds-reasons",
    "Refunds by reason",
    lambda session, terms, span, asked: refunds.by(session, terms, span, _wanted(asked), refunds.REASON),
    (exports.column("origin"), exports.column("reason"), *MEASURES),
)
monitoring.export(
    PAGE,
    "refunds-models",
    "Refunds by provider and model",
    lambda session, terms, span, asked: refunds.by(session, terms, span, _wanted(asked), refunds.MODEL),
    (exports.column("provider"), exports.column("model"), *MEASURES),
)
monitoring.export(
    PAGE,
    "refunds-days",
    "Refunds by day",
    lambda session, terms, span, asked: refunds.by_step(session, terms, span, _wanted(asked)),
    (exports.column("starts_at"), *MEASURES),
)
