"""Grants: what is given, in which order it is spent, when it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import customers, grants, ledger
from makegood.errors import IdempotencyConflict, InsufficientCredits, Invalid, NotFound
from makegood.models import Grant, IdempotencyKey, Tier
from tests.making import make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
UTC_ZONE = ZoneInfo("UTC")


def give(session: Session, customer_id: str, credits: int, source: str = "bonus", **more: Any) -> Grant:
    """A grant at START."""
    values = {"reason": "test", "actor": "ops", "at": START, **more}
    return grants.add(session, customer_id, credits, source=source, **values)


def left(session: Session, customer_id: str, at: datetime = START) -> list[tuple[str, int]]:
    """Source and remainder of the open grants, in spending order."""
    session.expire_all()
    return [(grant.source, grant.remaining) for grant in grants.open_grants(session, customer_id, at)]


def spend(session: Session, customer_id: str, credits: int, at: datetime = START) -> None:
    """A charge."""
    make_generation(session, customer_id, credits=credits, status="unknown", at=at)


def test_the_soonest_to_expire_is_spent_first_and_purchases_last(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    give(session, customer_id, 3)
    give(session, customer_id, 2, expires_at=START + 2 * DAY)
    give(session, customer_id, 4, "adjustment", expires_at=START + 60 * DAY)
    assert left(session, customer_id) == [
        ("bonus", 2),
        ("allowance", 5),
        ("adjustment", 4),
        ("bonus", 3),
        ("purchase", 10),
    ]
    spend(session, customer_id, 6)
    assert left(session, customer_id)[0] == ("allowance", 1)
    spend(session, customer_id, 6)
    assert left(session, customer_id) == [("bonus", 2), ("purchase", 10)]
    spend(session, customer_id, 12)
    assert left(session, customer_id) == []
    assert ledger.balance(session, customer_id) == 0


def test_of_equal_grants_the_older_is_spent_first(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    older, newer = (give(session, customer_id, 4, "purchase") for _ in range(2))
    spend(session, customer_id, 6)
    session.expire_all()
    assert (older.remaining, newer.remaining) == (3, 4)


def test_what_has_expired_is_not_spent_even_before_the_worker_has_come_by(session: Session) -> None:
    customer_id = make_customer(session, 3, at=START)
    december = datetime(2026, 12, 1, tzinfo=UTC)
    spend(session, customer_id, 1, december - timedelta(microseconds=1))
    with pytest.raises(InsufficientCredits) as caught, session.begin_nested():
        spend(session, customer_id, 4, december)
    assert caught.value.details == {"required": 4, "balance": 3}
    assert left(session, customer_id, december - timedelta(microseconds=1)) == [("allowance", 4), ("purchase", 3)]
    assert left(session, customer_id, december) == [("purchase", 3)]
    spend(session, customer_id, 3, december)
    kinds = [(row.kind, row.amount) for row in ledger.transactions(session, customer_id, limit=2)]
    assert kinds == [("charge", -3), ("expiry", -4)]


@pytest.mark.parametrize("source", ["purchase", "bonus", "adjustment"])
def test_credits_without_an_expiry_stay(session: Session, source: str) -> None:
    customer_id = make_customer(session, 0, at=START)
    grant = give(session, customer_id, 7, source)
    assert (grant.source, grant.credits, grant.remaining, grant.expires_at) == (source, 7, 7, None)
    assert grants.expire_due(session, at=START + 36500 * DAY) == 1
    assert ledger.balance(session, customer_id) == 7
    kind = "adjustment" if source == "adjustment" else "grant"
    assert ledger.transactions(session, customer_id)[1].kind == kind


@pytest.mark.parametrize(
    ("credits", "source", "expires_at", "field"),
    [
        (0, "bonus", None, "credits"),
        (-1, "bonus", None, "credits"),
        (1_000_000_001, "bonus", None, "credits"),
        (2**63, "bonus", None, "credits"),
        (1, "gift", None, "source"),
        (1, "purchase", START + DAY, "expires_at"),
        (1, "allowance", None, "expires_at"),
        (1, "bonus", START, "expires_at"),
        (1, "bonus", START - DAY, "expires_at"),
    ],
)
def test_a_grant_that_makes_no_sense_gives_nothing(
    session: Session, credits: int, source: str, expires_at: datetime | None, field: str
) -> None:
    customer_id = make_customer(session, 7, at=START)
    with pytest.raises(Invalid) as caught, session.begin_nested():
        give(session, customer_id, credits, source, expires_at=expires_at, idempotency_key="k")
    assert list(caught.value.details["fields"]) == [field]
    assert ledger.balance(session, customer_id) == 12
    assert session.get(IdempotencyKey, "k") is None


def test_the_largest_grant_is_given(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    give(session, customer_id, 1_000_000_000)
    assert ledger.balance(session, customer_id) == 1_000_000_005


def test_a_grant_to_nobody_is_refused(session: Session) -> None:
    with pytest.raises(NotFound), session.begin_nested():
        give(session, "cus_nobody", 1, idempotency_key="k")
    assert session.get(IdempotencyKey, "k") is None


def test_a_repeated_request_gives_once_even_after_the_grant_has_expired(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    request: dict[str, Any] = {"idempotency_key": "k", "expires_at": START + DAY}
    first = give(session, customer_id, 7, **request)
    assert give(session, customer_id, 7, **request).id == first.id
    assert give(session, customer_id, 7, **request, at=START + 2 * DAY).id == first.id
    assert ledger.balance(session, customer_id) == 12
    # The same instant written in another zone is the same request.
    berlin = (START + DAY).astimezone(ZoneInfo("Europe/Berlin"))
    assert give(session, customer_id, 7, idempotency_key="k", expires_at=berlin).id == first.id


def test_a_key_of_another_request_is_refused_and_keeps_the_balance(session: Session) -> None:
    customer_id, other = (make_customer(session, 0, at=START) for _ in range(2))
    give(session, customer_id, 7, idempotency_key="k")
    for who, credits, more in (
        (customer_id, 8, {}),
        (other, 7, {}),
        (customer_id, 7, {"reason": "other"}),
        (customer_id, 7, {"source": "purchase"}),
        (customer_id, 7, {"expires_at": START + DAY}),
    ):
        with pytest.raises(IdempotencyConflict, match="No credits moved"), session.begin_nested():
            give(session, who, credits, idempotency_key="k", **more)
    assert ledger.balance(session, customer_id) == 12
    assert ledger.balance(session, other) == 5


def test_expiry_writes_a_row_for_each_grant_and_leaves_the_rest(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    give(session, customer_id, 2, expires_at=START + DAY)
    give(session, customer_id, 3, expires_at=START + 2 * DAY)
    spend(session, customer_id, 1)
    assert grants.expire_due(session, at=START + DAY - timedelta(microseconds=1)) == 0
    assert grants.expire_due(session, at=START + DAY) == 1
    assert ledger.balance(session, customer_id) == 18
    assert grants.expire_due(session, at=START + 60 * DAY) == 1
    assert grants.expire_due(session, at=START + 60 * DAY) == 0
    expired = [row.amount for row in ledger.transactions(session, customer_id) if row.kind == "expiry"]
    assert sorted(expired) == [-5, -3, -1]
    assert left(session, customer_id) == [("purchase", 10)]


def test_what_was_spent_before_it_expired_has_no_expiry_row(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    spend(session, customer_id, 5)
    assert grants.expire_due(session, at=START + 60 * DAY) == 0
    assert [row.kind for row in ledger.transactions(session, customer_id)] == ["charge", "grant"]


def test_expiry_takes_a_backlog_in_parts(session: Session) -> None:
    for _ in range(5):
        make_customer(session, 0, at=START)
    at = START + 60 * DAY
    assert [grants.expire_due(session, at=at, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_the_allowance_comes_once_a_month_to_everybody(session: Session) -> None:
    customer_ids = [make_customer(session, 0, tier=tier, at=START) for tier in ("free", "plus", "pro")]
    november, december = START + DAY, datetime(2026, 12, 1, tzinfo=UTC)
    assert grants.give_allowances(session, timezone=UTC_ZONE, at=november) == 0
    assert [grants.give_allowances(session, timezone=UTC_ZONE, at=december, limit=2) for _ in range(3)] == [
        2,
        1,
        0,
    ]
    assert [ledger.balance(session, customer_id) for customer_id in customer_ids] == [5, 50, 200]
    assert grants.give_allowance(session, customer_ids[0], timezone=UTC_ZONE, at=december + 30 * DAY) is None
    assert [row.kind for row in ledger.transactions(session, customer_ids[0])] == ["grant", "expiry", "grant"]


def test_who_lost_a_month_gets_only_the_current_one(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    assert grants.give_allowances(session, timezone=UTC_ZONE, at=datetime(2027, 3, 9, tzinfo=UTC)) == 1
    months = select(Grant.month).where(Grant.customer_id == customer_id).order_by(Grant.month)
    assert session.scalars(months).all() == [date(2026, 11, 1), date(2027, 3, 1)]


def test_a_tier_that_gives_nothing_is_passed_over(session: Session) -> None:
    session.add(Tier(name="guest", monthly_allowance=0, position=9))
    customer_id = make_customer(session, 0, tier="guest", at=START)
    assert grants.give_allowances(session, timezone=UTC_ZONE, at=START + 60 * DAY) == 0
    customers.upsert(session, customer_id, email=None, tier="plus", timezone=UTC_ZONE, at=START + 60 * DAY)
    assert grants.give_allowances(session, timezone=UTC_ZONE, at=START + 60 * DAY) == 1


@pytest.mark.parametrize(
    ("name", "at", "month", "end"),
    [
        ("Europe/Berlin", "2026-10-31T22:59", date(2026, 10, 1), "2026-10-31T23:00"),
        ("Europe/Berlin", "2026-10-31T23:00", date(2026, 11, 1), "2026-11-30T23:00"),
        ("Europe/Berlin", "2026-03-15T12:00", date(2026, 3, 1), "2026-03-31T22:00"),
        ("America/Santiago", "2026-09-15T12:00", date(2026, 9, 1), "2026-10-01T03:00"),
        ("America/Santiago", "2026-04-15T12:00", date(2026, 4, 1), "2026-05-01T04:00"),
        ("Asia/Kathmandu", "2026-10-31T18:14", date(2026, 10, 1), "2026-10-31T18:15"),
        ("Asia/Kathmandu", "2026-10-31T18:15", date(2026, 11, 1), "2026-11-30T18:15"),
        ("Pacific/Apia", "2026-10-31T10:59", date(2026, 10, 1), "2026-10-31T11:00"),
        ("Pacific/Apia", "2026-10-31T11:00", date(2026, 11, 1), "2026-11-30T11:00"),
    ],
)
def test_an_allowance_ends_with_the_month_of_the_reporting_time_zone(
    session: Session, name: str, at: str, month: date, end: str
) -> None:
    zone, instant = ZoneInfo(name), datetime.fromisoformat(at).replace(tzinfo=UTC)
    customers.upsert(session, "cus_new", email=None, tier="plus", timezone=zone, at=instant)
    [grant] = grants.open_grants(session, "cus_new", instant)
    assert (grant.month, grant.expires_at) == (month, datetime.fromisoformat(end).replace(tzinfo=UTC))
    assert grants.give_allowances(session, timezone=zone, at=grant.expires_at - timedelta(microseconds=1)) == 0
    assert grants.give_allowances(session, timezone=zone, at=grant.expires_at) == 1
    assert ledger.balance(session, "cus_new") == 50
