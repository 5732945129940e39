"""Every table of the console as CSV: first a dialog that says how many rows there are, then the file.

A list's is added with the list (`blueprints.admin.lists`). A module with another table adds it beside its route:

    exports.add(
        exports.Table(
            "liability", "Liability", "admin.liability",
            lambda: liability.select_lots(PAGE.read().currency),
            (exports.column("customer_id"), exports.Column("owed", _exactly), ...),
        )
    )

The page links to it with the macro `csv_link` of `_list.html`. The query is made of the request's own query
string, as on the page, so that the file has the rows of the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, render_template, stream_with_context
from sqlalchemy import Select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from blueprints import access
from blueprints.admin import blueprint, filters
from blueprints.admin.dialogs import in_place
from extensions import db
from makegood import audit, throttles
from makegood.exports import Column, column, count, lines, major, rows, usd
from makegood.ranges import PRESETS
from makegood.stats import begin_snapshot

__all__ = ["Column", "Table", "add", "column", "major", "rows", "usd"]


@dataclass(frozen=True)
class Table:
    """A table that can be exported.

    `name` stands in the address and the file's name, `endpoint` is the page that shows it, `query` selects its
    rows for the filters of this request, in an order that is stable. `action` is what the role must allow.
    `of_customer` is the one customer whose rows these filters ask for, where the table has such a filter.
    """

    name: str
    title: str
    endpoint: str
    query: Callable[[], Select[*tuple[Any, ...]]]
    columns: Sequence[Column]
    action: str = "view"
    of_customer: Callable[[Mapping[str, str]], str | None] = lambda asked: None


PLACE = ("older", "newer", "before", "after", "sort")
_tables: dict[str, Table] = {}


def add(table: Table) -> None:
    """Make a table known under its name."""
    _tables[table.name] = table


def names() -> set[str]:
    """Every table's name."""
    return set(_tables)


@blueprint.get("/exports/<name>")
def export_table(name: str) -> str:
    """How many rows the file will have, and the way to it: a dialog for htmx, else a page."""
    table = _table(name)
    begin_snapshot(db.session())
    template = "admin/export_dialog.html" if in_place() else "admin/export.html"
    asked = _asked()
    rows = count(db.session(), table.query())
    return render_template(template, table=table, rows=rows, asked=asked, ranges=PRESETS)


@blueprint.get("/exports/<name>.csv")
@access.throttled(throttles.EXPORTS)
def export_csv(name: str) -> Response:
    """The file, streamed. Who took it, with which filters and how many rows, is in the audit log."""
    table = _table(name)
    begin_snapshot(db.session())
    query = table.query()
    rows = count(db.session(), query)
    record(table.name, rows, of_customer=table.of_customer(_asked()))
    session = _outliving()
    response = Response(
        stream_with_context(_streamed(session, query, table.columns)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{_file_name(table)}"', "X-Rows": str(rows)},
    )
    response.call_on_close(session.close)  # where nobody reads the file, as with HEAD
    return response


def record(name: str, rows: int, *, of_customer: str | None = None) -> None:
    """Write into the audit log who takes which rows: in a transaction of its own, since the reader's goes on."""
    with Session(db.engine) as session, session.begin():
        audit.exported(
            session,
            actor=access.actor(),
            table=name,
            rows=rows,
            filters=_asked(),
            of_customer=of_customer,
            address=access.client_address(),
        )


def _outliving() -> Session:
    """The request's session, no longer ended with the request: the file is read after that, in the snapshot in
    which its rows were counted. Who takes it closes it."""
    session = db.session()
    db.session.registry.clear()
    return session


def _streamed(session: Session, query: Select[*tuple[Any, ...]], columns: Sequence[Column]) -> Iterator[str]:
    """The lines; the connection is given back at the end."""
    with session:
        yield from lines(session, query, columns)


def _asked() -> dict[str, str]:
    """The filters in the URL, for the page, the file and the audit log. The place in a list is none of them."""
    return filters.carried(*PLACE)


def _table(name: str) -> Table:
    table = _tables.get(name)
    if table is None or not access.may(table.action):
        raise NotFound
    return table


def _file_name(table: Table) -> str:
    """Names the first and the last day of the range that was asked for, else today."""
    asked = filters.read(()).range
    days = dict.fromkeys((asked.first, asked.last)) if asked else (datetime.now(UTC).date(),)
    return "-".join(["makegood", table.name, *map(str, days)]) + ".csv"
