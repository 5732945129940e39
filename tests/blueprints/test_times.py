"""How times and days are written for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

import settings
from blueprints import times

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def berlin() -> Iterator[None]:
    """An application whose days are Berlin's."""
    app = Flask(__name__)
    app.config["SETTINGS"] = settings.load(
        {
            "ENVIRONMENT": "test",
            "SECRET_KEY": "only-for-tests-0123456789-abcdefghijklmnop",
            "REPORTING_TIMEZONE": "Europe/Berlin",
        }
    )
    with app.app_context():
        yield


@pytest.mark.usefixtures("berlin")
def test_a_relative_time_has_the_exact_one_behind_it() -> None:
    html = times.ago(NOON - timedelta(hours=2), NOON)
    assert html == (
        '<time datetime="2026-11-20T10:00:00+00:00" title="20 Nov 2026, 11:00:00 CET" data-ago>2 hours ago</time>'
    )
    assert ">just now<" in times.ago(NOON, NOON)
    assert times.ago(None) == "Never"


@pytest.mark.usefixtures("berlin")
def test_times_are_in_the_reporting_time_zone() -> None:
    late = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert ">1 Jan 2026, 00:30:00<" in times.clock(late)
    assert times.moment(datetime(2020, 1, 1, tzinfo=UTC)).endswith(">1 Jan 2020, 01:00</time>")
    assert times.exact(late.astimezone(ZoneInfo("America/New_York"))) == "1 Jan 2026, 00:30:00 CET"


def test_days_and_months_are_written_out() -> None:
    value = date(2026, 11, 1)
    assert (times.day(value), times.long_day(value), times.month(value)) == (
        "1 Nov",
        "1 Nov 2026",
        "November 2026",
    )
