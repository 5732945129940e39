"""Finding things by an exact id, or by how a customer's or generation's id begins."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import adjustments, api_keys, customers, finding, hits, notes, operators
from makegood.ids import uuid7
from makegood.models import (
    Base,
    Bill,
    Callback,
    CreditTransaction,
    Grant,
    Notification,
    Price,
    Refund,
)
from tests.making import TERMS, FakeProvider, make_customer, make_generation

START = datetime(2026, 11, 15, 12, tzinfo=UTC)


def find(session: Session, wanted: str, *, staff: Collection[str] = ()) -> list[hits.Hit]:
    """What has exactly this id; without any, what begins so."""
    found = finding.exact(session, wanted, staff=staff)
    return found or finding.suggest(session, wanted, staff=staff, limit=finding.LISTED)


def found(session: Session, wanted: str) -> list[tuple[str, Any]]:
    """What is found: kind, and the first argument of its page."""
    return [(hit.kind, next(iter(hit.place.values()))) for hit in find(session, wanted)]


def test_a_generation_is_found_by_its_id_by_its_provider_s_job_and_by_the_request_s_key(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session), job="job-abc", key="order-7")
    expected = [("generation", generation_id)]
    assert found(session, str(generation_id)) == expected
    assert found(session, generation_id.hex.upper()) == expected
    assert found(session, "job-abc") == expected
    assert found(session, "order-7") == expected


def test_several_generations_with_one_job_are_listed_newest_first(session: Session) -> None:
    customer = make_customer(session)
    first = make_generation(session, customer, job="job-abc")
    newest = make_generation(session, customer, job="job-abc", provider=FakeProvider(name="simulated"))
    assert found(session, "job-abc") == [("generation", newest), ("generation", first)]


def test_a_job_id_that_looks_like_ours_is_found_too(session: Session) -> None:
    job = str(uuid7())
    generation_id = make_generation(session, make_customer(session), job=job)
    assert found(session, job) == [("generation", generation_id)]


def test_customers_are_found_by_id_and_by_e_mail_address(session: Session) -> None:
    for name, email in (("anna", "Anna@Example.com"), ("bert", "b@example.com"), ("cora", "b@example.com")):
        customers.upsert(session, name, email=email, tier="free", timezone=TERMS.timezone)
    assert found(session, "anna") == [("customer", "anna")]
    assert found(session, "anna@example.com") == [("customer", "anna")]
    assert sorted(found(session, "B@example.com")) == [("customer", "bert"), ("customer", "cora")]


def test_an_exact_id_hides_those_that_begin_so_but_not_while_somebody_types(session: Session) -> None:
    for name in ("c_1", "c_10", "c_11", "d"):
        make_customer(session, customer_id=name)
    assert found(session, "c_1") == [("customer", "c_1")]
    assert found(session, "c_") == [("customer", "c_1"), ("customer", "c_10"), ("customer", "c_11")]
    proposed = finding.suggest(session, "c_1", limit=2)
    assert [hit.title for hit in proposed] == ["c_1", "c_10"]


def test_a_generation_is_found_by_how_its_id_begins(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session))
    assert ("generation", generation_id) in found(session, str(generation_id)[:20])
    assert ("generation", generation_id) in found(session, generation_id.hex[:14].upper())


@pytest.fixture
def desk(session: Session) -> dict[str, Any]:
    """A row of every kind that is not made by others' rules: its id by the kind of hit."""
    customer = make_customer(session, customer_id="cus_a", at=START)
    generation_id = make_generation(session, customer, status="failed", at=START)
    session.add(
        Callback(
            generation_id=generation_id,
            customer_id=customer,
            provider="wavespeed",
            delivery="d-1",
            headers={},
            body=b"",
            state="waiting",
        )
    )
    session.add(Notification(generation_id=generation_id, event="failed"))
    session.add(
        Bill(
            provider="wavespeed",
            origin="api",
            state="waiting",
            period_start=START,
            period_end=START.replace(day=16),
            actor="a",
        )
    )
    note = notes.add(session, customer, "hello", actor="ana", idempotency_key="k")
    adjusted = adjustments.adjust(
        session, customer, 3, TERMS, reason="other", note="x", actor="ana", idempotency_key="k", at=START
    )
    session.flush()
    return {
        "refund": session.scalars(select(Refund.id)).one(),
        "ledger": session.scalars(select(CreditTransaction.id).where(CreditTransaction.kind == "refund")).one(),
        "grant": session.scalars(select(Grant.id).where(Grant.source == "purchase")).one(),
        "callback": session.scalars(select(Callback.id)).one(),
        "notification": session.scalars(select(Notification.id)).one(),
        "bill": session.scalars(select(Bill.id)).one(),
        "price": session.scalars(select(Price.id).limit(1)).one(),
        "note": note.id,
        "ledger of an adjustment": adjusted.id,
    }


def test_every_id_of_ours_leads_to_what_has_it(session: Session, desk: dict[str, Any]) -> None:
    for kind, identifier in desk.items():
        [hit] = find(session, str(identifier))
        assert hit.kind == kind.partition(" of")[0]
        assert hit.title


def test_every_table_with_an_id_of_ours_can_be_found_or_has_a_reason_not_to() -> None:
    not_shown = {
        "alerts",
        "audit_entries",
        "cost_adjustments",
        "customers",
        "error_mappings",
        "exchange_rates",
        "invitations",
        "login_challenges",
        "mrr_changes",
        "operator_sessions",
        "provider_balances",
        "saved_views",
    }
    ours = {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in Base.registry.mappers
        if [column.name for column in mapper.primary_key] == ["id"]
        and mapper.primary_key[0].type.python_type.__name__ == "UUID"
    }
    findable = {model.__tablename__ for model in hits.BY_ID}
    assert ours - findable <= not_shown
    assert findable <= ours


def test_operators_and_keys_are_found_only_for_those_who_may_see_them(session: Session) -> None:
    ana = operators.create(session, "ana@example.com", "support", "long enough to be a password", actor="t")
    key, plain = api_keys.create(session, "Backend 100%", ["platform"], actor="t")
    assert found(session, "ana@example.com") == found(session, str(ana.id)) == found(session, "Backend") == []
    for wanted in ("ana@example.com", "ANA@ex", str(ana.id)):
        [hit] = find(session, wanted, staff=[hits.OPERATOR, hits.API_KEY])
        assert (hit.kind, hit.place) == ("operator", {"operator_id": ana.id})
    for wanted in ("backend", "Backend 100%", plain, key.hint, str(key.id)):
        [hit] = find(session, wanted, staff=[hits.API_KEY])
        assert (hit.kind, hit.place) == ("API key", {"key_id": key.id})
    assert find(session, "b%", staff=[hits.OPERATOR, hits.API_KEY]) == []


@pytest.mark.parametrize("wanted", ["", "zzz", "\0", "x" * 201, "%", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_id_finds_nothing(session: Session, wanted: str) -> None:
    customers.upsert(session, "anna", email=None, tier="free", timezone=TERMS.timezone)
    assert find(session, wanted) == []
    assert finding.suggest(session, wanted, limit=8) == []


def test_no_more_is_listed_than_asked_for(session: Session) -> None:
    for number in range(5):
        make_customer(session, customer_id=f"many-{number}")
    assert len(finding.suggest(session, "many", limit=3)) == 3
