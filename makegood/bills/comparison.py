"""A bill beside what was recorded: its categories with their sums, and their rows.

A bill speaks of the jobs with a line in its period, and of the generations charged in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Boolean, DateTime, Select, Text, bindparam, column, select, text
from sqlalchemy.dialects.postgresql import UUID as PGUUID
from sqlalchemy.orm import Session

from makegood.bills.categories import ALL, CATEGORIES, IN_PERIOD, JOBS, NOT_BILLED, UNKNOWN
from makegood.models import Bill
from makegood.pages import Cursor, Listing, Page


@dataclass(frozen=True)
class Scope:
    """What a bill speaks of: a provider, and a half-open range of instants."""

    provider: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, bill: Bill) -> Scope:
        """That of an import."""
        return cls(bill.provider, bill.period_start, bill.period_end)


@dataclass(frozen=True)
class Sums:
    """A category's rows, their amounts in micro-dollars, and how many rows wait for an operator."""

    rows: int = 0
    net: int = 0
    recorded: int = 0
    acceptable: int = 0

    @property
    def difference(self) -> int:
        """By how much the bill is higher (or lower: below zero) than what was recorded."""
        return self.net - self.recorded


@dataclass(frozen=True)
class Row:
    """One job (of unknown ones, one line): what was billed, net, and what is recorded (None: unknown), in
    micro-dollars."""

    category: str
    at: datetime
    id: UUID
    generation_id: UUID | None
    job: str | None
    model: str | None
    status: str | None
    charged: int
    refunded: int
    net: int
    recorded: int | None
    source: str | None
    acceptable: bool
    reviewed: bool

    @property
    def difference(self) -> int:
        """By how much the bill is higher than what was recorded."""
        return self.net - (self.recorded or 0)


_UUID = PGUUID(as_uuid=True)
_TYPES: dict[str, Any] = {
    "at": DateTime(timezone=True),
    "id": _UUID,
    "generation_id": _UUID,
    "charged": BigInteger(),
    "refunded": BigInteger(),
    "net": BigInteger(),
    "recorded": BigInteger(),
    "acceptable": Boolean(),
    "reviewed": Boolean(),
}
_COLUMNS = [column(name, _TYPES.get(name, Text())) for name in Row.__dataclass_fields__]

SUMMARY = text(
    "SELECT category, count(*) AS rows, sum(net) AS net, sum(coalesce(recorded, 0)) AS recorded, "  # noqa: S608
    f"count(*) FILTER (WHERE acceptable) AS acceptable FROM ({ALL}) AS found GROUP BY 1"
)
AMONG = text(JOBS.format(named="SELECT unnest(:ids) AS generation_id")).bindparams(
    bindparam("ids", type_=ARRAY(_UUID))
)


OPEN_LINES = text(
    """
    SELECT generation_id, array_agg(id ORDER BY id) FROM bill_lines
     WHERE generation_id = ANY(:ids) AND accepted_at IS NULL GROUP BY generation_id
    """
).bindparams(bindparam("ids", type_=ARRAY(_UUID)))

# A day is looked up, a month is read as a whole: the planner finds where one becomes cheaper than the other, once
# it knows that these tables are in memory.
PLAN = text("SELECT set_config('random_page_cost', '1.1', true), set_config('work_mem', '64MB', true)")


def summary(session: Session, scope: Scope) -> dict[str, Sums]:
    """Every category with its sums."""
    session.execute(PLAN)
    found = {
        row.category: Sums(row.rows, int(row.net), int(row.recorded), row.acceptable)
        for row in session.execute(SUMMARY, vars(scope))
    }
    return {name: found.get(name, Sums()) for name in CATEGORIES}


def rows(
    session: Session,
    scope: Scope,
    category: str,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int | None = None,
) -> Page[Row]:
    """A category's rows, the newest first."""
    session.execute(PLAN)
    found = _selected(scope, category)
    query = select(found).where(found.c.category == category)
    listing: Listing[None, Row] = Listing(query, Row, at=found.c.at, id=found.c.id)
    return listing.page(session, before=before, after=after, limit=limit)


def every(session: Session, scope: Scope, category: str) -> Select[*tuple[Any, ...]]:
    """All rows of a category, the oldest first."""
    session.execute(PLAN)
    found = _selected(scope, category)
    return select(found).where(found.c.category == category).order_by(found.c.at, found.c.id)


def waiting(session: Session, scope: Scope, category: str, limit: int) -> list[Row]:
    """The first `limit` rows of a category that wait for an operator, by their ids."""
    session.execute(PLAN)
    found = _selected(scope, category)
    query = select(found).where(found.c.category == category, found.c.acceptable).order_by(found.c.id).limit(limit)
    return [Row(**row._mapping) for row in session.execute(query)]


def among(session: Session, generation_ids: Sequence[UUID]) -> list[Row]:
    """How these generations stand now, by their ids."""
    session.execute(PLAN)
    found = session.execute(AMONG, {"ids": list(generation_ids)})
    return sorted((Row(**row._mapping) for row in found), key=lambda row: row.id)


def open_lines(session: Session, generation_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """For each generation its lines that nobody has accepted, the newest last."""
    return {row[0]: row[1] for row in session.execute(OPEN_LINES, {"ids": list(generation_ids)})}


def _selected(scope: Scope, category: str) -> Any:
    own = {"unknown": UNKNOWN, "not_billed": NOT_BILLED}
    sql = own.get(category) or JOBS.format(named=IN_PERIOD)
    return text(sql).bindparams(**vars(scope)).columns(*_COLUMNS).subquery("found")
