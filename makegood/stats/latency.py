"""How long generations took that succeeded: percentiles of a range, from histograms.

A histogram's bins are 6 % wide, so that a percentile is at most 3 % off the exact one. It is of the milliseconds
from the submit to the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.orm import Session

from makegood.ranges import Range, Step
from makegood.rollup_tables import LATENCIES
from makegood.stats import pieces, snapshot, sums
from makegood.stats.pieces import Interval, Pieces
from makegood.terms import Terms

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
"""Of how many of a hundred each is the longest."""
COLUMNS = ("succeeded", *PERCENTILES)
WIDTH = 1.06
"""How much wider each bin of `latency_bin` is than the one before."""
PROVIDER = ("provider",)
MODEL = ("provider", "model", "kind")
STEP = (sums.STEP,)


@dataclass(frozen=True)
class Latency:
    """So many succeeded, half of them within `p50_ms`, 95 and 99 of 100 within the others. None: nothing did."""

    p50_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None
    count: int = 0


@dataclass(frozen=True)
class LatencyFilters:
    """What to count; None is no restriction."""

    provider: str | None = None
    model: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class LatencyLine:
    """A provider, or one of its models for one kind, in the range and in the period before."""

    provider: str
    model: str
    kind: str
    now: Latency
    before: Latency


@dataclass(frozen=True)
class LatencyStep:
    """One step of the range."""

    step: Step
    latency: Latency


@dataclass(frozen=True)
class LatencyReport:
    """The latencies of a range. Lines are in the order of use."""

    as_of: datetime
    total: Latency
    before: Latency
    providers: list[LatencyLine]
    models: list[LatencyLine]
    steps: list[LatencyStep]


def report(session: Session, terms: Terms, asked: Range, filters: LatencyFilters) -> LatencyReport:
    """The page. The caller has begun a snapshot."""
    now, before = (histograms(session, terms, span, filters) for span in (asked, asked.previous()))
    latencies = series(session, asked, terms, filters)
    return LatencyReport(
        asked.now,
        together(now.values()),
        together(before.values()),
        _lines(_by_provider(now), _by_provider(before)),
        _lines(now, before),
        [LatencyStep(*pair) for pair in zip(asked.steps(), latencies, strict=True)],
    )


def series(session: Session, asked: Range, terms: Terms, filters: LatencyFilters | None = None) -> list[Latency]:
    """The latencies of each of the range's steps. The caller has begun a snapshot."""
    found = _read(session, by(session, terms, asked, filters or LatencyFilters(), STEP))
    return [found.get((number,), Latency()) for number in range(len(asked.steps()))]


def of_steps(
    session: Session, terms: Terms, steps: Sequence[Interval], filters: LatencyFilters, keys: tuple[str, ...]
) -> dict[tuple[Any, ...], Latency]:
    """Latencies by these keys, in half-open steps that follow on each other without a gap."""
    return _read(session, _select(session, terms, pieces.of_steps(steps, terms.timezone), filters, keys))


def by(
    session: Session, terms: Terms, asked: Range, filters: LatencyFilters, keys: tuple[str, ...]
) -> Select[*tuple[Any, ...]]:
    """`succeeded`, `p50`, `p95` and `p99` by these keys, most used first."""
    return _select(session, terms, sums.cut(asked, terms.timezone, keys), filters, keys)


def by_step(session: Session, terms: Terms, asked: Range, filters: LatencyFilters) -> Select[*tuple[Any, ...]]:
    """The same of every step, with `starts_at`."""
    parts = sums.cut(asked, terms.timezone, STEP)
    query = by(session, terms, asked, filters, STEP)
    return sums.every_step(query, parts, ("succeeded",), unknown=tuple(PERCENTILES))


def _select(
    session: Session, terms: Terms, parts: Pieces, filters: LatencyFilters, keys: tuple[str, ...]
) -> Select[*tuple[Any, ...]]:
    listed = "".join(f"{key}, " for key in keys)
    parted = f"PARTITION BY {', '.join(keys)} " if keys else ""
    reached = {
        name: f"min(bin) FILTER (WHERE upto * 100 >= {share} * total)" for name, share in PERCENTILES.items()
    }
    found = ", ".join(
        f"round(power({WIDTH}::float8, {bin} + 0.5))::bigint AS {name}" for name, bin in reached.items()
    )
    rows = sums.facts(LATENCIES, parts, (*keys, "bin"), vars(filters))
    statement = f"""
        SELECT {listed}bigint_sum(here) AS succeeded, {found}
          FROM (SELECT {listed}bin, here, bigint_sum(here) OVER ({parted}ORDER BY bin) AS upto,
                       bigint_sum(here) OVER ({parted}) AS total
                  FROM (SELECT {listed}bin, bigint_sum(succeeded) AS here FROM ({rows}) AS facts
                         GROUP BY {listed}bin) AS bins) AS running
         {f"GROUP BY {', '.join(keys)}" if keys else ""} HAVING bigint_sum(here) > 0
    """  # noqa: S608 (made of our own column names)
    state = snapshot.state(session, terms.timezone)
    query = sums.selected(statement, keys, COLUMNS, state, parts, vars(filters))
    columns = query.selected_columns
    return query.order_by(columns["succeeded"].desc(), *(columns[key] for key in keys))


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> dict[tuple[Any, ...], Latency]:
    return {tuple(row)[: -len(COLUMNS)]: _latency(row) for row in session.execute(query)}


def _latency(row: Row[Any]) -> Latency:
    return Latency(row.p50, row.p95, row.p99, row.succeeded)


Model = tuple[str, str, str]
Histogram = Counter[int]
"""How many succeeded in each bin."""


def histograms(session: Session, terms: Terms, asked: Range, filters: LatencyFilters) -> dict[Model, Histogram]:
    """One for each model and kind: what providers and the whole are made of, read once."""
    keys = (*MODEL, "bin")
    parts = sums.cut(asked, terms.timezone, keys)
    query = sums.totals(LATENCIES, snapshot.state(session, terms.timezone), parts, keys, vars(filters))
    found: dict[Model, Histogram] = {}
    for provider, model, kind, bin, succeeded in session.execute(query):
        found.setdefault((provider, model, kind), Counter())[bin] = succeeded
    return found


def _by_provider(models: dict[Model, Histogram]) -> dict[Model, Histogram]:
    found: dict[Model, Histogram] = {}
    for (provider, _, _), histogram in models.items():
        found.setdefault((provider, "", ""), Counter()).update(histogram)
    return found


def together(parts: Iterable[Histogram]) -> Latency:
    """The percentiles of histograms together, as the statement of `by` finds them."""
    summed: Histogram = Counter()
    for histogram in parts:
        summed.update(histogram)
    count = summed.total()
    if not count:
        return Latency()
    found: list[int] = []
    upto = 0
    shares = list(PERCENTILES.values())
    for bin in sorted(summed):
        upto += summed[bin]
        while len(found) < len(shares) and upto * 100 >= shares[len(found)] * count:
            found.append(round(WIDTH ** (bin + 0.5)))
    p50, p95, p99 = found
    return Latency(p50, p95, p99, count)


def _lines(now: dict[Model, Histogram], before: dict[Model, Histogram]) -> list[LatencyLine]:
    empty: Histogram = Counter()
    lines = [
        LatencyLine(*key, together([now.get(key, empty)]), together([before.get(key, empty)]))
        for key in {*now, *before}
    ]
    return sorted(lines, key=lambda line: (-line.now.count, line.provider, line.model, line.kind))
