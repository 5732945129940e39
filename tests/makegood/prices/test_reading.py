"""Reading prices: what people may write, and what each mistake is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from makegood.errors import Invalid
from makegood.prices import lines, reading

GOOD = {
    "provider": "nanobanana",
    "model": "acme/painter",
    "unit": "image",
    "qualifier": "",
    "per": "1",
    "currency": "USD",
    "amount": "0.04",
    "rate": "",
    "effective_from": "2026-11-21",
    "effective_to": "",
    "source": "https://acme.example/prices",
    "certainty": "documented",
}
CREDITS = {"currency": "credits", "amount": "8", "rate": "0.005"}


def test_a_date_is_midnight_in_utc_and_a_zone_is_honoured() -> None:
    entry = reading.read(GOOD | {"effective_to": "2026-12-01T12:00:00+02:00"})
    assert entry.start == datetime(2026, 11, 21, tzinfo=UTC)
    assert entry.end == datetime(2026, 12, 1, 10, tzinfo=UTC)
    assert entry.quote.unit_price_micros == 40_000


def test_credits_are_worth_their_rate() -> None:
    quote = reading.read(GOOD | CREDITS).quote
    assert (quote.amount_micros, quote.rate_micros, quote.unit_price_micros) == (8_000_000, 5_000, 40_000)
    assert reading.read(GOOD | CREDITS | {"amount": "0.0001"}).quote.unit_price_micros == 1  # half is rounded up


@pytest.mark.parametrize(
    ("wrong", "field", "why"),
    [
        ({"provider": "acme"}, "provider", "must be one of"),
        ({"provider": ""}, "provider", "must be one of"),
        ({"model": ""}, "model", "is missing"),
        ({"model": "x" * 201}, "model", "longer than 200"),
        ({"model": "a\x00b"}, "model", "cannot be shown"),
        ({"model": "=cmd()"}, "model", "formula"),
        ({"source": "+1"}, "source", "formula"),
        ({"source": "@SUM(A1)"}, "source", "formula"),
        ({"source": ""}, "source", "is missing"),
        ({"qualifier": "-1"}, "qualifier", "formula"),
        ({"unit": "hour"}, "unit", "must be one of"),
        ({"certainty": "sure"}, "certainty", "must be one of"),
        ({"currency": "EUR"}, "currency", "must be one of"),
        ({"per": "0"}, "per", "whole number"),
        ({"per": "1.5"}, "per", "whole number"),
        ({"per": "10000000000"}, "per", "whole number"),
        ({"amount": "-0.01"}, "amount", "negative"),
        ({"amount": ""}, "amount", "is missing"),
        ({"amount": "0,04"}, "amount", "number such as"),
        ({"amount": "NaN"}, "amount", "number such as"),
        ({"amount": "1e3"}, "amount", "number such as"),
        ({"amount": "١"}, "amount", "number such as"),
        ({"amount": "1000.01"}, "amount", "more than $1,000"),
        ({"amount": "0.0000001"}, "amount", "six decimals"),
        ({"rate": "0.005"}, "rate", "only for prices in credits"),
        (CREDITS | {"rate": ""}, "rate", "is missing"),
        (CREDITS | {"rate": "0"}, "rate", "above zero"),
        (CREDITS | {"amount": "1000001"}, "amount", "more than 1,000,000 credits"),
        (CREDITS | {"amount": "1000", "rate": "2"}, "amount", "at this rate"),
        ({"effective_from": "21.11.2026"}, "effective_from", "date such as"),
        ({"effective_from": ""}, "effective_from", "is missing"),
        ({"effective_from": "0001-01-01T00:00:00+23:59"}, "effective_from", "date such as"),
        ({"effective_from": "2100-01-01"}, "effective_from", "date such as"),
        ({"effective_to": "2026-11-21"}, "effective_to", "later than"),
    ],
)
def test_each_mistake_is_named_by_its_field(wrong: dict[str, str], field: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        reading.read(GOOD | wrong)
    assert list(caught.value.details["fields"]) == [field]
    assert why in caught.value.details["fields"][field]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        reading.read({})
    assert set(caught.value.details["fields"]) == set(GOOD) - {"qualifier", "per", "rate", "effective_to"}


@pytest.mark.parametrize(
    ("micros", "text"), [(38_000, "0.038"), (0, "0"), (1_000_000, "1"), (1, "0.000001"), (10**12, "1000000")]
)
def test_amounts_are_written_plainly(micros: int, text: str) -> None:
    assert lines.decimal(micros) == text
