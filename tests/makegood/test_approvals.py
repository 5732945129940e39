"""Approvals: one operator asks, another one decides, and then it happens with all the usual guards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import (
    approval_kinds,
    approval_list,
    approvals,
    generations,
    ledger,
    limits,
    operators,
    refund_approvals,
    refunds,
    reversals,
    rooms,
)
from makegood.approval_kinds import Kind
from makegood.errors import Conflict, Forbidden, IdempotencyConflict, Invalid, NeedsApproval, NotFound
from makegood.ids import uuid7
from makegood.limits import Limits
from makegood.models import Approval, AuditEntry, Refund
from tests.making import FAILURE, SUCCESS, TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
ASKER, SECOND, ADMIN = "asker@example.com", "second@example.com", "admin@example.com"


@pytest.fixture(autouse=True)
def people(session: Session) -> None:
    """Two of support, who may refund 50 credits at once and 60 a day, and an admin without limits."""
    for email, role in ((ASKER, "support"), (SECOND, "support"), (ADMIN, "admin"), ("v@example.com", "viewer")):
        operators.create(session, email, role, "correct horse battery", actor="tests")
    wanted = {"support": Limits(50, 60, 0, None), "admin": Limits(None, None, 1000, None)}
    limits.publish(session, wanted, based_on=1, note="for the tests", actor="tests")


@pytest.fixture
def customer(session: Session) -> str:
    """Somebody with 105 credits."""
    return make_customer(session, 1100, at=AT)


@pytest.fixture
def generation(session: Session, customer: str) -> UUID:
    """One that cost 100 credits."""
    return make_generation(session, customer, credits=100, at=AT)


def ask(session: Session, generation: UUID, credits: int = 80, **more: Any) -> Approval:
    """The asker asks for a refund."""
    values = {"reason": "goodwill", "note": "sorry", "actor": ASKER, "idempotency_key": "k", "at": AT, **more}
    return refund_approvals.ask(session, generation, credits=credits, expected_refunded=0, **values)


def approve(
    session: Session, approval: Approval, actor: str = ADMIN, at: datetime = AT, address: str | None = None
) -> Approval:
    return approvals.approve(session, approval.id, actor=actor, terms=TERMS, at=at, note="fine", address=address)


def test_an_approved_refund_is_issued_as_asked_for_by_one_and_approved_by_another(
    session: Session, customer: str, generation: UUID
) -> None:
    asked = ask(session, generation, address="192.0.2.1")
    assert ledger.balance(session, customer) == 1005
    approved = approve(session, asked, address="192.0.2.2")
    assert ledger.balance(session, customer) == 1085
    refund = session.get_one(Refund, approved.result_id)
    assert (refund.actor, refund.credits, refund.note, refund.origin) == (ASKER, 80, "sorry", "manual")
    assert (approved.state, approved.decided_by, approved.decision_note) == ("approved", ADMIN, "fine")
    entries = select(AuditEntry).where(AuditEntry.subject == f"generation:{generation}")
    trail = session.scalars(entries.order_by(AuditEntry.id))
    assert [(entry.action, entry.actor, entry.address) for entry in trail] == [
        ("approval.requested", ASKER, "192.0.2.1"),
        ("refund.issued", ASKER, None),
        ("approval.approved", ADMIN, "192.0.2.2"),
    ]


def test_approving_twice_refunds_once(session: Session, customer: str, generation: UUID) -> None:
    asked = ask(session, generation)
    assert approve(session, asked).result_id == approve(session, asked).result_id
    assert ledger.balance(session, customer) == 1085
    with pytest.raises(Conflict, match=f"{ADMIN} has approved this already"):
        approve(session, asked, SECOND)


@pytest.mark.parametrize("shut_out", [operators.disable, operators.set_role])
def test_what_somebody_asked_for_who_may_no_longer_is_not_done(
    session: Session, customer: str, generation: UUID, shut_out: Any
) -> None:
    asked = ask(session, generation)
    shut_out(session, ASKER, actor=ADMIN, **({"now": AT} if shut_out is operators.disable else {"role": "viewer"}))
    with pytest.raises(Conflict, match=f"{ASKER} may not do this any more. No credits moved"):
        approve(session, asked)
    assert (ledger.balance(session, customer), approvals.get(session, asked.id).state) == (1005, "pending")
    approvals.reject(session, asked.id, actor=ADMIN, note="no", at=AT)


def test_nobody_decides_their_own_request(session: Session, customer: str, generation: UUID) -> None:
    own = ask(session, generation, actor=ADMIN)
    with pytest.raises(Forbidden, match="Nobody approves their own request"):
        approve(session, own)
    with pytest.raises(Forbidden, match="Withdraw it"):
        approvals.reject(session, own.id, actor=ADMIN, note="no", at=AT)
    assert (ledger.balance(session, customer), own.state) == (1005, "pending")


@pytest.mark.parametrize("state", ["approved", "rejected"])
def test_the_database_lets_nobody_decide_their_own(session: Session, generation: UUID, state: str) -> None:
    own = ask(session, generation)
    forged = text(
        "UPDATE approvals SET state = :state, decided_by = requested_by, decided_at = now(), decision_note = 'x',"
        " result_id = CASE WHEN :state = 'approved' THEN id END WHERE id = :id"
    )
    with pytest.raises(IntegrityError, match="ck_approvals_second_operator"):
        session.execute(forged, {"state": state, "id": own.id})
    session.rollback()


@pytest.mark.parametrize("change", ["credits = 5000", "requested_by = 'x'", "subject = 'generation:x'"])
def test_what_was_asked_for_never_changes(session: Session, generation: UUID, change: str) -> None:
    ask(session, generation)
    with pytest.raises(IntegrityError, match="never change"):
        session.execute(text(f"UPDATE approvals SET {change}"))
    session.rollback()


def test_who_approves_has_to_be_within_their_own_limits(session: Session, customer: str, generation: UUID) -> None:
    asked = ask(session, generation)
    with pytest.raises(NeedsApproval, match="Your limit is 50 credits"):
        approve(session, asked, SECOND)
    assert (ledger.balance(session, customer), approvals.get(session, asked.id).state) == (1005, "pending")
    with pytest.raises(Forbidden, match="Your role"):
        approve(session, asked, "v@example.com")
    approve(session, asked, ADMIN)


def test_an_approved_refund_counts_for_the_day_of_who_approved_it(
    session: Session, customer: str, generation: UUID
) -> None:
    for key, refunded in (("1", 0), ("2", 30)):
        refunds.issue_manual(
            session, generation, TERMS, credits=30, reason="other", note="x", actor=ASKER, idempotency_key=key,
            expected_refunded=refunded, at=AT,
        )  # fmt: skip
    other = make_generation(session, customer, credits=100, at=AT)
    approve(session, ask(session, other, 40), SECOND)
    spent = {
        name: rooms.used_on_the_day(session, name, rooms.REFUND, TERMS.timezone, at=AT)
        for name in (ASKER, SECOND, ADMIN)
    }
    assert spent == {ASKER: 60, SECOND: 40, ADMIN: 0}
    with pytest.raises(NeedsApproval, match="You have given 40 of the 60"):
        approve(session, ask(session, make_generation(session, customer, credits=100, at=AT), 21), SECOND)


def test_a_generation_that_was_refunded_meanwhile_is_not_refunded_as_asked(
    session: Session, customer: str, generation: UUID
) -> None:
    asked = ask(session, generation)
    generations.settle(session, generation, FAILURE, TERMS, at=AT)
    with pytest.raises(Conflict, match="100 credits have been refunded by now"):
        approve(session, asked)
    assert (ledger.balance(session, customer), approvals.get(session, asked.id).state) == (1105, "pending")
    approvals.reject(session, asked.id, actor=ADMIN, note="It was refunded by itself.", at=AT)


def test_a_form_whose_approved_refund_was_reversed_refunds_and_asks_for_nothing_more(
    session: Session, customer: str, generation: UUID
) -> None:
    generations.settle(session, generation, SUCCESS, TERMS, at=AT)
    made = approve(session, ask(session, generation, 40)).result_id
    again: dict[str, Any] = {"credits": 40, "reason": "goodwill", "note": "sorry", "idempotency_key": "k"}
    refund = partial(refunds.issue_manual, session, generation, TERMS, actor=ASKER, expected_refunded=0, at=AT)
    assert refund(**again).id == made
    reversals.reverse(session, made, TERMS, note="x", actor="ops", idempotency_key="r", at=AT)
    with pytest.raises(IdempotencyConflict, match="This form refunded 40 credits, and ops has reversed that"):
        refund(**again)
    with pytest.raises(IdempotencyConflict, match="and ops has reversed that"):
        ask(session, generation, 40)
    assert ledger.balance(session, customer) == 1005


def test_a_rejected_request_moves_nothing_and_says_why(session: Session, customer: str, generation: UUID) -> None:
    asked = ask(session, generation)
    with pytest.raises(Invalid):
        approvals.reject(session, asked.id, actor=SECOND, note=" ", at=AT)
    rejected = approvals.reject(session, asked.id, actor=SECOND, note="Not for goodwill.", at=AT)
    assert (rejected.state, rejected.decision_note) == ("rejected", "Not for goodwill.")
    with pytest.raises(Conflict, match="rejected"):
        approve(session, asked)
    assert ledger.balance(session, customer) == 1005
    assert ask(session, generation, idempotency_key="again").state == "pending"


def test_only_who_asked_withdraws(session: Session, generation: UUID) -> None:
    asked = ask(session, generation)
    with pytest.raises(Forbidden):
        approvals.withdraw(session, asked.id, actor=ADMIN, at=AT)
    assert approvals.withdraw(session, asked.id, actor=ASKER, at=AT).state == "withdrawn"
    with pytest.raises(Conflict, match="withdrawn"):
        approve(session, asked)


def test_a_request_expires_after_seven_days(session: Session, customer: str, generation: UUID) -> None:
    asked = ask(session, generation)
    late = AT + timedelta(days=7)
    with pytest.raises(Conflict, match="expired"):
        approve(session, asked, at=late)
    assert approval_list.waiting_for(session, ADMIN, "admin", at=late) == 0
    assert approvals.expire_due(session, at=late - timedelta(seconds=1)) == 0
    assert approvals.expire_due(session, at=late) == 1
    assert approvals.get(session, asked.id).state == "expired"
    assert ledger.balance(session, customer) == 1005


def test_a_request_that_has_expired_waits_nowhere_though_no_worker_has_closed_it(
    session: Session, customer: str, generation: UUID
) -> None:
    asked = ask(session, generation)
    about = [asked.subject]

    def waiting(at: datetime) -> list[list[Approval]]:
        found = refund_approvals.waiting(session, generation, at=at)
        return [
            [found] if found else [],
            approval_list.about(session, about, at=at).waiting,
            list(approval_list.waiting_about(session, about, at=at).values()),
            approval_list.waiting_of(session, customer, at=at),
        ]

    assert waiting(AT + timedelta(days=7, microseconds=-1)) == [[asked]] * 4
    assert waiting(AT + timedelta(days=7)) == [[]] * 4
    assert asked.state == "pending"


def test_a_new_request_takes_the_place_of_one_that_expired(session: Session, generation: UUID) -> None:
    first = ask(session, generation)
    second = ask(session, generation, idempotency_key="2", at=AT + timedelta(days=8))
    assert (approvals.get(session, first.id).state, second.state) == ("expired", "pending")


def test_a_double_submit_returns_the_first_request_and_another_one_waits_its_turn(
    session: Session, generation: UUID
) -> None:
    assert ask(session, generation).id == ask(session, generation).id
    with pytest.raises(Conflict, match=f"{ASKER} has asked for this already"):
        ask(session, generation, actor=SECOND)
    assert approval_list.waiting_for(session, SECOND, "support", at=AT) == 1
    assert approval_list.waiting_for(session, ASKER, "support", at=AT) == 0


def test_what_cannot_be_refunded_is_not_asked_for(session: Session, generation: UUID) -> None:
    with pytest.raises(NotFound):
        ask(session, uuid7())
    with pytest.raises(Invalid):
        ask(session, generation, 101)
    generations.settle(session, generation, FAILURE, TERMS, at=AT)
    with pytest.raises(Conflict):
        ask(session, generation)


def test_a_kind_hears_what_was_dropped_and_carries_out_what_was_approved(session: Session) -> None:
    heard: list[str] = []

    def start(session: Session, approval: Approval, approver: str, *_: object) -> None:
        heard.append(f"{approver} approved {approval.subject}")

    bulk = approval_kinds.KINDS.get("bulk_refund")
    kind = approval_kinds.register(
        Kind("bulk_refund", "bulk_refund", "refund", start, lambda _, approval: heard.append(approval.state))
    )
    try:
        for decide in (
            lambda one: approve(session, one),
            lambda one: approvals.reject(session, one.id, actor=ADMIN, note="no", at=AT),
            lambda one: approvals.withdraw(session, one.id, actor=ASKER, at=AT),
        ):
            asked = approvals.ask(
                session, kind, 1, credits=5000, details={"generations": 40}, note="the outage", actor=ASKER, at=AT,
            )  # fmt: skip
            decide(asked)
    finally:
        approval_kinds.KINDS.pop("bulk_refund")
        if bulk:
            approval_kinds.register(bulk)
    assert heard == [f"{ADMIN} approved bulk_refund:1", "rejected", "withdrawn"]
