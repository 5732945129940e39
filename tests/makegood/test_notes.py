"""Notes on customers: written once, newest first, never changed."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood import audit_log, notes
from makegood.audit_log import AuditFilters
from makegood.errors import Invalid, NotFound
from tests.making import make_customer


def add(session: Session, customer_id: str, body: str, key: str | None = None) -> str:
    """A note by Ana; its text is its key unless one is given."""
    note = notes.add(session, customer_id, body, actor="ana@example.com", idempotency_key=key or body[:200])
    return note.body


def test_the_newest_note_comes_first_and_older_ones_follow(session: Session) -> None:
    customer, other = make_customer(session), make_customer(session)
    for body in ("first", "second", "third"):
        add(session, customer, body)
    add(session, other, "of another customer")
    newest = notes.listed(session, customer, limit=2)
    assert [note.body for note in newest] == ["third", "second"]
    assert [note.body for note in notes.listed(session, customer, before=newest[-1].id)] == ["first"]


def test_a_form_that_is_sent_twice_writes_one_note(session: Session) -> None:
    customer = make_customer(session)
    assert add(session, customer, " called back ", key="form") == "called back"
    assert add(session, customer, "called back", key="form") == "called back"
    assert len(notes.listed(session, customer)) == 1
    written = audit_log.ENTRIES.page(session, AuditFilters(subject=f"customer:{customer}")).rows
    assert [(entry.action, entry.actor, entry.details["before"], entry.details["after"]) for entry in written] == [
        ("note.written", "ana@example.com", None, "called back")
    ]


@pytest.mark.parametrize("body", ["", " \n ", "x" * 2001, "nul\0"])
def test_a_note_without_text_or_with_too_much_of_it_is_not_saved(session: Session, body: str) -> None:
    customer = make_customer(session)
    with pytest.raises(Invalid, match="Nothing was saved"):
        add(session, customer, body, key="form")
    assert notes.listed(session, customer) == []


def test_nobody_writes_about_a_customer_whom_there_is_not(session: Session) -> None:
    with pytest.raises(NotFound):
        add(session, "cus_nobody", "hello")


@pytest.mark.parametrize("statement", ["UPDATE customer_notes SET body = 'x'", "DELETE FROM customer_notes"])
def test_a_note_never_changes(session: Session, statement: str) -> None:
    add(session, make_customer(session), "hello")
    with pytest.raises(DBAPIError, match="customer_notes rows never change"):
        session.execute(text(statement))
