"""A bulk refund: what was previewed and confirmed, each generation once, never more than was confirmed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from makegood import approvals, books, bulk_refunds, generations, ledger, operators, refunds, reversals
from makegood.bulk_refunds import Changed, ItemFilters, Preview, Scope
from makegood.errors import Conflict, Forbidden, Invalid
from makegood.ids import uuid7
from makegood.models import Approval, AuditEntry, BulkRefund, Refund, RefundPolicy
from makegood.providers.protocol import ErrorClass
from tests.making import TERMS, FakeProvider, make_customer, make_generation

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
WINDOW = Scope("wavespeed", AT - timedelta(hours=1), AT + timedelta(hours=1))
ACTOR = "ana@example.com"

pytestmark = pytest.mark.usefixtures("balanced_books")


@pytest.fixture
def made(session: Session) -> dict[str, UUID]:
    """Ten credits each of two customers: one of each kind of ending."""
    ada, bob = (make_customer(session, 95, customer_id=name, at=AT) for name in ("ada", "bob"))
    made = {
        "good": make_generation(session, ada, credits=10, status="succeeded", at=AT),
        "partly": make_generation(session, ada, credits=10, status="succeeded", at=AT),
        "bobs": make_generation(session, bob, credits=10, status="succeeded", at=AT),
        "failed": make_generation(session, bob, credits=10, status="failed", at=AT),
        "in_flight": make_generation(session, bob, credits=10, status="submitted", at=AT),
        "later": make_generation(session, bob, credits=10, status="succeeded", at=AT + timedelta(hours=1)),
        "elsewhere": make_generation(
            session, bob, credits=10, status="succeeded", provider=FakeProvider("nanobanana"), at=AT
        ),
    }
    by_hand(session, made["partly"], 4)
    return made


def by_hand(session: Session, generation_id: UUID, credits: int) -> Refund:
    done = generations.get(session, generation_id).credits_refunded
    return refunds.issue_manual(
        session, generation_id, TERMS, credits=credits, reason="other", note="x", actor="bert",
        idempotency_key=uuid7().hex, expected_refunded=done, at=AT,
    )  # fmt: skip


def start(session: Session, seen: Preview, **facts: Any) -> BulkRefund:
    asked: dict[str, Any] = {
        "fingerprint": seen.fingerprint,
        "count": seen.generations,
        "reason": "outage",
        "note": "Pictures were black.",
        "actor": ACTOR,
        "idempotency_key": "form",
        "at": AT,
    }
    return bulk_refunds.start(session, seen.scope, TERMS, **asked | facts)


def finish(session: Session) -> int:
    """How many steps it took."""
    count = 0
    while bulk_refunds.work(session, TERMS, at=LATER):
        count += 1
    session.expire_all()
    return count


def refunded(session: Session, made: dict[str, UUID]) -> dict[str, int]:
    session.expire_all()
    return {name: generations.get(session, one).credits_refunded for name, one in made.items()}


def named(session: Session, action: str) -> list[AuditEntry]:
    return list(session.scalars(select(AuditEntry).where(AuditEntry.action == f"bulk_refund.{action}")))


def test_a_preview_counts_what_is_left_to_refund(session: Session, made: dict[str, UUID]) -> None:
    seen = bulk_refunds.preview(session, WINDOW)
    assert (seen.generations, seen.customers, seen.credits) == (3, 2, 26)
    assert (seen.refunded, seen.in_flight, seen.partly) == (1, 1, 1)
    assert (seen.loss_micros, seen.unknown_costs) == (2 * 27_000, 0)
    [group] = seen.groups
    assert (group.status, group.generations, group.credits) == ("succeeded", 3, 26)


@pytest.mark.parametrize(
    ("narrowing", "found"),
    [
        ({"status": "succeeded"}, 3),
        ({"status": "cancelled"}, 0),
        ({"error_class": "timeout"}, 0),
        ({"model": "m"}, 0),
    ],
)
def test_a_preview_follows_its_filters(
    session: Session, made: dict[str, UUID], narrowing: dict[str, str], found: int
) -> None:
    assert bulk_refunds.preview(session, Scope(**vars(WINDOW) | narrowing)).generations == found


def test_a_bulk_refund_returns_what_is_left_of_each_charge(session: Session, made: dict[str, UUID]) -> None:
    bulk = start(session, bulk_refunds.preview(session, WINDOW))
    assert (bulk.state, refunded(session, made)["good"]) == ("running", 0)
    assert finish(session) == 4
    assert refunded(session, made) == {
        "good": 10, "partly": 10, "bobs": 10, "failed": 10, "in_flight": 0, "later": 0, "elsewhere": 0,
    }  # fmt: skip
    assert (bulk.state, bulk.refunded, bulk.skipped, bulk.credits_refunded) == ("finished", 3, 0, 26)
    made_by_it = session.scalars(select(Refund).where(Refund.bulk_refund_id == bulk.id)).all()
    facts = {(one.origin, one.reason, one.note, one.actor) for one in made_by_it}
    assert facts == {("bulk", "outage", "Pictures were black.", ACTOR)}


def test_one_audit_entry_when_it_begins_and_one_with_all_ids_when_it_ends(
    session: Session, made: dict[str, UUID]
) -> None:
    start(session, bulk_refunds.preview(session, WINDOW), address="192.0.2.1")
    [begun] = named(session, "confirmed")
    assert (begun.actor, begun.address, begun.details["credits"]) == (ACTOR, "192.0.2.1", 26)
    finish(session)
    [ended] = named(session, "finished")
    assert sorted(ended.details["generations"]) == sorted(str(made[name]) for name in ("good", "partly", "bobs"))
    assert len(ended.details["refunds"]) == 3


def test_what_changed_since_the_preview_is_previewed_again(session: Session, made: dict[str, UUID]) -> None:
    seen = bulk_refunds.preview(session, WINDOW)
    by_hand(session, made["good"], 1)
    with pytest.raises(Changed, match="No credits moved") as changed:
        start(session, seen)
    assert (changed.value.preview.credits, changed.value.status) == (25, 409)
    assert session.scalar(select(func.count()).select_from(BulkRefund)) == 0


@pytest.mark.parametrize(
    ("typed", "field"),
    [({"count": 2}, "count"), ({"count": None}, "count"), ({"reason": "mood"}, "reason"), ({"note": " "}, "note")],
)
def test_a_wrong_form_begins_nothing(
    session: Session, made: dict[str, UUID], typed: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid, match="No credits moved") as refused:
        start(session, bulk_refunds.preview(session, WINDOW), **typed)
    assert list(refused.value.details["fields"]) == [field]
    assert session.scalar(select(func.count()).select_from(BulkRefund)) == 0


def test_nothing_to_refund_begins_nothing(session: Session, made: dict[str, UUID]) -> None:
    with pytest.raises(Invalid, match="Nothing is left"):
        start(session, bulk_refunds.preview(session, Scope(**vars(WINDOW) | {"status": "cancelled"})))


def test_more_generations_than_the_audit_log_names_are_refused(
    session: Session, made: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makegood.bulk_refunds.previews.MOST", 2)
    seen = bulk_refunds.preview(session, WINDOW)
    with pytest.raises(Invalid, match="Choose a shorter time"):
        start(session, seen)


def test_a_double_submit_is_one_bulk_refund(session: Session, made: dict[str, UUID]) -> None:
    seen = bulk_refunds.preview(session, WINDOW)
    assert start(session, seen).id == start(session, seen).id
    assert len(named(session, "confirmed")) == 1


def test_what_was_refunded_meanwhile_is_skipped_and_a_part_is_made_whole(
    session: Session, made: dict[str, UUID]
) -> None:
    bulk = start(session, bulk_refunds.preview(session, WINDOW))
    by_hand(session, made["good"], 10)
    by_hand(session, made["bobs"], 3)
    finish(session)
    assert (bulk.refunded, bulk.skipped, bulk.credits_refunded) == (2, 1, 13)
    assert refunded(session, made)["bobs"] == 10
    assert named(session, "finished")[0].details["skipped_generations"] == [str(made["good"])]


def test_never_more_than_was_confirmed(session: Session, made: dict[str, UUID]) -> None:
    first = by_hand(session, made["bobs"], 6)
    bulk = start(session, bulk_refunds.preview(session, WINDOW))
    reversals.reverse(session, first.id, TERMS, note="x", actor="bert", idempotency_key="r", at=LATER)
    finish(session)
    assert (bulk.credits, bulk.credits_refunded, refunded(session, made)["bobs"]) == (20, 20, 4)


def test_a_stopped_one_goes_on_where_it_was(session: Session, made: dict[str, UUID]) -> None:
    bulk = start(session, bulk_refunds.preview(session, WINDOW))
    bulk_refunds.work(session, TERMS, at=LATER)
    bulk_refunds.stop(session, bulk.id, actor="bert")
    assert finish(session) == 0
    assert (bulk.state, bulk.stopped_by, bulk.refunded) == ("stopped", "bert", 1)
    with pytest.raises(Conflict, match=r"is stopped by now\. Nothing was changed\. It has refunded 1 of 3"):
        bulk_refunds.stop(session, bulk.id, actor="bert")
    bulk_refunds.resume(session, bulk.id, actor=ACTOR)
    finish(session)
    assert (bulk.state, bulk.refunded, bulk.credits_refunded) == ("finished", 3, 26)
    entries = (*named(session, "stopped"), *named(session, "resumed"), *named(session, "finished"))
    told = [(entry.details["before"], entry.details["after"], entry.details["refunded"]) for entry in entries]
    assert told == [("running", "stopped", 1), ("stopped", "running", 1), ("running", "finished", 3)]


def test_what_fails_leaves_the_rest_alone_and_is_tried_again(session: Session, made: dict[str, UUID]) -> None:
    bulk = start(session, bulk_refunds.preview(session, WINDOW))
    session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits <> 6) NOT VALID"))
    finish(session)
    assert (bulk.state, bulk.stopped_by, bulk.refunded, bulk.failed) == ("stopped", "system", 2, 1)
    assert refunded(session, made)["partly"] == 4
    [item] = bulk_refunds.ITEMS.page(session, ItemFilters(bulk.id, "failed")).rows
    assert (item.generation_id, "broken" in str(item.problem)) == (made["partly"], True)
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
    session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
    bulk_refunds.resume(session, bulk.id, actor=ACTOR)
    finish(session)
    assert (bulk.state, bulk.refunded, bulk.failed, refunded(session, made)["partly"]) == ("finished", 3, 0, 10)


def test_a_failure_refunded_in_part_by_policy_is_made_whole(session: Session) -> None:
    customer = make_customer(session, 95, at=AT)
    generation_id = make_generation(session, customer, credits=10, at=AT)
    session.add(RefundPolicy(version=2, error_class="timeout", percent=30))
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "-", TERMS, at=AT)
    start(session, bulk_refunds.preview(session, Scope(**vars(WINDOW) | {"error_class": "timeout"})))
    finish(session)
    assert ledger.balance(session, customer) == 100


class TestApproval:
    """Above the limit for refunds in bulk, which for an admin is 1,000 credits as shipped."""

    @pytest.fixture
    def waiting(self, session: Session) -> BulkRefund:
        """Twelve hundred credits."""
        for email in (ACTOR, "bert@example.com"):
            operators.create(session, email, "admin", "correct horse battery staple", actor="t")
        customer = make_customer(session, 2000, at=AT)
        for _ in range(2):
            make_generation(session, customer, credits=600, status="succeeded", at=AT)
        return start(session, bulk_refunds.preview(session, WINDOW))

    def asked(self, session: Session) -> Approval:
        return session.scalars(select(Approval)).one()

    def test_it_waits_and_begins_when_a_second_operator_approves(
        self, session: Session, waiting: BulkRefund
    ) -> None:
        assert (waiting.state, finish(session)) == ("waiting", 0)
        approval = self.asked(session)
        assert (approval.kind, approval.credits, approval.requested_by) == ("bulk_refund", 1200, ACTOR)
        with pytest.raises(Forbidden, match="their own"):
            approvals.approve(session, approval.id, actor=ACTOR, terms=TERMS, at=LATER)
        approvals.approve(session, approval.id, actor="bert@example.com", terms=TERMS, at=LATER)
        finish(session)
        assert (waiting.state, waiting.approver, waiting.credits_refunded) == (
            "finished",
            "bert@example.com",
            1200,
        )

    def test_rejected_it_refunds_nothing(self, session: Session, waiting: BulkRefund) -> None:
        approval = self.asked(session)
        approvals.reject(session, approval.id, actor="bert@example.com", note="no", at=LATER)
        assert (waiting.state, finish(session)) == ("refused", 0)
        with pytest.raises(Conflict, match="was not approved"):
            bulk_refunds.resume(session, waiting.id, actor=ACTOR)

    def test_the_database_refunds_nothing_before_it_is_approved(
        self, session: Session, waiting: BulkRefund
    ) -> None:
        item = bulk_refunds.ITEMS.page(session, ItemFilters(waiting.id)).rows[0]
        forged = text(
            "SELECT refund_generation(make_uuid7(), make_uuid7(), :generation, 1, 'bulk', 'outage', 'x', :actor, "
            "NULL, NULL, interval '30 days', :at, :bulk)"
        )
        values = {"generation": item.generation_id, "actor": ACTOR, "at": LATER, "bulk": waiting.id}
        with pytest.raises(DBAPIError, match="stays within what was confirmed"), session.begin_nested():
            session.execute(forged, values)
        assert books.violations(session) == []
