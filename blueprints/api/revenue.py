"""GET /api/admin/revenue: the figures of money of a range, by the same functions as the pages.

The range is asked for as in the console: `from` and `to` (days, both included) or `range=30d` (the default), and
`zone`. Amounts are whole numbers in the minor unit of their currency, rates decimal texts, what is not known null.
`rules` says how each figure is made, and why one is null.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, current_app, jsonify

from blueprints import access
from blueprints.admin import filters
from blueprints.api import revenue_margin, revenue_subscriptions
from blueprints.api.admin_stats import blueprint
from blueprints.api.fields import iso
from extensions import db
from makegood import revenue, throttles
from makegood.errors import Invalid
from makegood.ranges import Range
from makegood.revenue.figures import Figures
from makegood.revenue.rules import RULES
from makegood.stats import begin_snapshot

DEFAULT_RANGE = "30d"
FIGURES = ("gross", "refunds", "disputes", "fees", "account_fees", "tax_on_fees", "net", "other")


@blueprint.get("/revenue")
@access.poll
@access.throttled(throttles.STATS)
def revenue_figures() -> Response:
    """The figures, as of one instant. Raises Invalid for what is no range: a program should not get another."""
    asked = filters.read((), default_range=DEFAULT_RANGE)
    if asked.problems:
        raise Invalid(" ".join(asked.problems))
    assert asked.range is not None
    session, settings = db.session(), current_app.config["SETTINGS"]
    begin_snapshot(session)
    body = _body(revenue.period(session, asked.range))
    for part in (revenue_subscriptions, revenue_margin):
        values, rules = part.fields(session, settings, asked.range)
        body |= values
        body["rules"] |= rules
    return jsonify(body)


def _body(view: revenue.Revenue) -> dict[str, Any]:
    rules = {name: RULES[name] for name in (*FIGURES, "range", "currencies")}
    if not view.complete:
        rules["currencies"] = f"Null: {revenue.unread(view.reading, view.range)}"
    return {
        "range": _range(view.range),
        "timezone": view.range.zone.key,
        "currencies": {one.currency: _figures(one.now) for one in view.currencies} if view.complete else None,
        "rules": rules,
    }


def _range(span: Range) -> dict[str, str]:
    last = (span.end - timedelta(microseconds=1)).astimezone(span.zone).date()
    return {
        "from": span.first.isoformat(),
        "to": max(last, span.first).isoformat(),
        "start": iso(span.start),
        "end": iso(span.end),
    }


def _figures(found: Figures) -> dict[str, int]:
    return {name: getattr(found, name) for name in FIGURES}
