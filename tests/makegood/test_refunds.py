"""Refunds: back to the grants that the credits came from, by policy once, by hand as often as any is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import generations, grants, ledger, refunds
from makegood.errors import Conflict, IdempotencyConflict, Invalid, NotFound
from makegood.ids import uuid7
from makegood.models import AuditEntry, CreditTransaction, Generation, Grant, Movement, Refund, RefundPolicy
from makegood.providers.protocol import ErrorClass, Outcome, Report
from makegood.terms import Terms
from tests.making import FAILURE, SUCCESS, TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def by_hand(session: Session, generation_id: UUID, credits: int, expected: int = 0, **more: Any) -> Refund:
    """An operator's refund."""
    values = {
        "reason": "goodwill",
        "note": "sorry",
        "actor": "ops@example.com",
        "idempotency_key": uuid7().hex,
        "at": START,
        **more,
    }
    return refunds.issue_manual(
        session, generation_id, TERMS, credits=credits, expected_refunded=expected, **values
    )


def fail(session: Session, generation_id: UUID, at: datetime = START, error: str = "timeout") -> generations.Ended:
    """The provider reports a failure."""
    report = Report(Outcome.FAILED, error_class=ErrorClass(error))
    return generations.settle(session, generation_id, report, TERMS, at=at)


def holdings(session: Session, customer_id: str, at: datetime) -> list[tuple[str, int, datetime | None]]:
    """Source, remainder and expiry of the open grants, in spending order."""
    session.expire_all()
    return [(g.source, g.remaining, g.expires_at) for g in grants.open_grants(session, customer_id, at)]


def new_policy(session: Session, version: int, **percents: int) -> None:
    """A policy of these shares; what is not named returns 100 %."""
    shares = dict.fromkeys([*ErrorClass, refunds.CANCELLED], 100) | percents
    session.add_all(RefundPolicy(version=version, error_class=name, percent=p) for name, p in shares.items())
    session.flush()


