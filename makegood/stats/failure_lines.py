"""Failures of a range by error class, provider and model, each beside the period before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.stats.failure_counts import CLASS, MODEL, PROVIDER, Counts, FailureFilters, by, ended, read
from makegood.stats.figures import Rate
from makegood.terms import Terms


@dataclass(frozen=True)
class ClassLine:
    """Failures of one error class, in the range and in the period before."""

    error_class: str
    failed: int
    before: int


@dataclass(frozen=True)
class ProviderLine:
    """Failures of a provider of all that succeeded or failed there, in the range and in the period before."""

    provider: str
    failed: int
    before: int
    ended: int
    ended_before: int

    @property
    def rate(self) -> Rate:
        """Failed of ended."""
        return Rate(self.failed, self.ended)

    @property
    def rate_before(self) -> Rate:
        """Failed of ended in the period before."""
        return Rate(self.before, self.ended_before)


@dataclass(frozen=True)
class ModelLine(ProviderLine):
    """Failures of one model of a provider; and why in the range, most frequent first."""

    model: str
    frequent: list[tuple[str, int]]


class BothCounts(NamedTuple):
    """Of the range and of the period before: what failed by provider, model and class, and what ended by provider
    and model."""

    failed: Counts
    before: Counts
    ended: Counts
    ended_before: Counts


BY_RATE = "rate"


def count(session: Session, terms: Terms, asked: Range, filters: FailureFilters) -> BothCounts:
    """What the lines are made of. The caller has begun a snapshot."""
    spans = asked, asked.previous()
    failed = (read(session, by(session, terms, span, filters, (*MODEL, *CLASS))) for span in spans)
    return BothCounts(*failed, *(ended(session, terms, span, filters, MODEL) for span in spans))


def classes(now: Counts, before: Counts) -> list[ClassLine]:
    """The error classes of what failed, most frequent first; the class is the last key of both."""
    names = sorted({key[-1] for key in (*now, *before)})
    lines = [ClassLine(name, _sum(now, name), _sum(before, name)) for name in names]
    return sorted(lines, key=lambda line: -line.failed)


def providers(counts: BothCounts, sort: str = "") -> list[ProviderLine]:
    """The providers, most failures first or (BY_RATE) the highest rate; there a rate of few comes last."""
    lines = [ProviderLine(key[0], *sums) for key, sums in _beside(counts, len(PROVIDER))]
    return sorted(lines, key=_by_rate if sort == BY_RATE else _by_count)


def models(counts: BothCounts, sort: str = "") -> list[ModelLine]:
    """The models, in the same orders."""
    frequent: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    for (*model, name), failed in counts.failed.items():
        frequent.setdefault(tuple(model), []).append((name, failed))
    lines = [
        ModelLine(key[0], *sums, key[1], sorted(frequent.get(key, ()), key=lambda one: (-one[1], one[0])))
        for key, sums in _beside(counts, len(MODEL))
    ]
    return sorted(lines, key=_by_rate if sort == BY_RATE else _by_count)


def _sum(counts: Counts, name: str) -> int:
    return sum(count for key, count in counts.items() if key[-1] == name)


def _beside(counts: BothCounts, keys: int) -> list[tuple[tuple[Any, ...], tuple[int, int, int, int]]]:
    """The sums of each by so many of its first keys, where something ended in either period."""
    failed, before, now, earlier = (_summed(one, keys) for one in counts)
    return [(key, (failed[key], before[key], now[key], earlier[key])) for key in +now | +earlier]


def _summed(counts: Counts, keys: int) -> Counter[tuple[Any, ...]]:
    sums: Counter[tuple[Any, ...]] = Counter()
    for key, count in counts.items():
        sums[key[:keys]] += count
    return sums


def _by_count(line: ProviderLine) -> tuple[object, ...]:
    return -line.failed, line.provider, getattr(line, "model", "")


def _by_rate(line: ProviderLine) -> tuple[object, ...]:
    return not line.rate, -(line.rate.exact or 0), *_by_count(line)
