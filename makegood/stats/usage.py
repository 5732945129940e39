"""Usage of a range: by provider, by model and kind, and by day, each beside the period before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.orm import Session

from makegood.ranges import Range, Step
from makegood.rollup_tables import USAGE
from makegood.stats import snapshot, sums
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.terms import Terms

PROVIDER = ("provider",)
MODEL = ("provider", "model", "kind")
TIER = ("tier",)
STEP = (sums.STEP,)


@dataclass(frozen=True)
class UsageFilters:
    """What to count; None is no restriction."""

    provider: str | None = None
    model: str | None = None
    kind: str | None = None
    tier: str | None = None


@dataclass(frozen=True)
class UsageLine:
    """The usage of a provider, or of one of its models for one kind, in the range and in the period before."""

    provider: str
    model: str
    kind: str
    usage: Usage
    before: Usage


@dataclass(frozen=True)
class UsageStep:
    """The usage of one step of the range."""

    step: Step
    usage: Usage


@dataclass(frozen=True)
class UsageReport:
    """The usage of a range. Lines are in the order of use."""

    as_of: datetime
    total: Usage
    before: Usage
    providers: list[UsageLine]
    models: list[UsageLine]
    steps: list[UsageStep]


def report(session: Session, terms: Terms, asked: Range, filters: UsageFilters) -> UsageReport:
    """The page. The caller has begun a snapshot, so that all of it agrees."""
    now = _read(session, by(session, terms, asked, filters, MODEL))
    before = _read(session, by(session, terms, asked.previous(), filters, MODEL))
    found = {row.step: _usage(row) for row in session.execute(by(session, terms, asked, filters, STEP))}
    return UsageReport(
        asked.now,
        Usage.total(now.values()),
        Usage.total(before.values()),
        _lines(_by_provider(now), _by_provider(before)),
        _lines(now, before),
        [UsageStep(step, found.get(number, Usage())) for number, step in enumerate(asked.steps())],
    )


def by(
    session: Session,
    terms: Terms,
    asked: Range,
    filters: UsageFilters,
    keys: tuple[str, ...],
    measures: tuple[str, ...] = USAGE.measures,
) -> Select[*tuple[Any, ...]]:
    """Measures of `Usage` by these keys (PROVIDER, MODEL, TIER or the step), by the first measure, most first."""
    parts = sums.cut(asked, terms.timezone, keys)
    query = sums.totals(USAGE, snapshot.state(session, terms.timezone), parts, keys, vars(filters), measures)
    columns = query.selected_columns
    return query.order_by(columns[measures[0]].desc(), *(columns[key] for key in keys))


def by_step(session: Session, terms: Terms, asked: Range, filters: UsageFilters) -> Select[*tuple[Any, ...]]:
    """The measures of every step, with `starts_at`."""
    parts = sums.cut(asked, terms.timezone, STEP)
    return sums.every_step(by(session, terms, asked, filters, STEP), parts, USAGE.measures)


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> dict[tuple[str, str, str], Usage]:
    return {(row.provider, row.model, row.kind): _usage(row) for row in session.execute(query)}


def _by_provider(models: dict[tuple[str, str, str], Usage]) -> dict[tuple[str, str, str], Usage]:
    parts: dict[str, list[Usage]] = {}
    for (provider, _, _), usage in models.items():
        parts.setdefault(provider, []).append(usage)
    return {(provider, "", ""): Usage.total(usages) for provider, usages in parts.items()}


def _lines(now: dict[tuple[str, str, str], Usage], before: dict[tuple[str, str, str], Usage]) -> list[UsageLine]:
    """What was used in either period: what is gone is news as well."""
    keys: Iterable[tuple[str, str, str]] = {*now, *before}
    lines = [UsageLine(*key, now.get(key, Usage()), before.get(key, Usage())) for key in keys]
    return sorted(lines, key=lambda line: (-line.usage.generations, line.provider, line.model, line.kind))


def _usage(row: Row[Any]) -> Usage:
    return Usage(*(getattr(row, name) for name in MEASURE_NAMES))
