"""How often generations failed in a range, by any keys: what the failures' page and its files are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.ranges import Range
from makegood.rollup_tables import REASONS
from makegood.stats import sums, usage
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

CLASS = ("reason",)
PROVIDER = ("provider",)
MODEL = ("provider", "model")
STEP = (sums.STEP,)
ENDED = ("succeeded", "failed")
NO_REFUND = {"origin": ""}


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
    state = rollups.state(session, terms.timezone)
    query = sums.totals(REASONS, state, parts, keys, vars(filters) | NO_REFUND)
    columns = query.selected_columns
    return query.order_by(columns["failed"].desc(), *(columns[key] for key in keys))


def by_model(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> Select[*tuple[Any, ...]]:
    """`failed` and `ended` (succeeded or failed) by provider and model, most failures first."""
    failed = by(session, terms, asked, filters, MODEL).order_by(None).subquery("failures")
    used = usage.by(session, terms, asked, UsageFilters(filters.provider, filters.model), MODEL, ENDED)
    ended = used.order_by(None).subquery("used")
    counted = (ended.c.succeeded + ended.c.failed).label("ended")
    return (
        select(failed.c.provider, failed.c.model, failed.c.failed, counted)
        .join(ended, (ended.c.provider == failed.c.provider) & (ended.c.model == failed.c.model))
        .order_by(failed.c.failed.desc(), failed.c.provider, failed.c.model)
    )


def by_provider(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> Select[*tuple[Any, ...]]:
    """`failed` and `ended` (succeeded or failed) of every provider where something ended, most failures first."""
    failures = by(session, terms, asked, filters, PROVIDER).order_by(None).subquery("failures")
    used = usage.by(session, terms, asked, UsageFilters(filters.provider, filters.model), PROVIDER, ENDED)
    ended = used.order_by(None).subquery("used")
    counted = ended.c.succeeded + ended.c.failed
    failed = func.coalesce(failures.c.failed, 0).label("failed")
    return (
        select(ended.c.provider, failed, counted.label("ended"))
        .outerjoin(failures, failures.c.provider == ended.c.provider)
        .where(counted > 0)
        .order_by(failed.desc(), ended.c.provider)
    )


def by_step(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> Select[*tuple[Any, ...]]:
    """`failed` of every step, with `starts_at`."""
    query = by(session, terms, asked, filters, STEP)
    return sums.every_step(query, sums.cut(asked, terms.timezone, STEP), ("failed",))
