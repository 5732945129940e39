"""Quarters of a month at each day's rate: they count only as long as they are what their days would be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.models import ExchangeRate
from makegood.ranges import Range
from makegood.revenue import payments, rated, rates, recognised, revenue_by_customer
from makegood.terms import Terms
from tests.making import make_customer, reserve
from tests.selling import buy

ZONE = ZoneInfo("UTC")
TERMS = Terms()
TODAY = date(2026, 11, 15)
NOON = datetime(2026, 11, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = Range(date(2026, 10, 3), TODAY, ZONE, NOON)
WHOLE = [date(2026, 10, 8), date(2026, 10, 16), date(2026, 10, 24), date(2026, 11, 1)]
"""The quarters that are over and all in SPAN."""


def rate(session: Session, day: date, value: str, currency: str = "eur") -> None:
    """A rate of a day; one that was there is replaced."""
    session.execute(
        text("UPDATE exchange_rates SET replaced_at = now() WHERE currency = :currency AND day = :day"),
        {"currency": currency, "day": day},
    )
    row: dict[str, Any] = {"currency": currency, "source": "bank", "actor": "test"}
    session.add(ExchangeRate(**row, day=day, usd_per_unit=Decimal(value)))
    session.flush()


@pytest.fixture
def ada(session: Session) -> str:
    """Who bought credits in euros and in yen and used some on every third day, all of it folded."""
    customer: str = make_customer(session, 0, customer_id="ada", at=NOON - 60 * DAY)
    rate(session, date(2026, 9, 1), "1.10")
    rate(session, date(2026, 10, 20), "1.137")
    rate(session, date(2026, 9, 1), "0.00667", "jpy")
    for back, currency, credits in ((50, "eur", 200), (49, "jpy", 150), (30, "eur", 700)):
        buy(session, customer, credits, 999, at=NOON - back * DAY, currency=currency)
    for back in range(48, -1, -3):
        reserve(session, customer, credits=31, at=NOON - back * DAY)
    fold(session)
    return customer


def fold(session: Session) -> None:
    """What customers used, by day."""
    while recognised.fold(session, ZONE):
        pass


def kept(session: Session, today: date = TODAY) -> int:
    """Make what is due; how many quarters were."""
    made = 0
    while found := rated.fold(session, ZONE, today):
        made += found
    return made


def told(session: Session) -> tuple[int | None, list[date]]:
    """What became revenue of it in SPAN, in micro-dollars, and the quarters that were read whole."""
    session.flush()
    table = rates.between(session, SPAN.first, SPAN.last)
    query = revenue_by_customer.each(session, TERMS, SPAN, payments.due(session))
    return session.execute(query).one().recognised, rated.read(session, table, SPAN.first, SPAN.last)


@pytest.mark.usefixtures("ada")
def test_quarters_that_are_kept_say_what_their_days_say(session: Session) -> None:
    by_days, read = told(session)
    assert by_days is not None
    assert by_days > 0
    assert read == []
    assert kept(session) > len(WHOLE)
    assert kept(session) == 0, "nothing is made twice"
    assert told(session) == (by_days, WHOLE)

    session.execute(text("UPDATE rated_customer_quarters SET micros = micros + 1000000"))
    assert told(session)[0] != by_days, "they are what is read"


@pytest.mark.usefixtures("ada")
def test_a_rate_that_comes_later_counts_at_once_and_the_quarter_is_made_anew(session: Session) -> None:
    kept(session)
    before, _ = told(session)
    rate(session, date(2026, 10, 25), "2")

    after, read = told(session)
    assert after is not None
    assert before is not None
    assert after > before
    assert read == WHOLE[:2], "of the days after the 25th none are kept any more"
    assert kept(session) == 2
    assert told(session) == (after, WHOLE)

    rate(session, date(2026, 10, 25), "3")
    corrected, read = told(session)
    assert corrected is not None
    assert corrected > after
    assert read == WHOLE[:2]


def test_what_is_folded_into_a_quarter_that_is_kept_counts(session: Session, ada: str) -> None:
    kept(session)
    before, _ = told(session)
    reserve(session, ada, credits=50, at=datetime(2026, 10, 12, 12, tzinfo=UTC))
    unfolded, read = told(session)
    assert unfolded is not None
    assert before is not None
    assert unfolded > before
    assert read == WHOLE
    fold(session)
    assert told(session) == (unfolded, [one for one in WHOLE if one != date(2026, 10, 8)])
    assert kept(session) == 1
    assert told(session) == (unfolded, WHOLE)


@pytest.mark.usefixtures("ada")
def test_a_quarter_with_a_day_without_a_rate_is_not_known_and_made_once_there_is_one(session: Session) -> None:
    session.execute(text("UPDATE exchange_rates SET replaced_at = now() WHERE currency = 'jpy'"))
    assert kept(session) > 0
    assert kept(session) == 0, "it is not tried again and again"
    assert told(session) == (None, [WHOLE[0], WHOLE[3]])
    rate(session, date(2026, 9, 1), "0.00667", "jpy")
    assert told(session)[0] is not None
    kept(session)
    assert told(session)[1] == WHOLE


@pytest.mark.usefixtures("ada")
def test_another_time_zone_forgets_what_was_kept(session: Session) -> None:
    kept(session)
    berlin = ZoneInfo("Europe/Berlin")
    assert rated.fold(session, berlin, TODAY) == 0, "the days are still those of the other zone"
    while recognised.fold(session, berlin):
        pass
    assert session.scalar(text("SELECT count(*) FROM rated_quarters")) == 0
    assert rated.fold(session, berlin, TODAY) > 0
