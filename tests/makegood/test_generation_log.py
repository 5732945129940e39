"""The generations list: what each filter means, and which instant its range and order go by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from makegood import generation_log, generations, refunds
from makegood.generation_log import GenerationFilters
from makegood.ids import uuid7
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation

START = datetime(2026, 11, 15, 12, tzinfo=UTC)


@pytest.fixture
def made(session: Session) -> dict[str, UUID]:
    """One generation of each fate, a minute apart; the one that failed was charged first and ended last."""
    customer = make_customer(session, customer_id="cus_a", at=START)
    other = make_customer(session, customer_id="cus_b", tier="pro", at=START)

    def at(minute: int) -> datetime:
        return START + timedelta(minutes=minute)

    made = {"failed": make_generation(session, customer, at=at(0), credits=4)}
    made["succeeded"] = make_generation(session, customer, status="succeeded", at=at(1), credits=4)
    made["partly"] = make_generation(session, other, status="succeeded", at=at(2), credits=4)
    made["in_flight"] = make_generation(session, customer, at=at(3))
    made["costless"] = make_generation(
        session, other, status="succeeded", at=at(4), credits=3, model="unheard/of", kind="video"
    )
    made["elsewhere"] = make_generation(session, customer, status="unknown", at=at(5), provider=SIMULATED)
    generations.settle(session, made["failed"], FAILURE, TERMS, at=at(9))
    refunds.issue_manual(
        session,
        made["partly"],
        TERMS,
        credits=1,
        reason="goodwill",
        note="sorry",
        actor="ana@example.com",
        idempotency_key=str(uuid7()),
        expected_refunded=0,
    )
    return made


SIMULATED = FakeProvider(name="simulated")


def names(session: Session, made: dict[str, UUID], **filters: Any) -> list[str]:
    """Which of them are listed, in the list's order."""
    known = {identifier: name for name, identifier in made.items()}
    page = generation_log.GENERATIONS.page(session, GenerationFilters(**filters))
    return [known[row.generation_id] for row in page.rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["elsewhere", "costless", "in_flight", "partly", "succeeded", "failed"]),
        ({"by": "ended"}, ["failed", "costless", "partly", "succeeded"]),
        ({"status": "succeeded"}, ["costless", "partly", "succeeded"]),
        ({"status": "in_flight"}, ["elsewhere", "in_flight"]),
        ({"status": "unknown"}, ["elsewhere"]),
        ({"status": "failed", "error_class": "generation_failed"}, ["failed"]),
        ({"error_class": "timeout"}, []),
        ({"customer_id": "cus_b", "tier": "pro"}, ["costless", "partly"]),
        ({"provider": "simulated"}, ["elsewhere"]),
        ({"model": "unheard/of", "kind": "video"}, ["costless"]),
        ({"cost": "unknown", "provider": "wavespeed"}, ["costless"]),
        ({"refunded": "yes"}, ["partly", "failed"]),
        ({"refunded": "partly"}, ["partly"]),
        ({"refunded": "no", "status": "succeeded"}, ["costless", "succeeded"]),
        ({"status": "nonsense"}, []),
        ({"cost": "nonsense"}, []),
        ({"start": START + timedelta(minutes=1), "end": START + timedelta(minutes=3)}, ["partly", "succeeded"]),
        ({"start": START + timedelta(minutes=9), "by": "ended"}, ["failed"]),
        ({"start": START + timedelta(minutes=9)}, []),
    ],
)
def test_a_filter_lists_what_it_says(
    session: Session, made: dict[str, UUID], filters: dict[str, Any], expected: list[str]
) -> None:
    assert names(session, made, **filters) == expected


@pytest.mark.parametrize("by", ["charged", "ended"])
def test_pages_follow_each_other_in_the_order_of_the_instant(
    session: Session, made: dict[str, UUID], by: str
) -> None:
    filters = GenerationFilters(by=by)
    whole = [row.generation_id for row in generation_log.GENERATIONS.page(session, filters).rows]
    found, before = [], None
    for _ in range(len(whole)):
        page = generation_log.GENERATIONS.page(session, filters, before=before, limit=1)
        found += [row.generation_id for row in page.rows]
        before = page.older
    assert found == whole
    assert before is None
    every = [row.id for row in session.execute(generation_log.GENERATIONS.every(filters))]
    assert every == whole


def test_a_generation_settled_in_the_meantime_is_listed_by_its_end(
    session: Session, made: dict[str, UUID]
) -> None:
    generations.settle(session, made["in_flight"], SUCCESS, TERMS, at=START + timedelta(hours=1))
    assert names(session, made, by="ended")[0] == "in_flight"
