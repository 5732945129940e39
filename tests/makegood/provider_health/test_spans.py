"""The spans that provider pages look back over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from makegood.provider_health.spans import look_back

UTC_ZONE, BERLIN, KATHMANDU = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
AT = datetime(2026, 11, 21, 15, 7, 30, tzinfo=UTC)


def test_a_day_is_this_hour_and_the_23_before() -> None:
    span = look_back("24h", AT, UTC_ZONE)
    assert (span.name, len(span.edges)) == ("24h", 24)
    assert span.edges[0] == datetime(2026, 11, 20, 16, tzinfo=UTC)
    assert span.edges[-1] == datetime(2026, 11, 21, 15, tzinfo=UTC)


def test_hours_begin_where_the_time_zone_has_them() -> None:
    assert look_back("24h", AT, KATHMANDU).edges[-1] == datetime(2026, 11, 21, 14, 15, tzinfo=UTC)


def test_seven_days_are_cut_into_quarters_and_end_with_the_present_one() -> None:
    span = look_back("7d", AT, UTC_ZONE)
    assert span.start == datetime(2026, 11, 15, tzinfo=UTC)
    assert span.edges[-1] == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert len(span.edges) == 6 * 4 + 3


def test_thirty_days_are_days_with_today_as_the_last() -> None:
    span = look_back("30d", AT, UTC_ZONE)
    assert (span.start, span.edges[-1], len(span.edges)) == (
        datetime(2026, 10, 23, tzinfo=UTC),
        datetime(2026, 11, 21, tzinfo=UTC),
        30,
    )


@pytest.mark.parametrize("name", ["", "1y", "24H", "\0"])
def test_a_name_that_is_none_means_a_day(name: str) -> None:
    assert look_back(name, AT, UTC_ZONE) == look_back("24h", AT, UTC_ZONE)


@pytest.mark.parametrize("month", [3, 10])
@pytest.mark.parametrize("name", ["24h", "7d", "30d"])
def test_edges_ascend_on_quarters_of_an_hour_when_clocks_change(month: int, name: str) -> None:
    for hours in range(0, 72, 5):
        at = datetime(2026, month, 24, 11, tzinfo=UTC) + timedelta(days=1, hours=hours)
        edges = look_back(name, at, BERLIN).edges
        assert list(edges) == sorted(set(edges))
        assert edges[-1] <= at
        assert all(edge.minute % 15 == 0 and edge.second == 0 for edge in edges)
