"""Whatever days a range has: its blocks add up to them, each day once, and are the fewest rows."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from makegood.stats import blocks
from makegood.stats.blocks import Block

DAY = timedelta(days=1)
TODAY = date(2026, 11, 22)


def counted(found: list[Block]) -> dict[date, int]:
    """How often each day is counted."""
    days: Counter[date] = Counter()
    for block in found:
        for number in range((block.until - block.since).days):
            days[block.since + number * DAY] += -1 if block.taken else 1
    return {day: times for day, times in days.items() if times}


@given(
    st.dates(date(2024, 1, 1), date(2026, 12, 31)),
    st.integers(1, 400),
    st.sampled_from([blocks.PERIODS, (blocks.MONTHS, blocks.DAYS)]),
)
def test_blocks_are_each_day_once(first: date, length: int, periods: tuple[blocks.Period, ...]) -> None:
    days = (first, first + length * DAY)
    found = blocks.fewest([days], TODAY, periods)
    for period, block in ((period, block) for block in found for period in periods if period.name == block.period):
        assert period.of(block.since) == block.since
        assert period.of(block.until) == block.until
    assert counted(found) == counted(blocks.joined(found)) == {first + n * DAY: 1 for n in range(length)}


def test_blocks_are_added_or_taken_whichever_are_fewer_rows() -> None:
    days = (date(2026, 8, 25), date(2026, 11, 23))
    assert [block for block in blocks.joined(blocks.fewest([days], TODAY)) if block.since <= TODAY] == [
        Block("day", date(2026, 8, 24), date(2026, 8, 25), taken=True),
        Block("month", date(2026, 9, 1), date(2026, 12, 1)),
        Block("quarter", date(2026, 8, 24), date(2026, 9, 1)),
    ]


def test_two_days_are_read_as_days_and_seven_as_a_quarter_less_what_is_beside_them() -> None:
    two, seven = (date(2026, 10, 8), date(2026, 10, 10)), (date(2026, 10, 8), date(2026, 10, 15))
    assert blocks.fewest([two], TODAY) == [Block("day", *two)]
    assert blocks.fewest([seven], TODAY) == [
        Block("quarter", date(2026, 10, 8), date(2026, 10, 16)),
        Block("day", date(2026, 10, 15), date(2026, 10, 16), taken=True),
    ]
