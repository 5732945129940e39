"""Accepting differences: the cost follows the bill, exactly once, and credits stay where they are."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood import books, ledger
from makegood.bills import accept, accept_all, acceptance, review, review_all, withdraw
from makegood.bills.comparison import Scope, summary
from makegood.errors import Conflict, Invalid, NotFound
from makegood.generations import costs
from makegood.ids import uuid7
from makegood.models import AuditEntry, Bill, BillLine, Refund
from tests.makegood.bills.making import (
    COST,
    NOON,
    START,
    adjustments,
    bill_of,
    billed_generation,
    cost,
    line,
)
from tests.makegood.test_concurrency import at_once, committed
from tests.making import make_customer

ANA = "ana@example.com"


def take_all(session: Session, bill: Bill, category: str) -> acceptance.Accepted:
    """Accept a category as the page does it."""
    preview = acceptance.preview_all(session, bill.id, category)
    return accept_all(session, bill.id, category, typed=str(preview.rows), seen=preview.seen, actor=ANA)


@pytest.mark.usefixtures("balanced_books")
class TestOne:
    """One row."""

    def test_the_cost_becomes_what_was_billed_with_an_adjustment_and_an_audit_entry(
        self, session: Session
    ) -> None:
        customer = make_customer(session, at=START)
        generation_id = billed_generation(session, "job-7", customer=customer)
        before = ledger.balance(session, customer)
        bill_of(session, line("job-7", COST + 500))
        done = accept(session, generation_id, net=COST + 500, recorded=COST, actor=ANA, address="10.0.0.9")
        assert (done.rows, done.before, done.after) == (1, COST, COST + 500)
        assert cost(session, generation_id) == (COST + 500, "bill")
        [adjustment] = adjustments(session, generation_id)
        [accepted] = session.scalars(select(BillLine))
        assert (adjustment.reason, adjustment.reference, adjustment.actor) == ("bill", accepted.id, ANA)
        assert (adjustment.from_micros, adjustment.from_source) == (COST, "price_book")
        assert (adjustment.to_micros, adjustment.to_source) == (COST + 500, "bill")
        assert accepted.accepted_by == ANA
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "bill.accepted"))
        assert (entry.subject, entry.address) == (f"generation:{generation_id}", "10.0.0.9")
        assert (entry.details["cost_before"], entry.details["cost_after"]) == (COST, COST + 500)
        assert ledger.balance(session, customer) == before

    def test_a_second_time_is_a_conflict_and_changes_nothing(self, session: Session) -> None:
        generation_id = billed_generation(session, "job-7")
        bill_of(session, line("job-7", 0))
        accept(session, generation_id, net=0, recorded=COST, actor=ANA)
        with pytest.raises(Conflict, match="no credits moved"):
            accept(session, generation_id, net=0, recorded=COST, actor="bob@example.com")
        with pytest.raises(Conflict):
            accept(session, generation_id, net=0, recorded=0, actor="bob@example.com")
        assert len(adjustments(session, generation_id)) == 1

    @pytest.mark.parametrize(("net", "recorded"), [(COST + 1, COST), (COST + 2, None), (COST + 2, COST + 1)])
    def test_what_has_changed_since_it_was_shown_is_a_conflict(
        self, session: Session, net: int, recorded: int | None
    ) -> None:
        generation_id = billed_generation(session, "job-7")
        bill_of(session, line("job-7", COST + 2))
        with pytest.raises(Conflict):
            accept(session, generation_id, net=net, recorded=recorded, actor=ANA)
        assert cost(session, generation_id) == (COST, "price_book")

    def test_what_is_equal_or_has_only_a_refund_has_nothing_to_accept(self, session: Session) -> None:
        equal, alone = billed_generation(session, "job-1"), billed_generation(session, "job-2")
        bill_of(session, line("job-1", COST), line("job-2", COST, "refund"))
        for generation_id, net in ((equal, COST), (alone, -COST)):
            with pytest.raises(Conflict):
                accept(session, generation_id, net=net, recorded=COST, actor=ANA)
        with pytest.raises(NotFound):
            accept(session, uuid7(), net=1, recorded=2, actor=ANA)

    def test_a_later_line_makes_a_new_difference_that_can_be_accepted_in_turn(self, session: Session) -> None:
        generation_id = billed_generation(session, "job-7")
        bill_of(session, line("job-7", COST + 5))
        accept(session, generation_id, net=COST + 5, recorded=COST, actor=ANA)
        bill_of(session, line("job-7", COST + 5, "refund"))
        costs.set_cost(session, generation_id, 1, source="provider")
        assert cost(session, generation_id) == (COST + 5, "bill")
        accept(session, generation_id, net=0, recorded=COST + 5, actor=ANA)
        assert cost(session, generation_id) == (0, "bill")
        assert len({adjustment.reference for adjustment in adjustments(session, generation_id)}) == 2

    def test_the_loss_of_a_refunded_generation_follows(self, session: Session) -> None:
        generation_id = billed_generation(session, "job-7", status="failed")
        bill_of(session, line("job-7", COST), line("job-7", COST, "refund"))
        assert session.scalar(select(Refund.loss_micros)) == COST
        accept(session, generation_id, net=0, recorded=COST, actor=ANA)
        session.expire_all()
        assert session.scalar(select(Refund.loss_micros)) == 0


@pytest.mark.usefixtures("balanced_books")
class TestAll:
    """A whole category."""

    def test_every_difference_of_a_category_is_accepted_and_no_other(self, session: Session) -> None:
        customer = make_customer(session, at=START)
        more = [billed_generation(session, f"job-{number}", customer=customer) for number in range(3)]
        less = billed_generation(session, "job-less", customer=customer)
        bill = bill_of(session, *(line(f"job-{n}", COST + n + 1) for n in range(3)), line("job-less", 1))
        done = take_all(session, bill, "more")
        assert (done.rows, done.before, done.after) == (3, 3 * COST, 3 * COST + 6)
        assert [cost(session, one)[0] for one in more] == [COST + 1, COST + 2, COST + 3]
        assert cost(session, less) == (COST, "price_book")
        sums = summary(session, Scope.of(bill))
        assert (sums["equal"].rows, sums["more"].rows, sums["less"].rows) == (3, 0, 1)
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "bill.accepted_all"))
        assert entry.details == {
            "category": "more",
            "generations": 3,
            "cost_before": 3 * COST,
            "cost_after": 3 * COST + 6,
        }

    @pytest.mark.parametrize("typed", ["", "1", "3", "two", "-2"])
    def test_a_count_that_is_not_right_accepts_nothing(self, session: Session, typed: str) -> None:
        ids = [billed_generation(session, f"job-{number}") for number in range(2)]
        bill = bill_of(session, line("job-0", 1), line("job-1", 2))
        seen = acceptance.preview_all(session, bill.id, "less").seen
        with pytest.raises(Invalid, match="Nothing was accepted"):
            accept_all(session, bill.id, "less", typed=typed, seen=seen, actor=ANA)
        assert [cost(session, one) for one in ids] == [(COST, "price_book")] * 2

    def test_what_changed_since_the_preview_accepts_nothing(self, session: Session) -> None:
        one, _ = (billed_generation(session, f"job-{number}") for number in range(2))
        bill = bill_of(session, line("job-0", 1), line("job-1", 2))
        seen = acceptance.preview_all(session, bill.id, "less").seen
        bill_of(session, line("job-0", 1))
        with pytest.raises(Conflict):
            accept_all(session, bill.id, "less", typed="2", seen=seen, actor=ANA)
        assert cost(session, one) == (COST, "price_book")

    @pytest.mark.parametrize("category", ["equal", "unknown", "not_billed", "refund_alone"])
    def test_categories_without_a_charge_to_take_over_cannot_be_accepted(
        self, session: Session, category: str
    ) -> None:
        bill = bill_of(session, line("job-7", 1))
        with pytest.raises(Invalid, match="cannot be accepted"):
            acceptance.preview_all(session, bill.id, category)
        with pytest.raises(NotFound):
            acceptance.preview_all(session, bill.id, "nonsense")

    def test_more_than_can_be_locked_at_once_are_accepted_in_turns(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acceptance, "MOST", 2)
        customer = make_customer(session, at=START)
        for number in range(3):
            billed_generation(session, f"job-{number}", customer=customer)
        bill = bill_of(session, *(line(f"job-{number}", 1) for number in range(3)))
        assert [take_all(session, bill, "less").rows for _ in range(2)] == [2, 1]


class TestReview:
    """Lines about jobs that we do not know."""

    def test_a_line_is_reviewed_once_with_a_note_and_adjusts_nothing(self, session: Session) -> None:
        bill = bill_of(session, line("job-7", 5))
        [one] = session.scalars(select(BillLine))
        with pytest.raises(Invalid, match="note"):
            review(session, one.id, "  ", actor=ANA)
        reviewed = review(session, one.id, " The key of the laboratory. ", actor=ANA)
        assert (reviewed.note, reviewed.reviewed_by) == ("The key of the laboratory.", ANA)
        with pytest.raises(Conflict):
            review(session, one.id, "again", actor=ANA)
        sums = summary(session, Scope.of(bill))["unknown"]
        assert (sums.rows, sums.acceptable) == (1, 0)
        assert session.scalar(text("SELECT count(*) FROM cost_adjustments")) == 0

    def test_all_lines_of_a_bill_are_reviewed_with_a_typed_count(self, session: Session) -> None:
        bill = bill_of(session, line("job-7", 5), line("job-8", 6))
        with pytest.raises(Invalid, match="count"):
            review_all(session, bill.id, "ours, by hand", typed="1", actor=ANA)
        assert review_all(session, bill.id, "ours, by hand", typed="2", actor=ANA) == 2
        with pytest.raises(Conflict):
            review_all(session, bill.id, "ours, by hand", typed="0", actor=ANA)

    def test_a_line_of_a_generation_cannot_be_reviewed(self, session: Session) -> None:
        billed_generation(session, "job-7")
        bill_of(session, line("job-7", 5))
        [one] = session.scalars(select(BillLine))
        with pytest.raises(Conflict):
            review(session, one.id, "ours", actor=ANA)


class TestWithdrawal:
    """Imports that were a mistake."""

    def test_an_import_takes_its_lines_with_it_and_its_row_stays(self, session: Session) -> None:
        billed_generation(session, "job-7")
        kept, bill = bill_of(session, line("job-7", 5)), bill_of(session, line("job-7", 6), line("job-8", 7))
        assert withdraw(session, bill.id, actor=ANA).state == "withdrawn"
        assert session.scalars(select(BillLine.bill_id)).all() == [kept.id]
        assert summary(session, Scope.of(bill))["less"].net == 5
        with pytest.raises(Conflict):
            withdraw(session, bill.id, actor=ANA)

    def test_once_a_line_was_accepted_its_import_stays(self, session: Session) -> None:
        generation_id = billed_generation(session, "job-7")
        bill = bill_of(session, line("job-7", 5), line("job-8", 6))
        accept(session, generation_id, net=5, recorded=COST, actor=ANA)
        with pytest.raises(Conflict, match="recorded costs rest on them"), session.begin_nested():
            withdraw(session, bill.id, actor=ANA)
        assert len(session.scalars(select(BillLine)).all()) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bill_lines SET amount_micros = 1",
        "UPDATE bill_lines SET raw = '{}'",
        "UPDATE bill_lines SET generation_id = NULL, accepted_at = NULL, accepted_by = NULL",
        "UPDATE bill_lines SET accepted_at = now()",
        "UPDATE bill_lines SET accepted_by = 'eve@example.com'",
        "DELETE FROM bill_lines",
        "TRUNCATE bill_lines CASCADE",
        "DELETE FROM bills",
        "INSERT INTO bill_lines SELECT (jsonb_populate_record(l, '{\"amount_micros\": -1}')).* FROM bill_lines l",
        'INSERT INTO bill_lines SELECT (jsonb_populate_record(l, \'{"kind": "gift"}\')).* FROM bill_lines l',
        'INSERT INTO bill_lines SELECT (jsonb_populate_record(l, \'{"quantity": "NaN"}\')).* FROM bill_lines l',
    ],
)
def test_the_database_refuses_what_must_not_be(session: Session, statement: str) -> None:
    generation_id = billed_generation(session, "job-7")
    bill_of(session, line("job-7", 5))
    accept(session, generation_id, net=5, recorded=COST, actor=ANA)
    with pytest.raises(DBAPIError) as refusal, session.begin_nested():
        session.execute(text(statement))
    assert refusal.value.orig.sqlstate in ("23001", "23514", "23503"), refusal.value  # type: ignore[union-attr]


JOBS = st.integers(0, 3)
LINES = st.lists(
    st.tuples(JOBS, st.integers(0, 60_000), st.sampled_from(["charge", "charge", "refund"])), max_size=12
)
STATUSES = st.lists(st.sampled_from(["succeeded", "failed", "submitted"]), min_size=4, max_size=4)


@given(statuses=STATUSES, imports=st.lists(LINES, min_size=1, max_size=3), free=st.sets(JOBS))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_accepting_all_the_recorded_costs_are_what_was_billed(
    session: Session, statuses: list[str], imports: list[list[tuple[int, int, str]]], free: set[int]
) -> None:
    with session.begin_nested() as savepoint:
        customer = make_customer(session, at=START - timedelta(days=1))
        jobs = [
            billed_generation(session, f"job-{n}", status=s, customer=customer) for n, s in enumerate(statuses)
        ]
        for number in free:
            costs.set_cost(session, jobs[number], None, source="unknown")
        before = [ledger.balance(session, customer), *(cost(session, one) for one in jobs)]
        nets: dict[int, int] = {}
        for billed in imports:
            bill = bill_of(session, *(line(f"job-{job}", micros, kind) for job, micros, kind in billed))
            for job, micros, kind in billed:
                nets[job] = nets.get(job, 0) + (micros if kind == "charge" else -micros)
            for category in ("more", "less", "failed", "refunded", "no_cost"):
                if acceptance.preview_all(session, bill.id, category).rows:
                    take_all(session, bill, category)
            for number, generation_id in enumerate(jobs):
                if nets.get(number, -1) >= 0:
                    assert cost(session, generation_id)[0] == nets[number]
                elif number not in nets:
                    assert cost(session, generation_id) == before[number + 1]
            assert sum(sums.acceptable for sums in summary(session, Scope.of(bill)).values()) == 0
        assert ledger.balance(session, customer) == before[0]
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        assert books.violations(session) == []
        savepoint.rollback()


@pytest.fixture
def crowd(database: str) -> Engine:
    """Connections for a crowd."""
    return create_engine(database, pool_size=20)


def test_two_operators_and_many_clicks_accept_a_row_once(crowd: Engine) -> None:
    def fill(session: Session) -> UUID:
        generation_id = billed_generation(session, "job-7")
        bill_of(session, line("job-7", COST + 9))
        return generation_id

    generation_id = committed(crowd, fill)
    work = partial(accept, generation_id=generation_id, net=COST + 9, recorded=COST, actor=ANA)
    results = at_once(crowd, [work] * 12)
    assert sorted(type(result).__name__ for result in results) == ["Accepted"] + ["Conflict"] * 11
    with Session(crowd) as session:
        assert len(adjustments(session, generation_id)) == 1
        assert cost(session, generation_id) == (COST + 9, "bill")
        assert books.violations(session) == []
    crowd.dispose()


def test_a_row_a_category_and_a_withdrawal_at_once_leave_one_truth(crowd: Engine) -> None:
    def fill(session: Session) -> tuple[list[UUID], UUID, str]:
        customer = make_customer(session, 500, at=START)
        ids = [billed_generation(session, f"job-{n}", customer=customer) for n in range(8)]
        bill = bill_of(session, *(line(f"job-{n}", COST + 9) for n in range(8)))
        return ids, bill.id, acceptance.preview_all(session, bill.id, "more").seen

    ids, bill_id, seen = committed(crowd, fill)
    everything = partial(accept_all, bill_id=bill_id, category="more", typed="8", seen=seen, actor=ANA)
    one = partial(accept, generation_id=ids[5], net=COST + 9, recorded=COST, actor=ANA)
    results = at_once(crowd, [everything] * 3 + [one] * 3 + [partial(withdraw, bill_id=bill_id, actor=ANA)])
    accepted = [result for result in results if isinstance(result, acceptance.Accepted)]
    with Session(crowd) as session:
        marked = session.scalar(text("SELECT count(*) FROM bill_lines WHERE accepted_at IS NOT NULL"))
        made = sum(len(adjustments(session, generation_id)) for generation_id in ids)
        changed = sum(cost(session, generation_id) == (COST + 9, "bill") for generation_id in ids)
        assert marked == made == changed == sum(done.rows for done in accepted)
        assert books.violations(session) == []
    crowd.dispose()


def test_the_days_figures_follow(session: Session) -> None:
    generation_id = billed_generation(session, "job-7")
    bill_of(session, line("job-7", COST + 9))
    accept(session, generation_id, net=COST + 9, recorded=COST, actor=ANA)
    events = text("SELECT sum(cost_micros) FROM events WHERE generation_id = :id AND at = :at")
    assert session.scalar(events, {"id": generation_id, "at": NOON}) == COST + 9
