"""The queries behind the figures: days, buckets, and the tail of events above the watermark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from makegood.calendars import start_of
from makegood.ranges import Range
from makegood.rollup_tables import USAGE
from makegood.rollups import State
from makegood.stats import pieces, sums
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.pieces import Interval, Pieces, next_bucket

KEYS = (sums.STEP, "provider", "tier")
MEASURES = (*MEASURE_NAMES, sums.LAST)
_SUMS = ", ".join(f"bigint_sum({name}) AS {name}" for name in MEASURE_NAMES)
_LISTED = f"{', '.join(KEYS)}, {_SUMS}, max({sums.LAST}) AS {sums.LAST}"

RECENT = text(
    """
    SELECT coalesce(sum(generations), 0)::bigint AS generations, coalesce(sum(failed), 0)::bigint AS failed,
           coalesce(sum(failed_in_hour), 0)::bigint AS failed_in_hour
      FROM (SELECT generations, failed, CASE WHEN bucket >= :whole_hour THEN failed ELSE 0 END AS failed_in_hour
              FROM rollup_quarter_hours WHERE :valid AND bucket >= :whole_day
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


class Fact(NamedTuple):
    """The usage of one step (its position, from 0), provider and tier."""

    step: int
    provider: str
    tier: str
    usage: Usage
    last_charged_at: datetime | None


class Part(NamedTuple):
    """The usage of one step, provider or tier, or of one of these in one step. None: of all of them."""

    step: int | None
    provider: str | None
    tier: str | None
    usage: Usage
    last_charged_at: datetime | None


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


def by_step(session: Session, state: State, steps: Sequence[Interval], timezone: ZoneInfo) -> list[Fact]:
    """Usage by step, provider and tier, for half-open steps that follow on each other without a gap, in whatever
    time zone they were cut; `timezone` is the reporting one."""
    rows = _read(session, state, pieces.of_steps(steps, timezone), ", ".join(KEYS))
    return [Fact(step, provider, tier, Usage._make(figures), at) for step, provider, tier, *figures, at in rows]


def by_parts(session: Session, state: State, asked: Range, timezone: ZoneInfo) -> list[Part]:
    """The usage of a range and of each of its steps, by provider, by tier, and in all."""
    sets = "GROUPING SETS ((), (provider), (tier), (step), (step, provider), (step, tier))"
    rows = _read(session, state, sums.cut(asked, timezone, KEYS), sets)
    return [Part(step, provider, tier, Usage._make(figures), at) for step, provider, tier, *figures, at in rows]


def _read(session: Session, state: State, parts: Pieces, grouped: str) -> Sequence[Any]:
    """Step, provider and tier, the measures, and when it was last charged."""
    rows = sums.facts(USAGE, parts, KEYS, None, dated=True)
    statement = f"SELECT {_LISTED} FROM ({rows}) AS facts GROUP BY {grouped}"  # noqa: S608
    return session.execute(sums.selected(statement, KEYS, MEASURES, state, parts)).all()


def by_day(session: Session, state: State, first: date, last: date, timezone: ZoneInfo) -> list[DayFact]:
    """Usage by day, provider and tier, for the days from `first` to `last` of the reporting time zone."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    steps = [(start_of(day, timezone), start_of(day + timedelta(days=1), timezone)) for day in days]
    return [
        DayFact(days[fact.step], fact.provider, fact.tier, fact.usage, fact.last_charged_at)
        for fact in by_step(session, state, steps, timezone)
    ]


def recent(session: Session, state: State, at: datetime) -> Recent:
    """The last 24 hours and the last hour. Whole buckets come from the rollups, the first part of one from its
    events."""
    day, hour = at - timedelta(days=1), at - timedelta(hours=1)
    values = {
        "valid": state.valid,
        "watermark": state.watermark,
        "day": day,
        "whole_day": next_bucket(day),
        "hour": hour,
        "whole_hour": next_bucket(hour),
    }
    return Recent(*session.execute(RECENT, values).one())


def tier_totals(session: Session, state: State) -> list[Row[tuple[str, int, int, int]]]:
    """Customers, holders and credits of every tier now, in the tiers' order."""
    values = {"valid": state.valid, "watermark": state.watermark}
    return list(session.execute(TIERS, values))
