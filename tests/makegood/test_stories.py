"""The story of a generation: everything that happened, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from makegood import callbacks, generations, refunds, stories
from makegood.errors import NotFound
from makegood.generations import costs
from makegood.ids import uuid7
from makegood.models import CostAdjustment
from makegood.providers.protocol import Accepted, ErrorClass, Outcome, Report
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def seconds(count: int) -> datetime:
    return NOON + timedelta(seconds=count)


def test_a_failure_is_told_from_the_charge_to_the_refund(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=1))
    provider = FakeProvider()
    reservation = reserve(session, customer, provider=provider, at=NOON)
    generations.record_submit(session, reservation.generation_id, Accepted("job-7"), at=seconds(1))
    body = b'{"outcome": "failed", "job": "job-7", "error_class": "timeout"}'
    genuine = {"x-genuine": "yes"}
    for headers, at in (({}, 2), (genuine, 3), (genuine, 4)):
        callbacks.receive(
            session,
            {"wavespeed": provider},
            "wavespeed",
            reservation.callback_token,
            headers,
            body,
            TERMS,
            now=seconds(at),
        )
    story = stories.tell(session, reservation.generation_id)
    told = [entry.callback.state if entry.callback else entry.kind for entry in story.entries]
    assert told == ["charge", "cost", "submit", "applied", "ended", "refund", "rejected", "duplicate"]
    charge, refund = (entry for entry in story.entries if entry.transaction)
    assert [(part.source, part.credits) for part in charge.moved] == [("allowance", -2)]
    assert [(part.source, part.credits) for part in refund.moved] == [("allowance", 2)]
    assert refund.refund is not None
    assert refund.refund.origin == "automatic"
    assert (story.refundable, story.balance) == (0, 105)


def test_a_success_that_was_refunded_by_hand_keeps_what_is_left(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=1))
    reservation = reserve(session, customer, credits=7, at=NOON)
    generations.record_submit(session, reservation.generation_id, Accepted("job-8"), at=seconds(1))
    generations.settle(session, reservation.generation_id, SUCCESS, TERMS, at=seconds(9))
    refunds.issue_manual(
        session,
        reservation.generation_id,
        TERMS,
        credits=3,
        reason="goodwill",
        note="note",
        actor="ana@example.com",
        idempotency_key=str(uuid7()),
        expected_refunded=0,
        at=seconds(60),
    )
    story = stories.tell(session, reservation.generation_id)
    assert [entry.kind for entry in story.entries] == ["charge", "cost", "submit", "ended", "refund"]
    assert story.refundable == 4
    drawn = {part.source: part.credits for part in story.entries[0].moved}
    assert drawn == {"allowance": -5, "purchase": -2}


def test_a_provider_s_cost_and_a_late_outcome_have_their_own_place(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=1))
    reservation = reserve(session, customer, at=NOON)
    generations.record_submit(session, reservation.generation_id, Accepted("job-9"), at=seconds(1))
    late = Report(Outcome.FAILED, error_class=ErrorClass.TIMEOUT, message="late", cost_micros=31_000)
    generations.settle(session, reservation.generation_id, late, TERMS, at=seconds(30))
    generations.settle(session, reservation.generation_id, SUCCESS, TERMS, at=seconds(40))
    story = stories.tell(session, reservation.generation_id)
    kinds = [entry.kind for entry in story.entries]
    assert kinds == ["charge", "submit", "cost", "ended", "refund", "late"]
    assert story.generation.status == "failed"


def test_a_story_costs_the_same_number_of_queries_with_many_callbacks(session: Session) -> None:
    def queries(generation_id: UUID) -> int:
        session.expire_all()
        seen: list[str] = []

        def note(*given: Any) -> None:
            seen.append(given[2])

        event.listen(session.connection(), "before_cursor_execute", note)
        stories.tell(session, generation_id)
        event.remove(session.connection(), "before_cursor_execute", note)
        return len(seen)

    customer = make_customer(session, at=NOON - timedelta(days=1))
    quiet = reserve(session, customer, at=NOON)
    busy = reserve(session, customer, at=NOON)
    generations.settle(session, busy.generation_id, FAILURE, TERMS, at=seconds(5))
    for number in range(12):
        body = b'{"outcome": "pending", "delivery": "%d"}' % number
        callbacks.receive(
            session,
            {"wavespeed": FakeProvider()},
            "wavespeed",
            busy.callback_token,
            {"x-genuine": "yes"},
            body,
            TERMS,
        )
    assert queries(busy.generation_id) == queries(quiet.generation_id)


def test_there_is_no_story_of_nothing(session: Session) -> None:
    with pytest.raises(NotFound):
        stories.tell(session, uuid7())


def test_adjustments_and_the_price_s_version_belong_to_the_story(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=1))
    generation_id = make_generation(session, customer, status="succeeded", at=NOON)
    story = stories.tell(session, generation_id)
    assert story.price is not None
    assert (story.price.version, story.first_cost) == (1, (27_000, "price_book"))
    for micros, source, at in ((31_000, "bill", 1), (None, "unknown", 2)):
        session.add(
            CostAdjustment(
                generation_id=generation_id,
                reason="bill",
                reference=uuid7(),
                from_micros=27_000,
                from_source="price_book",
                to_micros=micros,
                to_source=source,
                actor="ana@example.com",
                created_at=seconds(at) + timedelta(days=1),
            )
        )
    costs.set_cost(session, generation_id, 31_000, source="bill")
    session.flush()
    story = stories.tell(session, generation_id)
    adjusted = [entry.adjustment.to_micros for entry in story.entries if entry.adjustment]
    assert adjusted == [31_000, None]
    assert (story.price, story.first_cost) == (None, (27_000, "price_book"))
