"""What was seen of providers, beside their figures: each query is one statement for all of them at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

_PROVIDERS = bindparam("providers", type_=ARRAY(Text))
_START = bindparam("start", type_=DateTime(timezone=True))

LATEST = text(
    """
    SELECT wanted.name AS provider, success.id AS success_id, success.ended_at AS success_at,
           failure.id AS failure_id, failure.ended_at AS failure_at, failure.error_class
      FROM unnest(:providers) AS wanted(name)
      LEFT JOIN LATERAL (SELECT id, ended_at FROM generations
                          WHERE provider = wanted.name AND status = 'succeeded'
                          ORDER BY ended_at DESC LIMIT 1) AS success ON true
      LEFT JOIN LATERAL (SELECT id, ended_at, error_class FROM generations
                          WHERE provider = wanted.name AND status = 'failed'
                          ORDER BY ended_at DESC LIMIT 1) AS failure ON true
    """
).bindparams(_PROVIDERS)
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


@dataclass(frozen=True)
class Ending:
    """A generation that ended, and why if it failed."""

    generation_id: UUID
    at: datetime
    error_class: str | None = None


@dataclass(frozen=True)
class Latest:
    """How a provider ended generations last, whenever that was."""

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


def latest(session: Session, providers: Collection[str]) -> dict[str, Latest]:
    """Last success and last failure of each of these providers."""
    rows = session.execute(LATEST, {"providers": sorted(providers)})
    return {
        row.provider: Latest(
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
