"""The monitoring pages: figures of a range in charts and tables, and the ways to the rows behind them.

Each page is a list of panels. While its range goes on it keeps itself fresh, with one request that brings all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, render_template, url_for
from sqlalchemy import Select
from sqlalchemy.orm import Session

from blueprints.admin import exports, filters
from blueprints.admin.charts import Chart
from blueprints.admin.filters import Filters
from extensions import db
from makegood.ranges import Range
from makegood.stats import begin_snapshot
from makegood.terms import Terms

DEFAULT_RANGE = "30d"
STEPS = "monitoring_steps"
"""The panel of the chart by day."""
LABELS = {
    "provider": "Provider",
    "model": "Model",
    "kind": "Kind",
    "tier": "Tier",
    "error": "Error",
    "reason": "Reason",
    "origin": "Given",
    "currency": "Currency",
    "sort": "Order",
    "group": "Customers",
}
NOT_FILTERS = ("sort", "zone")


@dataclass(frozen=True)
class Page:
    """A monitoring page: its endpoint (the pulse's is the same with `_pulse`), what it is called, what is in it,
    its filters, and what it says where nothing was counted. `steps` is the file of its chart, `words` what codes
    are called, `tabs` the template of the pages beside it."""

    endpoint: str
    title: str
    lead: str
    panels: Sequence[str]
    names: Sequence[str]
    empty: str
    steps: str = ""
    compared: bool = True
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tabs: str = ""

    def read(self) -> Filters:
        """The filters in the URL."""
        return filters.read(tuple(self.names), default_range=DEFAULT_RANGE)

    def show(self, template: str, asked: Filters, view: Any, charts: Sequence[Chart], **more: Any) -> str:
        """The page, or its panels as fragments."""
        return render_template(
            template,
            page=self,
            view=view,
            filters=asked,
            compared=self.compared,
            panels=self.panels,
            charts={chart.id: chart for chart in charts},
            chips=filters.chips(asked, LABELS, {name: dict(words) for name, words in self.words.items()}),
            narrowed=any(asked[name] for name in self.names if name not in NOT_FILTERS),
            labels=LABELS,
            rows=lambda endpoint, **keys: rows_behind(asked, endpoint, **keys),
            **more,
        )

    def kept(self, asked: Filters, **changes: str) -> dict[str, Any]:
        """The page's filters for a link to rows, without the range: a chart adds each step's."""
        kept = {name: value for name, value in asked.kept.items() if name in self.names}
        return {**kept, **changes}

    def choices(self, seen: Mapping[str, Sequence[str]], asked: Filters) -> dict[str, list[tuple[str, str]]]:
        """What each filter offers, in words: what was seen in the range, and what is chosen."""
        offered = {}
        for name in self.names:
            words, chosen = self.words.get(name, {}), asked[name]
            values = sorted({*seen.get(name, ()), *([chosen] if chosen else [])})
            offered[name] = [
                (value, words.get(value, value.upper() if name == "currency" else value)) for value in values
            ]
        return offered


def begin(asked: Filters) -> tuple[Session, Terms, Range]:
    """A snapshot in which all figures of the page agree."""
    assert asked.range is not None  # pages of figures have a default range
    begin_snapshot(db.session())
    return db.session(), current_app.config["SETTINGS"].terms, asked.range


def rows_behind(asked: Filters, endpoint: str, **keys: str | None) -> str:
    """The rows behind a figure: the list of that endpoint with the page's filters, these keys, and its range."""
    kept = {name: value for name, value in asked.kept.items() if name not in NOT_FILTERS}
    chosen = {name: value for name, value in {**kept, **keys, **asked.span}.items() if value}
    return url_for(endpoint, **chosen)  # type: ignore[arg-type]


def by_unit(span: Range) -> str:
    """What a chart of the range's steps is called."""
    return {"hour": "By hour", "day": "By day", "month": "By month"}[span.steps()[0].unit]


Query = Callable[[Session, Terms, Range, Filters], Select[*tuple[Any, ...]]]


def export(page: Page, name: str, title: str, query: Query, columns: Sequence[exports.Column]) -> None:
    """Add a table of the page to the files that can be taken."""

    def asked_for() -> Select[*tuple[Any, ...]]:
        asked = page.read()
        assert asked.range is not None
        return query(db.session(), current_app.config["SETTINGS"].terms, asked.range, asked)

    exports.add(exports.Table(name, title, page.endpoint, asked_for, columns))
