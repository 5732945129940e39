"""How often generations failed in a range, by any keys: what the failures' page and its files are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.rollup_tables import REASONS
from makegood.stats import snapshot, sums, usage
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

CLASS = ("reason",)
PROVIDER = ("provider",)
MODEL = ("provider", "model")
STEP = (sums.STEP,)
ENDED = ("succeeded", "failed")
NO_REFUND = {"origin": ""}
Counts = dict[tuple[Any, ...], int]
"""Of keys."""


@dataclass(frozen=True)
class FailureFilters:
    """What to count; None is no restriction."""

    provider: str | None = None
    model: str | None = None
    reason: str | None = None


def by(
    session: Session, terms: Terms, asked: Range, filters: FailureFilters, keys: tuple[str, ...]
) -> Select[*tuple[Any, ...]]:
    """`failed` by these keys, most first."""
    parts = sums.cut(asked, terms.timezone, keys)
    state = snapshot.state(session, terms.timezone)
    query = sums.totals(REASONS, state, parts, keys, vars(filters) | NO_REFUND)
    columns = query.selected_columns
    return query.order_by(columns["failed"].desc(), *(columns[key] for key in keys))


def by_step(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> Select[*tuple[Any, ...]]:
    """`failed` of every step, with `starts_at`."""
    query = by(session, terms, asked, filters, STEP)
    return sums.every_step(query, sums.cut(asked, terms.timezone, STEP), ("failed",))


def read(session: Session, query: Select[*tuple[Any, ...]]) -> Counts:
    """What failed by the keys of such a query, where anything did."""
    keys = len(query.selected_columns) - len(REASONS.measures)
    return {tuple(row)[:keys]: row.failed for row in session.execute(query) if row.failed}


def ended(session: Session, terms: Terms, asked: Range, filters: FailureFilters, keys: tuple[str, ...]) -> Counts:
    """How many succeeded or failed by these keys, of whatever error class."""
    query = usage.by(session, terms, asked, UsageFilters(filters.provider, filters.model), keys, ENDED)
    return {tuple(row)[: len(keys)]: row.succeeded + row.failed for row in session.execute(query)}
