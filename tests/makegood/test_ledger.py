"""The ledger: every change of a balance is a row that never changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from makegood import generations, grants, ledger
from makegood.errors import NotFound
from makegood.ledger import Consumed
from makegood.models import CreditTransaction
from tests.making import FAILURE, TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def lines(rows: list[CreditTransaction]) -> list[tuple[int, str, int, int]]:
    """Entry, kind, amount, balance after."""
    return [(row.entry, row.kind, row.amount, row.balance_after) for row in rows]


def test_the_history_tells_every_change_with_the_balance_after_it(session: Session) -> None:
    customer_id = make_customer(session, 20, at=START)
    make_generation(session, customer_id, credits=10, status="failed", at=START + HOUR)
    grants.add(session, customer_id, 3, source="adjustment", reason="goodwill", actor="ops", at=START + 2 * HOUR)
    grants.expire_due(session, at=START + timedelta(days=40))
    history = ledger.transactions(session, customer_id)
    assert lines(history) == [
        (6, "expiry", -5, 23),
        (5, "adjustment", 3, 28),
        (4, "refund", 10, 25),
        (3, "charge", -10, 15),
        (2, "grant", 20, 25),
        (1, "grant", 5, 5),
    ]
    assert [row.actor for row in history] == ["system", "ops", "system", "api-key:test", "test", "system"]
    assert [row.reason for row in history] == [
        "allowance expired",
        "goodwill",
        "generation_failed",
        "bytedance/seedream-v4",
        "order 1",
        "monthly allowance 2026-11",
    ]
    assert history[1].occurred_at == START + 2 * HOUR


def test_pages_of_the_history_follow_each_other(session: Session) -> None:
    customer_id = make_customer(session, 20, at=START)
    for _ in range(5):
        make_generation(session, customer_id, credits=1, at=START)
    first = ledger.transactions(session, customer_id, limit=4)
    second = ledger.transactions(session, customer_id, before=first[-1].entry, limit=4)
    assert [row.entry for row in first + second] == [7, 6, 5, 4, 3, 2, 1]


def test_a_customer_sees_only_their_own_history(session: Session) -> None:
    one, other = make_customer(session, 7, at=START), make_customer(session, 9, at=START)
    assert {row.customer_id for row in ledger.transactions(session, one)} == {one}
    assert (ledger.balance(session, one), ledger.balance(session, other)) == (12, 14)


def test_an_unknown_customer_has_no_balance_and_no_history(session: Session) -> None:
    for read in (ledger.balance, ledger.lock):
        with pytest.raises(NotFound, match="cus_nobody"):
            read(session, "cus_nobody")
    assert ledger.transactions(session, "cus_nobody") == []


def test_what_a_customer_consumed_is_charged_refunded_and_net_in_a_half_open_range(session: Session) -> None:
    customer_id = make_customer(session, 50, at=START - HOUR)
    make_generation(session, customer_id, credits=7, at=START - timedelta(microseconds=1))
    make_generation(session, customer_id, credits=10, at=START)
    failed = make_generation(session, customer_id, credits=4, at=START + HOUR)
    make_generation(session, customer_id, credits=20, at=START + 2 * HOUR)
    generations.settle(session, failed, FAILURE, TERMS, at=START + 2 * HOUR - timedelta(microseconds=1))
    consumed = ledger.consumed(session, customer_id, START, START + 2 * HOUR)
    assert consumed == Consumed(charged=14, refunded=4)
    assert consumed.net == 10
    assert ledger.consumed(session, customer_id, START + 3 * HOUR, START + 4 * HOUR) == Consumed(0, 0)


def test_locking_a_balance_takes_out_what_has_expired(session: Session) -> None:
    customer_id = make_customer(session, 0, at=START)
    end = datetime(2026, 12, 1, tzinfo=UTC)
    assert ledger.lock(session, customer_id, end - timedelta(microseconds=1)) == 5
    assert ledger.lock(session, customer_id, end) == 0
    assert ledger.lock(session, customer_id, end) == 0
    assert [row.kind for row in ledger.transactions(session, customer_id)] == ["expiry", "grant"]
