"""Reserving a generation: charged once, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from makegood import generations, idempotency, ledger
from makegood.errors import IdempotencyConflict, InsufficientCredits, Invalid, MakegoodError, NotFound
from makegood.generations import NewGeneration
from makegood.ids import hash_token
from makegood.models import CreditPrice, CreditTransaction, Event, Generation, IdempotencyKey, Price
from makegood.terms import Terms
from tests.making import MODEL, FakeProvider, make_customer, reserve

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def customer_id(session: Session) -> str:
    """A customer with 15 credits."""
    return make_customer(session, 10, at=START)


def assert_untouched(session: Session, customer_id: str) -> None:
    """Nothing was charged, nothing was kept."""
    assert ledger.balance(session, customer_id) == 15
    for table in (Generation, IdempotencyKey):
        assert session.scalar(select(func.count()).select_from(table)) == 0


def test_a_reservation_charges_the_customer_and_writes_the_generation(session: Session, customer_id: str) -> None:
    made = reserve(session, customer_id, credits=7, metadata={"order": 7}, at=START)
    assert (made.repeated, made.credits_charged, made.balance) == (False, 7, 8)
    generation = generations.get(session, made.generation_id)
    assert (generation.status, generation.credits_charged, generation.credits_refunded) == ("charged", 7, 0)
    assert (generation.tier, generation.provider, generation.model) == ("free", "wavespeed", MODEL)
    assert (generation.input, generation.metadata_) == ({"prompt": "a red mug"}, {"order": 7})
    assert (generation.charged_at, generation.submitted_at, generation.ended_at) == (START, None, None)
    assert generation.check_at == START + timedelta(minutes=2)
    charge = ledger.transactions(session, customer_id, limit=1)[0]
    assert (charge.kind, charge.amount, charge.generation_id) == ("charge", -7, made.generation_id)


def test_the_callback_token_is_random_and_stored_only_as_a_hash(session: Session, customer_id: str) -> None:
    one, other = (reserve(session, customer_id, credits=1, at=START) for _ in range(2))
    assert one.callback_token != other.callback_token
    assert len(one.callback_token) >= 43  # 256 bits
    assert one.callback_token not in repr(one)
    assert generations.get(session, one.generation_id).callback_token_hash == hash_token(one.callback_token)


def test_credits_default_to_the_price_of_the_model_at_that_time(session: Session, customer_id: str) -> None:
    session.add(
        CreditPrice(provider="wavespeed", model=MODEL, effective_from=START + timedelta(hours=1), credits=3)
    )
    session.flush()
    before = reserve(session, customer_id, at=START + timedelta(hours=1) - timedelta(microseconds=1))
    after = reserve(session, customer_id, at=START + timedelta(hours=1))
    assert (before.credits_charged, after.credits_charged) == (2, 3)


def test_the_cost_is_frozen_from_the_price_book_at_that_time(session: Session, customer_id: str) -> None:
    later = START + timedelta(hours=1)
    values = {"provider": "wavespeed", "model": MODEL, "unit": "image", "source": "test"}
    session.execute(
        update(Price).where(Price.provider == "wavespeed", Price.model == MODEL).values(effective_to=later)
    )
    session.add(Price(**values, version=2, amount_micros=50_000, unit_price_micros=50_000, effective_from=later))
    session.flush()
    before = reserve(session, customer_id, input={"images": 3}, at=later - timedelta(microseconds=1))
    after = reserve(session, customer_id, input={"images": 3}, at=later)
    costs = [generations.get(session, made.generation_id) for made in (before, after)]
    assert [(g.cost_micros, g.cost_source, g.quantity) for g in costs] == [
        (81_000, "price_book", 3),
        (150_000, "price_book", 3),
    ]


def test_an_unknown_cost_is_not_zero(session: Session, customer_id: str) -> None:
    made = reserve(session, customer_id, credits=1, model="brand/new", at=START)
    generation = generations.get(session, made.generation_id)
    assert (generation.cost_micros, generation.cost_source, generation.price_id) == (None, "unknown", None)
    event = session.scalars(select(Event).where(Event.generation_id == made.generation_id)).one()
    assert (event.cost_micros, event.unknown_costs) == (0, 1)


def test_the_last_credit_can_be_spent_and_no_more(session: Session, customer_id: str) -> None:
    assert reserve(session, customer_id, credits=15, at=START).balance == 0
    with pytest.raises(InsufficientCredits, match="No credits moved") as caught, session.begin_nested():
        reserve(session, customer_id, credits=1, at=START)
    assert caught.value.details == {"required": 1, "balance": 0}
    assert ledger.balance(session, customer_id) == 0


@pytest.mark.parametrize(
    ("request_", "error", "details"),
    [
        ({"credits": 16}, InsufficientCredits, {"required": 16, "balance": 15}),
        ({"model": "brand/new"}, Invalid, ["credits"]),
        ({"credits": 0}, Invalid, ["credits"]),
        ({"credits": -1}, Invalid, ["credits"]),
        ({"credits": 2**63}, Invalid, ["credits"]),
    ],
)
def test_a_request_that_is_refused_charges_nothing_and_frees_its_key(
    session: Session, customer_id: str, request_: dict[str, Any], error: type[MakegoodError], details: Any
) -> None:
    with pytest.raises(error, match="No credits moved") as caught, session.begin_nested():
        reserve(session, customer_id, key="k", at=START, **request_)
    assert caught.value.details == details or list(caught.value.details["fields"]) == details
    assert_untouched(session, customer_id)
    assert not reserve(session, customer_id, key="k", credits=1, at=START).repeated


def test_an_unknown_customer_is_not_found(session: Session, customer_id: str) -> None:
    with pytest.raises(NotFound, match="cus_nobody"), session.begin_nested():
        reserve(session, "cus_nobody", at=START)
    assert_untouched(session, customer_id)


def test_the_same_request_again_is_the_same_generation(session: Session, customer_id: str) -> None:
    first = reserve(session, customer_id, key="k", credits=7, at=START)
    again = reserve(session, customer_id, key="k", credits=7, at=START)
    assert (again.repeated, again.generation_id) == (True, first.generation_id)
    assert (again.callback_token, again.response) == ("", None)
    assert ledger.balance(session, customer_id) == 8
    idempotency.remember(session, "k", 202, {"id": str(first.generation_id)})
    answered = reserve(session, customer_id, key="k", credits=7, at=START)
    assert answered.response == (202, {"id": str(first.generation_id)})


def test_the_same_request_again_is_found_even_without_credits_left(session: Session, customer_id: str) -> None:
    first = reserve(session, customer_id, key="k", credits=15, at=START)
    assert reserve(session, customer_id, key="k", credits=15, at=START).generation_id == first.generation_id


@pytest.mark.parametrize(
    "other",
    [
        {"credits": 8},
        {"credits": None},
        {"model": "bytedance/seedream-v4/edit"},
        {"kind": "video"},
        {"input": {"prompt": "a blue mug"}},
        {"metadata": {}},
        {"provider": FakeProvider("simulated")},
    ],
)
def test_a_key_of_another_request_is_refused_and_keeps_the_balance(
    session: Session, customer_id: str, other: dict[str, Any]
) -> None:
    reserve(session, customer_id, key="k", credits=7, at=START)
    with pytest.raises(IdempotencyConflict, match="No credits moved"), session.begin_nested():
        reserve(session, customer_id, key="k", at=START, **{"credits": 7, **other})
    assert ledger.balance(session, customer_id) == 8


def test_who_sends_it_and_in_which_order_does_not_make_it_another_request() -> None:
    request = {"customer_id": "c", "provider": "p", "model": "m", "kind": "image"}
    one = NewGeneration(**request, input={"a": 1, "b": 2}, idempotency_key="1", actor="a")
    other = NewGeneration(**request, input={"b": 2, "a": 1}, idempotency_key="2", actor="b")
    assert one.fingerprint() == other.fingerprint()


def test_a_customer_becomes_active_once_a_day_and_once_a_month_of_the_reporting_zone(
    session: Session, customer_id: str
) -> None:
    terms = Terms(timezone=ZoneInfo("Asia/Kathmandu"))
    for instant in ("2026-11-29T18:14", "2026-11-29T18:15", "2026-11-30T18:14", "2026-11-30T18:15"):
        at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
        reserve(session, customer_id, credits=1, terms=terms, at=at)
    flags = select(Event.active_day, Event.active_month).where(Event.generations == 1).order_by(Event.id)
    assert session.execute(flags).all() == [(1, 1), (1, 0), (0, 0), (1, 1)]


def test_without_a_time_the_database_says_when(session: Session, customer_id: str) -> None:
    made = reserve(session, make_customer(session, 10), credits=1)
    charged_at = generations.get(session, made.generation_id).charged_at
    assert abs(charged_at - datetime.now(UTC)) < timedelta(minutes=1)
    kinds = select(CreditTransaction.occurred_at).where(CreditTransaction.generation_id == made.generation_id)
    assert session.scalars(kinds).one() == charged_at
