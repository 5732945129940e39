"""The inbox as operators see it, and applying a delivery again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from makegood import books, callbacks, generations, inbox, ledger, reconcile
from makegood.errors import Conflict, NotFound
from makegood.ids import uuid7
from makegood.inbox import InboxFilters
from makegood.models import AuditEntry, Callback, Refund
from makegood.providers.protocol import Outcome, Report
from makegood.reports import to_json
from tests.makegood.test_callbacks import FAILED, SUCCEEDED, receive
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

SIGNED = {"wavespeed": FakeProvider()}
UNSIGNED = {"wavespeed": FakeProvider(signed=False)}
NOW = datetime.now(UTC)


def deliver(
    session: Session,
    generation_id: UUID,
    report: Report | None = FAILURE,
    *,
    state: str = "waiting",
    received_at: datetime = NOW,
    delivery: str | None = None,
    **columns: Any,
) -> UUID:
    """A delivery that stands in the inbox."""
    callback = Callback(
        generation_id=generation_id,
        customer_id=generations.get(session, generation_id).customer_id,
        provider=columns.pop("provider", "wavespeed"),
        delivery=delivery or uuid7().hex,
        headers={},
        body=b"{}",
        parsed=to_json(report) if report else None,
        state=state,
        received_at=received_at,
        **columns,
    )
    session.add(callback)
    session.flush()
    return callback.id


def again(session: Session, callback_id: UUID, providers: Any = SIGNED) -> inbox.Applied:
    return inbox.apply_again(session, providers, TERMS, callback_id, actor="ana", address="10.0.0.1")


def state(session: Session, callback_id: UUID) -> str:
    session.expire_all()
    return session.get_one(Callback, callback_id).state


@pytest.fixture
def customer(session: Session) -> str:
    return make_customer(session, 20)


@pytest.fixture
def generation(session: Session, customer: str) -> UUID:
    return make_generation(session, customer, credits=10)


def test_a_failure_that_waits_is_refunded_when_it_is_applied_again(
    session: Session, customer: str, generation: UUID, balanced_books: None
) -> None:
    callback = deliver(session, generation)
    assert ledger.balance(session, customer) == 15
    assert again(session, callback).message == "Applied: it ended the generation as failed."
    assert ledger.balance(session, customer) == 25
    assert state(session, callback) == "applied"
    assert generations.get(session, generation).status == "failed"


def test_doing_it_twice_changes_nothing_more(
    session: Session, customer: str, generation: UUID, balanced_books: None
) -> None:
    callback = deliver(session, generation)
    again(session, callback)
    assert again(session, callback).message == "It has been applied already. Nothing changed."
    assert ledger.balance(session, customer) == 25
    assert session.scalar(select(func.count()).select_from(Refund)) == 1
    assert session.scalar(select(func.count()).where(AuditEntry.action == "callback.applied_again")) == 1


def test_it_is_audited_with_what_was_before_and_after(session: Session, generation: UUID) -> None:
    callback = deliver(session, generation, detail="could not be applied yet: OperationalError", attempts=20)
    again(session, callback)
    entry = session.scalars(select(AuditEntry).where(AuditEntry.subject == f"callback:{callback}")).one()
    assert (entry.actor, entry.action, entry.address) == ("ana", "callback.applied_again", "10.0.0.1")
    assert entry.details["before"] == {
        "state": "waiting",
        "detail": "could not be applied yet: OperationalError",
        "attempts": 20,
    }
    assert entry.details["after"]["state"] == "applied"


def test_one_that_comes_after_a_refund_is_kept_and_charges_nothing(
    session: Session, customer: str, balanced_books: None
) -> None:
    generation = make_generation(session, customer, status="failed", credits=10)
    callback = deliver(session, generation, SUCCESS)
    assert "nothing was charged again" in again(session, callback).message
    assert ledger.balance(session, customer) == 25
    assert generations.get(session, generation).late_outcome == "succeeded"


def test_what_says_nothing_new_moves_nothing(session: Session, customer: str, balanced_books: None) -> None:
    generation = make_generation(session, customer, status="failed", credits=10)
    assert "nothing new" in again(session, deliver(session, generation)).message
    assert ledger.balance(session, customer) == 25


def test_one_that_cannot_be_applied_yet_waits_on_and_says_so(
    session: Session, customer: str, generation: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(generations, "settle", fail)
    first, last = deliver(session, generation), deliver(session, generation, attempts=19)
    said = again(session, first)
    assert said.state == state(session, first) == "waiting"
    assert said.message == (
        "It could not be applied yet: ValueError. No credits moved. It is tried again by itself."
    )
    assert again(session, last).message.endswith("The log says why.")
    assert ledger.balance(session, customer) == 15


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"state": "rejected", "report": None, "detail": "the signature does not match"}, "never applied"),
        ({"state": "rejected", "detail": "it is about another job"}, "never applied"),
        ({"state": "duplicate"}, "repeats a delivery"),
        ({"state": "ignored", "report": Report(Outcome.PENDING)}, "does not report the end"),
        ({"provider": "gone"}, "No provider gone"),
    ],
)
@pytest.mark.parametrize("providers", [SIGNED, UNSIGNED])
def test_what_can_never_be_applied_is_refused(
    session: Session, customer: str, generation: UUID, columns: dict[str, Any], why: str, providers: Any
) -> None:
    callback = deliver(session, generation, **columns)
    with pytest.raises(Conflict, match=why) as refused:
        again(session, callback, providers)
    assert refused.value.message.endswith("No credits moved.")
    assert state(session, callback) == columns.get("state", "waiting")
    assert ledger.balance(session, customer) == 15
    assert inbox.read(session, providers, callback).again is None


def test_a_delivery_that_does_not_exist_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        again(session, uuid7())
    with pytest.raises(NotFound):
        inbox.read(session, SIGNED, uuid7())


@pytest.mark.parametrize(
    ("providers", "report"),
    [
        (UNSIGNED, FAILURE),
        (SIGNED, Report(Outcome.FAILED, error_class=FAILURE.error_class, incomplete=True)),
    ],
)
@pytest.mark.parametrize("before", ["waiting", "ignored"])
def test_one_that_proves_nothing_has_its_job_fetched(
    session: Session, customer: str, generation: UUID, providers: Any, report: Report, before: str
) -> None:
    callback = deliver(session, generation, report, state=before)
    assert inbox.read(session, providers, callback).again == "fetch"
    assert "No credits moved yet" in again(session, callback, providers).message
    assert state(session, callback) == "waiting"
    assert ledger.balance(session, customer) == 15
    assert [claimed.id for claimed in reconcile.claim(session)] == [generation]


@pytest.mark.parametrize("before", ["waiting", "ignored"])
@pytest.mark.parametrize("status", ["unknown", "submitted"])
def test_nothing_is_fetched_for_one_whose_job_another_generation_carries(
    session: Session, customer: str, status: str, before: str
) -> None:
    make_generation(session, customer, credits=5, job="job-9")
    generation = make_generation(session, customer, status=status, credits=5)
    balance, check_at = ledger.balance(session, customer), generations.get(session, generation).check_at
    callback = deliver(session, generation, replace(FAILURE, provider_job_id="job-9"), state=before)
    with pytest.raises(Conflict, match=r"it names a job that another generation carries.*No credits moved"):
        again(session, callback, UNSIGNED)
    assert state(session, callback) == before
    assert generations.get(session, generation).check_at == check_at
    assert ledger.balance(session, customer) == balance


def test_nothing_is_fetched_for_one_that_names_another_job_than_its_generations(
    session: Session, generation: UUID
) -> None:
    callback = deliver(session, generation, replace(FAILURE, provider_job_id="job-9"))
    with pytest.raises(Conflict, match=r"it is about another job\. No credits moved"):
        again(session, callback, UNSIGNED)


def test_one_that_was_delivered_again_is_not_taken_up_a_second_time(session: Session, generation: UUID) -> None:
    deliver(session, generation, delivery="d1")
    given_up = deliver(session, generation, delivery="d1", state="ignored")
    with pytest.raises(Conflict, match="came again"):
        again(session, given_up, UNSIGNED)
    assert state(session, given_up) == "ignored"


def test_a_provider_without_a_key_cannot_be_asked(session: Session, generation: UUID) -> None:
    class Unconfigured(FakeProvider):
        configured = False  # type: ignore[assignment]

    with pytest.raises(Conflict, match="not configured"):
        again(session, deliver(session, generation), {"wavespeed": Unconfigured(signed=False)})


@contextmanager
def committed(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session, session.begin():
        yield session


def test_operators_and_workers_at_the_same_moment_refund_once(engine: Engine) -> None:
    rounds = 12
    with committed(engine) as session:
        customer = make_customer(session, 1000)
        waiting = [
            deliver(session, make_generation(session, customer, credits=10), attempts=1) for _ in range(rounds)
        ]
        session.query(Callback).update({"received_at": NOW - timedelta(hours=1)})
    start = threading.Barrier(5)
    said: list[str] = []

    def operate() -> None:
        start.wait()
        for callback in waiting:
            with committed(engine) as session:
                said.append(again(session, callback).message)

    def work() -> None:
        start.wait()
        last = None
        while True:
            with committed(engine) as session:
                last = callbacks.retry_next(session, SIGNED, TERMS, after=last)
            if last is None:
                return

    with ThreadPoolExecutor(5) as pool:
        for task in [*(pool.submit(operate) for _ in range(3)), *(pool.submit(work) for _ in range(2))]:
            task.result()
    with Session(engine) as session:
        assert ledger.balance(session, customer) == 1005
        assert session.scalar(select(func.count()).select_from(Refund)) == rounds
        states = session.scalars(select(Callback.state)).all()
        assert set(states) == {"applied"}
        assert books.violations(session) == []
    assert len(said) == 3 * rounds
    assert sum(message.startswith("Applied: it ended") for message in said) <= rounds


def test_a_delivery_is_late_if_its_generation_had_ended_when_it_came(session: Session, customer: str) -> None:
    reservation = reserve(session, customer, credits=10)
    receive(session, reservation, FAILED)
    receive(session, reservation, SUCCEEDED)
    flags = session.execute(select(Callback.state, Callback.late).order_by(Callback.id)).all()
    assert flags == [("applied", False), ("applied", True)]
    page = inbox.DELIVERIES.page(session, InboxFilters(state=inbox.LATE))
    assert [(row.says, row.detail) for row in page.rows] == [("succeeded", "late")]


def test_the_list_is_narrowed_by_its_filters(session: Session, customer: str, generation: UUID) -> None:
    other = make_generation(session, customer)
    old = deliver(session, generation, state="applied", received_at=NOW - timedelta(days=3))
    rejected = deliver(session, other, None, state="rejected", detail="stale")
    waiting = deliver(session, generation, provider="nanobanana", received_at=NOW - timedelta(hours=1))

    def found(**filters: Any) -> list[UUID]:
        return [row.id for row in inbox.DELIVERIES.page(session, InboxFilters(**filters)).rows]

    assert found() == [rejected, waiting, old]
    assert found(state="applied") == [old]
    assert found(state="rejected") == [rejected]
    assert found(provider="nanobanana") == [waiting]
    assert found(provider="nanobanana", state="rejected") == []
    assert found(generation_id=generation) == [waiting, old]
    assert found(start=NOW - timedelta(days=1)) == [rejected, waiting]
    assert found(end=NOW - timedelta(days=1)) == [old]


def test_pages_go_both_ways(session: Session, generation: UUID) -> None:
    made = [
        deliver(session, generation, received_at=NOW - timedelta(minutes=n), state="ignored") for n in range(5)
    ]
    first = inbox.DELIVERIES.page(session, InboxFilters(), limit=2)
    second = inbox.DELIVERIES.page(session, InboxFilters(), before=first.older, limit=2)
    back = inbox.DELIVERIES.page(session, InboxFilters(), after=second.newer, limit=2)
    assert [row.id for page in (first, second, back) for row in page.rows] == [*made[:4], *made[:2]]


def test_what_waits_long_and_what_was_rejected_is_counted(session: Session, generation: UUID) -> None:
    deliver(session, generation, received_at=NOW - timedelta(minutes=1))
    oldest = NOW - timedelta(days=2)
    deliver(session, generation, received_at=oldest)
    deliver(session, generation, received_at=NOW - timedelta(minutes=11))
    for age in (1, 30):
        deliver(session, generation, None, state="rejected", received_at=NOW - timedelta(hours=age))
        deliver(session, generation, state="applied", late=True, received_at=NOW - timedelta(hours=age))
    assert inbox.counts(session, at=NOW) == inbox.Counts(
        waiting=3, waiting_24h=2, long_waits=2, oldest_waiting=oldest, rejected_24h=1, late_24h=1
    )
