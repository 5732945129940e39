"""The spans that provider pages look back over, in steps of the reporting time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from makegood.calendars import days_until, local_day, start_of

HOURS = 24
DAYS_BY_NAME = {"7d": 7, "30d": 30}
NAMES = ("24h", *DAYS_BY_NAME)
QUARTERS = (time(0), time(6), time(12), time(18))


@dataclass(frozen=True)
class Span:
    """From `edges[0]` until now, cut at the edges: whole hours, quarters of days, or days. The last step is the
    present one and not over."""

    name: str
    edges: tuple[datetime, ...]

    @property
    def start(self) -> datetime:
        """When it begins."""
        return self.edges[0]


def look_back(name: str, at: datetime, timezone: ZoneInfo) -> Span:
    """The span of that name; of 24 hours for a name that is none.

    "24h" is this hour and the 23 before; 7 and 30 days are that many days with today as the last.
    """
    if name not in DAYS_BY_NAME:
        hour = at.astimezone(timezone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        return Span(NAMES[0], tuple(hour - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)))
    days = days_until(local_day(at, timezone), DAYS_BY_NAME[name])
    if name == "30d":
        return Span(name, tuple(start_of(day, timezone) for day in days))
    quarters = (datetime.combine(day, at_time, timezone).astimezone(UTC) for day in days for at_time in QUARTERS)
    return Span(name, tuple(edge for edge in quarters if edge <= at))
