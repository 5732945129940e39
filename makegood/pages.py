"""Lists in keyset pages: rows in a stable order, newest first, with the way to older and newer ones.

A page costs the same at any depth, and rows that arrive meanwhile do not shift what the reader sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, Uuid, tuple_
from sqlalchemy.orm import Session

Item = TypeVar("Item")
Wanted = TypeVar("Wanted")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SIZE = 50
PLACE = re.compile(r"([0-9]{1,17})(?:-([0-9a-f]{32})|~([^\0]{1,200}))")


@dataclass(frozen=True)
class Cursor:
    """A place in the order: what the row is ordered by, and its id, ours or another's. `value` is a number, or an
    instant in microseconds since 1970. As text, for a URL: value-id, and value~id for another's."""

    value: int
    id: UUID | str

    def __str__(self) -> str:
        return f"{self.value}~{self.id}" if isinstance(self.id, str) else f"{self.value}-{self.id.hex}"

    @classmethod
    def of(cls, at: datetime | int, identifier: UUID | str) -> Cursor:
        """The place of a row that is ordered by this instant or number."""
        return cls((at - EPOCH) // MICROSECOND if isinstance(at, datetime) else at, identifier)

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """The cursor that a URL carries; None for anything that is none."""
        found = PLACE.fullmatch(text or "")
        if found is None:
            return None
        value, own, foreign = found.groups()
        return cls(int(value), foreign or UUID(hex=own))

    def fits(self, identifier: ColumnElement[Any]) -> bool:
        """Whether it can be a place in an order by this id: what stands in a URL may come from another list."""
        return isinstance(self.id, UUID) == isinstance(identifier.type, Uuid)

    def among(self, key: ColumnElement[Any]) -> ColumnElement[Any]:
        """The same to be compared with a row's place, which begins with `key`."""
        instant = isinstance(key.type, DateTime)
        return tuple_(EPOCH + self.value * MICROSECOND if instant else self.value, self.id)


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Rows, newest first; `older` and `newer` are set when there may be more in that direction. `first` is where
    the newest row is."""

    rows: list[Item]
    older: Cursor | None = None
    newer: Cursor | None = None
    first: Cursor | None = None


def whole(item: Item) -> Item:
    """The item of a query that selects whole objects."""
    return item


@dataclass(frozen=True)
class Listing(Generic[Wanted, Item]):
    """A list: `query` selects its columns, `row` makes an item of their values, and (`at`, `id`) is the order.

    Of the filters, None is no restriction: `equal` names those that a column has to equal, `having` turns others
    into conditions, and [`start`, `end`) is a range of the instant that the order is by. `key` is the column that
    the filters choose for that instead of `at`; where it is a number, the range is still one of `at`.
    """

    query: Select[*tuple[Any, ...]]
    row: Callable[..., Item]
    at: Any
    id: Any
    equal: Mapping[str, Any] = field(default_factory=dict)
    having: Callable[[Wanted], Iterable[Any]] | None = None
    key: Callable[[Wanted], Any] | None = None

    def page(
        self,
        session: Session,
        filters: Wanted | None = None,
        *,
        before: Cursor | None = None,
        after: Cursor | None = None,
        limit: int | None = None,
    ) -> Page[Item]:
        """One page (of SIZE, unless there is a limit): older than `before`, or newer than `after`."""
        limit = SIZE if limit is None else limit
        key, identifier = self._order(filters)
        before, after = (cursor if cursor and cursor.fits(identifier) else None for cursor in (before, after))
        upwards = after if before is None else None
        query = self.selected(filters).add_columns(key, identifier).limit(limit + 1)
        if upwards is not None:
            query = query.where(tuple_(key, identifier) > upwards.among(key)).order_by(key, identifier)
        else:
            if before is not None:
                query = query.where(tuple_(key, identifier) < before.among(key))
            query = query.order_by(key.desc(), identifier.desc())
        found = session.execute(query).all()
        more, found = len(found) > limit, found[:limit]
        if not found:
            return Page([])
        if upwards is not None:
            found = found[::-1]
        first, last = (Cursor.of(*row[-2:]) for row in (found[0], found[-1]))
        return Page(
            [self.row(*row[:-2]) for row in found],
            older=last if more or upwards is not None else None,
            newer=first if (more if upwards is not None else before is not None) else None,
            first=first,
        )

    def every(self, filters: Wanted | None = None) -> Select[*tuple[Any, ...]]:
        """All rows in the order of the pages, as columns: a file of them may be long."""
        query = self.selected(filters)
        key, identifier = self._order(filters)
        return query.with_only_columns(*query.selected_columns).order_by(key.desc(), identifier.desc())

    def selected(self, filters: Wanted | None = None) -> Select[*tuple[Any, ...]]:
        """The rows that the filters name, in no order."""
        query = self.query
        if filters is None:
            return query
        if self.having is not None:
            query = query.where(*self.having(filters))
        equal = {column: getattr(filters, name) for name, column in self.equal.items()}
        key, _ = self._order(filters)
        at = key if isinstance(key.type, DateTime) else self.at
        return narrowed(query, equal, at, getattr(filters, "start", None), getattr(filters, "end", None))

    def _order(self, filters: Wanted | None) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        key = self.at if self.key is None or filters is None else self.key(filters)
        return key.expression, self.id.expression


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
