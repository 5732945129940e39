"""How ranges, and the change of a figure since the period before, are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from blueprints import formats, times
from blueprints.admin import blueprint
from makegood import money
from makegood.calendars import start_of
from makegood.ranges import Range
from makegood.stats.figures import Rate


def _average(value: Decimal) -> str:
    """A number of customers: whole where it is, else with one decimal below ten."""
    return f"{value:,.1f}" if value < 10 and value % 1 else formats.number(int(value.quantize(Decimal(1))))


WRITTEN: dict[str, Callable[[Any], str]] = {
    "count": formats.number,
    "average": _average,
    "usd": formats.usd,
    "usd_average": formats.usd_average,
    "duration": formats.duration,
    "rate": formats.percent,
}
MANIFOLD = 10
SAYS_NONE = ("usd", "usd_average", "duration", "rate")
"""The kinds that have words for what is not known."""
MINOR = "minor:"
"""How the kind of an amount in minor units begins; its currency follows: `minor:eur`."""


@dataclass(frozen=True)
class Change:
    """A change in short, what it was before in words, and whether it went up (1), down (−1) or neither (0)."""

    text: str
    said: str
    direction: int


def write(value: Any, kind: str) -> str:
    """A figure that is known, as its kind is written: one of WRITTEN, or an amount of a currency (`minor:eur`)."""
    if kind.startswith(MINOR):
        return money.format(int(value), kind.removeprefix(MINOR))
    return WRITTEN[kind](value)


@blueprint.app_template_filter("written")
def written(value: int | Decimal | Rate | None, kind: str) -> str:
    """A figure as its kind is written."""
    return write(value, kind) if value is not None or kind in SAYS_NONE else "–"


@blueprint.app_template_filter("average")
def average(value: Decimal) -> str:
    """An average of counts."""
    return _average(value)


@blueprint.app_template_filter("change")
def change(
    now: int | Decimal | Rate | None, before: int | Decimal | Rate | None, kind: str = "count"
) -> Change | None:
    """How a figure changed: percent of what it was (from tenfold on how many times), or points for a rate. None
    where one of them has no data, or is a rate of too few."""
    now, before = (value.shown if isinstance(value, Rate) else value for value in (now, before))
    if now is None or before is None:
        return None
    said = f"{write(before, kind)} before"
    direction = (now > before) - (now < before)
    if kind == "rate":
        return Change(f"{_signed((Decimal(now) - Decimal(before)) * 100, Decimal('0.1'))} pts", said, direction)
    if not before:
        return Change("from 0" if now else "±0%", said, direction)
    if before > 0 and now >= MANIFOLD * before:
        return Change(f"×{formats.number(int(Decimal(now) / Decimal(before)))}", said, direction)
    percent = (Decimal(now) - Decimal(before)) * 100 / abs(Decimal(before))
    if direction and abs(percent) < Decimal("0.5"):
        return Change("+<1%" if direction > 0 else f"{formats.MINUS}<1%", said, direction)
    return Change(f"{_signed(percent, Decimal(1))}%", said, direction)


@blueprint.app_template_filter("span")
def span(range: Range, year: bool = True) -> str:
    """A range in words: 3 – 9 Nov 2026; with the time where it ends within a day: 3 – 9 Nov until 14:05."""
    if range.since is not None:
        return f"{_moment(range.start, range.zone, year)} – {_moment(range.end, range.zone, year)}"
    last = range.last
    if range.until is not None and range.until > range.start:
        last = (range.until - timedelta(microseconds=1)).astimezone(range.zone).date()
    said = times.days(range.first, last, year=year)
    if range.until is None or range.until >= start_of(last + timedelta(days=1), range.zone):
        return said
    return f"{said} until {range.until.astimezone(range.zone):%H:%M}"


def _moment(at: datetime, zone: ZoneInfo, year: bool) -> str:
    local = at.astimezone(zone)
    day = times.long_day(local.date()) if year else times.day(local.date())
    return f"{day}, {local:%H:%M}"


def _signed(value: Decimal, smallest: Decimal) -> str:
    shown = value.quantize(smallest, ROUND_HALF_UP)
    sign = "+" if shown > 0 else formats.MINUS if shown < 0 else "±"
    return f"{sign}{abs(shown):,}"
