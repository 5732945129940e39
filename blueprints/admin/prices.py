"""The price book: what providers charge, line by line, its history, and as CSV."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response, render_template, request

from blueprints import formats
from blueprints.admin import blueprint, exports, filters
from extensions import db
from makegood.errors import NotFound
from makegood.models.prices import CERTAINTIES
from makegood.prices import book, sheet
from makegood.prices.lines import PROVIDERS, Line
from makegood.stats import begin_snapshot

LABELS = {"provider": "Provider", "certainty": "Certainty", "show": "Show", "from": "From", "to": "Until"}
CERTAINTY = {code: formats.words(code) for code in CERTAINTIES}
SHOWN = {"ended": "Ended", "upcoming": "Upcoming"}


@blueprint.get("/prices")
def prices() -> str:
    """The lines as they are now, as the filters in the URL say, and what has no price."""
    asked = filters.read(("provider", "certainty", "show"))
    at = datetime.now(UTC)
    begin_snapshot(db.session())
    lines = book.lines(db.session(), provider=asked["provider"])
    return render_template(
        "admin/prices.html",
        filters=asked,
        at=at,
        lines=[listed for listed in lines if _is_asked(listed, asked, at)],
        unknown=book.unknown(db.session(), at=at),
        chips=filters.chips(asked, LABELS, {"certainty": CERTAINTY, "show": SHOWN}),
        providers=PROVIDERS,
        certainties=CERTAINTY,
        shown=SHOWN,
    )


@blueprint.get("/prices/line")
def price_line() -> str:
    """Every version of one line, the withdrawn ones too."""
    names = ("provider", "model", "unit", "qualifier")
    begin_snapshot(db.session())
    line = Line(*(request.args.get(name, "").replace("\0", "")[: filters.LONGEST] for name in names))
    listed = book.line(db.session(), line)
    if not listed.versions:
        raise NotFound("There is no such line in the price book.")
    return render_template("admin/prices_line.html", listed=listed, at=datetime.now(UTC))


@blueprint.get("/prices/export.csv")
def export_prices() -> Response:
    """The price book as a file that can be imported again."""
    text = sheet.export(db.session(), provider=request.args.get("provider") or None)
    exports.record("prices", text.count("\r\n") - 1)
    name = f"prices-{datetime.now(UTC):%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, mimetype="text/csv", headers=headers)


def _is_asked(listed: book.Listed, asked: filters.Filters, at: datetime) -> bool:
    running, upcoming = listed.running(at), listed.upcoming(at)
    if asked["show"] == "upcoming":
        return bool(upcoming)
    if asked["show"] == "ended":
        return running is None and not upcoming
    if running is None and not upcoming:
        return False
    return asked["certainty"] is None or (running or upcoming[0]).certainty == asked["certainty"]
