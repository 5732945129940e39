"""Tables as CSV: every row that the filters name, read with a server-side cursor in flat memory.

Instants are ISO 8601 with their zone (UTC), money is decimal, in USD or in its row's currency, credits are whole
numbers, and what is unknown is an empty cell. A text that a spreadsheet would take for a formula begins with an
apostrophe (what OWASP advises against "CSV injection").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Select, Text, cast, false, func, null, select, values
from sqlalchemy import column as named
from sqlalchemy.orm import Session

from makegood import money

ROWS_AT_ONCE = 1000
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a formula begins; spreadsheets read the full-width forms as well."""


@dataclass(frozen=True)
class Column:
    """A column: its header, which names the unit (`cost_usd`), and its value in a row of the query."""

    name: str
    value: Callable[[Any], object]


def column(name: str, attribute: str | None = None) -> Column:
    """The row's attribute of that name, as it is."""
    return Column(name, lambda row: getattr(row, attribute or name))


def usd(name: str, attribute: str) -> Column:
    """Micro-dollars as decimal USD, exactly."""

    def value(row: Any) -> Decimal | None:
        micros = getattr(row, attribute)
        return None if micros is None else Decimal(micros).scaleb(-6)

    return Column(name, value)


def major(name: str) -> Column:
    """The row's amount of that name in its currency's own unit, exactly; empty where it is unknown."""

    def value(row: Any) -> Decimal | None:
        amount = getattr(row, name)
        return None if amount is None or row.currency is None else money.major(amount, row.currency)

    return Column(name, value)


def rows(
    computed: Sequence[Sequence[object]], texts: Sequence[str], numbers: Sequence[str]
) -> Select[*tuple[Any, ...]]:
    """Rows that were computed and not selected, as a query: columns of text, then of whole numbers."""
    columns = [named(name, Text) for name in texts] + [named(name, BigInteger) for name in numbers]
    if not computed:
        return select(*(null().cast(one.type).label(one.name) for one in columns)).where(false())
    table = values(named("position", BigInteger), *columns, name="computed").data(
        [(n, *row) for n, row in enumerate(computed)]
    )
    chosen = [cast(table.c[one.name], one.type).label(one.name) for one in columns]
    return select(*chosen).order_by(table.c.position)


def count(session: Session, query: Select[*tuple[Any, ...]]) -> int:
    """How many rows the CSV of this query has."""
    return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0


def lines(session: Session, query: Select[*tuple[Any, ...]], columns: Sequence[Column]) -> Iterator[str]:
    """The CSV, some lines at a time: the header, then every row of the query in its order."""
    yield _written([[column.name for column in columns]])
    found = session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE})
    for rows in found.partitions():
        yield _written([[cell(column.value(row)) for column in columns] for row in rows])


def cell(value: object) -> str:
    """A value as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, int | date):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return _disarmed(str(value))


def _disarmed(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _written(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()
