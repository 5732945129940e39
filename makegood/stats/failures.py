"""What failed in a range: by error class, provider and model, each beside the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from makegood.ranges import Range, Step
from makegood.rollup_tables import REASONS
from makegood.stats import usage
from makegood.stats.failure_counts import CLASS, ENDED, MODEL, STEP, FailureFilters, by
from makegood.stats.figures import Rate
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms


@dataclass(frozen=True)
class ClassLine:
    """Failures of one error class, in the range and in the period before."""

    error_class: str
    failed: int
    before: int


@dataclass(frozen=True)
class ProviderLine:
    """Failures of a provider, in the range and in the period before, of all that succeeded or failed there."""

    provider: str
    failed: int
    before: int
    ended: int

    @property
    def rate(self) -> Rate:
        """Failed of ended."""
        return Rate(self.failed, self.ended)


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
    """The failures of a range. Lines begin with what failed most. Providers without a failure are among them,
    models without one are not."""

    as_of: datetime
    failed: int
    before: int
    ended: int
    ended_before: int
    classes: list[ClassLine]
    providers: list[ProviderLine]
    models: list[ModelLine]
    steps: list[FailureStep]


BY_RATE = "rate"


def report(
    session: Session, terms: Terms, asked: Range, filters: FailureFilters, *, sort: str = ""
) -> FailureReport:
    """The page. Providers and models begin with what failed most, or (BY_RATE) with the highest rate; there a
    rate of few comes after all others. The caller has begun a snapshot."""
    earlier = asked.previous()
    now = _read(session, by(session, terms, asked, filters, (*MODEL, *CLASS)))
    before = _read(session, by(session, terms, earlier, filters, (*MODEL, *CLASS)))
    ended = _ended(session, terms, asked, filters, MODEL)
    order = _by_rate if sort == BY_RATE else _by_count
    return FailureReport(
        asked.now,
        failed=sum(now.values()),
        before=sum(before.values()),
        ended=sum(ended.values()),
        ended_before=sum(_ended(session, terms, earlier, filters, MODEL).values()),
        classes=_classes(now, before),
        providers=sorted(_providers(now, before, ended), key=order),
        models=sorted(_models(now, before, ended), key=order),
        steps=_steps(session, terms, asked, filters),
    )


def of_provider(session: Session, terms: Terms, asked: Range, provider: str) -> list[ClassLine]:
    """A provider's failures of the range by error class, most frequent first. The caller has begun a snapshot."""
    only = FailureFilters(provider)
    now, before = (_read(session, by(session, terms, span, only, CLASS)) for span in (asked, asked.previous()))
    return _classes(now, before)


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


def _providers(now: Counts, before: Counts, ended: Counts) -> list[ProviderLine]:
    names = sorted({key[0] for counts in (now, before, ended) for key, count in counts.items() if count})
    return [ProviderLine(name, *(_of(counts, name) for counts in (now, before, ended))) for name in names]


def _of(counts: Counts, provider: str) -> int:
    return sum(count for key, count in counts.items() if key[0] == provider)


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


def _by_count(line: ProviderLine | ModelLine) -> tuple[object, ...]:
    return -line.failed, line.provider, getattr(line, "model", "")


def _by_rate(line: ProviderLine | ModelLine) -> tuple[object, ...]:
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