def test_a_refund_returns_to_the_grants_that_the_charge_drew_from(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    generation_id = make_generation(session, customer_id, credits=8, at=START)
    assert holdings(session, customer_id, START) == [("purchase", 7, None)]
    fail(session, generation_id)
    assert holdings(session, customer_id, START) == [("allowance", 5, DECEMBER), ("purchase", 10, None)]
    assert ledger.balance(session, customer_id) == 15


def test_a_partial_refund_returns_what_was_drawn_last_first(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    generation_id = make_generation(session, customer_id, credits=8, at=START)
    by_hand(session, generation_id, 2)
    assert holdings(session, customer_id, START) == [("purchase", 9, None)]
    by_hand(session, generation_id, 2, expected=2)
    assert holdings(session, customer_id, START) == [("allowance", 1, DECEMBER), ("purchase", 10, None)]
    by_hand(session, generation_id, 4, expected=4)
    assert holdings(session, customer_id, START) == [("allowance", 5, DECEMBER), ("purchase", 10, None)]


def test_a_refund_does_not_touch_what_other_generations_drew(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    first = make_generation(session, customer_id, credits=5, at=START)
    make_generation(session, customer_id, credits=5, at=START)
    fail(session, first)
    assert holdings(session, customer_id, START) == [("allowance", 5, DECEMBER), ("purchase", 5, None)]


def test_what_returns_to_an_expired_grant_lives_thirty_days_in_a_new_one(session: Session) -> None:
    customer_id = make_customer(session, 10, at=START)
    generation_id = make_generation(session, customer_id, credits=8, at=START)
    at = DECEMBER
    fail(session, generation_id, at)
    assert holdings(session, customer_id, at) == [("allowance", 5, at + 30 * DAY), ("purchase", 10, None)]
    new = grants.open_grants(session, customer_id, at)[0]
    assert (new.credits, new.month, new.reason) == (5, None, "returned by a refund after expiry")
    assert grants.expire_due(session, at=at + 30 * DAY - timedelta(seconds=1)) == 0
    assert grants.expire_due(session, at=at + 30 * DAY) == 1
    assert ledger.balance(session, customer_id) == 10


def test_a_grant_that_expires_this_very_instant_has_expired(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    early, late = (make_generation(session, customer_id, credits=2, at=START) for _ in range(2))
    fail(session, early, DECEMBER - timedelta(microseconds=1))
    assert holdings(session, customer_id, START) == [("allowance", 3, DECEMBER)]
    fail(session, late, DECEMBER)
    assert holdings(session, customer_id, DECEMBER) == [("allowance", 2, DECEMBER + 30 * DAY)]
    assert ledger.balance(session, customer_id) == 2


def test_the_time_that_returned_credits_live_is_a_setting(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    generation_id = make_generation(session, customer_id, credits=5, at=START)
    terms = Terms(returned_credits_live=timedelta(days=3))
    generations.settle(session, generation_id, FAILURE, terms, at=DECEMBER)
    assert holdings(session, customer_id, DECEMBER) == [("allowance", 5, DECEMBER + 3 * DAY)]


def test_returned_credits_that_are_spent_expire_and_return_again(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    at = START
    for _ in range(3):
        generation_id = make_generation(session, customer_id, credits=5, status="unknown", at=at)
        at += 31 * DAY
        fail(session, generation_id, at)
        assert holdings(session, customer_id, at) == [("allowance", 5, at + 30 * DAY)]
    kinds = [row.kind for row in ledger.transactions(session, customer_id)]
    assert kinds == ["refund", "charge"] * 3 + ["grant"]
    origins = select(Movement.origin_grant_id, Movement.grant_id).where(Movement.origin_grant_id.is_not(None))
    moved = dict(session.execute(origins).all())
    chain = [session.scalar(select(Grant.id).where(Grant.month.is_not(None), Grant.customer_id == customer_id))]
    while chain[-1] in moved:
        chain.append(moved[chain[-1]])
    assert len(chain) == 4


def test_parts_of_one_charge_return_before_and_after_its_grant_expired(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    generation_id = make_generation(session, customer_id, credits=5, at=START)
    by_hand(session, generation_id, 1, at=START)
    by_hand(session, generation_id, 2, expected=1, at=DECEMBER)
    assert ledger.balance(session, customer_id) == 2
    assert fail(session, generation_id, DECEMBER + DAY).credits_refunded == 2
    assert holdings(session, customer_id, DECEMBER + DAY) == [
        ("allowance", 2, DECEMBER + 30 * DAY),
        ("allowance", 2, DECEMBER + 31 * DAY),
    ]
    # The first part came back in time, and expired with its grant.
    assert [row.amount for row in ledger.transactions(session, customer_id) if row.kind == "expiry"] == [-1]


@pytest.mark.parametrize("error_class", list(ErrorClass))
def test_as_shipped_every_failure_returns_everything(session: Session, error_class: ErrorClass) -> None:
    assert refunds.share(session, error_class) == (100, 1)
    customer_id = make_customer(session, 10, at=START)
    generation_id = make_generation(session, customer_id, credits=3, at=START)
    ended = fail(session, generation_id, error=error_class)
    assert (ended.credits_refunded, ended.balance) == (3, 15)
    [refund] = session.scalars(select(Refund))
    assert (refund.origin, refund.reason, refund.policy_version) == ("automatic", error_class, 1)


def test_an_error_that_the_policy_does_not_name_is_an_unknown_error(session: Session) -> None:
    new_policy(session, 2, unknown_error=40)
    assert refunds.share(session, "solar_flare") == (40, 2)
    assert refunds.share(session, "timeout") == (100, 2)


def test_a_policy_that_names_nothing_keeps_nothing(session: Session) -> None:
    session.add(RefundPolicy(version=2, error_class="timeout", percent=40))
    session.flush()
    assert refunds.share(session, "internal_error") == (100, 2)


def test_the_newest_policy_rules_and_its_version_is_recorded(session: Session) -> None:
    customer_id = make_customer(session, 100, at=START)
    old, new = (make_generation(session, customer_id, credits=10, at=START) for _ in range(2))
    assert fail(session, old).credits_refunded == 10
    new_policy(session, 2, timeout=30)
    assert fail(session, new).credits_refunded == 3
    versions = select(Refund.policy_version).order_by(Refund.id)
    assert session.scalars(versions).all() == [1, 2]


@pytest.mark.parametrize(
    ("credits", "percent", "refunded"),
    [(10, 50, 5), (1, 50, 1), (3, 50, 2), (1, 49, 0), (7, 33, 2), (200, 1, 2), (49, 1, 0), (50, 1, 1), (9, 0, 0)],
)
def test_a_share_is_rounded_to_whole_credits_half_up(
    session: Session, credits: int, percent: int, refunded: int
) -> None:
    new_policy(session, 2, timeout=percent)
    customer_id = make_customer(session, 200, at=START)
    generation_id = make_generation(session, customer_id, credits=credits, at=START)
    ended = fail(session, generation_id)
    assert (ended.credits_refunded, ended.balance) == (refunded, 205 - credits + refunded)
    assert ledger.balance(session, customer_id) == 205 - credits + refunded
    assert len(session.scalars(select(Refund)).all()) == (refunded > 0)


@pytest.mark.parametrize(
    ("percent", "before", "automatic"),
    [(100, 0, 10), (100, 4, 6), (100, 10, 0), (50, 4, 1), (50, 5, 0), (50, 8, 0)],
)
def test_the_automatic_refund_pays_what_the_share_leaves_after_refunds_by_hand(
    session: Session, percent: int, before: int, automatic: int
) -> None:
    new_policy(session, 2, timeout=percent)
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    if before:
        by_hand(session, generation_id, before)
    assert fail(session, generation_id).credits_refunded == automatic
    assert ledger.balance(session, customer_id) == 90 + before + automatic
    assert generations.get(session, generation_id).credits_refunded == before + automatic


def test_what_the_policy_kept_can_still_be_refunded_by_hand(session: Session) -> None:
    new_policy(session, 2, timeout=50)
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    fail(session, generation_id)
    by_hand(session, generation_id, 5, expected=5)
    assert ledger.balance(session, customer_id) == 100
    with pytest.raises(Invalid, match="No credits moved"), session.begin_nested():
        by_hand(session, generation_id, 1, expected=10)


@pytest.mark.parametrize("status", ["submitted", "unknown", "succeeded", "charged"])
def test_a_refund_by_hand_is_possible_whatever_became_of_it(session: Session, status: str) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, status=status, at=START)
    by_hand(session, generation_id, 10)
    assert ledger.balance(session, customer_id) == 100
    assert generations.get(session, generation_id).status == status


def test_a_refund_by_hand_writes_refund_ledger_row_and_audit_entry(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    refund = by_hand(
        session, generation_id, 4, note="  two hands left  ", reason="bad_result", address="192.0.2.7"
    )
    row = session.get_one(CreditTransaction, refund.transaction_id)
    assert (row.kind, row.amount, row.generation_id) == ("refund", 4, generation_id)
    assert (row.actor, row.reason, row.balance_after) == ("ops@example.com", "bad_result", 94)
    assert (refund.credits, refund.origin, refund.note) == (4, "manual", "two hands left")
    assert (refund.policy_version, refund.issued_at) == (None, START)
    [entry] = session.scalars(select(AuditEntry))
    assert (entry.actor, entry.action, entry.address) == ("ops@example.com", "refund.issued", "192.0.2.7")
    assert entry.subject == f"generation:{generation_id}"
    assert entry.details == {
        "credits": 4,
        "reason": "bad_result",
        "note": "two hands left",
        "customer_id": customer_id,
        "before": {"refunded": 0, "balance": 90},
        "after": {"refunded": 4, "balance": 94},
    }


def test_a_refund_keeps_the_provider_and_model_of_its_generation(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session, 10, at=START), credits=8, at=START)
    by_hand(session, generation_id, 2)
    fail(session, generation_id)
    generation = session.get_one(Generation, generation_id)
    kept = session.execute(select(Refund.provider, Refund.model)).all()
    assert kept == [(generation.provider, generation.model)] * 2
    with pytest.raises(IntegrityError, match="never change"), session.begin_nested():
        session.execute(text("UPDATE refunds SET provider = 'another'"))


def test_a_double_submit_returns_the_first_refund(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    first = by_hand(session, generation_id, 4, idempotency_key="form-1")
    for credits, expected in ((4, 0), (4, 4)):
        assert by_hand(session, generation_id, credits, expected, idempotency_key="form-1").id == first.id
    with pytest.raises(IdempotencyConflict, match="refunded 4 credits when it was sent before"):
        by_hand(session, generation_id, 6, idempotency_key="form-1")
    assert ledger.balance(session, customer_id) == 94
    assert len(session.scalars(select(AuditEntry)).all()) == 1
    other = make_generation(session, customer_id, credits=10, at=START)
    assert by_hand(session, other, 4, idempotency_key="form-1").id != first.id


def test_a_refund_of_what_changed_meanwhile_is_refused_and_keeps_the_balance(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    by_hand(session, generation_id, 4)
    for expected in (0, 3, 5):
        with pytest.raises(Conflict, match="No credits moved") as caught, session.begin_nested():
            by_hand(session, generation_id, 1, expected=expected)
        assert caught.value.details == {"credits_refunded": 4}
    assert ledger.balance(session, customer_id) == 94
    by_hand(session, generation_id, 1, expected=4)
    assert ledger.balance(session, customer_id) == 95


@pytest.mark.parametrize(
    ("credits", "more", "field"),
    [
        (0, {}, "credits"),
        (-1, {}, "credits"),
        (11, {}, "credits"),
        (2**63, {}, "credits"),
        (1, {"reason": "because"}, "reason"),
        (1, {"reason": ""}, "reason"),
        (1, {"note": " \n"}, "note"),
        (1, {"note": "x" * 1001}, "note"),
        (1, {"note": "nul \0"}, "note"),
    ],
)
def test_a_refund_by_hand_that_is_not_valid_moves_nothing(
    session: Session, credits: int, more: dict[str, str], field: str
) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    with pytest.raises(Invalid, match="No credits moved") as caught, session.begin_nested():
        by_hand(session, generation_id, credits, **more)
    assert list(caught.value.details["fields"]) == [field]
    assert ledger.balance(session, customer_id) == 90
    assert session.scalars(select(AuditEntry)).all() == []


def test_a_refund_of_nothing_that_exists_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        by_hand(session, uuid7(), 1)


def test_a_refund_whose_audit_entry_cannot_be_written_is_not_written_either(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    undone = session.begin_nested()
    session.execute(text("ALTER TABLE audit_entries ADD COLUMN demanded text NOT NULL"))
    with pytest.raises(IntegrityError, match="demanded"):
        by_hand(session, generation_id, 4)
    undone.rollback()
    assert ledger.balance(session, customer_id) == 90
    assert session.scalars(select(Refund)).all() == []


def test_the_loss_is_the_cost_once_however_often_it_is_refunded(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, input={"images": 2}, at=START)
    losses = [by_hand(session, generation_id, 1, expected=done).loss_micros for done in range(3)]
    assert losses == [54_000, 0, 0]


def test_a_success_is_never_refunded_by_itself(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    generation_id = make_generation(session, customer_id, credits=10, at=START)
    for report in (SUCCESS, FAILURE, SUCCESS):
        generations.settle(session, generation_id, report, TERMS, at=START)
    assert ledger.balance(session, customer_id) == 90
