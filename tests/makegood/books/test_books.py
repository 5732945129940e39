"""The books find what got past the database's own rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import adjustments, books, bulk_refunds, grants, refunds, reversals
from makegood.ids import uuid7
from makegood.models import Refund
from makegood.purchases import fulfilment, returns
from tests.making import TERMS, make_customer, make_generation

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
IN_FLIGHT_CALLBACK = """
    INSERT INTO callbacks (id, generation_id, customer_id, provider, delivery, headers, body, state)
    SELECT id, id, customer_id, provider, 'd', '{}', '', 'applied' FROM generations WHERE status = 'submitted'
"""
ANOTHER_GRANT = """
    UPDATE movements SET origin_grant_id = grant_id, grant_id = (SELECT id FROM grants WHERE source = 'bonus')
     WHERE transaction_id IN (SELECT id FROM credit_transactions WHERE kind = 'refund')
"""
ADJUSTMENT = """
    INSERT INTO cost_adjustments (id, generation_id, reason, reference, from_micros, from_source, to_micros,
                                  to_source, actor)
    SELECT id, id, 'bill', id, 1, 'price_book', 2, 'bill', 't' FROM generations WHERE status = 'succeeded'
"""
RECOMPUTE = """
    INSERT INTO recomputes (id, provider, since, until, generations, change_micros, book, actor)
    VALUES (gen_random_uuid(), 'wavespeed', '2026-11-01', '2026-11-02', 1, 1, '', 't')
"""
APPROVAL = """
    INSERT INTO approvals (id, kind, subject, credits, details, note, requested_by, requested_at, expires_at,
                           state, decided_by, decided_at, result_id)
    SELECT id, 'refund', 'generation:' || generation_id, credits + 1, '{}', 'x', actor, now(), now() + '7 days',
           'approved', 'another', now(), id FROM refunds WHERE origin = 'manual'
