"""Ranges in the URL: what they mean, what is said of what they cannot mean, and that links carry them on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from blueprints.admin import comparisons, filters
from blueprints.admin.filters import Filters
from makegood import ranges
from makegood.ranges import Range, preset

TODAY = datetime.now(UTC).date()


def read(app: Flask, query: str, default: str | None = "7d", cookie: str = "") -> Filters:
    headers = {"Cookie": f"timezone={cookie}"} if cookie else {}
    with app.test_request_context(f"/admin/failures?{query}", headers=headers):
        return filters.read(("provider",), default)


def asked(app: Flask, query: str, default: str | None = "7d", cookie: str = "") -> Range:
    found = read(app, query, default, cookie).range
    assert found is not None
    return found


def test_without_a_range_a_page_of_figures_has_its_own_and_a_list_has_all_time(app: Flask) -> None:
    assert asked(app, "").preset == "7d"
    assert read(app, "", None).range is None
    assert read(app, "", None).start is None


@pytest.mark.parametrize("name", list(ranges.PRESETS))
def test_a_preset_stands_in_the_url_by_its_name(app: Flask, name: str) -> None:
    assert asked(app, f"range={name}").preset == name


def test_two_dates_are_the_days_from_one_to_the_other_with_both(app: Flask) -> None:
    found = asked(app, "from=2026-11-03&to=2026-11-09&range=7d")
    assert (found.first, found.last, found.preset) == (date(2026, 11, 3), date(2026, 11, 9), None)
    assert (found.start, found.end) == (datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))


def test_a_range_with_a_beginning_only_ends_with_today(app: Flask) -> None:
    assert asked(app, f"from={TODAY - timedelta(days=3)}", None).last == TODAY


def test_a_range_with_an_end_only_is_all_before_it_on_a_list_and_as_long_as_the_pages_own_elsewhere(
    app: Flask,
) -> None:
    found = read(app, "to=2026-11-09", None)
    assert (found.range, found.start, found.end) == (None, None, datetime(2026, 11, 10, tzinfo=UTC))
    assert asked(app, "to=2026-11-09").first == date(2026, 11, 3)


def test_instants_are_half_open(app: Flask) -> None:
    found = asked(app, "from=2026-11-21T14:00Z&to=2026-11-21T15:00Z")
    assert (found.start, found.end) == (
        datetime(2026, 11, 21, 14, tzinfo=UTC),
        datetime(2026, 11, 21, 15, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("range=fortnight", "“fortnight” is no range"),
        ("from=2026-13-01", "“2026-13-01” is no date"),
        ("from=2026-11-21T14:00", "is no date"),
        ("from=2026-11-21T25:00Z", "is no date"),
        ("from=0001-01-01", "is no date"),
        ("zone=Mars/Olympus", "“Mars/Olympus” is no time zone"),
        ("zone=../../etc/passwd", "is no time zone"),
        ("zone=right/Europe/Berlin", "is no time zone"),
        ("zone=localtime", "is no time zone"),
        ("from=2026-11-09&to=2026-11-03", "its ends were exchanged"),
        ("from=2000-01-01&to=2999-12-31", "at most ten years"),
    ],
)
def test_what_cannot_be_meant_is_left_out_and_said_so(app: Flask, query: str, said: str) -> None:
    found = read(app, query)
    assert len(found.problems) == 1
    assert said in found.problems[0]
    assert found.range is not None
    assert found.range.start < found.range.end


def test_equal_instants_do_not_break_a_range(app: Flask) -> None:
    found = asked(app, "from=2026-11-21T14:00Z&to=2026-11-21T14:00Z")
    assert found.start < found.end


def test_days_are_those_of_the_zone_in_the_url(app: Flask) -> None:
    found = read(app, "from=2026-11-21&to=2026-11-21&zone=Asia/Kathmandu")
    assert found.range is not None
    assert found.range.start == datetime(2026, 11, 20, 18, 15, tzinfo=UTC)
    assert found.span == {"from": "2026-11-21", "to": "2026-11-21", "zone": "Asia/Kathmandu"}


def test_the_operators_own_zone_stands_in_links_by_its_name(app: Flask) -> None:
    """A link that says `local` would show its receiver other figures."""
    assert read(app, "zone=local", cookie="Europe%2FBerlin").span == {"zone": "Europe/Berlin", "range": "7d"}
    assert read(app, "zone=local").span == {"range": "7d"}
    assert read(app, "zone=local", cookie="Not/A/Zone").zone.key == "UTC"


def test_a_link_to_another_range_keeps_the_other_filters_and_the_zone(app: Flask) -> None:
    query = "from=2026-11-03&to=2026-11-09&zone=Europe/Berlin&provider=fal"
    with app.test_request_context(f"/admin/failures?{query}"):
        found = filters.read(("provider",))
        assert found.url(range="30d") == "/admin/failures?provider=fal&zone=Europe/Berlin&range=30d"
        assert found.url(range=None) == "/admin/failures?provider=fal&zone=Europe/Berlin"
        assert "from=2026-11-03&to=2026-11-09" in found.url(zone=None)
        assert found.kept == {"provider": "fal", "zone": "Europe/Berlin"}


def test_a_chip_takes_away_one_end_and_keeps_the_other(app: Flask) -> None:
    with app.test_request_context("/admin/failures?from=2026-11-03&to=2026-11-09"):
        shown = filters.chips(filters.read(()), {"from": "From", "to": "Until"}, {})
    assert [(chip.label, chip.without) for chip in shown] == [
        ("From: 3 Nov 2026", "/admin/failures?to=2026-11-09"),
        ("Until: 9 Nov 2026", "/admin/failures?from=2026-11-03"),
    ]


@pytest.mark.parametrize(
    ("now", "before", "kind", "text", "direction"),
    [
        (12, 10, "count", "+20%", 1),
        (10, 12, "count", "−17%", -1),
        (10, 10, "count", "±0%", 0),
        (1001, 1000, "count", "+<1%", 1),
        (5, 0, "count", "from 0", 1),
        (0, 0, "count", "±0%", 0),
        (0, 4, "count", "−100%", -1),
        (99, 10, "count", "+890%", 1),
        (250, 1, "count", "×250", 1),
    ],
)
def test_a_change_is_told_with_its_sign(now: int, before: int, kind: str, text: str, direction: int) -> None:
    found = comparisons.change(now, before, kind)
    assert found is not None
    assert (found.text, found.direction) == (text, direction)


def test_what_has_no_data_has_no_change() -> None:
    assert comparisons.change(None, 4) is None
    assert comparisons.change(4, None, "rate") is None


def test_a_range_that_ends_within_a_day_says_when(app: Flask) -> None:
    now = datetime(2026, 11, 21, 14, 7, tzinfo=UTC)
    with app.test_request_context("/"):
        month = preset("month", filters.reporting_zone(), now)
        assert comparisons.span(month) == "1 – 21 Nov 2026"
        assert comparisons.span(month.previous(), year=False) == "1 – 21 Oct until 14:07"
        assert comparisons.span(preset("today", month.zone, now).previous()) == "20 Nov 2026 until 14:07"
        last = preset("last-month", month.zone, now)
        assert comparisons.span(last.previous()) == "1 – 30 Sep 2026"
        hours = ranges.within(now, now + timedelta(hours=2), month.zone, now)
        assert comparisons.span(hours) == "21 Nov 2026, 14:07 – 21 Nov 2026, 16:07"
