"""From where the figures of a range's steps are read: whole days of the reporting zone, whole 15-minute buckets
around them, and the events of the minutes that are left. So any range in any time zone is exact, and cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from makegood.calendars import local_day, start_of

BUCKET, HOUR = timedelta(minutes=15), timedelta(hours=1)
ALMOST_A_DAY = timedelta(hours=20)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
Interval = tuple[datetime, datetime]
Point = TypeVar("Point", date, datetime)


@dataclass(frozen=True)
class Moved:
    """Whole buckets between a step's boundary and a midnight near it: the days count them in step `of`, but they
    belong to step `to`. Steps are counted from 1, as `width_bucket` does."""

    since: datetime
    until: datetime
    of: int
    to: int

    @property
    def hours(self) -> Interval:
        """The whole hours in it; none is an empty interval at its end."""
        first = min(next_hour(self.since), self.until)
        return first, max(hour_before(self.until), first)


@dataclass(frozen=True)
class Pieces:
    """Half-open intervals that do not overlap and make up the steps together. `starts` are the beginnings of the
    steps as instants, `days` as the first whole day of each: `width_bucket` finds a row's step with them."""

    start: datetime
    end: datetime
    starts: list[datetime]
    days: list[date]
    whole_days: list[tuple[date, date]]
    whole_buckets: list[Interval]
    edges: list[Interval]
    moved: Sequence[Moved] = ()

    @cached_property
    def whole_hours(self) -> list[Interval]:
        """The whole hours of UTC in the whole buckets, where no step begins within one."""
        found: list[Interval] = []
        for since, until in self.whole_buckets:
            _append(found, self._hours(since, until))
        return found

    @cached_property
    def quarters(self) -> list[Interval]:
        """What is left of the whole buckets beside the whole hours."""
        found: list[Interval] = []
        for since, until in self.whole_buckets:
            first, last = self._hours(since, until)
            _append(found, (since, first))
            _append(found, (last, until))
        return found

    def _hours(self, since: datetime, until: datetime) -> Interval:
        first, last = next_hour(since), hour_before(until)
        within_one = any(since < at < until and at != next_hour(at) for at in self.starts)
        return (until, until) if within_one or first >= last else (first, last)

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """As parameters of a statement, one array for each side of the intervals; edges are bound one by one."""
        hours = [one.hours for one in self.moved]
        return {
            "start": self.start,
            "end": self.end,
            "starts": self.starts,
            "days": self.days,
            "days_since": [since for since, _ in self.whole_days],
            "days_until": [until for _, until in self.whole_days],
            "buckets_since": [since for since, _ in self.whole_buckets],
            "buckets_until": [until for _, until in self.whole_buckets],
            "hours_since": [since for since, _ in self.whole_hours],
            "hours_until": [until for _, until in self.whole_hours],
            "quarters_since": [since for since, _ in self.quarters],
            "quarters_until": [until for _, until in self.quarters],
            "moved_since": [one.since for one in self.moved],
            "moved_until": [one.until for one in self.moved],
            "moved_first": [first for first, _ in hours],
            "moved_last": [last for _, last in hours],
            "moved_of": [one.of for one in self.moved],
            "moved_to": [one.to for one in self.moved],
        }


def cut(steps: Sequence[Interval], timezone: ZoneInfo) -> Pieces:
    """The pieces of steps that follow on each other without a gap. `timezone` is the one of the rollups' days."""
    days: list[tuple[date, date]] = []
    buckets: list[Interval] = []
    edges: list[Interval] = []
    firsts: list[date] = []
    for start, end in steps:
        first = local_day(start, timezone)
        if start_of(first, timezone) < start:
            first += DAY
        last = local_day(end, timezone)
        rest = [(start, end)]
        if first < last:
            _append(days, (first, last))
            rest = [(start, start_of(first, timezone)), (start_of(last, timezone), end)]
        for since, until in rest:
            _cut_buckets(since, until, buckets, edges)
        firsts.append(first)
    return Pieces(steps[0][0], steps[-1][1], [start for start, _ in steps], firsts, days, buckets, edges)


def of_steps(steps: Sequence[Interval], timezone: ZoneInfo) -> Pieces:
    """The pieces of steps that follow on each other without a gap, those that have to be read least of."""
    daily = all(end - start >= ALMOST_A_DAY for start, end in steps[1:-1])
    return (cut_by_days if daily else cut)(steps, timezone)


def cut_by_days(steps: Sequence[Interval], timezone: ZoneInfo) -> Pieces:
    """The pieces of steps that are days or longer, in another zone than the rollups' days: whole days too, each
    counted in the step that it is nearest to, and the buckets that this puts into the wrong one. So the hours
    between the zones' midnights are read instead of every hour."""
    found = cut([(steps[0][0], steps[-1][1])], timezone)
    bounds = [start for start, _ in steps[1:]]
    if not found.whole_days or any(at != next_bucket(at) for at in bounds):
        return cut(steps, timezone)
    first, last = found.whole_days[0]
    earliest, latest = start_of(first, timezone), start_of(last, timezone)
    days, moved = [first], []
    for n, bound in enumerate(bounds, start=1):
        days.append(min(max(_nearest(bound, timezone), days[-1]), last))
        midnight = start_of(days[-1], timezone)
        # What is before or after the whole days is counted by its own time.
        boundary = min(max(bound, earliest), latest)
        if midnight < boundary:
            moved.append(Moved(midnight, boundary, of=n + 1, to=n))
        elif boundary < midnight:
            moved.append(Moved(boundary, midnight, of=n, to=n + 1))
    return replace(found, starts=[start for start, _ in steps], days=days, moved=moved)


def _nearest(at: datetime, timezone: ZoneInfo) -> date:
    """The day that begins nearest to an instant."""
    day = local_day(at, timezone)
    before, after = start_of(day, timezone), start_of(day + DAY, timezone)
    return day if at - before <= after - at else day + DAY


def next_hour(at: datetime) -> datetime:
    """The beginning of the first hour of UTC that begins at or after an instant."""
    return EPOCH + HOUR * -((EPOCH - at) // HOUR)


def hour_before(at: datetime) -> datetime:
    """The beginning of the last hour of UTC that begins at or before an instant."""
    return EPOCH + HOUR * ((at - EPOCH) // HOUR)


def cut_to_buckets(steps: Sequence[Interval]) -> tuple[list[Interval], list[Interval]]:
    """Steps that follow on each other without a gap, as whole buckets and the edges that are left around them."""
    buckets: list[Interval] = []
    edges: list[Interval] = []
    for start, end in steps:
        _cut_buckets(start, end, buckets, edges)
    return buckets, edges


def next_bucket(at: datetime) -> datetime:
    """The beginning of the first bucket that begins at or after an instant."""
    return EPOCH + BUCKET * -((EPOCH - at) // BUCKET)


def _cut_buckets(since: datetime, until: datetime, buckets: list[Interval], edges: list[Interval]) -> None:
    """Whole buckets, and the edges that are left before and after them."""
    first, last = next_bucket(since), EPOCH + BUCKET * ((until - EPOCH) // BUCKET)
    if first >= last:
        first = last = until
    _append(edges, (since, first))
    _append(buckets, (first, last))
    _append(edges, (last, until))


def _append(intervals: list[tuple[Point, Point]], interval: tuple[Point, Point]) -> None:
    """Add an interval, joined with the one before where they touch; an empty one not at all."""
    if interval[0] >= interval[1]:
        return
    if intervals and intervals[-1][1] == interval[0]:
        interval = (intervals.pop()[0], interval[1])
    intervals.append(interval)
