"""How times and days are written for people: the template filters.

Times are shown in the reporting time zone, or in the one that the page's range asks for, with the exact time
behind a relative one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from flask import Flask, current_app, g
from markupsafe import Markup

from blueprints.formats import LOCALE


def now() -> datetime:
    """When this is rendered."""
    return datetime.now(UTC)


def exact(at: datetime) -> str:
    """The instant to the second in the reporting time zone, which it names."""
    zone = _zone()
    written = format_datetime(at, "d MMM y, HH:mm:ss", tzinfo=zone, locale=LOCALE)
    return f"{written} {at.astimezone(zone).tzname()}"


def ago(at: datetime | None, now: datetime | None = None) -> Markup | str:
    """A `<time>`: "2 hours ago", the exact instant on hover."""
    if at is None:
        return "Never"
    delta = at - (now or datetime.now(UTC))
    text = format_timedelta(delta, granularity="second", threshold=0.95, add_direction=True, locale=LOCALE)
    return _time(at, "just now" if abs(delta) < timedelta(seconds=5) else text, Markup(" data-ago"))


def moment(at: datetime) -> Markup:
    """A `<time>` for lists and logs: "21 Nov, 14:05", with the year if it is another one."""
    return _time(at, moment_text(at))


def moment_text(at: datetime) -> str:
    """What `moment` writes, as plain text."""
    zone = _zone()
    same_year = at.astimezone(zone).year == datetime.now(zone).year
    pattern = "d MMM, HH:mm" if same_year else "d MMM y, HH:mm"
    return format_datetime(at, pattern, tzinfo=zone, locale=LOCALE)


def clock(at: datetime) -> Markup:
    """A `<time>` to the second: "21 Nov 2026, 14:05:09"."""
    return _time(at, format_datetime(at, "d MMM y, HH:mm:ss", tzinfo=_zone(), locale=LOCALE))


@lru_cache(maxsize=8192)  # a page with charts writes the same days again and again
def dated(value: date, pattern: str) -> str:
    """A day by a pattern of Unicode's: `EEE, d MMM y`."""
    return format_date(value, pattern, locale=LOCALE)


def day(value: date) -> str:
    """A day in a list: 21 Nov."""
    return dated(value, "d MMM")


def long_day(value: date) -> str:
    """A day with its year: 21 Nov 2026."""
    return dated(value, "d MMM y")


def days(first: date, last: date, *, year: bool = True) -> str:
    """The days from one to another: 21 Nov 2026; 3 – 9 Nov 2026; 28 Dec 2025 – 3 Jan 2026."""
    if first == last:
        return long_day(last) if year else day(last)
    if first.year != last.year:
        return f"{long_day(first)} – {long_day(last)}"
    start = str(first.day) if first.month == last.month else day(first)
    return f"{start} – {long_day(last) if year else day(last)}"


def month(value: date) -> str:
    """A month: November 2026."""
    return dated(value, "MMMM y")


def _time(at: datetime, text: str, mark: str = "") -> Markup:
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(at.isoformat(), exact(at), mark, text)


def _zone() -> ZoneInfo:
    """The zone that this page asks for, else the reporting time zone."""
    zone: ZoneInfo = g.get("zone") or current_app.config["SETTINGS"].terms.timezone
    return zone


def init_app(app: Flask) -> None:
    """Give the templates these filters, and `now`."""
    for function in (exact, ago, moment, clock, day, long_day, days, month):
        app.add_template_filter(function)
    app.add_template_global(now)
