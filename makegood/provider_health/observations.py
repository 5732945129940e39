"""The queries behind the provider pages: each is one statement for all providers, models or steps at once.

Percentiles are exact, of the generations that succeeded: from the submit to the end, in milliseconds. They are
read from an index that carries what they need (ix_generations_latency).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

_PERCENTILES = "percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY latency_ms)"
_PROVIDERS = bindparam("providers", type_=ARRAY(Text))
_START = bindparam("start", type_=DateTime(timezone=True))

LATEST = text(
    f"""
    SELECT wanted.name AS provider, latency.percentiles,
           success.id AS success_id, success.ended_at AS success_at,
           failure.id AS failure_id, failure.ended_at AS failure_at, failure.error_class
      FROM unnest(:providers) AS wanted(name)
      CROSS JOIN LATERAL (SELECT {_PERCENTILES} AS percentiles FROM generations
                           WHERE provider = wanted.name AND status = 'succeeded' AND ended_at >= :start) AS latency
      LEFT JOIN LATERAL (SELECT id, ended_at FROM generations
                          WHERE provider = wanted.name AND status = 'succeeded'
                          ORDER BY ended_at DESC LIMIT 1) AS success ON true
      LEFT JOIN LATERAL (SELECT id, ended_at, error_class FROM generations
                          WHERE provider = wanted.name AND status = 'failed'
                          ORDER BY ended_at DESC LIMIT 1) AS failure ON true
    """  # noqa: S608 (made of our own texts)
).bindparams(_PROVIDERS, _START)
IN_FLIGHT = text(
    """
    SELECT provider, count(*) AS in_flight, count(*) FILTER (WHERE status = 'unknown') AS unknown,
           min(charged_at) AS oldest
      FROM generations WHERE status IN ('charged', 'submitted', 'unknown') GROUP BY provider
    """
)
DELIVERIES = text(
    """
    SELECT provider, sum(late)::bigint AS late, sum(rejected)::bigint AS rejected, sum(waiting)::bigint AS waiting
      FROM (SELECT provider, 1 AS late, 0 AS rejected, 0 AS waiting FROM callbacks
             WHERE late AND state = 'applied' AND received_at >= :start
             UNION ALL
            SELECT provider, 0, 1, 0 FROM callbacks
             WHERE state <> 'applied' AND state = 'rejected' AND received_at >= :start
             UNION ALL
            SELECT provider, 0, 0, 1 FROM callbacks WHERE state = 'waiting') AS deliveries
     GROUP BY provider
    """
).bindparams(_START)
REJECTIONS = text(
    """
    SELECT detail, count(*) AS times FROM callbacks
     WHERE state <> 'applied' AND state = 'rejected' AND provider = :provider AND received_at >= :start
     GROUP BY detail ORDER BY times DESC, detail
    """
).bindparams(_START)
FAILURES = text(
    """
    SELECT error_class, count(*) AS times FROM generations
     WHERE status = 'failed' AND provider = :provider AND ended_at >= :start
     GROUP BY error_class ORDER BY times DESC, error_class
    """
).bindparams(_START)
MODELS = text(
    f"""
    SELECT model, {_PERCENTILES} AS percentiles FROM generations
     WHERE status = 'succeeded' AND provider = :provider AND ended_at >= :start GROUP BY model
    """  # noqa: S608
).bindparams(_START)
STEPS = text(
    f"""
    SELECT step, percentiles
      FROM (SELECT edge, lead(edge, 1, 'infinity') OVER (ORDER BY edge) AS next_edge, ordinality AS step
              FROM unnest(:edges) WITH ORDINALITY AS edges(edge, ordinality)) AS steps
      CROSS JOIN LATERAL (SELECT {_PERCENTILES} AS percentiles FROM generations
                           WHERE provider = :provider AND status = 'succeeded'
                             AND ended_at >= steps.edge AND ended_at < steps.next_edge) AS latency
    """  # noqa: S608
).bindparams(bindparam("edges", type_=ARRAY(DateTime(timezone=True))))


@dataclass(frozen=True)
class Latency:
    """How long what succeeded took, in milliseconds. None when nothing did."""

    p50: int | None = None
    p95: int | None = None


@dataclass(frozen=True)
class Ending:
    """A generation that ended, and why if it failed."""

    generation_id: UUID
    at: datetime
    error_class: str | None = None


@dataclass(frozen=True)
class Latest:
    """A provider's latency in the span, and how it ended generations last, whenever that was."""

    latency: Latency
    success: Ending | None
    failure: Ending | None


@dataclass(frozen=True)
class InFlight:
    """What a provider works on now: how many, how many submits whose outcome is unknown, charged since when."""

    count: int = 0
    unknown: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True)
class Deliveries:
    """Callbacks of the span that came after their generation had ended, or were rejected; and that wait now."""

    late: int = 0
    rejected: int = 0
    waiting: int = 0


def latest(session: Session, providers: Collection[str], start: datetime) -> dict[str, Latest]:
    """Latency since `start`, last success and last failure of each of these providers."""
    rows = session.execute(LATEST, {"providers": sorted(providers), "start": start})
    return {
        row.provider: Latest(
            _latency(row.percentiles),
            Ending(row.success_id, row.success_at) if row.success_id else None,
            Ending(row.failure_id, row.failure_at, row.error_class) if row.failure_id else None,
        )
        for row in rows
    }


def in_flight(session: Session) -> dict[str, InFlight]:
    """What each provider works on now."""
    return {row.provider: InFlight(row.in_flight, row.unknown, row.oldest) for row in session.execute(IN_FLIGHT)}


def deliveries(session: Session, start: datetime) -> dict[str, Deliveries]:
    """How each provider's callbacks fared since `start`."""
    return {
        row.provider: Deliveries(row.late, row.rejected, row.waiting)
        for row in session.execute(DELIVERIES, {"start": start})
    }


def rejections(session: Session, provider: str, start: datetime) -> list[tuple[str, int]]:
    """Why callbacks were rejected since `start`, most frequent first."""
    values = {"provider": provider, "start": start}
    return [(row.detail or "no reason was kept", row.times) for row in session.execute(REJECTIONS, values)]


def failures(session: Session, provider: str, start: datetime) -> list[tuple[str, int]]:
    """Error classes of what failed since `start`, most frequent first."""
    values = {"provider": provider, "start": start}
    return [(row.error_class, row.times) for row in session.execute(FAILURES, values)]


def by_model(session: Session, provider: str, start: datetime) -> dict[str, Latency]:
    """Latency of each of a provider's models since `start`."""
    values = {"provider": provider, "start": start}
    return {row.model: _latency(row.percentiles) for row in session.execute(MODELS, values)}


def by_step(session: Session, provider: str, edges: Sequence[datetime]) -> dict[int, Latency]:
    """A provider's latency from each edge to the next. The first is step 1."""
    values = {"provider": provider, "edges": list(edges)}
    return {row.step: _latency(row.percentiles) for row in session.execute(STEPS, values)}


def _latency(percentiles: list[int] | None) -> Latency:
    return Latency(*percentiles) if percentiles else Latency()
