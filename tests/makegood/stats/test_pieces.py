"""From what a range's steps are made up: every quarter of an hour counts once, in its step."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from makegood import ranges
from makegood.calendars import local_day
from makegood.stats import pieces
from makegood.stats.pieces import BUCKET, HOUR, Pieces, next_hour

REPORTING = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia")
OTHERS = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Pacific/Kiritimati")
NOW = datetime(2026, 4, 5, 10, 30, tzinfo=UTC)  # clocks changed in Berlin and in New York shortly before
FIVE_DAYS = timedelta(days=5, hours=3)


@pytest.mark.parametrize("reporting", REPORTING)
@pytest.mark.parametrize("other", OTHERS)
def test_every_bucket_counts_once_in_its_step(reporting: str, other: str) -> None:
    zone, own = ZoneInfo(reporting), ZoneInfo(other)
    asked = (
        ranges.preset("30d", own, NOW),
        ranges.preset("today", own, NOW),
        ranges.within(NOW - FIVE_DAYS, NOW - timedelta(hours=7), own, NOW),
        ranges.within(NOW - timedelta(hours=70), NOW + timedelta(hours=5), own, NOW),
    )
    for span in asked:
        steps = [(step.start, step.end) for step in span.steps()]
        starts = [start for start, _ in steps]
        found = _steps_of_buckets(pieces.of_steps(steps, zone), zone)
        count = (steps[-1][1] - steps[0][0]) // BUCKET
        wanted = {
            (at, bisect_right(starts, at)): 1 for at in (steps[0][0] + BUCKET * number for number in range(count))
        }
        assert found == wanted, span


@pytest.mark.parametrize("other", OTHERS)
def test_a_whole_hour_is_in_one_step(other: str) -> None:
    for name in ("today", "30d"):
        steps = [(step.start, step.end) for step in ranges.preset(name, ZoneInfo(other), NOW).steps()]
        parts = pieces.of_steps(steps, ZoneInfo("UTC"))
        hours = [since + HOUR * n for since, until in parts.whole_hours for n in range((until - since) // HOUR)]
        assert all(at == next_hour(at) for at in hours)
        assert all(
            bisect_right(parts.starts, at) == bisect_right(parts.starts, at + HOUR - BUCKET) for at in hours
        )
        assert bool(hours) == (name == "30d" or other != "Asia/Kolkata")  # whose hours of today begin at half past


def _steps_of_buckets(parts: Pieces, zone: ZoneInfo) -> dict[tuple[datetime, int], int]:
    """How often each bucket counts in each step, as the statements made of the pieces count."""
    found: Counter[tuple[datetime, int]] = Counter()
    for first, until in parts.whole_days:
        at = parts.start
        while at < parts.end:
            if first <= local_day(at, zone) < until:
                found[at, bisect_right(parts.days, local_day(at, zone))] += 1
            at += BUCKET
    for since, until in (*parts.whole_hours, *parts.quarters):
        for number in range((until - since) // BUCKET):
            at = since + BUCKET * number
            found[at, bisect_right(parts.starts, at)] += 1
    for moved in parts.moved:
        first, last = moved.hours
        for since, until in ((moved.since, first), (first, last), (last, moved.until)):
            for number in range((until - since) // BUCKET):
                found[since + BUCKET * number, moved.to] += 1
                found[since + BUCKET * number, moved.of] -= 1
    return {key: count for key, count in found.items() if count}
