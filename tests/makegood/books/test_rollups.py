"""Rollups that say otherwise than their events are found, whichever table it is, and a rebuild mends them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import books, rollups
from makegood.books import rollups as checked
from makegood.rollup_tables import ROLLUPS
from tests.making import make_customer, make_generation

KATHMANDU = ZoneInfo("Asia/Kathmandu")
NIGHT = datetime(2026, 10, 31, 19, 7, tzinfo=UTC)  # the first of November in Kathmandu
MORNING = NIGHT + timedelta(hours=9)
FIRST = date(2026, 11, 1)
TABLES = {table: rollup for rollup in ROLLUPS for table in rollup.tables.values()}


@pytest.fixture
def counted(session: Session) -> Session:
    """Two customers who generate at both ends of a day of Kathmandu, all of it in the rollups."""
    for at in (NIGHT, MORNING):
        customer_id = make_customer(session, at=at)
        for status in ("failed", "succeeded", "submitted"):
            make_generation(session, customer_id, status=status, at=at)
    rollups.rebuild(session, KATHMANDU)
    assert books.violations(session) == []
    return session


@pytest.mark.parametrize("table", TABLES)
def test_each_rollup_that_was_changed_by_hand_is_found_in_its_days_and_mended(
    counted: Session, table: str
) -> None:
    first = TABLES[table].measures[0]
    some = f"ctid = (SELECT ctid FROM {table} WHERE {first} > 0 LIMIT 1)"
    for broken in (
        f"UPDATE {table} SET {first} = {first} + 1 WHERE {some}",
        f"DELETE FROM {table} WHERE {some}",
    ):
        counted.execute(text(broken))
        [violation] = checked.violations(counted, (FIRST, FIRST))
        assert violation.rule == f"{table} is the sum of its events"
        assert books.violations(counted) == [violation]
        rollups.rebuild(counted, KATHMANDU)
        assert books.violations(counted) == []


def test_a_row_that_no_event_made_is_found_only_where_it_is(counted: Session) -> None:
    counted.execute(
        text("INSERT INTO rollup_days (day, provider, model, kind, tier) VALUES ('1999-01-01', '', '', '', '')")
    )
    assert checked.violations(counted, (FIRST, FIRST)) == []
    assert [violation.subject for violation in checked.violations(counted)] == ["1999-01-01    "]


def test_tiers_are_compared_to_the_customers_themselves(counted: Session) -> None:
    make_customer(counted)  # not folded yet
    assert checked.violations(counted) == []
    counted.execute(text("UPDATE rollup_tiers SET credits = credits + 1"))
    assert [violation.rule for violation in checked.violations(counted)] == ["rollup_tiers is what customers hold"]


def test_when_they_were_last_charged_counts_too(counted: Session) -> None:
    counted.execute(text("UPDATE rollup_hours SET last_charged_at = now()"))
    assert {violation.rule for violation in checked.violations(counted)} == {
        "rollup_hours is the sum of its events"
    }


@pytest.mark.parametrize("period", ["month", "quarter"])
def test_who_pays_is_compared_to_the_payers(counted: Session, period: str) -> None:
    counted.execute(text(f"UPDATE rollup_customer_{period}s SET payer = true"))
    rule = f"rollup_customer_{period}s says who pays"
    assert {violation.rule for violation in checked.violations(counted, (FIRST, FIRST))} == {rule}
    rollups.rebuild(counted, KATHMANDU)
    assert checked.violations(counted) == []


def test_no_more_is_brought_than_was_asked_for(counted: Session) -> None:
    counted.execute(text("DELETE FROM rollup_buckets"))
    assert len(checked.violations(counted)) == 2
    assert len(checked.violations(counted, most=1)) == 1


def test_rollups_of_another_server_count_for_nothing(counted: Session) -> None:
    counted.execute(text("DELETE FROM rollup_days"))
    counted.execute(text("UPDATE rollup_state SET system_identifier = 1"))
    assert checked.violations(counted) == []
