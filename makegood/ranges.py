"""Ranges of time as an operator asks for them: whole calendar days of a time zone, or instants.

A range is compared with the period before it. While it is not over yet, it is compared with the same part of
that period: the 21st at noon of this month with the 21st at noon of the last one, not with all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from makegood.calendars import local_day, month_of, next_month, start_of, week_of

NOT_EVERYWHERE = ("localtime", "posixrules", "Factory")
PRESETS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "7 days",
    "30d": "30 days",
    "90d": "90 days",
    "week": "This week",
    "last-week": "Last week",
    "month": "This month",
    "last-month": "Last month",
}
"""The names that stand in URLs, and how they are called on the screen."""
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
HOURLY_UP_TO = 2
DAILY_UP_TO = 184


@dataclass(frozen=True)
class Step:
    """One step of a range: an hour, a day or a month of its zone, as half-open instants."""

    start: datetime
    end: datetime
    first: date
    last: date
    unit: str


@dataclass(frozen=True)
class Range:
    """The days from `first` to `last` of `zone`, as seen at the instant `now`.

    `since` and `until` replace the beginning of the first and the end of the last day where a range begins or
    ends within one. `preset` is the range's name in PRESETS, if it has one.
    """

    first: date
    last: date
    zone: ZoneInfo
    now: datetime
    preset: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @cached_property
    def start(self) -> datetime:
        """The first instant."""
        return self.since or start_of(self.first, self.zone)

    @cached_property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.until or start_of(self.last + DAY, self.zone)

    @property
    def partial(self) -> bool:
        """Whether it is not over yet."""
        return self.start <= self.now < self.end

    @property
    def today(self) -> date:
        """The present day of its zone."""
        return local_day(self.now, self.zone)

    @property
    def whole_days(self) -> bool:
        """Whether it is made of calendar days, with no day cut short."""
        return self.since is None and self.until is None

    def days(self) -> list[date]:
        """Its calendar days, oldest first."""
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def previous(self) -> Range:
        """The period before: as long, and cut where this one stands now if it is not over yet."""
        if self.since is not None or self.until is not None:
            length = self.end - self.start
            return within(self.start - length, self.start, self.zone, self.now)
        if self.preset in ("month", "last-month"):
            first = month_of(self.first - DAY)
            last = min(first + (self.last - self.first), self.first - DAY)
            if not self.partial:
                last = self.first - DAY
        elif self.preset == "week":
            first, last = self.first - WEEK, self.last - WEEK
        else:
            first, last = self.first - (self.last - self.first) - DAY, self.first - DAY
        return Range(first, last, self.zone, self.now, until=self._cut(first, last))

    def steps(self) -> list[Step]:
        """It in pieces for a chart: hours up to two days, days up to half a year, else months."""
        return self._steps  # several figures of a page ask for them

    @cached_property
    def _steps(self) -> list[Step]:
        count = (self.last - self.first).days + 1
        if count <= HOURLY_UP_TO:
            return self._hours()
        if count <= DAILY_UP_TO:
            pieces = [self._piece(day, day, "day") for day in self.days()]
        else:
            pieces, day = [], self.first
            while day <= self.last:
                last = min(next_month(day) - DAY, self.last)
                pieces.append(self._piece(day, last, "month"))
                day = last + DAY
        return [piece for piece in pieces if piece.start < piece.end]

    def _cut(self, first: date, last: date) -> datetime | None:
        """Where the part of an earlier period from `first` to `last` ends that has passed of this one."""
        day = first + (self.today - self.first)
        if not self.partial or day > last:
            return None
        clock = self.now.astimezone(self.zone).time()
        return max(start_of(day, self.zone), datetime.combine(day, clock, self.zone).astimezone(UTC))

    def _piece(self, first: date, last: date, unit: str) -> Step:
        start, end = start_of(first, self.zone), start_of(last + DAY, self.zone)
        return Step(max(start, self.start), min(end, self.end), first, last, unit)

    def _hours(self) -> list[Step]:
        pieces, at = [], self.start
        while at < self.end:
            end = min(_next_hour(at, self.zone), self.end)
            day = local_day(at, self.zone)
            pieces.append(Step(at, end, day, day, "hour"))
            at = end
        return pieces


def preset(name: str, zone: ZoneInfo, now: datetime) -> Range:
    """The range of a name in PRESETS, as it is now. Raises KeyError for another."""
    today = local_day(now, zone)
    month, week = month_of(today), week_of(today)
    first, last = {
        "today": (today, today),
        "yesterday": (today - DAY, today - DAY),
        "7d": (today - 6 * DAY, today),
        "30d": (today - 29 * DAY, today),
        "90d": (today - 89 * DAY, today),
        "week": (week, today),
        "last-week": (week - WEEK, week - DAY),
        "month": (month, today),
        "last-month": (month_of(month - DAY), month - DAY),
    }[name]
    return Range(first, last, zone, now, name)


def within(start: datetime, end: datetime, zone: ZoneInfo, now: datetime) -> Range:
    """The range between two instants. Raises ValueError unless the first is before the second."""
    if start >= end:
        raise ValueError("a range ends after it starts")
    last = local_day(end - timedelta(microseconds=1), zone)
    return Range(local_day(start, zone), last, zone, now, since=start, until=end)


def zone_named(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name; None for what is none. Names that only some machines know are none: they are
    other clocks (`right/` counts leap seconds), or another zone on each."""
    if name in NOT_EVERYWHERE or name.startswith(("right/", "posix/")):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _next_hour(at: datetime, zone: ZoneInfo) -> datetime:
    """The next full hour on the zone's clocks, or what an hour that they skip or repeat makes of it."""
    local = at.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return at + timedelta(hours=1) - past
