"""Amounts of money in any currency."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from makegood import money


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [
        (123450, "usd", "$1,234.50"),
        (-5, "eur", "−€0.05"),
        (500, "jpy", "¥500"),
        (1234, "kwd", "KWD\N{NO-BREAK SPACE}1.234"),
        (500, "ugx", "UGX\N{NO-BREAK SPACE}5.00"),
        (500, "mga", "MGA\N{NO-BREAK SPACE}500"),
        (0, "usd", "$0.00"),
    ],
)
def test_an_amount_is_written_with_the_decimals_that_stripe_counts_in(
    minor: int, currency: str, said: str
) -> None:
    assert money.format(minor, currency) == said
    assert money.major(minor, currency).scaleb(money.exponent(currency)) == minor


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("19.99", "usd", 1999),
        ("1,000", "usd", 100000),
        (" 7 ", "jpy", 7),
        ("0.5", "kwd", 500),
        ("-3", "usd", -300),
    ],
)
def test_what_is_typed_becomes_minor_units(typed: str, currency: str, minor: int) -> None:
    assert money.parse(typed, currency) == minor


@pytest.mark.parametrize(
    ("typed", "currency"),
    [("1.234", "usd"), ("1.5", "jpy"), ("", "usd"), ("nan", "usd"), ("inf", "usd"), ("1e40", "usd"), ("x", "usd")],
)
def test_what_is_no_amount_of_the_currency_is_refused(typed: str, currency: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        money.parse(typed, currency)


@pytest.mark.parametrize(
    ("exact", "whole"),
    [(Fraction(1, 2), 1), (Fraction(-1, 2), -1), (Fraction(1, 3), 0), (Fraction(5, 3), 2), (Decimal("2.5"), 3)],
)
def test_a_sum_is_rounded_once_with_halves_away_from_zero(exact: Fraction | Decimal, whole: int) -> None:
    assert money.rounded(exact) == whole
