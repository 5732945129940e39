"""The audit log as it is read: filtered, in pages, and with what each entry changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from makegood import audit, audit_log, bulk_refunds, notes, refund_approvals, refunds, reversals
from makegood.audit_log import AuditFilters, Change
from makegood.bulk_refunds import Scope
from tests.making import TERMS, make_customer, make_generation


@pytest.fixture
def entries(session: Session) -> None:
    for number in range(3):
        audit.record(session, actor="ana", action="price.added", subject=f"price:{number}")
    audit.record(session, actor="bo", action="refund.issued", subject="generation:1", details={"credits": 4})


def subjects(session: Session, **wanted: str) -> list[str]:
    return [entry.subject for entry in audit_log.ENTRIES.page(session, AuditFilters(**wanted)).rows]


def test_entries_are_found_by_who_what_and_subject(session: Session, entries: None) -> None:
    assert subjects(session) == ["generation:1", "price:2", "price:1", "price:0"]
    assert subjects(session, actor="ana") == ["price:2", "price:1", "price:0"]
    assert subjects(session, action="refund.issued") == ["generation:1"]
    assert subjects(session, actor="ana", subject="price:1") == ["price:1"]
    assert subjects(session, actor="nobody") == []


def test_a_customers_history_has_all_that_was_done_to_them_and_nothing_of_others(session: Session) -> None:
    """Whatever the entry itself is about: them, a generation, a refund, a request or a bulk refund."""
    now = datetime.now(UTC)
    ada, bob = (make_customer(session, 95, customer_id=name, at=now) for name in ("ada", "bob"))
    for customer in (ada, bob):
        by: dict[str, Any] = {"actor": "bo", "idempotency_key": customer}
        one, asked = (make_generation(session, customer, credits=10, status="succeeded", at=now) for _ in range(2))
        notes.add(session, customer, "called", **by)
        given: dict[str, Any] = {
            "credits": 4,
            "reason": "goodwill",
            "note": "sorry",
            "expected_refunded": 0,
            "at": now,
            **by,
        }
        refund = refunds.issue_manual(session, one, TERMS, **given)
        reversals.reverse(session, refund.id, TERMS, note="a mistake", at=now, **by)
        refund_approvals.ask(session, asked, **given)
        audit.viewed(session, actor="bo", subject=f"payment_methods:{customer}", address=None, at=now)
    apart = Scope("wavespeed", now - timedelta(minutes=1), now + timedelta(minutes=1), model="other")
    make_generation(session, ada, credits=5, status="succeeded", model="other", at=now)
    seen = bulk_refunds.preview(session, apart)
    bulk: dict[str, Any] = {
        "fingerprint": seen.fingerprint,
        "count": 1,
        "reason": "outage",
        "note": "x",
        "at": now,
    }
    bulk_refunds.start(session, apart, TERMS, actor="bo", idempotency_key="b", **bulk)
    done = ["note.written", "refund.issued", "refund.reversed", "approval.requested", "payment_methods.viewed"]
    assert history(session, bob) == done[::-1]
    assert history(session, ada) == ["bulk_refund.confirmed", *done[::-1]]
    assert history(session, "nobody") == []


def history(session: Session, customer_id: str) -> list[str]:
    """What was done to a customer, the newest first; the file has the same rows."""
    wanted = AuditFilters(subject=f"customer:{customer_id}")
    found = [entry.action for entry in audit_log.ENTRIES.page(session, wanted).rows]
    assert [row.action for row in session.execute(audit_log.ENTRIES.every(wanted))] == found
    return found


def test_pages_follow_each_other_without_gap_or_repetition(session: Session, entries: None) -> None:
    first = audit_log.ENTRIES.page(session, AuditFilters(), limit=3)
    second = audit_log.ENTRIES.page(session, AuditFilters(), before=first.older, limit=3)
    assert [entry.subject for entry in [*first.rows, *second.rows]] == subjects(session)
    assert second.older is None


def test_the_file_has_the_rows_of_the_page(session: Session, entries: None) -> None:
    rows = session.execute(audit_log.ENTRIES.every(AuditFilters(actor="ana"))).all()
    assert [row.subject for row in rows] == subjects(session, actor="ana")


def test_each_action_is_offered_once(session: Session, entries: None) -> None:
    assert audit_log.actions(session) == ["price.added", "refund.issued"]
    latest = audit_log.last(session, "price.added", "price.ended")
    assert latest is not None
    assert latest.subject == "price:2"
    assert audit_log.last(session, "nothing") is None


@pytest.mark.parametrize(
    ("details", "changes", "facts"),
    [
        ({"before": "on", "after": "off", "reason": "x"}, [Change("", "on", "off")], [("reason", "x")]),
        ({"before": {"a": 1, "b": 2}, "after": {"a": 1, "b": 3}}, [Change("b", 2, 3)], []),
        ({"before": None, "after": {"a": 1}}, [Change("a", None, 1)], []),
        ({"cost_before": 1, "cost_after": 2}, [Change("cost", 1, 2)], []),
        ({"before": {"x": {"y": 1}}, "after": {"x": {"y": None}}}, [Change("x y", 1, None)], []),
        ({"before": False, "after": True}, [Change("", False, True)], []),
        ({"filters": {"provider": "p"}, "rows": 0}, [], [("filters provider", "p"), ("rows", 0)]),
        ({}, [], []),
    ],
)
def test_details_tell_what_changed(
    details: dict[str, object], changes: list[Change], facts: list[tuple[str, object]]
) -> None:
    assert audit_log.changes(details) == changes
    assert audit_log.facts(details) == facts
