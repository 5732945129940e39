"""Rooms: what an operator gives and takes alone, exact for each and for a day; beyond it a second one decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import (
    adjustment_approvals,
    adjustments,
    approval_list,
    approvals,
    bulk_refunds,
    ledger,
    limits,
    operators,
    refunds,
    reversal_approvals,
    reversals,
    rooms,
)
from makegood.errors import Conflict, Forbidden, IdempotencyConflict, NeedsApproval
from makegood.ids import uuid7
from makegood.limits import Limits
from makegood.models import Approval, AuditEntry, BulkRefund, CreditAdjustment, Refund, Reversal
from tests.making import TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
ANA, BEN, SUE, SAM = "ana@example.com", "ben@example.com", "sue@example.com", "sam@example.com"
HOLDS = {
    "support": Limits(60, 100, 0, None, per_adjustment=0, per_taking=5, per_taking_day=8, per_bulk_day=0),
    "admin": Limits(60, 100, 40, None, per_adjustment=50, per_taking=30, per_taking_day=45, per_bulk_day=60),
}


@pytest.fixture(autouse=True)
def people(session: Session) -> None:
    """Two admins, who may give 50 and take 30 at once, and two of support."""
    for email, role in ((ANA, "admin"), (BEN, "admin"), (SUE, "support"), (SAM, "support")):
        operators.create(session, email, role, "correct horse battery", actor="tests")
    limits.publish(session, HOLDS, based_on=1, note="for the tests", actor="tests")


@pytest.fixture
def customer(session: Session) -> str:
    """Somebody with 1,005 credits."""
    return make_customer(session, 1000, at=AT)


def adjust(session: Session, customer: str, credits: int, actor: str = ANA, **given: Any) -> CreditAdjustment:
    values = {"reason": "goodwill", "note": "x", "idempotency_key": uuid7().hex, "at": AT, **given}
    return adjustments.adjust(session, customer, credits, TERMS, actor=actor, **values)


def refund(session: Session, customer: str, credits: int, actor: str = ANA) -> Refund:
    """Of a new generation that cost as much."""
    made = make_generation(session, customer, credits=credits, status="succeeded", at=AT)
    return refunds.issue_manual(
        session, made, TERMS, credits=credits, reason="other", note="x", actor=actor,
        idempotency_key=uuid7().hex, expected_refunded=0, at=AT,
    )  # fmt: skip


def reverse(session: Session, refund: Refund, actor: str = ANA, **given: Any) -> Reversal:
    values = {"note": "x", "idempotency_key": uuid7().hex, "at": AT, **given}
    return reversals.reverse(session, refund.id, TERMS, actor=actor, **values)


def ask(session: Session, customer: str, credits: int, actor: str = ANA, key: str = "form") -> Approval:
    return adjustment_approvals.ask(
        session, customer, credits, reason="goodwill", note="x", actor=actor, idempotency_key=key, at=AT
    )


def approve(session: Session, asked: Approval, actor: str = BEN) -> Approval:
    return approvals.approve(session, asked.id, actor=actor, terms=TERMS, at=AT)


def used(session: Session, email: str, purpose: rooms.Purpose) -> int:
    return rooms.used_on_the_day(session, email, purpose, TERMS.timezone, at=AT)


def test_an_adjustment_beyond_its_limit_needs_a_second_operator(session: Session, customer: str) -> None:
    adjust(session, customer, 50)
    adjust(session, customer, -30)
    for credits, limit in ((51, 50), (-31, 30)):
        with pytest.raises(NeedsApproval) as beyond:
            adjust(session, customer, credits, BEN)
        assert beyond.value.message == (
            f"Your limit is {limit} credits for one adjustment. A second operator has to approve an adjustment of "
            f"{abs(credits)}. No credits moved."
        )
    assert ledger.balance(session, customer) == 1025


def test_what_is_given_on_a_day_is_one_sum_of_refunds_and_adjustments(session: Session, customer: str) -> None:
    refund(session, customer, 60)
    adjust(session, customer, 30)
    adjust(session, customer, 500, "a command")
    adjust(session, customer, 50, at=AT - timedelta(days=1))
    before = ledger.balance(session, customer)
    with pytest.raises(NeedsApproval, match="You have given 90 of the 100 credits"):
        adjust(session, customer, 11)
    assert ledger.balance(session, customer) == before
    with pytest.raises(NeedsApproval, match="You have given 90 of the 100 credits"):
        refund(session, customer, 11)
    assert ledger.balance(session, customer) == before - 11  # what the generation cost
    adjust(session, customer, 10)
    assert used(session, ANA, rooms.GIFT) == used(session, ANA, rooms.REFUND) == 100


def test_what_is_taken_on_a_day_is_one_sum_of_adjustments_and_reversals(session: Session, customer: str) -> None:
    others = [make_customer(session, 100, at=AT) for _ in range(3)]
    returned = [
        refund(session, other, credits, "a command") for other, credits in zip(others, (20, 20, 31), strict=True)
    ]
    reverse(session, returned[0])
    adjust(session, customer, -25)
    with pytest.raises(NeedsApproval, match="You have taken 45 of the 45 credits"):
        adjust(session, customer, -1)
    with pytest.raises(NeedsApproval, match="You have taken 45 of the 45 credits"):
        reverse(session, returned[1])
    with pytest.raises(NeedsApproval, match="Your limit is 30 credits for one reversal"):
        reverse(session, returned[2], BEN)
    assert [ledger.balance(session, one) for one in (customer, *others)] == [980, 85, 105, 105]
    adjust(session, customer, 50)  # taking leaves the day's room to give as it was


def test_roles_hold_whoever_calls(session: Session, customer: str) -> None:
    given_back = refund(session, customer, 1, "a command")
    operators.create(session, "viewer@example.com", "viewer", "correct horse battery", actor="tests")
    with pytest.raises(Forbidden, match="Your role does not allow adjustments"):
        adjust(session, customer, 1, SUE)
    with pytest.raises(Forbidden, match="Your role does not allow reversals"):
        reverse(session, given_back, "viewer@example.com")
    operators.disable(session, BEN, actor="tests", now=AT)
    with pytest.raises(Forbidden, match="disabled"):
        adjust(session, customer, -1, BEN)
    assert ledger.balance(session, customer) == 1005


def test_an_approved_adjustment_is_made_once_as_asked_for_and_counts_for_who_approved(
    session: Session, customer: str
) -> None:
    asked = ask(session, customer, 400)
    assert ask(session, customer, 400).id == asked.id
    with pytest.raises(Forbidden, match="Nobody approves their own request"):
        approve(session, asked, ANA)
    with pytest.raises(Forbidden, match="Your role"):
        approve(session, asked, SUE)
    assert ledger.balance(session, customer) == 1005
    assert approve(session, asked).result_id == approve(session, asked).result_id
    assert ledger.balance(session, customer) == 1405
    made = session.get_one(CreditAdjustment, asked.result_id)
    assert (made.credits, made.actor, made.note) == (400, ANA, "x")
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "credits.adjusted")).one()
    assert (entry.actor, entry.details["approved_by"]) == (ANA, BEN)
    assert (used(session, ANA, rooms.GIFT), used(session, BEN, rooms.GIFT)) == (0, 400)
    with pytest.raises(NeedsApproval, match="You have given 400 of the 100"):
        adjust(session, customer, 1, BEN)


def test_a_form_whose_request_was_approved_gives_and_asks_for_nothing_more(
    session: Session, customer: str
) -> None:
    made = approve(session, ask(session, customer, 40)).result_id
    assert adjust(session, customer, 40, idempotency_key="form").id == made
    for again in (40, 41):
        with pytest.raises(IdempotencyConflict, match="This form gave 40 credits when it was sent before"):
            ask(session, customer, again)
    assert ledger.balance(session, customer) == 1045
    assert approval_list.waiting_for(session, BEN, "admin", at=AT) == 0


def test_what_takes_is_approved_as_such(session: Session, customer: str) -> None:
    approve(session, ask(session, customer, -300))
    assert ledger.balance(session, customer) == 705
    assert (used(session, BEN, rooms.TAKING), used(session, BEN, rooms.GIFT)) == (300, 0)


def test_a_customer_who_changed_meanwhile_is_not_adjusted_as_asked(session: Session, customer: str) -> None:
    asked = ask(session, customer, 400)
    adjust(session, customer, 50, BEN)
    assert adjustment_approvals.changed(session, asked)
    with pytest.raises(Conflict, match=r"adjusted meanwhile\. No credits moved"):
        approve(session, asked)
    assert (ledger.balance(session, customer), approvals.get(session, asked.id).state) == (1055, "pending")
    approvals.reject(session, asked.id, actor=BEN, note="I gave 50.", at=AT)
    taking = ask(session, customer, -1000)
    make_generation(session, customer, credits=100, at=AT)
    with pytest.raises(Conflict, match="has only 955 credits by now"):
        approve(session, taking)
    assert (ledger.balance(session, customer), approvals.get(session, taking.id).state) == (955, "pending")


def test_one_request_at_a_time_about_a_customer_and_none_for_what_is_not_there(
    session: Session, customer: str
) -> None:
    with pytest.raises(Conflict, match="has only 1,005 credits"):
        ask(session, customer, -1006)
    ask(session, customer, 400)
    with pytest.raises(Conflict, match=f"{ANA} has asked for this already"):
        ask(session, customer, 300, BEN)
    assert approval_list.waiting_for(session, BEN, "admin", at=AT) == 1
    assert approval_list.waiting_for(session, SUE, "support", at=AT) == 0


def test_a_customer_with_the_longest_id_can_be_asked_for(session: Session) -> None:
    longest = make_customer(session, 10, customer_id="c" * 200, at=AT)
    approve(session, ask(session, longest, 400))
    assert ledger.balance(session, longest) == 415


def test_a_large_reversal_is_asked_for_and_approved_while_the_credits_are_there(
    session: Session, customer: str
) -> None:
    returned = refund(session, customer, 31, "a command")
    asked = reversal_approvals.ask(session, returned.id, note="x", actor=SUE, idempotency_key="form", at=AT)
    assert asked.credits == -31
    with pytest.raises(NeedsApproval, match="Your limit is 5 credits for one reversal"):
        approve(session, asked, SAM)
    spent = make_generation(session, customer, credits=1000, at=AT)
    with pytest.raises(Conflict, match="Only 5 of the 31 credits are still there"):
        approve(session, asked)
    refunds.issue_manual(
        session, spent, TERMS, credits=1000, reason="other", note="x", actor="a command", idempotency_key="k",
        expected_refunded=0, at=AT,
    )  # fmt: skip
    assert approve(session, asked).result_id == approve(session, asked).result_id
    assert ledger.balance(session, customer) == 974
    made = session.get_one(Reversal, asked.result_id)
    assert (made.actor, made.credits, used(session, BEN, rooms.REVERSAL)) == (SUE, 31, 31)
    with pytest.raises(Conflict, match=f"{SUE} has reversed this refund already"):
        reversal_approvals.ask(session, returned.id, note="x", actor=ANA, idempotency_key="2", at=AT)


def confirm(session: Session, credits: int, minute: int, actor: str = ANA) -> BulkRefund:
    """A bulk refund of one new generation that cost so much, and was charged in this minute."""
    since = AT + timedelta(minutes=minute)
    make_generation(session, make_customer(session, 1000, at=AT), credits=credits, status="succeeded", at=since)
    scope = bulk_refunds.Scope("wavespeed", since, since + timedelta(seconds=30), status="succeeded")
    seen = bulk_refunds.preview(session, scope)
    return bulk_refunds.start(
        session, scope, TERMS, fingerprint=seen.fingerprint, count=1, reason="outage", note="x", actor=actor,
        idempotency_key=uuid7().hex, at=AT,
    )  # fmt: skip


def test_bulk_refunds_of_a_day_add_up_and_those_approved_count_for_the_second_operator(session: Session) -> None:
    assert confirm(session, 41, 0).state == "waiting"
    made = [confirm(session, credits, minute) for minute, credits in enumerate((40, 21, 20), start=1)]
    spent = partial(rooms.used_on_the_day, purpose=rooms.BULK, timezone=TERMS.timezone, at=AT)
    assert [one.state for one in made] == ["running", "waiting", "running"]
    assert spent(session, ANA) == 60
    asked = session.scalars(select(Approval).where(Approval.credits == 41)).one()
    approve(session, asked)
    assert (spent(session, ANA), spent(session, BEN)) == (60, 41)
    with pytest.raises(Forbidden, match="Your role does not allow bulk refunds"):
        confirm(session, 1, 9, SUE)
