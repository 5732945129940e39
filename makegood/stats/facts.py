"""The queries behind the figures: buckets and the tail of events above the watermark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from makegood.calendars import start_of
from makegood.rollups import State
from makegood.stats.figures import MEASURE_NAMES, Usage

_COLUMNS = ", ".join(MEASURE_NAMES)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in MEASURE_NAMES)
BUCKET = timedelta(minutes=15)

DAYS = text(
    f"""
    SELECT day, provider, tier, {_SUMS}, max(last_charged_at) AS last_charged_at
      FROM (SELECT day, provider, tier, {_COLUMNS}, last_charged_at FROM rollup_days
             WHERE :valid AND day >= :first AND day <= :last
             UNION ALL
            SELECT CAST(at AT TIME ZONE :zone AS date), provider, tier, {_COLUMNS},
                   CASE WHEN generations > 0 THEN at END
              FROM events WHERE xid >= CAST(:watermark AS xid8) AND provider <> '' AND at >= :start AND at < :end
           ) AS facts
     GROUP BY day, provider, tier
    """  # noqa: S608 (made of our own column names)
)
RECENT = text(
    """
    SELECT coalesce(sum(generations), 0)::bigint AS generations, coalesce(sum(failed), 0)::bigint AS failed,
           coalesce(sum(failed_in_hour), 0)::bigint AS failed_in_hour
      FROM (SELECT generations, failed, CASE WHEN bucket >= :whole_hour THEN failed ELSE 0 END AS failed_in_hour
              FROM rollup_buckets WHERE :valid AND bucket >= :whole_day
             UNION ALL
            SELECT generations, failed, CASE WHEN at >= :hour THEN failed ELSE 0 END
              FROM events WHERE xid >= CAST(:watermark AS xid8) AND at >= :whole_day
             UNION ALL
            SELECT generations, failed, 0 FROM events WHERE at >= :day AND at < :whole_day
             UNION ALL
            SELECT 0, 0, failed FROM events
             WHERE xid < CAST(:watermark AS xid8) AND at >= :hour AND at < :whole_hour) AS facts
    """
)
TIERS = text(
    """
    SELECT tiers.name AS tier, coalesce(sum(customers), 0)::bigint AS customers,
           coalesce(sum(holders), 0)::bigint AS holders, coalesce(sum(credits), 0)::bigint AS credits
      FROM tiers LEFT JOIN (
            SELECT tier, customers, holders, credits FROM rollup_tiers WHERE :valid
             UNION ALL
            SELECT tier, customers, holders, credits FROM events WHERE xid >= CAST(:watermark AS xid8)
           ) AS facts ON facts.tier = tiers.name
     GROUP BY tiers.name, tiers.position ORDER BY tiers.position
    """
)


@dataclass(frozen=True)
class DayFact:
    """The usage of one day, provider and tier."""

    day: date
    provider: str
    tier: str
    usage: Usage
    last_charged_at: datetime | None


@dataclass(frozen=True)
class Recent:
    """Generations charged and failed in the last 24 hours, and failed in the last hour."""

    generations: int
    failed: int
    failed_in_hour: int


def by_day(session: Session, state: State, first: date, last: date, timezone: ZoneInfo) -> list[DayFact]:
    """Usage by day, provider and tier, for the days from `first` to `last`."""
    values = {
        "valid": state.valid,
        "watermark": state.watermark,
        "first": first,
        "last": last,
        "zone": timezone.key,
        "start": start_of(first, timezone),
        "end": start_of(last + timedelta(days=1), timezone),
    }
    return [
        DayFact(row.day, row.provider, row.tier, _usage(row), row.last_charged_at)
        for row in session.execute(DAYS, values)
    ]


def recent(session: Session, state: State, at: datetime) -> Recent:
    """The last 24 hours and the last hour. Whole buckets come from the rollups, the first part of one from its
    events."""
    day, hour = at - timedelta(days=1), at - timedelta(hours=1)
    values = {
        "valid": state.valid,
        "watermark": state.watermark,
        "day": day,
        "whole_day": _next_bucket(day),
        "hour": hour,
        "whole_hour": _next_bucket(hour),
    }
    return Recent(*session.execute(RECENT, values).one())


def tier_totals(session: Session, state: State) -> list[Row[tuple[str, int, int, int]]]:
    """Customers, holders and credits of every tier now, in the tiers' order."""
    values = {"valid": state.valid, "watermark": state.watermark}
    return list(session.execute(TIERS, values))


def _usage(row: Row[tuple[object, ...]]) -> Usage:
    return Usage(*(getattr(row, name) for name in MEASURE_NAMES))


def _next_bucket(at: datetime) -> datetime:
    epoch = datetime(2000, 1, 1, tzinfo=UTC)
    return epoch + BUCKET * -((epoch - at) // BUCKET)
