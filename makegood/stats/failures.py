"""What failed in a range: by error class, provider and model, each beside the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from makegood.ranges import Range, Step
from makegood.stats import failure_lines
from makegood.stats.failure_counts import CLASS, STEP, FailureFilters, by, ended, read
from makegood.stats.failure_lines import ClassLine, ModelLine, ProviderLine
from makegood.terms import Terms


@dataclass(frozen=True)
class FailureStep:
    """One step of the range: how many failed, by error class, and how many succeeded or failed."""

    step: Step
    failed: int
    classes: dict[str, int]
    ended: int


@dataclass(frozen=True)
class FailureReport:
    """The failures of a range. Lines begin with what failed most. Providers and models without a failure are among
    them where something ended in the range or in the period before."""

    as_of: datetime
    failed: int
    before: int
    ended: int
    ended_before: int
    classes: list[ClassLine]
    providers: list[ProviderLine]
    models: list[ModelLine]
    steps: list[FailureStep]


def report(
    session: Session, terms: Terms, asked: Range, filters: FailureFilters, *, sort: str = ""
) -> FailureReport:
    """The page; `sort` is that of providers and models. The caller has begun a snapshot."""
    counts = failure_lines.count(session, terms, asked, filters)
    return FailureReport(
        asked.now,
        failed=sum(counts.failed.values()),
        before=sum(counts.before.values()),
        ended=sum(counts.ended.values()),
        ended_before=sum(counts.ended_before.values()),
        classes=failure_lines.classes(counts.failed, counts.before),
        providers=failure_lines.providers(counts, sort),
        models=failure_lines.models(counts, sort),
        steps=_steps(session, terms, asked, filters),
    )


def of_provider(session: Session, terms: Terms, asked: Range, provider: str) -> list[ClassLine]:
    """A provider's failures of the range by error class, most frequent first. The caller has begun a snapshot."""
    only = FailureFilters(provider)
    now, before = (read(session, by(session, terms, span, only, CLASS)) for span in (asked, asked.previous()))
    return failure_lines.classes(now, before)


def _steps(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> list[FailureStep]:
    found = read(session, by(session, terms, asked, filters, (*STEP, *CLASS)))
    in_steps = ended(session, terms, asked, filters, STEP)
    classes: list[dict[str, int]] = [{} for _ in asked.steps()]
    for (number, name), count in found.items():
        classes[number][name] = count
    return [
        FailureStep(step, sum(counts.values()), counts, in_steps.get((number,), 0))
        for number, (step, counts) in enumerate(zip(asked.steps(), classes, strict=True))
    ]
