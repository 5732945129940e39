"""Switching providers and models off for new generations, and on again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from makegood import books, ledger, switches
from makegood.errors import Conflict, Invalid, NotFound, ProviderDisabled
from makegood.models import AuditEntry, Generation, IdempotencyKey
from tests.making import MODEL, make_customer, reserve

PROVIDERS = ("wavespeed", "nanobanana")
ANA = "ana@example.com"


def off(session: Session, model: str = switches.ALL_MODELS, *, reason: str = "It answers with 500.") -> None:
    switches.switch_off(session, PROVIDERS, "wavespeed", model, reason=reason, actor=ANA, address="10.0.0.1")


@pytest.mark.parametrize("model", [switches.ALL_MODELS, MODEL])
def test_what_is_switched_off_charges_nobody(session: Session, model: str, balanced_books: None) -> None:
    customer_id = make_customer(session, 20)
    off(session, model)
    with pytest.raises(ProviderDisabled, match="No credits moved"), session.begin_nested():
        reserve(session, customer_id, key="image-1")
    assert ledger.balance(session, customer_id) == 25
    assert session.scalar(select(func.count()).select_from(Generation)) == 0
    assert session.get(IdempotencyKey, "image-1") is None


def test_another_model_is_not_concerned(session: Session, balanced_books: None) -> None:
    customer_id = make_customer(session, 20)
    off(session, "acme/painter")
    reserve(session, customer_id)
    assert ledger.balance(session, customer_id) == 23


def test_the_key_of_a_refused_request_works_after_switching_on(session: Session, balanced_books: None) -> None:
    customer_id = make_customer(session, 20)
    off(session)
    with pytest.raises(ProviderDisabled), session.begin_nested():
        reserve(session, customer_id, key="image-1")
    assert switches.switch_on(session, "wavespeed", switches.ALL_MODELS, actor=ANA) is not None
    assert not reserve(session, customer_id, key="image-1").repeated
    assert ledger.balance(session, customer_id) == 23


def test_what_is_under_way_goes_on(session: Session, balanced_books: None) -> None:
    customer_id = make_customer(session, 20)
    first = reserve(session, customer_id, key="image-1")
    off(session)
    again = reserve(session, customer_id, key="image-1")
    assert again.repeated
    assert again.generation_id == first.generation_id
    assert ledger.balance(session, customer_id) == 23
    assert listed(session) == [("wavespeed", "*")]


def listed(session: Session) -> list[tuple[str, str]]:
    return [(switch.provider, switch.model) for switch in switches.listed(session)]


def test_a_switch_is_listed_with_all_models_first(session: Session) -> None:
    off(session, "a/model")
    off(session)
    switches.switch_off(session, PROVIDERS, "nanobanana", "nano-banana", reason="price", actor=ANA)
    assert listed(session) == [("nanobanana", "nano-banana"), ("wavespeed", "*"), ("wavespeed", "a/model")]
    assert [switch.model for switch in switches.listed(session, "nanobanana")] == ["nano-banana"]


def test_both_directions_are_audited(session: Session) -> None:
    off(session, MODEL, reason="  Too slow. ")
    switches.switch_on(session, "wavespeed", MODEL, actor="bert@example.com", address="10.0.0.2")
    entries = session.scalars(select(AuditEntry).where(AuditEntry.subject == "provider:wavespeed")).all()
    assert [(entry.actor, entry.action, entry.address) for entry in entries] == [
        (ANA, "provider.switched_off", "10.0.0.1"),
        ("bert@example.com", "provider.switched_on", "10.0.0.2"),
    ]
    assert entries[0].details == {"model": MODEL, "before": "on", "after": "off", "reason": "Too slow."}
    assert entries[1].details["was_off_for"] == "Too slow."


def test_switching_off_twice_is_a_conflict_and_keeps_the_first_reason(session: Session) -> None:
    off(session, reason="first")
    with pytest.raises(Conflict, match="already"):
        off(session, reason="second")
    assert switches.listed(session)[0].reason == "first"
    assert session.scalar(select(func.count()).select_from(AuditEntry)) == 1


def test_switching_on_what_is_on_changes_nothing(session: Session) -> None:
    assert switches.switch_on(session, "wavespeed", MODEL, actor=ANA) is None
    assert session.scalar(select(func.count()).select_from(AuditEntry)) == 0


@pytest.mark.parametrize(
    ("model", "reason", "field"),
    [("", "why", "model"), ("m" * 201, "why", "model"), ("*", " \n", "reason"), ("*", "x" * 501, "reason")],
)
def test_a_switch_needs_a_model_and_a_reason(session: Session, model: str, reason: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        off(session, model, reason=reason)
    assert list(refused.value.details["fields"]) == [field]
    assert listed(session) == []


def test_a_provider_that_does_not_exist_is_not_switched(session: Session) -> None:
    with pytest.raises(NotFound):
        switches.switch_off(session, PROVIDERS, "nobody", "*", reason="why", actor=ANA)


def test_fifty_generations_during_the_switch_are_charged_or_refused_each_for_itself(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        customers = [make_customer(session, 20) for _ in range(10)]
    start = threading.Barrier(9)

    def submit(number: int) -> bool:
        with Session(engine) as session:
            try:
                reserve(session, customers[number % 10], credits=2, key=f"image-{number}")
            except ProviderDisabled:
                session.rollback()
                return False
            session.commit()
            return True

    def work(part: int) -> list[bool]:
        start.wait()
        return [submit(number) for number in range(part, 50, 8)]

    with ThreadPoolExecutor(8) as pool:
        parts = [pool.submit(work, part) for part in range(8)]
        start.wait()
        with Session(engine) as session, session.begin():
            off(session)
        charged = sum(sum(part.result()) for part in parts)
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Generation)) == charged
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == charged
        assert sum(ledger.balance(session, name) for name in customers) == 10 * 25 - 2 * charged
        with pytest.raises(ProviderDisabled):
            reserve(session, customers[0], key="after")
        session.rollback()
        assert books.violations(session) == []
