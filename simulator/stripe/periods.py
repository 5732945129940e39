"""Periods of subscriptions: how long a price's is, and months of different lengths."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

from simulator.stripe.account import DAY
from simulator.stripe.objects import Object

SECONDS = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}


def period_end(price: Object, start: int) -> int:
    """When a period of the price ends that begins at `start`."""
    interval, count = price["recurring"]["interval"], int(price["recurring"]["interval_count"])
    if interval in SECONDS:
        return start + count * SECONDS[interval]
    return add_months(start, count * MONTHS[interval])


def add_months(moment: int, months: int) -> int:
    """The same day and time some months later, or the month's last day."""
    then = datetime.fromtimestamp(moment, UTC)
    year, month = divmod(then.year * 12 + then.month - 1 + months, 12)
    day = min(then.day, calendar.monthrange(year, month + 1)[1])
    return int(then.replace(year=year, month=month + 1, day=day).timestamp())
