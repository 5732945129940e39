"""What subscriptions earn: MRR by Stripe's definition, how it moved, and who subscribes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any

from flask import current_app, url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring, subscription_rules
from blueprints.admin.charts import Chart, Series
from blueprints.admin.filters import Filters
from blueprints.admin.subscription_list import exact_amount
from makegood import money, throttles
from makegood.calendars import local_day
from makegood.models import MrrSnapshot, MrrTotal
from makegood.ranges import Range, Step
from makegood.revenue import margin, movements, subscribers
from makegood.revenue.movements import Moved
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.subscribers import Report, Subscribed
from makegood.terms import Terms

PAGE = monitoring.Page(
    "admin.subscriptions",
    "Subscriptions",
    "At the end of the range, by daily snapshots",
    (
        "subscriptions_state",
        "subscriptions_cards",
        "subscriptions_mrr",
        "subscriptions_moves",
        "subscriptions_movements",
        "subscriptions_figures",
        "subscriptions_currencies",
    ),
    ("currency",),
    "Nobody paid for a subscription in this range.",
    "mrr-days",
    compared=False,
)
COLOURS = {
    "new": "chart-1",
    "reactivation": "chart-2",
    "expansion": "chart-3",
    "contraction": "chart-4",
    "churn": "chart-bad",
    "restated": "chart-other",
}
LABELS = {kind: kind.capitalize() for kind in COLOURS}


@dataclass(frozen=True)
class View:
    """What the page shows: the figures, and their parts by step of the range."""

    report: Report
    shown: Subscribed | None
    steps: Sequence[Step]
    days: dict[date, dict[str, Fraction]]
    estimated: set[date]
    moved: Sequence[dict[str, Moved]]

    @property
    def as_of(self) -> Any:
        """When the page was made."""
        return self.report.as_of


@blueprint.get("/subscriptions", endpoint="subscriptions")
@access.throttled(throttles.STATS)
def subscriptions_page() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/subscriptions")
@poll
def subscriptions_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    settings = current_app.config["SETTINGS"]
    view = _view(session, terms, span, asked.currency)
    state = subscription_rules.state(session, settings, view.report, span)
    page = PAGE if view.report.snapshot else replace(PAGE, panels=("subscriptions_setup",))
    rules = MrrRules.of(view.report.snapshot.rules) if view.report.snapshot else settings.mrr
    figures = []
    if view.shown and view.report.snapshot:
        result = margin.total(session, terms, margin.whole_days(span, terms))
        figures = subscription_rules.figures(view.report, view.shown, rules, result)
    return page.show(
        template,
        asked,
        view,
        _charts(view, asked) if view.shown else [],
        choices=page.choices({"currency": [one.currency for one in view.report.currencies]}, asked),
        report=view.report,
        shown=view.shown,
        state=state,
        figures=figures,
        current=local_day(span.now, terms.timezone) in view.days,
        labels_of_moves=LABELS,
        rounded=money.rounded,
    )


def _view(session: Session, terms: Terms, span: Range, currency: str | None) -> View:
    report = subscribers.report(session, terms.timezone, span)
    first, last = subscribers.days_of(span, terms.timezone)
    days = Range(first, last, terms.timezone, span.now)
    steps = span.steps() if span.steps()[0].unit == "month" else [_day(days, day) for day in days.days()]
    estimated = session.scalars(
        select(MrrSnapshot.day).where(MrrSnapshot.day.between(first, last), MrrSnapshot.estimated)
    )
    return View(
        report,
        report.of(currency),
        steps,
        movements.by_day(session, first, last),
        set(estimated),
        movements.between(session, [(step.first, step.last) for step in steps]),
    )


def _day(days: Range, day: date) -> Step:
    one = Range(day, day, days.zone, days.now)
    return Step(one.start, one.end, day, day, "day")


def _charts(view: View, asked: Filters) -> list[Chart]:
    assert asked.range is not None
    assert view.shown is not None
    currency = view.shown.currency
    ends = [_end_of(view, step, currency) for step in view.steps]

    def rows(**more: str) -> str:
        return url_for("admin.mrr_movements", currency=currency, **more)  # type: ignore[arg-type]

    def each(kind: str) -> list[int]:
        return [money.rounded(part.get(currency, Moved())[kind]) for part in view.moved]

    present = [kind for kind in COLOURS if view.shown.moved.changes.get(kind)]
    unit = f"minor:{currency}"
    return [
        Chart(
            "subscriptions_mrr",
            "MRR",
            "At the end of each day" if view.steps[0].unit == "day" else "At the end of each month",
            asked.range,
            [
                Series("MRR", [value if not guess else None for value, guess in ends], "chart-1", line=True),
                *(
                    [Series("Estimated", [value if guess else None for value, guess in ends], "chart-other",
                            line=True)]
                    if any(guess for _, guess in ends)
                    else []
                ),
            ],
            unit=unit,
            link=rows(),
            pieces=view.steps,
        ),
        Chart(
            "subscriptions_moves",
            "Movements",
            "What was lost is below zero",
            asked.range,
            [
                Series(LABELS[kind], each(kind), COLOURS[kind], money.rounded(view.shown.moved[kind]),
                       rows(kind=kind))
                for kind in present
            ],
            unit=unit,
            link=rows(),
            pieces=view.steps,
        ),
    ]  # fmt: skip


def _end_of(view: View, step: Step, currency: str) -> tuple[int | None, bool]:
    """MRR at a step's last snapshot, and whether that is estimated; None without one."""
    day = max((day for day in view.days if step.first <= day <= step.last), default=None)
    if day is None:
        return None, False
    return money.rounded(view.days[day].get(currency, Fraction(0))), day in view.estimated


def _by_day(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
    """The file's rows: MRR of every day that has a snapshot, by currency."""
    first, last = subscribers.days_of(span, terms.timezone)
    query = (
        select(
            MrrTotal.day,
            MrrTotal.currency,
            MrrTotal.mrr,
            MrrTotal.subscribers,
            MrrSnapshot.estimated,
            MrrSnapshot.taken_at,
            MrrSnapshot.rules,
        )
        .join(MrrSnapshot, MrrSnapshot.day == MrrTotal.day)
        .where(MrrTotal.day.between(first, last))
        .order_by(MrrTotal.day, MrrTotal.currency)
    )
    currency = asked.currency
    return query.where(MrrTotal.currency == currency) if currency else query


monitoring.export(
    PAGE,
    "mrr-days",
    "MRR by day and currency",
    _by_day,
    (
        exports.column("day"),
        exports.column("currency"),
        exact_amount("mrr"),
        exports.column("subscribers"),
        exports.column("estimated"),
        exports.column("taken_at"),
        exports.column("rules"),
    ),
)
