"""Adjustments: credits given and taken by hand, once for each form, never below zero, always audited."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood import adjustments, audit, books, grants, ledger
from makegood.errors import Conflict, IdempotencyConflict, Invalid, NotFound
from makegood.models import AuditEntry, CreditAdjustment, CreditTransaction
from tests.making import TERMS, make_customer

START = datetime(2026, 11, 15, 12, tzinfo=UTC)


def adjust(session: Session, customer_id: str, credits: int, *, key: str = "form-1", **given: Any) -> Any:
    """An admin's adjustment, a minute after the customer came."""
    values = {
        "reason": "goodwill",
        "note": " They waited an hour. ",
        "actor": "ana@example.com",
        "address": "192.0.2.1",
        "at": START + timedelta(minutes=1),
        **given,
    }
    return adjustments.adjust(session, customer_id, credits, TERMS, idempotency_key=key, **values)


@pytest.mark.usefixtures("balanced_books")
def test_given_credits_are_a_grant_of_their_own_with_ledger_row_and_audit_entry(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    adjustment = adjust(session, customer, 7)
    assert ledger.balance(session, customer) == 22
    [row] = ledger.transactions(session, customer, limit=1)
    assert (row.id, row.kind, row.amount, row.reason) == (adjustment.transaction_id, "adjustment", 7, "goodwill")
    grant = next(one for one in grants.open_grants(session, customer, START) if one.source == "adjustment")
    assert (grant.remaining, grant.expires_at) == (7, None)
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "credits.adjusted")).one()
    assert (entry.actor, entry.subject, entry.address) == (
        "ana@example.com",
        f"customer:{customer}",
        "192.0.2.1",
    )
    assert entry.details == {
        "credits": 7,
        "reason": "goodwill",
        "note": "They waited an hour.",
        "before": {"balance": 15},
        "after": {"balance": 22},
    }


@pytest.mark.usefixtures("balanced_books")
def test_taken_credits_come_from_the_grants_in_the_order_of_spending(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    adjust(session, customer, -8)
    assert ledger.balance(session, customer) == 7
    assert [(grant.source, grant.remaining) for grant in grants.open_grants(session, customer, START)] == [
        ("purchase", 7)
    ]
    adjust(session, customer, -7, key="form-2")
    assert ledger.balance(session, customer) == 0


@pytest.mark.usefixtures("balanced_books")
def test_no_more_is_taken_than_there_is_and_the_refusal_says_how_much_that_is(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    with pytest.raises(Conflict, match="only 15 credits") as caught:
        adjust(session, customer, -16)
    assert caught.value.details == {"balance": 15}
    assert ledger.balance(session, customer) == 15
    assert session.scalar(select(func.count()).select_from(CreditAdjustment)) == 0


@pytest.mark.usefixtures("balanced_books")
def test_credits_that_have_expired_cannot_be_taken(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    with pytest.raises(Conflict, match="only 10 credits"):
        adjust(session, customer, -15, at=datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.usefixtures("balanced_books")
def test_a_form_that_is_sent_twice_adjusts_once(session: Session) -> None:
    customer, other = make_customer(session, 10, at=START), make_customer(session, 10, at=START)
    first = adjust(session, customer, 7)
    assert adjust(session, customer, 7).id == first.id
    with pytest.raises(IdempotencyConflict, match="gave 7 credits when it was sent before"):
        adjust(session, customer, -7)
    adjust(session, other, 7)
    assert ledger.balance(session, customer) == ledger.balance(session, other) == 22
    assert session.scalar(select(func.count()).where(AuditEntry.action == "credits.adjusted")) == 2


@pytest.mark.parametrize(
    ("credits", "given", "field"),
    [
        (0, {}, "credits"),
        (1_000_001, {}, "credits"),
        (-1_000_001, {}, "credits"),
        (1, {"reason": "because"}, "reason"),
        (1, {"note": " \n"}, "note"),
        (1, {"note": "x" * 1001}, "note"),
        (1, {"note": "nul\0"}, "note"),
    ],
)
def test_what_is_not_valid_is_named_and_moves_nothing(
    session: Session, credits: int, given: dict[str, str], field: str
) -> None:
    customer = make_customer(session, 10, at=START)
    with pytest.raises(Invalid, match="No credits moved") as caught:
        adjust(session, customer, credits, **given)
    assert set(caught.value.details["fields"]) == {field}
    assert ledger.balance(session, customer) == 15


def test_nobody_is_adjusted_whom_there_is_not(session: Session) -> None:
    with pytest.raises(NotFound):
        adjust(session, "cus_nobody", 1)


def test_the_same_form_at_the_same_time_adjusts_once_and_two_forms_never_overdraw(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        customer = make_customer(session, 10, at=START)

    def send(key: str) -> str:
        with Session(engine) as session, session.begin():
            try:
                return str(adjust(session, customer, -10, key=key).id)
            except Conflict:
                return "conflict"

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(send, ["same", "other", "same", "same", "other", "same"]))
    assert results.count("conflict") in (2, 4)
    assert len(set(results)) == 2
    with Session(engine) as session:
        assert ledger.balance(session, customer) == 5
        assert books.violations(session) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE credit_adjustments SET note = 'x'", "DELETE FROM credit_adjustments", "TRUNCATE credit_adjustments"],
)
def test_an_adjustment_never_changes(session: Session, statement: str) -> None:
    adjust(session, make_customer(session, 10, at=START), 1)
    session.flush()
    with pytest.raises(DBAPIError, match="credit_adjustments rows never change"):
        session.execute(text(statement))


def test_the_database_refuses_an_adjustment_that_disagrees_with_its_ledger_row(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    bought = session.scalars(select(CreditTransaction.id).where(CreditTransaction.customer_id == customer)).first()
    session.add(
        CreditAdjustment(
            customer_id=customer,
            transaction_id=bought,
            credits=10,
            reason="other",
            note="x",
            actor="t",
            idempotency_key="k",
            adjusted_at=START,
        )
    )
    with pytest.raises(DBAPIError, match="must agree with its ledger row"):
        session.flush()


def test_the_books_miss_an_adjustment_without_its_audit_entry(session: Session) -> None:
    customer = make_customer(session, 10, at=START)
    audit.record(session, actor="t", action="credits.adjusted", subject=f"customer:{customer}")
    [violation] = books.violations(session)
    assert violation.rule == "an adjustment by hand has its audit entry"
