"""Who ever paid: known from the first purchase and payment on, whatever the rollups' rows say yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from makegood import payers, rollups
from makegood.models import Charge
from makegood.payers import Payers
from makegood.ranges import Range
from makegood.revenue import margin_by_customer, payments
from makegood.terms import Terms
from tests.making import make_customer, make_generation
from tests.money import all_read
from tests.selling import buy, pay

ZONE = ZoneInfo("UTC")
TERMS = Terms()
NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
SPAN = Range(date(2026, 9, 29), date(2026, 11, 11), ZONE, NOON + timedelta(days=1))
"""A quarter of a month in part, a whole month, and another in part."""


@pytest.fixture
def users(database: str) -> Iterator[Session]:
    """Ada, bob and eve used something in each of the months of SPAN; nobody paid."""
    engine = create_engine(database)
    with Session(engine) as session:
        for name in ("ada", "bob", "eve"):
            make_customer(session, 900, customer_id=name, at=NOON - timedelta(days=60))
            for back in (42, 20, 1):
                make_generation(session, name, credits=5, at=NOON - timedelta(days=back))
        all_read(session, NOON + timedelta(days=1))
        fold(session)
        yield session
    engine.dispose()


def fold(session: Session) -> None:
    """What was used, and who pays. Only what is committed is folded."""
    session.commit()
    rollups.fold(session, ZONE)
    session.commit()


def groups(session: Session) -> tuple[dict[str, int], dict[str, int]]:
    """How many generations those had who paid, and all others."""
    session.flush()
    paying, free = (
        {
            row.customer_id: row.generations
            for row in margin_by_customer.report(session, TERMS, SPAN, group=one).rows
        }
        for one in ("payers", "free")
    )
    return paying, free


def flagged(session: Session) -> set[str]:
    """Whose rows say that they pay; every one of theirs, and no one else's."""
    found = set(session.scalars(text("SELECT customer_id FROM payers WHERE flagged")))
    for table in ("rollup_customer_months", "rollup_customer_quarters"):
        rows = session.execute(text(f"SELECT customer_id, payer FROM {table}")).all()
        assert rows
        assert all(row.payer == (row.customer_id in found) for row in rows)
    return found


def test_who_begins_to_pay_is_a_payer_at_once_and_flagged_by_the_next_fold(users: Session) -> None:
    assert groups(users) == ({}, {"ada": 3, "bob": 3, "eve": 3})
    buy(users, "ada", 100, 1000, at=NOON)
    pay(users, "bob", 1000, at=NOON)
    payments.fold(users)

    assert groups(users) == ({"ada": 3, "bob": 3}, {"eve": 3})
    assert flagged(users) == set()
    assert payers.of(users) == Payers(["ada", "bob"], [], [])
    fold(users)
    assert groups(users) == ({"ada": 3, "bob": 3}, {"eve": 3})
    assert flagged(users) == {"ada", "bob"}
    assert payers.of(users) == Payers([], [], [])


def test_a_payment_that_is_not_folded_yet_makes_a_payer(users: Session) -> None:
    pay(users, "bob", 1000, at=NOON)
    assert groups(users) == ({"bob": 3}, {"ada": 3, "eve": 3})
    assert users.scalar(text("SELECT count(*) FROM payers")) == 0


def test_whose_only_payment_was_another_customers_is_no_payer_any_more(users: Session) -> None:
    charge = users.get_one(Charge, pay(users, "bob", 1000, at=NOON))
    users.flush()
    payments.fold(users)
    fold(users)
    assert flagged(users) == {"bob"}

    charge.customer_id = "eve"
    users.flush()
    payments.fold(users)
    assert groups(users) == ({"eve": 3}, {"ada": 3, "bob": 3})
    assert payers.of(users) == Payers(["eve"], ["bob"], [])
    fold(users)
    assert groups(users) == ({"eve": 3}, {"ada": 3, "bob": 3})
    assert flagged(users) == {"eve"}


def test_what_is_used_later_and_what_is_made_anew_is_flagged_too(users: Session) -> None:
    buy(users, "ada", 100, 1000, at=NOON)
    fold(users)
    make_generation(users, "ada", credits=5, at=NOON - timedelta(days=30))
    make_generation(users, "eve", credits=5, at=NOON - timedelta(days=30))
    fold(users)
    assert flagged(users) == {"ada"}
    assert groups(users) == ({"ada": 4}, {"bob": 3, "eve": 4})

    rollups.rebuild(users, ZONE)
    users.commit()
    assert flagged(users) == {"ada"}
    assert groups(users) == ({"ada": 4}, {"bob": 3, "eve": 4})