"""
TAMPERING = [
    "UPDATE balances SET balance = balance + 1",
    "DELETE FROM credit_transactions WHERE entry = 2",
    "DELETE FROM movements WHERE credits < 0",
    "UPDATE grants SET remaining = remaining - 1 WHERE source = 'purchase' AND remaining > 0",
    "UPDATE grants SET expires_at = '2020-01-01' WHERE source = 'allowance'",
    "UPDATE generations SET credits_charged = credits_charged + 1",
    "DELETE FROM refunds WHERE origin = 'manual'",
    ANOTHER_GRANT.replace("'refund'", "'reversal'"),
    ANOTHER_GRANT,
    "UPDATE refunds SET origin = 'automatic', idempotency_key = NULL WHERE origin = 'manual'",
    "UPDATE generations SET credits_refunded = 9 WHERE status = 'failed'",
    "UPDATE refunds SET loss_micros = loss_micros + 1",
    "DELETE FROM audit_entries",
    APPROVAL,
    "UPDATE credit_adjustments SET customer_id = 'another'",
    "DELETE FROM audit_entries WHERE action = 'refund.reversed'",
    "UPDATE bulk_refund_items SET outcome = 'skipped', refund_id = NULL",
    "UPDATE audit_entries SET details = details - 'generations' WHERE action = 'bulk_refund.finished'",
    "UPDATE grants SET purchase_id = NULL WHERE purchase_id IS NOT NULL",
    "UPDATE clawbacks SET taken = taken + 1, owed = owed - 1 WHERE number = 1",
    "UPDATE purchases SET refunded = refunded + 1",
    "UPDATE grants SET source = 'bonus' WHERE reason = 'order 2'",
    "UPDATE purchases SET gone = gone + 1",
    IN_FLIGHT_CALLBACK,
    "UPDATE idempotency_keys SET resource_id = gen_random_uuid()",
    "UPDATE customers SET tier = 'pro'",
    "UPDATE generations SET ended_at = now() WHERE status = 'succeeded'",
    "UPDATE generations SET quantity = quantity + 1 WHERE status = 'succeeded'",
    ADJUSTMENT,
    "UPDATE recomputes SET done = 1",
    "UPDATE events SET at = now() WHERE refunds = 1",
    "UPDATE recognised_progress SET entries = 99",
    "INSERT INTO recognised_days (day, provider, model, tier, currency, price_amount, price_credits, used)"
    " VALUES ('2026-11-15', 'wavespeed', 'm', 'free', 'usd', 9, 4, 1)",
    "INSERT INTO recognised_customer_months (month, customer_id, currency, price_amount, price_credits, used)"
    " VALUES ('2026-11-01', 'c', 'usd', 9, 4, 1)",
    "INSERT INTO recognised_customer_quarters (quarter, customer_id, currency, price_amount, price_credits, used)"
    " VALUES ('2026-11-08', 'c', 'usd', 9, 4, 1)",
    "INSERT INTO payment_months (month, customer_id, currency, cash) VALUES ('2026-11-01', 'c', 'usd', 1)",
    "UPDATE payers SET purchased = false",
    "WITH nothing_due AS (DELETE FROM payments_due)"
    " INSERT INTO payments (id, source, created_at, currency, amount, fee, for_credits)"
    " VALUES ('txn_1', 'ch_1', now(), 'usd', 1, 0, false)",
    "INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)"
    " VALUES ('2026-11-10T12:00:00Z', 'usd', 'charge', 1, 1000, 59)",
]
"""For each check of the books, in their order, what breaks it."""


def refund_by_hand(session: Session, generation_id: UUID) -> Refund:
    """An operator returns 4 credits."""
    return refunds.issue_manual(
        session, generation_id, TERMS, credits=4, reason="other", note="x", actor="ops", idempotency_key="form",
        expected_refunded=0, at=START,
    )  # fmt: skip


def adjust(session: Session, customer_id: str) -> None:
    """An operator takes 3 credits."""
    adjustments.adjust(
        session, customer_id, -3, TERMS, reason="other", note="x", actor="ops", idempotency_key="form", at=START
    )


def reverse(session: Session, refund: Refund) -> None:
    """An operator takes a refund back."""
    reversals.reverse(session, refund.id, TERMS, note="x", actor="ops", idempotency_key="form", at=START)


def sell_and_take_back(session: Session, customer_id: str) -> None:
    """Half of what a purchase cost goes back, when its credits are spent."""
    values: dict[str, Any] = {
        "purchase": uuid7(), "grant": uuid7(), "transaction": uuid7(), "customer": customer_id,
        "linked_by": "charge", "kind": "checkout_session", "source": "cs_1", "credits": 400, "ends": None,
        "currency": "usd", "amount": 900, "paid": 900, "paid_at": START, "reason": "-", "at": START,
    }  # fmt: skip
    session.execute(fulfilment.SELL, values)
    make_generation(session, customer_id, credits=450, status="succeeded", at=START)
    grants.add(session, customer_id, 300, source="purchase", reason="order 2", actor="t", at=START)
    moved = returns.Return(values["purchase"], customer_id, 450, 0)
    returns.follow(session, [moved], TERMS.returned_credits_live, at=START)


def refund_in_bulk(session: Session) -> None:
    """An operator refunds what is left of everything that succeeded, and the worker does it."""
    scope = bulk_refunds.Scope("wavespeed", START, START + timedelta(hours=1), status="succeeded")
    found = bulk_refunds.preview(session, scope)
    bulk_refunds.start(
        session, scope, TERMS, fingerprint=found.fingerprint, count=found.generations, reason="outage", note="x",
        actor="ops", idempotency_key="form",
    )  # fmt: skip
    while bulk_refunds.work(session, TERMS, at=START):
        pass


@pytest.mark.parametrize(("sentence", "tampering"), list(zip(books.CHECKS, TAMPERING, strict=True)))
def test_tampering_is_found(session: Session, sentence: str, tampering: str) -> None:
    customer_id = make_customer(session, 95, at=START)
    grants.add(session, customer_id, 5, source="bonus", reason="-", actor="t", at=START)
    for status in ("submitted", "failed", "succeeded"):
        generation_id = make_generation(session, customer_id, credits=10, status=status, at=START)
    reverse(session, refund_by_hand(session, generation_id))
    generation_id = make_generation(session, customer_id, credits=10, status="succeeded", at=START)
    refund_by_hand(session, generation_id)
    refund_in_bulk(session)
    adjust(session, customer_id)
    sell_and_take_back(session, customer_id)
    session.execute(text(RECOMPUTE))
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert books.violations(session) == []
    session.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger speaks up
    session.execute(text(tampering))
    assert sentence in {violation.rule for violation in books.violations(session)}


def test_empty_books_add_up(session: Session) -> None:
    assert books.violations(session) == []
