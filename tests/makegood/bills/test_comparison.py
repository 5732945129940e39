"""Which category a job falls into, and what the categories add up to."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.bills import CATEGORIES, Scope, comparison, lines, summary
from makegood.generations import costs
from makegood.models import Bill, BillLine
from tests.makegood.bills.making import (
    COST,
    NOON,
    adjustments,
    bill_of,
    billed_generation,
    cost,
    line,
    make_bill,
)
from tests.making import FakeProvider, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")


def filled(session: Session, bill: Bill) -> dict[str, tuple[int, int, int, int]]:
    """The categories that have rows: rows, billed, recorded, and how many wait."""
    sums = summary(session, Scope.of(bill))
    assert set(sums) == set(CATEGORIES)
    return {name: (one.rows, one.net, one.recorded, one.acceptable) for name, one in sums.items() if one.rows}


@pytest.mark.parametrize(
    ("status", "billed", "category", "waits"),
    [
        ("succeeded", [(COST, "charge")], "equal", 0),
        ("succeeded", [(COST + 1, "charge")], "more", 1),
        ("succeeded", [(COST - 1, "charge")], "less", 1),
        ("succeeded", [(0, "charge")], "less", 1),
        ("succeeded", [(COST, "charge"), (COST, "refund")], "refunded", 1),
        ("succeeded", [(COST, "charge"), (COST, "refund"), (COST, "charge")], "equal", 0),
        ("succeeded", [(COST, "charge"), (1000, "refund")], "refunded", 1),
        ("failed", [(COST, "charge")], "failed", 0),
        ("failed", [(30_000, "charge")], "failed", 1),
        ("failed", [(COST, "charge"), (COST, "refund")], "refunded", 1),
        ("succeeded", [(COST, "refund")], "refund_alone", 0),
        ("submitted", [(COST, "charge")], "equal", 0),
    ],
)
def test_a_job_is_in_one_category_by_its_net(
    session: Session, status: str, billed: list[tuple[int, str]], category: str, waits: int
) -> None:
    billed_generation(session, "job-7", status=status)
    bill = bill_of(session, *(line("job-7", micros, kind) for micros, kind in billed))
    net = sum(micros if kind == "charge" else -micros for micros, kind in billed)
    assert filled(session, bill) == {category: (1, net, COST, waits)}


def test_a_cost_that_was_unknown_is_a_category_of_its_own(session: Session) -> None:
    generation_id = billed_generation(session, "job-7")
    costs.set_cost(session, generation_id, None, source="unknown")
    bill = bill_of(session, line("job-7", 0))
    assert filled(session, bill) == {"no_cost": (1, 0, 0, 1)}


def test_a_line_about_no_job_of_ours_is_unknown_and_another_providers_job_is_not_ours(session: Session) -> None:
    billed_generation(session, "job-7")
    bill = bill_of(session, line("job-7", 5), line(None, 6), line("job-8", 7, "refund"), provider="simulated")
    assert filled(session, bill) == {"unknown": (3, 4, 0, 3)}


def test_what_was_recorded_and_is_on_no_bill_shows_once_it_cost_something(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=3))
    free = billed_generation(session, "job-1", customer=customer)
    costs.set_cost(session, free, 0, source="provider")
    billed_generation(session, "job-2", customer=customer)
    make_generation(session, customer, status="succeeded", job="job-3", at=NOON - timedelta(days=1))
    make_generation(session, customer, status="succeeded", provider=FakeProvider("simulated"), credits=2, at=NOON)
    bill = make_bill(session)
    assert filled(session, bill) == {"not_billed": (1, 0, COST, 0)}
    [row] = comparison.rows(session, Scope.of(bill), "not_billed").rows
    assert (row.job, row.recorded, row.acceptable) == ("job-2", COST, False)


def test_lines_of_two_imports_net_out(session: Session) -> None:
    billed_generation(session, "job-7")
    first = bill_of(session, line("job-7", COST))
    second = bill_of(session, line("job-7", COST, "refund"))
    for bill in (first, second):
        assert filled(session, bill) == {"refunded": (1, 0, COST, 1)}


def test_a_line_that_comes_again_adds_nothing_and_a_changed_one_is_counted(session: Session) -> None:
    billed_generation(session, "job-7")
    bill_of(session, line("job-7", COST, name="line-1"), line("job-7", 9, "refund", name="line-2"))
    again = make_bill(session)
    stored = lines.store(
        session, again, [line("job-7", COST, name="line-1"), line("job-7", 8, "refund", name="line-2")]
    )
    assert (stored.added, stored.known, stored.differing) == (0, 2, 1)
    assert (again.lines_added, again.lines_known, again.lines_differing) == (0, 2, 1)
    assert session.scalar(text("SELECT count(*) FROM bill_lines")) == 2
    assert filled(session, again) == {"refunded": (1, COST - 9, COST, 1)}


def test_the_same_line_id_at_another_provider_is_another_line(session: Session) -> None:
    bill_of(session, line("job-7", COST, name="line-1"))
    other = bill_of(session, line("job-7", COST, name="line-1"), provider="simulated")
    assert other.lines_added == 1


def test_a_job_that_becomes_known_later_is_matched_then(session: Session) -> None:
    bill = bill_of(session, line("job-7", COST + 5))
    assert filled(session, bill) == {"unknown": (1, COST + 5, 0, 1)}
    generation_id = billed_generation(session, "job-7")
    assert lines.match(session, at=NOON) == 1
    assert filled(session, bill) == {"more": (1, COST + 5, COST, 1)}
    assert cost(session, generation_id) == (COST, "price_book")
    assert adjustments(session, generation_id) == []


def test_a_job_that_two_generations_claim_is_matched_to_neither(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=3))
    external = FakeProvider("external")  # of its ids the platform takes care
    for _ in range(2):
        make_generation(session, customer, provider=external, credits=2, job="job-7", at=NOON)
    bill = bill_of(session, line("job-7", COST), provider="external")
    assert filled(session, bill)["unknown"] == (1, COST, 0, 1)


def test_pages_of_a_category_show_every_row_once_and_the_export_all(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=3))
    jobs = [f"job-{number}" for number in range(7)]
    for job in jobs:
        billed_generation(session, job, customer=customer)
    bill = bill_of(session, *(line(job, COST + 1) for job in jobs), line("job-x", 3))
    scope, seen, before = Scope.of(bill), [], None
    while True:
        page = comparison.rows(session, scope, "more", before=before, limit=3)
        seen += [row.job for row in page.rows]
        if page.older is None:
            break
        before = page.older
    assert sorted(filter(None, seen)) == jobs
    assert [row.job for row in session.execute(comparison.every(session, scope, "unknown"))] == ["job-x"]
    assert len(session.execute(comparison.every(session, scope, "more")).all()) == 7


def test_the_queries_use_their_indexes(session: Session) -> None:
    customer = make_customer(session, at=NOON - timedelta(days=3))
    other = FakeProvider("simulated")
    for _ in range(50):
        make_generation(session, customer, provider=other, credits=1, at=NOON - timedelta(days=2))
    session.execute(text("SET LOCAL enable_seqscan = off"))
    session.execute(text("ANALYZE generations"))
    scope = vars(Scope.of(make_bill(session)))
    plan = "\n".join(session.scalars(text(f"EXPLAIN {comparison.SUMMARY.text}"), scope))
    for index in ("ix_bill_lines_billed", "ix_bill_lines_generation", "ix_generations_provider"):
        assert index in plan, plan


def test_ids_are_of_the_rows_that_are_shown(session: Session) -> None:
    generation_id: UUID = billed_generation(session, "job-7")
    bill = bill_of(session, line("job-7", COST + 1), line("job-8", 2))
    [more] = comparison.rows(session, Scope.of(bill), "more").rows
    [unknown] = comparison.rows(session, Scope.of(bill), "unknown").rows
    assert (more.id, more.generation_id, more.difference) == (generation_id, generation_id, 1)
    assert unknown.generation_id is None
    assert session.get(BillLine, unknown.id) is not None
