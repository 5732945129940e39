"""The audit log as it is read: filtered, in pages, and with what each entry changed."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from makegood import audit, audit_log
from makegood.audit_log import AuditFilters, Change


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
