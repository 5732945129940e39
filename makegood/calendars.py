"""Days and months of the reporting time zone, as half-open ranges of UTC instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def local_day(at: datetime, timezone: ZoneInfo) -> date:
    """The calendar day of an instant."""
    return at.astimezone(timezone).date()


def week_of(day: date) -> date:
    """The Monday of a day's week (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


QUARTERS = (1, 8, 16, 24)
"""On which days of a month its quarters begin. In SQL: `quarter_of_month`."""


def quarter_of(day: date) -> date:
    """The first day of the quarter of a month that a day is in."""
    return day.replace(day=max(first for first in QUARTERS if first <= day.day))


def next_quarter(day: date) -> date:
    """The first day of the quarter of a month after a day's."""
    later = [first for first in QUARTERS if first > day.day]
    return day.replace(day=later[0]) if later else next_month(day)


def start_of(day: date, timezone: ZoneInfo) -> datetime:
    """The instant at which a calendar day begins: its local midnight, or where clocks skip midnight, the
    first instant after it."""
    return datetime.combine(day, time.min, timezone).astimezone(UTC)


def days_until(day: date, count: int) -> list[date]:
    """The `count` calendar days that end with `day`, oldest first."""
    return [day - timedelta(days=back) for back in range(count - 1, -1, -1)]
