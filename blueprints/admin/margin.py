"""What came in, what it cost, and what is left: on cash and on recognised revenue, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import groupby

from flask import current_app, url_for

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, monitoring
from blueprints.admin.charts import Chart, Series
from makegood import throttles
from makegood.calendars import month_of
from makegood.revenue import margin
from makegood.revenue.margin import Margin, MarginStep
from makegood.revenue.margin_rules import MARGIN
from makegood.revenue.results import Result, micros

PAGE = monitoring.Page(
    "admin.margin",
    "Margin",
    "In US dollars, by days of the reporting time zone",
    (
        "margin_state",
        "margin_cards",
        "margin_figures",
        "margin_chart",
        "margin_months",
        "margin_providers",
        "margin_models",
        "margin_tiers",
        "margin_rules",
    ),
    (),
    "Nothing came in and nothing was generated in this range.",
    "margin-days",
    compared=False,
    tabs="admin/_margin_tabs.html",
)


@blueprint.get("/margin", endpoint="margin")
@access.throttled(throttles.STATS)
def margin_page() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/margin")
@poll
def margin_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    span = margin.whole_days(span, terms)
    view = margin.report(session, terms, span)
    connected = current_app.config["SETTINGS"].stripe.api_key is not None
    page = PAGE if connected or view.since else replace(PAGE, panels=("margin_setup",))
    return page.show(
        template,
        asked,
        view,
        [_chart(view)],
        choices={},
        months=_months(view),
        rules=MARGIN,
        micros=micros,
    )


def _months(view: Margin) -> list[MarginStep]:
    """The days by month, the latest first, where the range has days of several."""
    begun = [one for one in view.steps if one.step.start <= view.as_of]
    months = [list(days) for _, days in groupby(begun, key=lambda one: month_of(one.step.first))]
    if len(months) < 2:
        return []
    return [
        MarginStep(
            replace(days[-1].step, start=days[0].step.start, first=days[0].step.first, unit="month"),
            margin.together(days, view.since),
        )
        for days in reversed(months)
    ]


def _chart(view: Margin) -> Chart:
    def series(
        label: str, colour: str, value: Callable[[Result], Fraction | None], *, line: bool = False, link: str = ""
    ) -> Series:
        values = [micros(value(one.result)) for one in view.steps]
        return Series(label, values, colour, micros(value(view.total)), link or None, line=line)

    cash = [one.result.margin for one in view.steps]
    recognised = [one.result.recognised_margin for one in view.steps]
    return Chart(
        "margin_chart",
        monitoring.by_unit(view.range) if view.steps[0].step.unit == "month" else "By day",
        "Costs are below zero; the lines are revenue on both bases",
        view.range,
        [
            series(
                "Provider cost", "chart-3", lambda result: _minus(result.cost), link=url_for("admin.generations")
            ),
            series("Stripe fees", "chart-4", lambda result: _minus(result.fees)),
            series("Cash", "chart-1", lambda result: result.cash, line=True),
            series("Recognised", "chart-2", lambda result: result.recognised, line=True),
        ],
        unit="usd",
        beside=[
            series("Profit, cash", "", lambda result: result.profit),
            series("Profit, recognised", "", lambda result: result.recognised_profit),
            Series("Margin, cash", cash, "", view.total.margin, unit="rate"),
            Series("Margin, recognised", recognised, "", view.total.recognised_margin, unit="rate"),
        ],
        pieces=[one.step for one in view.steps],
    )


def _minus(amount: Fraction | None) -> Fraction | None:
    return None if amount is None else -amount
