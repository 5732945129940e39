"""What was seen of providers, beside their figures: each query is one statement for all of them at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Text, bindparam, text
from sqlalchemy.orm import Session

from makegood.ranges import Range

_PROVIDERS = bindparam("providers", type_=ARRAY(Text))

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
_IN_RANGE = "received_at >= :start AND received_at < :end"
_BEFORE = "received_at >= :before_start AND received_at < :before_end"
_READ = "received_at >= :before_start AND received_at < :end"
_ENDS = [bindparam(name, type_=DateTime(timezone=True)) for name in ("start", "end", "before_start", "before_end")]
DELIVERIES = text(
    f"""
    SELECT provider,
           count(*) FILTER (WHERE how = 'late' AND {_IN_RANGE}) AS late,
           count(*) FILTER (WHERE how = 'late' AND {_BEFORE}) AS late_before,
           count(*) FILTER (WHERE how = 'rejected' AND {_IN_RANGE}) AS rejected,
           count(*) FILTER (WHERE how = 'rejected' AND {_BEFORE}) AS rejected_before,
           count(*) FILTER (WHERE how = 'waiting') AS waiting
      FROM (SELECT provider, received_at, 'late' AS how FROM callbacks
             WHERE late AND state = 'applied' AND {_READ}
             UNION ALL
            SELECT provider, received_at, 'rejected' FROM callbacks
             WHERE state <> 'applied' AND state = 'rejected' AND {_READ}
             UNION ALL
            SELECT provider, received_at, 'waiting' FROM callbacks WHERE state = 'waiting') AS deliveries
     GROUP BY provider
    """  # noqa: S608 (made of our own conditions)
).bindparams(*_ENDS)
REJECTIONS = text(
    f"""
    SELECT detail, count(*) FILTER (WHERE {_IN_RANGE}) AS times, count(*) FILTER (WHERE {_BEFORE}) AS before
      FROM callbacks
     WHERE state <> 'applied' AND state = 'rejected' AND provider = :provider AND {_READ}
     GROUP BY detail HAVING count(*) FILTER (WHERE {_IN_RANGE}) > 0
     ORDER BY times DESC, detail
    """  # noqa: S608
).bindparams(*_ENDS)


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
    """Callbacks of the range and of the period before that came after their generation had ended, or were
    rejected; and those that wait now."""

    late: int = 0
    late_before: int = 0
    rejected: int = 0
    rejected_before: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Rejected:
    """How many callbacks of the range were rejected for a reason, and of the period before."""

    reason: str
    count: int
    before: int


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


def deliveries(session: Session, asked: Range) -> dict[str, Deliveries]:
    """How each provider's callbacks fared that were received in the range."""
    rows = session.execute(DELIVERIES, _ends(asked))
    return {
        row.provider: Deliveries(row.late, row.late_before, row.rejected, row.rejected_before, row.waiting)
        for row in rows
    }


def rejections(session: Session, provider: str, asked: Range) -> list[Rejected]:
    """Why callbacks of the range were rejected, most frequent first."""
    rows = session.execute(REJECTIONS, {"provider": provider, **_ends(asked)})
    return [Rejected(row.detail or "no reason was kept", row.times, row.before) for row in rows]


def _ends(asked: Range) -> dict[str, datetime]:
    before = asked.previous()
    return {"start": asked.start, "end": asked.end, "before_start": before.start, "before_end": before.end}
