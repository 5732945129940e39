"""How figures and words are written for people."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprints import formats


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (999, "999"), (1234567, "1,234,567"), (-1234, "−1,234")])
def test_counts_group_thousands_with_a_true_minus(value: int, text: str) -> None:
    assert formats.number(value) == text


def test_a_change_of_a_balance_always_has_its_sign() -> None:
    assert [formats.signed(value) for value in (12, -12, 0)] == ["+12", "−12", "0"]


def test_a_noun_agrees_with_its_number() -> None:
    assert [formats.counted(value, "credit") for value in (0, 1, 2000)] == [
        "0 credits",
        "1 credit",
        "2,000 credits",
    ]


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "$0.00"),
        (None, "Unknown"),
        (4_999, "<$0.01"),
        (5_000, "$0.01"),
        (1_234_560_000, "$1,234.56"),
        (-38_000, "−$0.04"),
    ],
)
def test_totals_are_in_cents_and_never_pretend_to_be_nothing(micros: int | None, text: str) -> None:
    assert formats.usd(micros) == text


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (38_000, "$0.038"),
        (40_000, "$0.040"),
        (0, "$0.00"),
        (27_000_000, "$27.00"),
        (1, "$0.000001"),
        (None, "Unknown"),
    ],
)
def test_a_price_has_the_decimals_that_it_needs(micros: int | None, text: str) -> None:
    assert formats.usd_exact(micros) == text


@pytest.mark.parametrize(
    ("micros", "text"), [(9_000, "+$0.009"), (0, "$0.00"), (-1_500_000, "−$1.50"), (1_500_000, "+$1.50")]
)
def test_a_difference_has_its_sign(micros: int, text: str) -> None:
    assert formats.usd_change(micros) == text


@pytest.mark.parametrize(
    ("value", "text"), [(Decimal("3.000"), "3"), (Decimal("12.5"), "12.5"), (None, "No data"), (1234, "1,234")]
)
def test_a_quantity_has_the_decimals_that_it_has(value: Decimal | None, text: str) -> None:
    assert formats.measured(value) == text


def test_credits_of_a_provider_have_the_decimals_that_they_need() -> None:
    assert [formats.millionths(value) for value in (8_000_000, 500_000, 1)] == ["8", "0.5", "0.000001"]


def test_two_rates_of_a_sentence_have_the_same_decimals() -> None:
    low, high = Decimal("1.1580000000"), Decimal("1.1656000000")
    assert (formats.rate(low), formats.rate(low, high), formats.rate(high, low)) == ("1.158", "1.1580", "1.1656")
    assert (formats.rate(Decimal(2)), formats.rate(Decimal("0.0066"))) == ("2.00", "0.0066")


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "No data"),
        (Decimal(0), "0.0%"),
        (Decimal(1), "100.0%"),
        (Decimal("0.99999"), "99.9%"),
        (Decimal("0.00001"), "<0.1%"),
        (Decimal("0.9735"), "97.4%"),
        (Decimal("0.97349"), "97.3%"),
    ],
)
def test_a_rate_is_perfect_only_when_it_is(rate: Decimal | None, text: str) -> None:
    assert formats.percent(rate) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(412, "412 ms"), (38_123, "38.1 s"), (600_000, "10 min"), (None, "No data")]
)
def test_a_duration_has_its_unit(milliseconds: int | None, text: str) -> None:
    assert formats.duration(milliseconds) == text


@given(text=st.text(max_size=80), length=st.integers(3, 40))
def test_a_shortened_id_keeps_both_ends(text: str, length: int) -> None:
    short = formats.middle(text, length)
    assert len(short) <= max(length, 3)
    assert short == text or (text.startswith(short.split("…")[0]) and "…" in short)
