"""One customer's account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from makegood import accounts, adjustments, notes
from makegood.errors import NotFound
from tests.making import TERMS, make_customer, make_generation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_account_shows_balance_grants_ledger_and_generations(session: Session) -> None:
    customer = make_customer(session, credits=100, at=NOON)
    kept = make_generation(session, customer, status="succeeded", at=NOON + timedelta(minutes=1))
    failed = make_generation(session, customer, status="failed", at=NOON + timedelta(minutes=2))
    account = accounts.read(session, customer, TERMS, at=NOON + timedelta(hours=1))
    assert account.balance.balance == 103
    for used in (account.this_month, account.ever):
        assert (used.credits_charged, used.credits_refunded, used.net_credits) == (4, 2, 2)
        assert (used.generations, used.succeeded, used.failed, used.refunds) == (2, 1, 1, 1)
    assert [(grant.source, grant.remaining) for grant in account.grants] == [("allowance", 3), ("purchase", 100)]
    assert [row.kind for row in account.transactions] == ["refund", "charge", "charge", "grant", "grant"]
    assert [row.generation_id for row in account.generations] == [failed, kept]
    assert [row.generation_id for row in account.refunds] == [failed]
    assert account.older is None


def test_what_was_used_this_month_is_not_all_that_was_used(session: Session) -> None:
    customer = make_customer(session, at=NOON)
    make_generation(session, customer, status="succeeded", at=NOON)
    account = accounts.read(session, customer, TERMS, at=NOON + timedelta(days=15))
    assert (account.this_month.credits_charged, account.ever.credits_charged) == (0, 2)


def test_ledger_pages_give_every_entry_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ENTRIES", 2)
    customer = make_customer(session, at=NOON)
    for minute in range(3):
        make_generation(session, customer, at=NOON + timedelta(minutes=minute))
    entries: list[int] = []
    places: list[int | None] = []
    before = None
    while True:
        account = accounts.read(session, customer, TERMS, before=before, at=NOON)
        entries += [row.entry for row in account.transactions]
        places.append(account.newer)
        before = account.older
        if before is None:
            break
    assert entries == [5, 4, 3, 2, 1]
    assert places == [None, 0, 4]
    back = accounts.read(session, customer, TERMS, before=4, at=NOON)
    assert [row.entry for row in back.transactions] == [3, 2]


def test_an_adjustment_explains_its_ledger_row(session: Session) -> None:
    customer = make_customer(session, at=NOON)
    made = adjustments.adjust(
        session, customer, -3, TERMS, reason="correction", note="counted twice", actor="ana", idempotency_key="k",
        at=NOON,
    )  # fmt: skip
    account = accounts.read(session, customer, TERMS, at=NOON)
    assert account.transactions[0].id == made.transaction_id
    assert account.adjustments == {made.transaction_id: made}


def test_notes_lead_to_older_ones(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "SHOWN", 2)
    customer = make_customer(session, at=NOON)
    for body in ("one", "two", "three"):
        notes.add(session, customer, body, actor="ana", idempotency_key=body)
    first = accounts.read(session, customer, TERMS, at=NOON)
    assert [note.body for note in first.notes] == ["three", "two"]
    second = accounts.read(session, customer, TERMS, notes_before=first.older_notes, at=NOON)
    assert ([note.body for note in second.notes], second.older_notes) == (["one"], None)


def test_there_is_no_account_of_nobody(session: Session) -> None:
    with pytest.raises(NotFound):
        accounts.read(session, "nobody", TERMS)
