"""Customers: made once, with a balance and an allowance, and changed without touching credits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import customers, generations, grants, ledger
from makegood.errors import Invalid, NotFound
from makegood.models import Customer, Event, Tier
from tests.making import FAILURE, TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def put(session: Session, customer_id: str, tier: str, email: str | None = None, at: datetime = START) -> Customer:
    """Create or change a customer."""
    return customers.upsert(session, customer_id, email=email, tier=tier, timezone=UTC_ZONE, at=at)


def tier_totals(session: Session, customer_id: str) -> dict[str, tuple[int, int, int]]:
    """Customers, holders and credits of each tier that this customer's events add up to."""
    query = (
        select(Event.tier, func.sum(Event.customers), func.sum(Event.holders), func.sum(Event.credits))
        .where(Event.customer_id == customer_id)
        .group_by(Event.tier)
    )
    return {tier: (int(a), int(b), int(c)) for tier, a, b, c in session.execute(query)}


@pytest.mark.parametrize(("tier", "allowance"), [("free", 5), ("plus", 50), ("pro", 200)])
def test_a_new_customer_gets_the_tiers_allowance_until_the_month_ends(
    session: Session, tier: str, allowance: int
) -> None:
    customer = put(session, "cus_new", tier, "ada@example.com")
    assert (customer.id, customer.email, customer.tier) == ("cus_new", "ada@example.com", tier)
    assert ledger.balance(session, "cus_new") == allowance
    [grant] = grants.open_grants(session, "cus_new", START)
    assert (grant.source, grant.month) == ("allowance", date(2026, 11, 1))
    assert grant.expires_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_tier_without_an_allowance_gives_none(session: Session) -> None:
    session.add(Tier(name="guest", monthly_allowance=0, position=9))
    put(session, "cus_new", "guest")
    assert ledger.balance(session, "cus_new") == 0
    assert ledger.transactions(session, "cus_new") == []


def test_putting_a_customer_again_gives_nothing_again(session: Session) -> None:
    put(session, "cus_new", "free", "old@example.com")
    again = put(session, "cus_new", "free", "new@example.com", START + timedelta(hours=1))
    assert (again.email, again.updated_at) == ("new@example.com", START + timedelta(hours=1))
    assert ledger.balance(session, "cus_new") == 5
    assert tier_totals(session, "cus_new") == {"free": (1, 1, 5)}


def test_a_new_tiers_allowance_begins_with_the_next_month(session: Session) -> None:
    put(session, "cus_new", "free")
    put(session, "cus_new", "pro")
    assert ledger.balance(session, "cus_new") == 5
    grants.give_allowances(session, timezone=UTC_ZONE, at=START)
    assert ledger.balance(session, "cus_new") == 5
    grants.give_allowances(session, timezone=UTC_ZONE, at=datetime(2026, 12, 1, tzinfo=UTC))
    assert ledger.balance(session, "cus_new") == 200


def test_a_change_of_tier_moves_the_customer_and_the_credits_in_the_figures(session: Session) -> None:
    put(session, "cus_new", "free")
    put(session, "cus_new", "plus")
    assert tier_totals(session, "cus_new") == {"free": (0, 0, 0), "plus": (1, 1, 5)}
    make_generation(session, "cus_new", credits=5, at=START)
    put(session, "cus_new", "pro")
    assert tier_totals(session, "cus_new") == {"free": (0, 0, 0), "plus": (0, 0, 0), "pro": (1, 0, 0)}


def test_a_refund_after_a_change_of_tier_is_held_in_the_new_one_and_consumed_in_the_old(session: Session) -> None:
    put(session, "cus_new", "free")
    generation_id = make_generation(session, "cus_new", credits=4, status="unknown", at=START)
    put(session, "cus_new", "pro")
    generations.settle(session, generation_id, FAILURE, TERMS, at=START)
    assert tier_totals(session, "cus_new") == {"free": (0, 0, 0), "pro": (1, 1, 5)}
    refunded = select(Event.tier, Event.credits_refunded).where(Event.credits_refunded != 0)
    assert session.execute(refunded).all() == [("free", 4)]


def test_credits_that_expire_with_a_change_of_tier_leave_the_old_one(session: Session) -> None:
    put(session, "cus_new", "free")
    put(session, "cus_new", "plus", at=datetime(2026, 12, 1, tzinfo=UTC))
    assert ledger.balance(session, "cus_new") == 0
    assert tier_totals(session, "cus_new") == {"free": (0, 0, 0), "plus": (1, 0, 0)}


def test_a_tier_that_does_not_exist_is_refused_by_name(session: Session) -> None:
    customer_id = make_customer(session, 7, at=START)
    for name in (customer_id, "cus_new"):
        with pytest.raises(Invalid) as caught:
            put(session, name, "gold")
        assert caught.value.details == {"fields": {"tier": "must be one of free, plus, pro"}}
    assert customers.get(session, customer_id).tier == "free"
    assert ledger.balance(session, customer_id) == 12
    with pytest.raises(NotFound):
        customers.get(session, "cus_new")


def test_any_text_of_200_characters_is_an_identifier(session: Session) -> None:
    customer_id = "é/\u202e'\";--" + "x" * 191
    assert put(session, customer_id, "free").id == customer_id
    assert customers.get(session, customer_id).id == customer_id
    assert ledger.balance(session, customer_id) == 5
