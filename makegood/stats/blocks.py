"""Of which sums whole days are read: months, quarters of a month and days, added or taken, the fewest rows.

Nearly everybody has a row in a month and in its quarter, and half of them in a day: then two days are as much to
read as either. Of a month that a range covers in part it may be less to read the month, and to take away what the
range does not cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from makegood.calendars import month_of, next_month, next_quarter, quarter_of

DAY = timedelta(days=1)
LIKE_DAYS = 2
"""As many days are as many rows as a quarter or a month."""
Days = tuple[date, date]


@dataclass(frozen=True)
class Period:
    """Into which pieces days are divided, by name: the first day of a day's piece, and of the next one."""

    name: str
    of: Callable[[date], date]
    following: Callable[[date], date]


MONTHS = Period("month", month_of, next_month)
QUARTERS = Period("quarter", quarter_of, next_quarter)
DAYS = Period("day", lambda day: day, lambda day: day + DAY)
PERIODS = (MONTHS, QUARTERS, DAYS)


@dataclass(frozen=True)
class Block:
    """Days that are read from the sums of a period, and added, or `taken` from what others add."""

    period: str
    since: date
    until: date
    taken: bool = False


def fewest(whole_days: Iterable[Days], today: date, periods: Sequence[Period] = PERIODS) -> list[Block]:
    """The blocks of these days that are the fewest rows. Days after today have nearly none. Each of `periods` is
    divided by the next, the last are days."""
    return [block for days in whole_days for block in _of(days, today, periods)]


def joined(blocks: Iterable[Block]) -> list[Block]:
    """The same with those that follow on each other as one, to be read in one go."""
    found: list[Block] = []
    for block in sorted(blocks, key=lambda one: (one.period, one.taken, one.since)):
        last = found[-1] if found else None
        if last and (last.period, last.taken, last.until) == (block.period, block.taken, block.since):
            found[-1] = replace(last, until=block.until)
        else:
            found.append(block)
    return found


def _of(days: Days, today: date, periods: Sequence[Period], taken: bool = False) -> list[Block]:
    """The days' blocks; what is taken from what was taken is added."""
    first, until = days
    period, *finer = periods
    if not finer:
        return [Block(period.name, first, until, taken)]
    found = []
    since = period.of(first)
    while since < until:
        following = period.following(since)
        inside = (max(first, since), min(until, following))
        outside = [part for part in ((since, inside[0]), (inside[1], following)) if part[0] < part[1]]
        whole = [Block(period.name, since, following, taken)]
        whole += [block for part in outside for block in _of(part, today, finer, not taken)]
        parts = _of(inside, today, finer, taken) if outside else whole
        found += min(parts, whole, key=lambda blocks: _rows(blocks, today))
        since = following
    return found


def _rows(blocks: Iterable[Block], today: date) -> int:
    """About how many rows they are, counted in those of a day."""
    past = [(block, (min(block.until, today + DAY) - block.since).days) for block in blocks]
    return sum(days if block.period == DAYS.name else LIKE_DAYS for block, days in past if days > 0)
