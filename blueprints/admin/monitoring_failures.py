"""What failed in a range: by error class, by provider and model, and by day."""

from __future__ import annotations

from typing import Any

from flask import url_for
from sqlalchemy import Select
from sqlalchemy.orm import Session

from blueprints import access, formats
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import COLOURS, OTHER, Chart, Series, most
from blueprints.admin.filters import Filters
from makegood import throttles
from makegood.generation_log import BY_END
from makegood.providers.protocol import ErrorClass
from makegood.ranges import Range
from makegood.stats import failure_counts, failure_lines, failures
from makegood.stats.failure_counts import FailureFilters
from makegood.stats.failure_lines import ProviderLine
from makegood.stats.failures import FailureReport
from makegood.stats.figures import Rate
from makegood.terms import Terms

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
        "sort": {failure_lines.BY_RATE: "highest rate first"},
    },
)
FAILED = exports.column("failed")
COUNTS = ("failed", "ended", "failed_before", "ended_before")
RATES = (
    FAILED,
    exports.column("ended"),
    exports.Column("failure_rate", lambda row: Rate(row.failed, row.ended).exact),
    exports.column("failed_before"),
    exports.column("ended_before"),
    exports.Column("failure_rate_before", lambda row: Rate(row.failed_before, row.ended_before).exact),
)


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
    sort = failure_lines.BY_RATE if asked["sort"] == failure_lines.BY_RATE else "failed"
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


def _classes(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
    counts = failure_lines.count(session, terms, span, _wanted(asked))
    lines = failure_lines.classes(counts.failed, counts.before)
    found = [(line.error_class, line.failed, line.before) for line in lines]
    return exports.rows(found, ("error_class",), ("failed", "failed_before"))


def _providers(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
    lines = failure_lines.providers(failure_lines.count(session, terms, span, _wanted(asked)))
    return exports.rows([(line.provider, *_counts(line)) for line in lines], ("provider",), COUNTS)


def _models(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
    lines = failure_lines.models(failure_lines.count(session, terms, span, _wanted(asked)))
    found = [(line.provider, line.model, *_counts(line)) for line in lines]
    return exports.rows(found, ("provider", "model"), COUNTS)


def _counts(line: ProviderLine) -> tuple[int, int, int, int]:
    return line.failed, line.ended, line.before, line.ended_before


monitoring.export(
    PAGE,
    "failures-classes",
    "Failures by error class",
    _classes,
    (exports.column("error_class"), FAILED, exports.column("failed_before")),
)
monitoring.export(
    PAGE, "failures-providers", "Failures by provider", _providers, (exports.column("provider"), *RATES)
)
monitoring.export(
    PAGE,
    "failures-models",
    "Failures by provider and model",
    _models,
    (exports.column("provider"), exports.column("model"), *RATES),
)
monitoring.export(
    PAGE,
    "failures-days",
    "Failures by day",
    lambda session, terms, span, asked: failure_counts.by_step(session, terms, span, _wanted(asked)),
    (exports.column("starts_at"), FAILED),
)
