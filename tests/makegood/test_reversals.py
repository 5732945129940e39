"""Reversing a refund: from the grants that it went to, while the credits are there, once; figures follow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import generations, grants, ledger, refunds, reversals
from makegood.errors import Conflict, Invalid, NotFound
from makegood.generations import costs
from makegood.ids import uuid7
from makegood.models import AuditEntry, CreditTransaction, Event, Grant, Refund, RefundPolicy, Reversal
from makegood.providers.protocol import ErrorClass, Outcome, Report
from tests.making import SUCCESS, TERMS, make_customer, make_generation, reserve

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = AT + timedelta(days=1)
COST = 27_000

pytestmark = pytest.mark.usefixtures("balanced_books")


@pytest.fixture
def customer(session: Session) -> str:
    """Somebody with 95 purchased credits and an allowance of 5."""
    return make_customer(session, 95, at=AT)


def refund(session: Session, generation_id: UUID, credits: int, **facts: Any) -> Refund:
    """By hand."""
    done = generations.get(session, generation_id).credits_refunded
    asked: dict[str, Any] = {
        "reason": "other",
        "note": "x",
        "actor": "ana",
        "idempotency_key": uuid7().hex,
        "at": AT,
    }
    return refunds.issue_manual(
        session, generation_id, TERMS, credits=credits, expected_refunded=done, **asked | facts
    )


def reverse(session: Session, refund_id: UUID, **facts: Any) -> Reversal:
    asked: dict[str, Any] = {"note": "wrong customer", "actor": "bert", "idempotency_key": "form", "at": LATER}
    return reversals.reverse(session, refund_id, TERMS, **asked | facts)


def remaining(session: Session, customer: str) -> dict[str, int]:
    session.expire_all()
    query = select(Grant.source, Grant.remaining).where(Grant.customer_id == customer)
    return dict(session.execute(query).all())


def loss(session: Session, refund_id: UUID) -> int:
    session.expire_all()
    return session.get_one(Refund, refund_id).loss_micros


def figures(session: Session, day: datetime) -> tuple[int, int, int]:
    """Refunds, credits refunded and loss that count on a day."""
    query = select(Event.refunds, Event.credits_refunded, Event.loss_micros, Event.at)
    rows = [row for row in session.execute(query) if row.at.date() == day.date()]
    return sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows)


def test_a_reversal_takes_the_credits_back_from_the_grants_they_went_to(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    before = remaining(session, customer)
    issued = refund(session, generation_id, 8)
    assert remaining(session, customer) == {"purchase": 95, "allowance": 3}
    made = reverse(session, issued.id)
    assert remaining(session, customer) == before == {"purchase": 90, "allowance": 0}
    assert ledger.balance(session, customer) == 90
    assert generations.get(session, generation_id).credits_refunded == 0
    row = session.get_one(CreditTransaction, made.transaction_id)
    assert (row.kind, row.amount, row.balance_after, row.generation_id) == ("reversal", -8, 90, generation_id)
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "refund.reversed")).one()
    assert (entry.actor, entry.subject) == ("bert", f"refund:{issued.id}")
    assert entry.details["before"] == {"refunded": 8, "balance": 98}
    assert entry.details["after"] == {"refunded": 0, "balance": 90}


def test_a_reversed_refund_no_longer_counts_on_the_day_it_was_issued(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    issued = refund(session, generation_id, 8)
    assert figures(session, AT) == (1, 8, COST)
    reverse(session, issued.id)
    assert figures(session, AT) == (0, 0, 0)
    assert figures(session, LATER) == (0, 0, 0)
    assert loss(session, issued.id) == 0
    month = ledger.consumed_this_month(session, customer, TERMS.timezone, at=LATER)
    assert (month.charged, month.refunded, month.net) == (10, 0, 10)


def test_the_loss_moves_to_the_next_refund_that_stands(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    first, second = refund(session, generation_id, 3), refund(session, generation_id, 4, at=LATER)
    reverse(session, first.id)
    assert (loss(session, first.id), loss(session, second.id)) == (0, COST)
    assert (figures(session, AT), figures(session, LATER)) == ((0, 0, 0), (1, 4, COST))
    costs.set_cost(session, generation_id, 50_000, source="bill")
    assert (loss(session, first.id), loss(session, second.id)) == (0, 50_000)
    reverse(session, second.id, idempotency_key="other")
    costs.set_cost(session, generation_id, 60_000, source="bill")
    assert (loss(session, first.id), loss(session, second.id)) == (0, 0)
    third = refund(session, generation_id, 1, at=LATER)
    assert loss(session, third.id) == 60_000


@pytest.mark.parametrize(("spend", "there"), [(96, 3), (99, 0)])
def test_credits_that_were_spent_are_not_taken_back(
    session: Session, customer: str, spend: int, there: int
) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    issued = refund(session, generation_id, 9)
    reserve(session, customer, credits=spend, at=AT)
    words = f"{'Only ' if there else 'N'}{there or 'one'} of the 9 credits are still there"
    prospect = reversals.look(session, issued.id, at=LATER)
    assert (prospect.there, words in str(prospect.problem)) == (there, True)
    with pytest.raises(Conflict, match=words) as refused:
        reverse(session, issued.id)
    assert refused.value.details == {"available": there}
    assert ledger.balance(session, customer) == 99 - spend
    assert generations.get(session, generation_id).credits_refunded == 9


def test_credits_in_other_grants_are_not_taken_instead(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=5, status="succeeded", at=AT)
    issued = refund(session, generation_id, 5)
    reserve(session, customer, credits=5, at=AT)
    grants.add(session, customer, 50, source="bonus", reason="-", actor="t", at=AT)
    with pytest.raises(Conflict, match="None of the 5 credits are still there"):
        reverse(session, issued.id)
    assert ledger.balance(session, customer) == 145


def test_credits_that_expired_meanwhile_are_gone(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=5, status="succeeded", at=AT)
    issued = refund(session, generation_id, 5)
    with pytest.raises(Conflict, match="None of the 5 credits are still there"):
        reverse(session, issued.id, at=AT + timedelta(days=40))
    assert ledger.balance(session, customer) == 95


def test_what_lives_on_after_its_grant_expired_is_taken_back_and_can_be_refunded_again(
    session: Session, customer: str
) -> None:
    generation_id = make_generation(session, customer, credits=5, status="succeeded", at=AT)
    december = AT + timedelta(days=20)
    issued = refund(session, generation_id, 5, at=december)
    reverse(session, issued.id, at=december)
    assert ledger.balance(session, customer) == 95
    refund(session, generation_id, 4, at=december)
    assert ledger.balance(session, customer) == 99


def test_a_double_submit_returns_the_first_reversal_and_another_one_is_told(
    session: Session, customer: str
) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    issued = refund(session, generation_id, 8)
    first = reverse(session, issued.id)
    assert reverse(session, issued.id).id == first.id
    with pytest.raises(Conflict, match="bert has reversed this refund already"):
        reverse(session, issued.id, actor="carla", idempotency_key="another form")
    assert ledger.balance(session, customer) == 90


def test_the_form_of_a_refund_that_was_reversed_says_that_no_credits_moved(
    session: Session, customer: str
) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    reverse(session, refund(session, generation_id, 8, idempotency_key="k").id)
    with pytest.raises(Conflict, match=r"refunded 8 credits, and bert has reversed that\. No credits moved"):
        refund(session, generation_id, 8, idempotency_key="k")
    assert ledger.balance(session, customer) == 90


def test_after_a_reversal_the_whole_charge_can_be_refunded(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    reverse(session, refund(session, generation_id, 7).id)
    refund(session, generation_id, 10)
    assert remaining(session, customer) == {"purchase": 95, "allowance": 5}


def test_what_the_policy_returned_stays(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="failed", at=AT)
    automatic = session.scalars(select(Refund).where(Refund.generation_id == generation_id)).one()
    with pytest.raises(Conflict, match="policy returned these credits"):
        reverse(session, automatic.id)
    assert ledger.balance(session, customer) == 100


def test_no_failure_is_paid_for_after_a_reversal(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, at=AT)
    by_hand = refund(session, generation_id, 4)
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "-", TERMS, at=AT)
    with pytest.raises(Conflict, match="The generation failed: by the refund policy 10 of the 10 credits stay"):
        reverse(session, by_hand.id)
    assert ledger.balance(session, customer) == 100


def test_a_failure_after_a_reversal_returns_everything(session: Session, customer: str) -> None:
    generation_id = make_generation(session, customer, credits=10, at=AT)
    reverse(session, refund(session, generation_id, 4).id)
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "-", TERMS, at=LATER)
    assert ledger.balance(session, customer) == 100


def test_a_late_failure_stays_paid_back_when_the_policy_gives_nothing_for_unknown_errors(
    session: Session, customer: str
) -> None:
    generation_id = make_generation(session, customer, credits=10, at=AT)
    by_hand = refund(session, generation_id, 10)
    generations.cancel(session, generation_id, TERMS, actor="t", at=AT)
    shares = dict.fromkeys([*ErrorClass, refunds.CANCELLED], 100) | {"unknown_error": 0, "cancelled": 0}
    session.add_all(RefundPolicy(version=2, error_class=name, percent=share) for name, share in shares.items())
    session.flush()
    timeout = Report(Outcome.FAILED, error_class=ErrorClass.TIMEOUT)
    generations.settle(session, generation_id, timeout, TERMS, at=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Conflict, match="The generation failed: by the refund policy 10 of the 10 credits stay"):
        reverse(session, by_hand.id)
    assert ledger.balance(session, customer) == 100


def test_a_late_success_under_another_policy_does_not_make_a_failure_paid_for(
    session: Session, customer: str
) -> None:
    generation_id = make_generation(session, customer, credits=10, at=AT)
    by_hand = refund(session, generation_id, 10)
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "-", TERMS, at=AT)
    session.add(RefundPolicy(version=2, error_class="timeout", percent=0))
    session.flush()
    generations.settle(session, generation_id, SUCCESS, TERMS, at=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Conflict, match="The generation failed: by the refund policy 10 of the 10 credits stay"):
        reverse(session, by_hand.id)
    assert ledger.balance(session, customer) == 100


@pytest.mark.parametrize("note", ["", "  ", "x" * 1001, "a\0b"])
def test_a_reversal_says_why(session: Session, customer: str, note: str) -> None:
    generation_id = make_generation(session, customer, credits=10, status="succeeded", at=AT)
    issued = refund(session, generation_id, 8)
    with pytest.raises(Invalid, match="No credits moved"):
        reverse(session, issued.id, note=note)
    assert ledger.balance(session, customer) == 98


def test_a_refund_that_does_not_exist_is_not_reversed(session: Session) -> None:
    with pytest.raises(NotFound):
        reverse(session, uuid7())
