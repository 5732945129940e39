"""Ranges: what their names mean, what they are compared with, and their steps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from makegood import ranges
from makegood.ranges import PRESETS, Range

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 21, 14, 7, 30, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last", "before"),
    [
        ("today", "2026-11-21", "2026-11-21", ("2026-11-20", "2026-11-20T14:07:30")),
        ("yesterday", "2026-11-20", "2026-11-20", ("2026-11-19", "2026-11-20")),
        ("7d", "2026-11-15", "2026-11-21", ("2026-11-08", "2026-11-14T14:07:30")),
        ("30d", "2026-10-23", "2026-11-21", ("2026-09-23", "2026-10-22T14:07:30")),
        ("90d", "2026-08-24", "2026-11-21", ("2026-05-26", "2026-08-23T14:07:30")),
        ("week", "2026-11-16", "2026-11-21", ("2026-11-09", "2026-11-14T14:07:30")),
        ("last-week", "2026-11-09", "2026-11-15", ("2026-11-02", "2026-11-09")),
        ("month", "2026-11-01", "2026-11-21", ("2026-10-01", "2026-10-21T14:07:30")),
        ("last-month", "2026-10-01", "2026-10-31", ("2026-09-01", "2026-10-01")),
    ],
)
def test_a_preset_is_compared_with_the_same_part_of_the_period_before(
    name: str, first: str, last: str, before: tuple[str, str]
) -> None:
    found = ranges.preset(name, UTC_ZONE, NOW)
    assert (found.first, found.last) == (date.fromisoformat(first), date.fromisoformat(last))
    assert found.partial == (last == "2026-11-21")
    earlier = found.previous()
    assert (earlier.start, earlier.end) == (at(before[0]), at(before[1]))


def test_every_preset_has_a_range() -> None:
    for name in PRESETS:
        assert ranges.preset(name, BERLIN, NOW).preset == name


@pytest.mark.parametrize(
    ("now", "zone", "this", "last"),
    [
        ("2026-11-22T23:30", "UTC", "2026-11-16", "2026-11-09"),  # a Sunday is its week's last day
        ("2026-11-22T23:30", "Europe/Berlin", "2026-11-23", "2026-11-16"),
        ("2026-11-23T08:30", "Pacific/Honolulu", "2026-11-16", "2026-11-09"),
        ("2027-01-01T12:00", "UTC", "2026-12-28", "2026-12-21"),
        ("2025-12-31T12:00", "UTC", "2025-12-29", "2025-12-22"),
        ("2028-03-01T12:00", "UTC", "2028-02-28", "2028-02-21"),
    ],
)
def test_a_week_begins_on_the_zones_own_monday_whatever_the_year(
    now: str, zone: str, this: str, last: str
) -> None:
    week, before = (ranges.preset(name, ZoneInfo(zone), at(now)) for name in ("week", "last-week"))
    assert (week.first, before.first) == (date.fromisoformat(this), date.fromisoformat(last))
    assert (before.last + timedelta(days=1), before.end, len(before.days())) == (week.first, week.start, 7)
    assert (week.previous().first, before.previous().last) == (before.first, before.first - timedelta(days=1))
    assert (week.partial, before.partial) == (True, False)


def test_monday_is_compared_with_the_monday_before_and_a_week_whose_clocks_changed_with_a_whole_one() -> None:
    monday = ranges.preset("week", BERLIN, at("2026-10-26T13:00"))
    assert (monday.first, monday.last) == (date(2026, 10, 26), date(2026, 10, 26))
    assert (monday.previous().start, monday.previous().end) == (at("2026-10-18T22:00"), at("2026-10-19T12:00"))
    longer = ranges.preset("last-week", BERLIN, at("2026-10-26T13:00"))
    assert longer.end - longer.start == timedelta(days=7, hours=1)
    assert longer.previous().end - longer.previous().start == timedelta(days=7)


def test_a_day_is_the_zones_own_day() -> None:
    late = at("2026-11-21T23:30")
    assert ranges.preset("today", BERLIN, late).first == date(2026, 11, 22)
    assert ranges.preset("today", BERLIN, late).start == at("2026-11-21T23:00")
    assert ranges.preset("today", UTC_ZONE, late).first == date(2026, 11, 21)


def test_the_last_day_of_a_long_month_is_compared_with_all_of_a_short_one() -> None:
    earlier = ranges.preset("month", UTC_ZONE, at("2027-03-31T08:00")).previous()
    assert (earlier.start, earlier.end) == (at("2027-02-01"), at("2027-03-01"))


def test_a_range_that_reaches_into_the_future_is_compared_as_far_as_it_has_come() -> None:
    asked = Range(date(2026, 11, 20), date(2026, 11, 29), UTC_ZONE, NOW)
    assert asked.partial
    assert asked.previous().first == date(2026, 11, 10)
    assert asked.previous().end == at("2026-11-11T14:07:30")
    assert len(asked.previous().steps()) == 2


def test_the_part_that_has_passed_is_cut_by_the_clock_even_where_it_changes() -> None:
    """On 25 October 2026 Berlin's day has 25 hours: 14:00 there is 15 hours after midnight."""
    today = ranges.preset("today", BERLIN, at("2026-10-25T13:00"))
    assert today.end - today.start == timedelta(hours=25)
    assert today.previous().end == at("2026-10-24T12:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-11-20", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Asia/Kathmandu", "2026-11-20", 24),
        ("Australia/Lord_Howe", "2026-10-04", 24),
    ],
)
def test_a_days_hours_follow_on_each_other_whatever_its_clocks_do(zone: str, day: str, hours: int) -> None:
    asked = Range(date.fromisoformat(day), date.fromisoformat(day), ZoneInfo(zone), NOW)
    steps = asked.steps()
    assert len(steps) == hours
    assert {step.unit for step in steps} == {"hour"}
    assert (steps[0].start, steps[-1].end) == (asked.start, asked.end)
    assert all(one.end == two.start for one, two in pairwise(steps))


def test_steps_are_days_up_to_half_a_year_and_then_months() -> None:
    days = Range(date(2026, 6, 1), date(2026, 11, 30), BERLIN, NOW)
    assert [step.first for step in days.steps()] == days.days()
    months = Range(date(2026, 1, 15), date(2026, 11, 21), BERLIN, NOW).steps()
    assert [(step.first.day, step.last.month) for step in months][:2] == [(15, 1), (1, 2)]
    assert (months[-1].last, months[-1].unit) == (date(2026, 11, 21), "month")
    assert all(one.end == two.start for one, two in pairwise(months))


def test_instants_make_a_range_that_is_compared_with_one_as_long_before() -> None:
    asked = ranges.within(at("2026-11-20T22:00"), at("2026-11-21T01:00"), BERLIN, NOW)
    assert (asked.first, asked.last) == (date(2026, 11, 20), date(2026, 11, 21))
    assert (asked.previous().start, asked.previous().end) == (at("2026-11-20T19:00"), at("2026-11-20T22:00"))
    assert [step.start for step in asked.steps()][1] == at("2026-11-20T23:00")
    with pytest.raises(ValueError, match="ends after it starts"):
        ranges.within(NOW, NOW, BERLIN, NOW)


@pytest.mark.parametrize("name", ["Nowhere/Land", "../../etc/passwd", "/etc/localtime", "", "Europe"])
def test_what_is_no_time_zone_is_none(name: str) -> None:
    assert ranges.zone_named(name) is None
