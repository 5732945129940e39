"""What failed in a range: by error class, and by provider and model, each beside the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.ranges import Range, Step
from makegood.rollup_tables import REASONS
from makegood.stats import sums, usage
from makegood.stats.figures import Rate
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

CLASS = ("reason",)
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


@dataclass(frozen=True)
class ClassLine:
    """Failures of one error class, in the range and in the period before."""

    error_class: str
    failed: int
    before: int


@dataclass(frozen=True)
class ModelLine:
    """Failures of one model of a provider, of all that succeeded or failed there; and why, most frequent first."""

    provider: str
    model: str
    failed: int
    before: int
    ended: int
    frequent: list[tuple[str, int]]

    @property
    def rate(self) -> Rate:
        """Failed of ended."""
        return Rate(self.failed, self.ended)


@dataclass(frozen=True)
class FailureStep:
    """One step of the range: how many failed, by error class, and how many succeeded or failed."""

    step: Step
    failed: int
    classes: dict[str, int]
    ended: int


@dataclass(frozen=True)
class FailureReport:
    """The failures of a range. Lines begin with what failed most."""

    as_of: datetime
    failed: int
    before: int
    ended: int
    ended_before: int
    classes: list[ClassLine]
    models: list[ModelLine]
    steps: list[FailureStep]


BY_RATE = "rate"


def report(
    session: Session, terms: Terms, asked: Range, filters: FailureFilters, *, sort: str = ""
) -> FailureReport:
    """The page. Models begin with what failed most, or (BY_RATE) with the highest rate; there a rate of few comes
    after all others. The caller has begun a snapshot."""
    earlier = asked.previous()
    now = _read(session, by(session, terms, asked, filters, (*MODEL, *CLASS)))
    before = _read(session, by(session, terms, earlier, filters, (*MODEL, *CLASS)))
    models = _ended(session, terms, asked, filters, MODEL)
    return FailureReport(
        asked.now,
        failed=sum(now.values()),
        before=sum(before.values()),
        ended=sum(models.values()),
        ended_before=sum(_ended(session, terms, earlier, filters, MODEL).values()),
        classes=_classes(now, before),
        models=sorted(_models(now, before, models), key=_by_rate if sort == BY_RATE else _by_count),
        steps=_steps(session, terms, asked, filters),
    )


def of_provider(session: Session, terms: Terms, asked: Range, provider: str) -> list[ClassLine]:
    """A provider's failures of the range by error class, most frequent first. The caller has begun a snapshot."""
    only = FailureFilters(provider)
    now, before = (_read(session, by(session, terms, span, only, CLASS)) for span in (asked, asked.previous()))
    return _classes(now, before)


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


def by_step(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> Select[*tuple[Any, ...]]:
    """`failed` of every step, with `starts_at`."""
    query = by(session, terms, asked, filters, STEP)
    return sums.every_step(query, sums.cut(asked, terms.timezone, STEP), ("failed",))


Counts = dict[tuple[Any, ...], int]


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> Counts:
    keys = len(query.selected_columns) - len(REASONS.measures)
    return {tuple(row)[:keys]: row.failed for row in session.execute(query) if row.failed}


def _ended(session: Session, terms: Terms, asked: Range, filters: FailureFilters, keys: tuple[str, ...]) -> Counts:
    """How many succeeded or failed by these keys."""
    query = usage.by(session, terms, asked, UsageFilters(filters.provider, filters.model), keys, ENDED)
    return {tuple(row)[: len(keys)]: row.succeeded + row.failed for row in session.execute(query)}


def _classes(now: Counts, before: Counts) -> list[ClassLine]:
    names = sorted({key[-1] for key in (*now, *before)})
    lines = [ClassLine(name, _sum(now, name), _sum(before, name)) for name in names]
    return sorted(lines, key=lambda line: -line.failed)


def _sum(counts: Counts, name: str) -> int:
    return sum(count for key, count in counts.items() if key[-1] == name)


def _models(now: Counts, before: Counts, ended: Counts) -> list[ModelLine]:
    found: dict[tuple[Any, ...], list[tuple[str, int]]] = {key[:2]: [] for key in (*now, *before)}
    for (*model, name), count in now.items():
        found[tuple(model)].append((name, count))
    return [
        ModelLine(
            provider,
            model,
            sum(count for _, count in counts),
            sum(count for key, count in before.items() if key[:2] == (provider, model)),
            ended.get((provider, model), 0),
            sorted(counts, key=lambda one: (-one[1], one[0])),
        )
        for (provider, model), counts in found.items()
    ]


def _by_count(line: ModelLine) -> tuple[object, ...]:
    return -line.failed, line.provider, line.model


def _by_rate(line: ModelLine) -> tuple[object, ...]:
    return not line.rate, -(line.rate.exact or 0), *_by_count(line)


def _steps(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> list[FailureStep]:
    found = _read(session, by(session, terms, asked, filters, (*STEP, *CLASS)))
    ended = _ended(session, terms, asked, filters, STEP)
    classes: list[dict[str, int]] = [{} for _ in asked.steps()]
    for (number, name), count in found.items():
        classes[number][name] = count
    return [
        FailureStep(step, sum(counts.values()), counts, ended.get((number,), 0))
        for number, (step, counts) in enumerate(zip(asked.steps(), classes, strict=True))
    ]
