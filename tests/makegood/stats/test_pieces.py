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
from makegood.stats.pieces import BUCKET, Pieces

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


def _steps_of_buckets(parts: Pieces, zone: ZoneInfo) -> dict[tuple[datetime, int], int]:
    """How often each bucket counts in each step, as the statements made of the pieces count."""
    found: Counter[tuple[datetime, int]] = Counter()
    for first, until in parts.whole_days:
        at = parts.start
        while at < parts.end:
            if first <= local_day(at, zone) < until:
                found[at, bisect_right(parts.days, local_day(at, zone))] += 1
            at += BUCKET
    for since, until in parts.whole_buckets:
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
