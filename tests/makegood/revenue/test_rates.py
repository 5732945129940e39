"""What currencies are worth in US dollars, by date."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood.models import ExchangeRate
from makegood.revenue import rates


def dated(session: Session, currency: str, day: date, usd: str) -> None:
    session.add(ExchangeRate(currency=currency, day=day, usd_per_unit=Decimal(usd), source="ECB", actor="test"))
    session.flush()


def test_the_rate_of_a_day_is_the_newest_that_is_not_dated_after_it(session: Session) -> None:
    dated(session, "eur", date(2026, 11, 3), "1.08")
    dated(session, "eur", date(2026, 11, 6), "1.10")
    table = rates.between(session, date(2026, 11, 1), date(2026, 11, 9))
    asked = {2: None, 3: "1.08", 5: "1.08", 6: "1.10", 9: "1.10"}
    for day, usd in asked.items():
        for found in (table.of("eur", date(2026, 11, day)), rates.rate(session, "eur", date(2026, 11, day))):
            assert (found and found.usd_per_unit) == (usd and Decimal(usd))


def test_each_days_amount_is_converted_at_its_own_rate_and_the_sum_is_exact(session: Session) -> None:
    dated(session, "eur", date(2026, 11, 3), "1.08")
    dated(session, "eur", date(2026, 11, 6), "1.10")
    dated(session, "jpy", date(2026, 11, 1), "0.0066")
    dated(session, "kwd", date(2026, 11, 1), "3.25")
    table = rates.between(session, date(2026, 11, 4), date(2026, 11, 7))
    amounts: list[tuple[str, date, int | Fraction]] = [
        ("usd", date(2026, 11, 4), 100),
        ("eur", date(2026, 11, 4), 1_000),
        ("eur", date(2026, 11, 7), 1_000),
        ("jpy", date(2026, 11, 4), 1_000),
        ("kwd", date(2026, 11, 4), Fraction(1_000, 3)),
    ]
    found = rates.in_usd(table, amounts)
    assert found.usd == 1 + Fraction("10.8") + 11 + Fraction("6.6") + Fraction("3.25") / 3
    assert found.micros == 30_483_333
    assert found.cents == 3_048
    used = [(rate.currency, rate.day.day) for rate in found.used]
    assert used == [("eur", 3), ("eur", 6), ("jpy", 1), ("kwd", 1)]


def test_without_a_rate_there_are_no_dollars_but_nothing_needs_none(session: Session) -> None:
    table = rates.between(session, date(2026, 11, 4), date(2026, 11, 4))
    assert rates.in_usd(table, [("usd", date(2026, 11, 4), 5), ("chf", date(2026, 11, 4), 0)]).cents == 5
    found = rates.in_usd(table, [("usd", date(2026, 11, 4), 5), ("chf", date(2026, 11, 4), 1)])
    assert (found.usd, found.cents, found.missing) == (None, None, ("chf",))


@pytest.mark.parametrize("usd", ["NaN", "Infinity", "0", "-1", "1000001"])
def test_what_is_no_rate_is_refused_by_the_database(session: Session, usd: str) -> None:
    with pytest.raises(DBAPIError):
        dated(session, "eur", date(2026, 11, 3), usd)
