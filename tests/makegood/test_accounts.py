"""One customer's account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from makegood import accounts
from makegood.errors import NotFound
from tests.making import TERMS, make_customer, make_generation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_account_shows_balance_grants_ledger_and_generations(session: Session) -> None:
    customer = make_customer(session, credits=100, at=NOON)
    kept = make_generation(session, customer, status="succeeded", at=NOON + timedelta(minutes=1))
    failed = make_generation(session, customer, status="failed", at=NOON + timedelta(minutes=2))
    account = accounts.read(session, customer, TERMS, at=NOON + timedelta(hours=1))
    assert account.balance == 103
    assert (account.consumed.charged, account.consumed.refunded, account.consumed.net) == (4, 2, 2)
    assert [(grant.source, grant.remaining) for grant in account.grants] == [("allowance", 3), ("purchase", 100)]
    assert [row.kind for row in account.transactions] == ["refund", "charge", "charge", "grant", "grant"]
    assert {row.id for row in account.generations} == {kept, failed}
    assert account.older is None


def test_what_was_consumed_is_this_month_s(session: Session) -> None:
    customer = make_customer(session, at=NOON)
    make_generation(session, customer, status="succeeded", at=NOON)
    account = accounts.read(session, customer, TERMS, at=NOON + timedelta(days=15))
    assert account.consumed.charged == 0


def test_ledger_pages_give_every_entry_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "ENTRIES", 2)
    customer = make_customer(session, at=NOON)
    for minute in range(3):
        make_generation(session, customer, at=NOON + timedelta(minutes=minute))
    entries: list[int] = []
    before = None
    while True:
        account = accounts.read(session, customer, TERMS, before=before, at=NOON)
        entries += [row.entry for row in account.transactions]
        before = account.older
        if before is None:
            break
    assert entries == [5, 4, 3, 2, 1]


def test_there_is_no_account_of_nobody(session: Session) -> None:
    with pytest.raises(NotFound):
        accounts.read(session, "nobody", TERMS)
