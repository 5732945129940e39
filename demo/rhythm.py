"""When the demo's customers are at work: days, hours, and one bad afternoon."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from demo.chance import Chance
from makegood.calendars import local_day, start_of
from makegood.terms import Terms

DAYS = 90
INCIDENT_DAYS_AGO = 23
INCIDENT_BEGINS, INCIDENT_ENDS = time(13, 20), time(15, 40)
SIMULATED_DAYS = 21
"""How long ago the provider on this machine came into use."""

WEEKDAYS = (1.0, 1.08, 1.1, 1.05, 0.95, 0.7, 0.66)
HOURS = (3, 2, 1, 1, 1, 2, 4, 7, 11, 15, 17, 16, 14, 16, 17, 17, 16, 14, 13, 14, 15, 13, 9, 5)


@dataclass(frozen=True)
class Rhythm:
    """The time that the history spans: from the first day's beginning to now."""

    terms: Terms
    start: datetime
    now: datetime
    _span: timedelta = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_span", self.now - self.start)

    @classmethod
    def until(cls, now: datetime, terms: Terms, not_before: datetime) -> Rhythm:
        """About 90 days up to `now`, but not before prices are known."""
        start = start_of(local_day(now, terms.timezone) - timedelta(days=DAYS), terms.timezone)
        return cls(terms, max(start, not_before), now)

    def at(self, share: float) -> datetime:
        """The instant at which this share of the time has passed."""
        return self.start + timedelta(seconds=round(self._span.total_seconds() * share))

    def days(self, first: datetime) -> list[date]:
        """The calendar days from an instant to now."""
        zone = self.terms.timezone
        day, today, days = local_day(first, zone), local_day(self.now, zone), []
        while day <= today:
            days.append(day)
            day += timedelta(days=1)
        return days

    def busy(self, day: date) -> float:
        """How much more or less than usual happens on a day."""
        return WEEKDAYS[day.weekday()]

    def moment(self, chance: Chance, day: date) -> datetime:
        """An instant of a day, at hours at which people are awake."""
        hour = chance.choices(range(24), HOURS)[0]
        return start_of(day, self.terms.timezone) + timedelta(hours=hour) + chance.seconds(0, 3600)

    def in_office(self, at: datetime) -> datetime:
        """The next instant from `at` on at which an operator is at work."""
        local = at.astimezone(self.terms.timezone)
        if local.hour < 8:
            return at + timedelta(hours=8 - local.hour)
        return at + timedelta(hours=32 - local.hour) if local.hour > 18 else at

    def incident(self, provider: str, at: datetime) -> bool:
        """Whether the provider was in trouble at that instant."""
        local = at.astimezone(self.terms.timezone)
        day = local_day(self.now, self.terms.timezone) - timedelta(days=INCIDENT_DAYS_AGO)
        return provider == "wavespeed" and local.date() == day and INCIDENT_BEGINS <= local.time() < INCIDENT_ENDS

    def simulated(self, at: datetime) -> bool:
        """Whether the provider on this machine was in use."""
        return at > self.now - timedelta(days=SIMULATED_DAYS)
