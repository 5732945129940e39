"""The files of the margin page: what it computes, rounded as there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from blueprints.admin import exports, monitoring
from blueprints.admin.filters import Filters
from blueprints.admin.margin import PAGE
from makegood.ranges import Range
from makegood.revenue import margin
from makegood.revenue.margin_by_use import UseLine
from makegood.revenue.results import Result, micros
from makegood.terms import Terms

RESULT = (
    "cash",
    "recognised",
    "fees",
    "cost",
    "loss",
    "profit",
    "recognised_profit",
)
USE = ("recognised", "cost", "loss", "contribution")


Lines = Sequence[tuple[Sequence[Any], Result]]
"""Keys, and what came of them."""


def _query(
    keys: Sequence[str], measures: Sequence[str], of: Callable[[Session, Terms, Range], Lines]
) -> monitoring.Query:
    """A file's rows."""

    def query(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
        rows = [
            (*key, *(micros(getattr(result, name)) for name in measures), result.unknown_costs)
            for key, result in of(session, terms, margin.whole_days(span, terms))
        ]
        return exports.rows(rows, keys, (*measures, "unknown_costs"))

    return query


def columns(keys: Sequence[str], measures: Sequence[str]) -> list[exports.Column]:
    """A file's columns: keys, what came in and what it cost, and how many costs are not known."""
    return [
        *(exports.column(key) for key in keys),
        *(exports.usd(f"{name}_usd", name) for name in measures),
        exports.column("unknown_costs"),
    ]


def _by_step(session: Session, terms: Terms, asked: Range) -> Lines:
    """What is not by use is all that it needs."""
    return [((str(one.step.first),), one.result) for one in margin.steps(session, terms, asked)]


def _by(lines: Sequence[UseLine]) -> list[tuple[Sequence[Any], Result]]:
    return [(line.keys, line.result) for line in lines]


def _by_provider(session: Session, terms: Terms, asked: Range) -> Lines:
    """The providers, and below them, as on the page, the revenue that is of none of them."""
    view = margin.report(session, terms, asked)
    others = {"Payments for no credits": view.direct, "Not by use": view.beside}
    return _by(view.providers) + [((name,), Result(recognised=usd)) for name, usd in others.items() if usd]


for name, title, keys, measures, of in (
    ("margin-days", "Margin by day", ("starts_on",), RESULT, _by_step),
    ("margin-providers", "Margin by provider", ("provider",), USE, _by_provider),
    (
        "margin-models",
        "Margin by model",
        ("provider", "model"),
        USE,
        lambda *whole: _by(margin.report(*whole).models),
    ),
    ("margin-tiers", "Margin by tier", ("tier",), USE, lambda *whole: _by(margin.report(*whole).tiers)),
):
    monitoring.export(PAGE, name, title, _query(keys, measures, of), columns(keys, measures))
