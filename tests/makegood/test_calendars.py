"""Days and months begin where their time zone says, whatever its clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.calendars import days_until, local_day, month_of, next_month, next_quarter, quarter_of, start_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Santiago",
    "America/Havana",
    "America/Nuuk",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
DAYS = st.dates(date(2011, 11, 10), date(2037, 12, 30))
MOMENT = timedelta(microseconds=1)


@given(DAYS, st.sampled_from(ZONES))
def test_a_day_begins_at_its_first_instant_and_the_one_before_ends_there(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    start = start_of(day, zone)
    assert start.tzinfo is UTC
    assert local_day(start - MOMENT, zone) < day <= local_day(start, zone)


@given(DAYS, st.sampled_from(ZONES), st.integers(0, 86_399_999_999))
def test_every_instant_lies_in_one_day(day: date, name: str, offset: int) -> None:
    zone = ZoneInfo(name)
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(microseconds=offset)
    local = local_day(instant, zone)
    assert start_of(local, zone) <= instant < start_of(local + timedelta(days=1), zone)


@pytest.mark.parametrize(
    ("name", "day", "start", "hours"),
    [
        ("UTC", date(2026, 2, 28), "2026-02-28T00:00", 24),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00", 23),
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-24T22:00", 25),
        # Clocks skip midnight: the day begins at 01:00.
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00", 23),
        # The hour before midnight happens twice.
        ("America/Santiago", date(2026, 4, 4), "2026-04-04T03:00", 25),
        # The hour after midnight happens twice: the day begins with the first.
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00", 25),
        ("Asia/Kathmandu", date(2026, 3, 1), "2026-02-28T18:15", 24),
        ("Australia/Lord_Howe", date(2026, 10, 4), "2026-10-03T13:30", 23.5),
        # A day that never was, when Samoa moved across the date line.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00", 0),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00", 24),
    ],
)
def test_days_have_the_hours_that_their_clocks_give(name: str, day: date, start: str, hours: float) -> None:
    zone = ZoneInfo(name)
    assert start_of(day, zone) == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert start_of(day + timedelta(days=1), zone) - start_of(day, zone) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("day", "after"),
    [
        (date(2026, 1, 31), date(2026, 2, 1)),
        (date(2028, 2, 29), date(2028, 3, 1)),
        (date(2026, 11, 30), date(2026, 12, 1)),
        (date(2026, 12, 1), date(2027, 1, 1)),
        (date(2026, 12, 31), date(2027, 1, 1)),
    ],
)
def test_the_next_month_begins_after_this_one(day: date, after: date) -> None:
    assert next_month(day) == after
    assert month_of(after - timedelta(days=1)) == month_of(day) == day.replace(day=1)


def test_a_quarter_of_a_month_is_the_same_here_and_in_the_database(session: Session) -> None:
    days = [date(2028, 1, 1) + timedelta(days=number) for number in range(366)]
    found = session.execute(text("SELECT day, quarter_of_month(day) FROM unnest(:days) AS day"), {"days": days})
    assert [tuple(row) for row in found] == [(day, quarter_of(day)) for day in days]
    assert all(quarter_of(day + timedelta(days=1)) in (quarter_of(day), next_quarter(day)) for day in days)
    assert [day.day for day in days if quarter_of(day) == day] == [1, 8, 16, 24] * 12


def test_a_month_is_the_time_zones_own() -> None:
    instant = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert month_of(local_day(instant, ZoneInfo("Europe/Berlin"))) == date(2026, 11, 1)
    assert month_of(local_day(instant, ZoneInfo("America/Santiago"))) == date(2026, 10, 1)


def test_a_row_of_days_ends_with_its_last_and_leaves_none_out() -> None:
    assert days_until(date(2026, 3, 2), 3) == [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)]
    assert days_until(date(2026, 3, 2), 1) == [date(2026, 3, 2)]
