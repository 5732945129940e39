"""Keyset pages, over the failure log and the refund history: every row once, in a stable order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from makegood import failures, refund_history, refunds
from makegood.failures import FailureFilters
from makegood.ids import uuid7
from makegood.pages import EPOCH, Cursor
from makegood.refund_history import RefundFilters
from tests.making import TERMS, make_customer, make_generation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVERYTHING = FailureFilters()


@pytest.fixture
def failed(session: Session) -> list[UUID]:
    """Seven failed generations, newest first. Three ended at the same instant."""
    customer = make_customer(session, at=NOON - timedelta(days=1))
    minutes = (0, 1, 2, 2, 2, 3, 4)
    made = [
        make_generation(session, customer, status="failed", at=NOON + timedelta(minutes=minute))
        for minute in minutes
    ]
    return made[::-1]


def test_pages_give_every_row_once_in_order_also_within_one_instant(session: Session, failed: list[UUID]) -> None:
    seen: list[UUID] = []
    before = None
    while True:
        page = failures.FAILURES.page(session, EVERYTHING, before=before, limit=2)
        seen += [row.generation_id for row in page.rows]
        if page.older is None:
            break
        before = page.older
    assert seen == failed


def test_the_way_back_shows_the_same_pages(session: Session, failed: list[UUID]) -> None:
    first = failures.FAILURES.page(session, EVERYTHING, limit=3)
    second = failures.FAILURES.page(session, EVERYTHING, before=first.older, limit=3)
    assert (first.newer, second.newer is not None) == (None, True)
    back = failures.FAILURES.page(session, EVERYTHING, after=second.newer, limit=3)
    assert back.rows == first.rows
    assert back.newer is None
    assert back.older == first.older


def test_rows_that_arrive_meanwhile_do_not_shift_a_page(session: Session, failed: list[UUID]) -> None:
    first = failures.FAILURES.page(session, EVERYTHING, limit=3)
    expected = failures.FAILURES.page(session, EVERYTHING, before=first.older, limit=3)
    make_generation(session, make_customer(session), status="failed")
    assert failures.FAILURES.page(session, EVERYTHING, before=first.older, limit=3) == expected


def test_the_log_holds_failures_only_and_obeys_its_filters(session: Session, failed: list[UUID]) -> None:
    other = make_customer(session, at=NOON)
    make_generation(session, other, status="succeeded", at=NOON)
    make_generation(session, other, status="submitted", at=NOON)
    mine = make_generation(session, other, status="failed", at=NOON + timedelta(minutes=2))

    def found(**filters: object) -> set[UUID]:
        page = failures.FAILURES.page(session, FailureFilters(**filters))  # type: ignore[arg-type]
        return {row.generation_id for row in page.rows}

    assert found() == {*failed, mine}
    assert found(customer_id=other) == {mine}
    assert found(provider="nanobanana") == set()
    assert found(error_class="timeout") == set()
    assert found(error_class="generation_failed", provider="wavespeed") == {*failed, mine}
    assert found(model="another") == set()
    assert found(model="bytedance/seedream-v4", customer_id=other) == {mine}
    start = NOON + timedelta(minutes=1)
    assert found(start=start, end=NOON + timedelta(minutes=3)) == {*failed[2:6], mine}


def test_the_refund_history_names_why_by_whom_and_of_how_much(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=1))
    failed = make_generation(session, customer, status="failed", at=NOON)
    kept = make_generation(session, customer, status="succeeded", at=NOON, credits=5)
    refunds.issue_manual(
        session,
        kept,
        TERMS,
        credits=2,
        reason="goodwill",
        note="a birthday",
        actor="ana@example.com",
        idempotency_key=str(uuid7()),
        expected_refunded=0,
        at=NOON + timedelta(hours=1),
    )
    manual, automatic = refund_history.REFUNDS.page(session, RefundFilters()).rows
    assert (manual.generation_id, manual.credits, manual.credits_charged) == (kept, 2, 5)
    assert (manual.origin, manual.reason, manual.note) == ("manual", "goodwill", "a birthday")
    assert manual.actor == "ana@example.com"
    assert (automatic.generation_id, automatic.origin, automatic.note) == (failed, "automatic", None)
    assert automatic.reason == "generation_failed"

    def found(**filters: object) -> list[UUID]:
        page = refund_history.REFUNDS.page(session, RefundFilters(**filters))  # type: ignore[arg-type]
        return [row.generation_id for row in page.rows]

    assert found(reason="goodwill") == [kept]
    assert found(origin="automatic", model="bytedance/seedream-v4") == [failed]
    assert found(model="another") == []
    assert found(provider="wavespeed") == [kept, failed]
    assert found(provider="nanobanana") == []
    assert found(customer_id="nobody") == []
    assert found(end=NOON + timedelta(hours=1)) == [failed]


@given(microseconds=st.integers(0, 7 * 10**15), id=st.uuids())
def test_a_cursor_survives_the_url(microseconds: int, id: UUID) -> None:
    cursor = Cursor.of(EPOCH + timedelta(microseconds=microseconds), id)
    assert Cursor.parse(str(cursor)) == cursor


@given(id=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_a_cursor_of_anothers_ids_survives_the_url_too(id: str) -> None:
    cursor = Cursor.of(EPOCH + timedelta(days=1), id)
    assert Cursor.parse(str(cursor)) == cursor


def test_a_place_in_another_list_is_no_place_in_this_one(session: Session, failed: list[UUID]) -> None:
    elsewhere = Cursor.of(NOON - timedelta(days=1), "evt_1")
    page = failures.FAILURES.page(session, EVERYTHING, before=elsewhere)
    assert [row.generation_id for row in page.rows] == failed


@given(text=st.text(max_size=60))
def test_no_text_in_the_url_breaks_a_list(text: str) -> None:
    found = Cursor.parse(text)
    assert found is None or Cursor.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "-", "1-2", "-1-" + "0" * 32, "9" * 40 + "-" + "0" * 32, "٣-" + "0" * 32, "1-" + "g" * 32),
        *("7", "~a", "7~", "x~a", "7~\0", f"7~{'x' * 201}", f"{'9' * 18}~a"),
    ],
)
def test_what_is_no_cursor_is_no_cursor(text: str | None) -> None:
    assert Cursor.parse(text) is None
