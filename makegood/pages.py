"""Keyset pages: rows in a stable order, newest first, with the way to older and newer ones.

A page costs the same at any depth, and rows that arrive meanwhile do not shift what the reader sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, tuple_
from sqlalchemy.orm import Session

Item = TypeVar("Item")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SIZE = 50
PLACE = re.compile(r"([0-9]{1,17})(?:-([0-9a-f]{32})|~([\x21-\x7e]{1,200}))")


@dataclass(frozen=True)
class Cursor:
    """A place in the order: the row's instant and id, ours or another's. As text, for a URL: microseconds-id, and
    microseconds~id for another's."""

    at: datetime
    id: UUID | str

    def __str__(self) -> str:
        micros = (self.at - EPOCH) // MICROSECOND
        return f"{micros}~{self.id}" if isinstance(self.id, str) else f"{micros}-{self.id.hex}"

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """The cursor that a URL carries; None for anything that is none."""
        found = PLACE.fullmatch(text or "")
        if found is None:
            return None
        micros, own, foreign = found.groups()
        try:
            return cls(EPOCH + timedelta(microseconds=int(micros)), foreign or UUID(hex=own))
        except OverflowError:
            return None

    def fits(self, identifier: ColumnElement[Any]) -> bool:
        """Whether it can be a place in an order by this id: what stands in a URL may come from another list."""
        return isinstance(self.id, UUID) == isinstance(identifier.type, Uuid)


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Rows, newest first; `older` and `newer` are set when there may be more in that direction. `first` is where
    the newest row is."""

    rows: list[Item]
    older: Cursor | None = None
    newer: Cursor | None = None
    first: Cursor | None = None


def narrowed(
    query: Select[*tuple[Any, ...]],
    equal: Mapping[Any, str | None],
    at: Any,
    start: datetime | None,
    end: datetime | None,
) -> Select[*tuple[Any, ...]]:
    """The query with its filters: columns equal to a value where one is given, and `at` in [start, end)."""
    query = query.where(*(column == value for column, value in equal.items() if value is not None))
    if start is not None:
        query = query.where(at >= start)
    if end is not None:
        query = query.where(at < end)
    return query


def read(
    session: Session,
    query: Select[*tuple[Any, ...]],
    at: ColumnElement[datetime],
    identifier: ColumnElement[UUID] | ColumnElement[str],
    make: Callable[[Any], Item],
    place: Callable[[Item], Cursor],
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = SIZE,
) -> Page[Item]:
    """One page of `query`, ordered by (`at`, `identifier`): older than `before`, or newer than `after`."""
    order = tuple_(at, identifier)
    before, after = (cursor if cursor and cursor.fits(identifier) else None for cursor in (before, after))
    if after is not None and before is None:
        query = query.where(order > tuple_(after.at, after.id)).order_by(at, identifier)
        found = [make(row) for row in session.execute(query.limit(limit + 1))]
        rows = found[:limit][::-1]
        first, last = (place(rows[0]), place(rows[-1])) if rows else (None, None)
        return Page(rows, older=last, newer=first if len(found) > limit else None, first=first)
    if before is not None:
        query = query.where(order < tuple_(before.at, before.id))
    query = query.order_by(at.desc(), identifier.desc())
    found = [make(row) for row in session.execute(query.limit(limit + 1))]
    rows = found[:limit]
    first = place(rows[0]) if rows else None
    older = place(rows[-1]) if len(found) > limit else None
    return Page(rows, older=older, newer=first if before is not None else None, first=first)
