"""What the panels derive from sums."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makegood.models.rollups import MEASURES
from makegood.stats import Usage
from makegood.stats.figures import MEASURE_NAMES

COUNTS = st.integers(-(10**12), 10**12)
USAGES = st.builds(Usage, **dict.fromkeys(MEASURE_NAMES, COUNTS))


def test_a_rate_without_a_denominator_is_no_data() -> None:
    assert Usage(generations=5, cancelled=5).success_rate.exact is None
    assert Usage(failed=1).success_rate.exact == 0
    assert Usage(succeeded=2, failed=1, cancelled=7).success_rate.exact == Decimal(2) / 3
    assert Usage(succeeded=2, failed=1, cancelled=7).ended == 3


def test_a_rate_of_fewer_than_twenty_is_not_shown() -> None:
    few, enough = Usage(succeeded=19).success_rate, Usage(failed=20).success_rate
    assert (few.exact, few.shown, bool(few)) == (1, None, False)
    assert (enough.exact, enough.shown, bool(enough)) == (0, 0, True)


@pytest.mark.parametrize(
    ("usage", "average"),
    [
        (Usage(), None),
        (Usage(generations=3, unknown_costs=3), None),
        (Usage(generations=3, unknown_costs=1, cost_micros=5), 3),
        (Usage(generations=2, cost_micros=0), 0),
        (Usage(generations=3, cost_micros=100), 33),
        (Usage(generations=4, cost_micros=10), 3),
    ],
)
def test_the_average_cost_is_of_known_costs_rounded_half_up(usage: Usage, average: int | None) -> None:
    assert usage.average_cost_micros == average


def test_net_credits_are_charged_less_refunded() -> None:
    assert Usage(credits_charged=10, credits_refunded=12).net_credits == -2


@given(st.lists(USAGES, max_size=5))
def test_a_total_adds_every_measure(parts: list[Usage]) -> None:
    total = Usage.total(iter(parts))
    assert {name: getattr(total, name) for name in MEASURE_NAMES} == {
        name: sum(getattr(part, name) for part in parts) for name in MEASURE_NAMES
    }


def test_figures_and_tables_have_the_same_measures() -> None:
    assert MEASURE_NAMES == MEASURES
