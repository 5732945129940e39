"""What was used at providers in a range, what it cost and how long it took: from the rollups, and the events that
are not folded yet. Percentiles are of histograms, at most 3 % off the exact ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.rollup_tables import USAGE
from makegood.stats import latency, sums, usage
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.latency import PERCENTILES, Histogram, Latency, LatencyFilters
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

PROVIDER = ("provider",)
MODEL = ("provider", "model")
STEP = (sums.STEP,)


@dataclass(frozen=True)
class Figures:
    """What was used, and how long what succeeded took."""

    usage: Usage = field(default_factory=Usage)
    latency: Latency = field(default_factory=Latency)


def by(
    session: Session, terms: Terms, asked: Range, keys: tuple[str, ...], provider: str | None = None
) -> Select[*tuple[Any, ...]]:
    """The measures of `Usage` with `p50`, `p95` and `p99` in milliseconds (null: nothing succeeded) by these keys,
    most used first; of all providers or of one."""
    used = usage.by(session, terms, asked, UsageFilters(provider), keys).order_by(None).cte("used")
    took = latency.by(session, terms, asked, LatencyFilters(provider), keys).order_by(None).cte("took")
    # Each is read once: by its guesses the planner might read the histograms again for every row of usage.
    used, took = (part.prefix_with("MATERIALIZED", dialect="postgresql") for part in (used, took))
    return (
        select(*used.c, *(took.c[name] for name in PERCENTILES))
        .select_from(used.outerjoin(took, and_(*(used.c[key] == took.c[key] for key in keys))))
        .order_by(used.c.generations.desc(), *(used.c[key] for key in keys))
    )


def by_step(session: Session, terms: Terms, asked: Range, provider: str | None) -> Select[*tuple[Any, ...]]:
    """The same of every step of the range, with `starts_at`."""
    parts = sums.cut(asked, terms.timezone, STEP)
    query = by(session, terms, asked, STEP, provider)
    return sums.every_step(query, parts, USAGE.measures, unknown=tuple(PERCENTILES))


def of_models(session: Session, terms: Terms, asked: Range, provider: str) -> tuple[Figures, dict[str, Figures]]:
    """All that was used at a provider, and of that each of its models."""
    rows = session.execute(usage.by(session, terms, asked, UsageFilters(provider), MODEL))
    used = {row.model: _usage(row) for row in rows}
    took: dict[str, list[Histogram]] = {}
    for (_, model, _), histogram in latency.histograms(session, terms, asked, LatencyFilters(provider)).items():
        took.setdefault(model, []).append(histogram)
    models = {model: Figures(used[model], latency.together(took.get(model, ()))) for model in used}
    every = (histogram for histograms in took.values() for histogram in histograms)
    return Figures(Usage.total(used.values()), latency.together(every)), models


def read(session: Session, query: Select[*tuple[Any, ...]], key: str) -> dict[Any, Figures]:
    """What such a query finds, by one of its keys."""
    return {
        getattr(row, key): Figures(
            _usage(row),
            Latency(row.p50, row.p95, row.p99, row.succeeded) if row.succeeded else Latency(),
        )
        for row in session.execute(query)
    }


def _usage(row: Row[Any]) -> Usage:
    return Usage._make(getattr(row, name) for name in MEASURE_NAMES)
