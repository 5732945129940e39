"""The charts of the dashboard: which figures, in which colours, and the rows that each leads to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from flask import url_for

from blueprints.admin.charts import COLOURS, OTHER, Axis, Chart, Series, Value, most
from makegood.generation_log import BY_END
from makegood.stats import Period, StepUsage, Usage
from makegood.stats.figures import FEW

SUCCESS_TARGET = Decimal("0.95")
NOTHING = Usage()


def of(view: Period) -> dict[str, Chart]:
    """All of them, by the name of their panel."""
    along = Axis(view.range, [step.step for step in view.steps])
    return {
        chart.id: replace(chart, along=along)
        for chart in (
            _generations(view),
            _cost(view),
            _credits(view),
            _success(view),
            _refunds(view),
            _latency(view),
        )
    }


def _generations(view: Period) -> Chart:
    ended = {"by": BY_END}
    return Chart(
        "generations",
        "Generations",
        "Succeeded and failed when they ended, refunds when they were issued",
        view.range,
        [
            Series(
                "Succeeded",
                _each(view, lambda usage: usage.succeeded),
                "chart-1",
                view.now.succeeded,
                url_for("admin.generations", status="succeeded", **ended),
            ),
            Series(
                "Failed",
                _each(view, lambda usage: usage.failed),
                "chart-bad",
                view.now.failed,
                url_for("admin.failures"),
            ),
            Series(
                "Refunded",
                _each(view, lambda usage: usage.refunds),
                "chart-3",
                view.now.refunds,
                url_for("admin.refunds", reversed="no"),
                line=True,
            ),
        ],
        link=url_for("admin.generations", **ended),
        beside=[
            Series(
                "Charged",
                _each(view, lambda usage: usage.generations),
                "",
                view.now.generations,
                url_for("admin.generations"),
            ),
            Series("Cancelled", _each(view, lambda usage: usage.cancelled), "", view.now.cancelled),
        ],
    )


def _cost(view: Period) -> Chart:
    shown, others = most([_map(step.providers, lambda usage: usage.cost_micros) for step in view.steps])
    totals = {row.provider: row.usage for row in view.providers}
    series = _parts(
        view,
        shown,
        others,
        lambda step: step.providers,
        lambda usage: usage.known_cost_micros,
        totals,
        lambda name: url_for("admin.generations", provider=name),
    )
    return Chart(
        "cost",
        "Cost by provider",
        "Of what was charged in each step; unknown costs are not in it",
        view.range,
        series,
        unit="usd",
        link=url_for("admin.generations"),
        beside=[
            Series(
                "Unknown costs",
                _each(view, lambda usage: usage.unknown_costs),
                "",
                view.now.unknown_costs,
                url_for("admin.generations", cost="unknown"),
                unit="count",
            )
        ],
    )


def _credits(view: Period) -> Chart:
    tiers = {row.tier: row.consumed for row in view.tiers}
    series = _parts(
        view,
        list(tiers)[: len(COLOURS)],
        list(tiers)[len(COLOURS) :],
        lambda step: step.tiers,
        lambda usage: usage.net_credits,
        tiers,
        lambda name: url_for("admin.generations", tier=name),
    )
    return Chart(
        "credits",
        "Credits consumed by tier",
        "Charged minus refunded: below zero where more came back than was charged",
        view.range,
        series,
        link=url_for("admin.generations"),
        beside=[
            Series("Charged", _each(view, lambda usage: usage.credits_charged), "", view.now.credits_charged),
            Series("Refunded", _each(view, lambda usage: usage.credits_refunded), "", view.now.credits_refunded),
        ],
    )


def _success(view: Period) -> Chart:
    return Chart(
        "success",
        "Success rate",
        f"Succeeded of what ended, where {FEW} or more did; the line is the target of {SUCCESS_TARGET * 100:.0f}%",
        view.range,
        [
            Series(
                "Success rate",
                _each(view, lambda usage: usage.success_rate),
                "chart-1",
                view.now.success_rate,
                line=True,
            )
        ],
        unit="rate",
        link=url_for("admin.generations", by=BY_END),
        target=SUCCESS_TARGET,
        beside=[Series("Ended", _each(view, lambda usage: usage.ended), "", view.now.ended, unit="count")],
    )


def _refunds(view: Period) -> Chart:
    link = url_for("admin.refunds", reversed="no")
    return Chart(
        "refunded",
        "Refunds",
        "When they were issued",
        view.range,
        [Series("Refunds", _each(view, lambda usage: usage.refunds), "chart-3", view.now.refunds, link)],
        link=link,
        beside=[
            Series("Credits", _each(view, lambda usage: usage.credits_refunded), "", view.now.credits_refunded),
            Series(
                "Platform loss (USD)",
                _each(view, lambda usage: usage.loss_micros),
                "",
                view.now.loss_micros,
                unit="usd",
            ),
        ],
    )


def _latency(view: Period) -> Chart:
    return Chart(
        "latency",
        "Latency",
        "From the submit to the end, of what succeeded; within 3 %",
        view.range,
        [
            Series("p50", [step.latency.p50_ms for step in view.steps], "chart-2", view.latency.p50_ms, line=True),
            Series("p95", [step.latency.p95_ms for step in view.steps], "chart-4", view.latency.p95_ms, line=True),
        ],
        unit="duration",
        link=url_for("admin.generations", status="succeeded", by=BY_END),
    )


def _each(view: Period, figure: Callable[[Usage], Value]) -> list[Value]:
    return [figure(step.usage) for step in view.steps]


def _map(parts: dict[str, Usage], figure: Callable[[Usage], int]) -> dict[str, int]:
    return {name: figure(usage) for name, usage in parts.items()}


def _parts(
    view: Period,
    shown: Sequence[str],
    others: Sequence[str],
    parts: Callable[[StepUsage], dict[str, Usage]],
    figure: Callable[[Usage], Value],
    totals: dict[str, Usage],
    link: Callable[[str], str],
) -> list[Series]:
    """A series for each part that is shown, and one for all the others."""
    made = [
        Series(
            name,
            [figure(parts(step).get(name, NOTHING)) for step in view.steps],
            COLOURS[n],
            figure(totals.get(name, NOTHING)),
            link(name),
        )
        for n, name in enumerate(shown)
    ]
    if others:

        def rest(usages: dict[str, Usage]) -> Value:
            return figure(Usage.total(usages[name] for name in others if name in usages))

        made.append(
            Series(f"{len(others)} others", [rest(parts(step)) for step in view.steps], OTHER, rest(totals))
        )
    return made
