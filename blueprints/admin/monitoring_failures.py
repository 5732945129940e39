"""What failed in a range: by error class, by provider and model, and by day."""

from __future__ import annotations

from flask import url_for

from blueprints import access, formats
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import COLOURS, OTHER, Chart, Series, most
from blueprints.admin.filters import Filters
from makegood import throttles
from makegood.generation_log import BY_END
from makegood.providers.protocol import ErrorClass
from makegood.stats import failure_counts, failures
from makegood.stats.failure_counts import FailureFilters
from makegood.stats.failures import FailureReport
from makegood.stats.figures import Rate

PAGE = monitoring.Page(
    "admin.monitoring_failures",
    "Failure rates",
    "Failed of what succeeded or failed, when it ended",
    (
        "monitoring_failures_cards",
        "monitoring_steps",
        "monitoring_failures_classes",
        "monitoring_failures_providers",
        "monitoring_failures_models",
    ),
    ("provider", "model", "error", "sort"),
    "No generation failed in this range.",
    "failures-days",
    words={
        "error": {code.value: formats.words(code) for code in ErrorClass},
        "sort": {failures.BY_RATE: "highest rate first"},
    },
)
FAILED = exports.column("failed")


@blueprint.get("/monitoring/failures")
@access.throttled(throttles.STATS)
def monitoring_failures() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/monitoring/failures")
@poll
def monitoring_failures_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = failures.report(session, terms, span, _wanted(asked), sort=asked["sort"] or "")
    seen = {
        "provider": [line.provider for line in view.providers],
        "model": [line.model for line in view.models],
        "error": [line.error_class for line in view.classes],
    }
    choices = {name: offered for name, offered in PAGE.choices(seen, asked).items() if name in seen}
    sort = failures.BY_RATE if asked["sort"] == failures.BY_RATE else "failed"
    return PAGE.show(template, asked, view, [_chart(view, asked)], choices=choices, sort=sort)


def _wanted(asked: Filters) -> FailureFilters:
    return FailureFilters(asked["provider"], asked["model"], asked["error"])


def _chart(view: FailureReport, asked: Filters) -> Chart:
    kept = PAGE.kept(asked)
    assert asked.range is not None
    shown, others = most([step.classes for step in view.steps])
    totals = {line.error_class: line.failed for line in view.classes}
    series = [
        Series(
            formats.words(name),
            [step.classes.get(name, 0) for step in view.steps],
            COLOURS[number],
            totals[name],
            url_for("admin.failures", **(kept | {"error": name})),
        )
        for number, name in enumerate(shown)
    ]
    if others:
        rest = [sum(step.classes.get(name, 0) for name in others) for step in view.steps]
        series.append(Series(f"{len(others)} other classes", rest, OTHER, sum(rest)))
    by_end = {name: value for name, value in kept.items() if name != "error"} | {"by": BY_END}
    return Chart(
        monitoring.STEPS,
        monitoring.by_unit(asked.range),
        "Failures by their error class",
        asked.range,
        series,
        link=url_for("admin.failures", **kept),
        beside=[
            Series("All failures", [step.failed for step in view.steps], "", view.failed),
            Series(
                "Ended",
                [step.ended for step in view.steps],
                "",
                view.ended,
                url_for("admin.generations", **by_end),
            ),
            Series(
                "Failure rate",
                [Rate(step.failed, step.ended) for step in view.steps],
                "",
                Rate(view.failed, view.ended),
                unit="rate",
            ),
        ],
    )


monitoring.export(
    PAGE,
    "failures-classes",
    "Failures by error class",
    lambda session, terms, span, asked: failure_counts.by(
        session, terms, span, _wanted(asked), failure_counts.CLASS
    ),
    (exports.column("error_class", "reason"), FAILED),
)
monitoring.export(
    PAGE,
    "failures-providers",
    "Failures by provider",
    lambda session, terms, span, asked: failure_counts.by_provider(session, terms, span, _wanted(asked)),
    (exports.column("provider"), FAILED, exports.column("ended")),
)
monitoring.export(
    PAGE,
    "failures-models",
    "Failures by provider and model",
    lambda session, terms, span, asked: failure_counts.by_model(session, terms, span, _wanted(asked)),
    (exports.column("provider"), exports.column("model"), FAILED, exports.column("ended")),
)
monitoring.export(
    PAGE,
    "failures-days",
    "Failures by day",
    lambda session, terms, span, asked: failure_counts.by_step(session, terms, span, _wanted(asked)),
    (exports.column("starts_at"), FAILED),
)
