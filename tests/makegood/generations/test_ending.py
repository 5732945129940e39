"""Ending a generation: once, with its refund in the same transaction, and what comes late changes no credits."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import generations, ledger, refunds
from makegood.errors import Conflict, NotFound
from makegood.generations import Lost
from makegood.ids import uuid7
from makegood.models import Alert, Event, Refund, RefundPolicy
from makegood.models.generations import ENDED
from makegood.providers.protocol import Accepted, ErrorClass, Outcome, Report
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = START + timedelta(seconds=8)


def make(session: Session, status: str = "submitted", **more: object) -> UUID:
    """A generation that was charged 10 of 100 credits; it costs 27,000 micro-dollars."""
    return make_generation(
        session, make_customer(session, 95, at=START), credits=10, status=status, at=START, **more
    )


def make_external(session: Session) -> UUID:
    """A generation that the platform submits itself."""
    customer_id = make_customer(session, 95, at=START)
    provider = FakeProvider("external", signed=False)
    return reserve(session, customer_id, provider=provider, credits=10, at=START).generation_id


def settle(session: Session, generation_id: UUID, report: Report, at: datetime = LATER) -> generations.Ended:
    """The provider reports."""
    return generations.settle(session, generation_id, report, TERMS, at=at)


def cancel(session: Session, generation_id: UUID) -> generations.Ended:
    """The customer gives up."""
    return generations.cancel(session, generation_id, TERMS, actor="api-key:test", at=LATER)


def state(session: Session, generation_id: UUID) -> tuple[str, int, str | None]:
    """Status, the customer's balance, and the late outcome."""
    generation = generations.get(session, generation_id)
    return generation.status, ledger.balance(session, generation.customer_id), generation.late_outcome


def figures(session: Session, generation_id: UUID) -> tuple[int, int, int]:
    """Cost, loss (micro-dollars) and unknown costs that the generation's events add up to."""
    query = select(func.sum(Event.cost_micros), func.sum(Event.loss_micros), func.sum(Event.unknown_costs)).where(
        Event.generation_id == generation_id
    )
    cost, loss, unknown = session.execute(query).one()
    return int(cost), int(loss), int(unknown)


@pytest.mark.parametrize("status", ["charged", "submitted", "unknown"])
def test_a_success_ends_it_and_keeps_the_charge(session: Session, status: str) -> None:
    generation_id = make(session, status)
    report = Report(Outcome.SUCCEEDED, provider_job_id="job-9", outputs=("https://results.example/1.png",))
    assert settle(session, generation_id, report) == generations.Ended("ended")
    assert state(session, generation_id) == ("succeeded", 90, None)
    generation = generations.get(session, generation_id)
    assert generation.outputs == ["https://results.example/1.png"]
    assert (generation.ended_at, generation.latency_ms, generation.check_at) == (LATER, 8000, None)
    assert (generation.provider_job_id == "job-9") == (status != "submitted")
    assert figures(session, generation_id) == (27_000, 0, 0)


@pytest.mark.parametrize("status", ["charged", "submitted", "unknown"])
def test_a_failure_ends_it_and_returns_the_charge(session: Session, status: str) -> None:
    generation_id = make(session, status)
    assert settle(session, generation_id, FAILURE) == generations.Ended("ended", 10, 100)
    assert state(session, generation_id) == ("failed", 100, None)
    generation = generations.get(session, generation_id)
    assert (generation.error_class, generation.error_message) == (
        "generation_failed",
        "The task execution failed.",
    )
    assert (generation.ended_at, generation.latency_ms, generation.credits_refunded) == (LATER, None, 10)


def test_a_failure_that_gives_no_class_is_an_unknown_error(session: Session) -> None:
    generation_id = make(session)
    assert settle(session, generation_id, Report(Outcome.FAILED)).credits_refunded == 10
    generation = generations.get(session, generation_id)
    assert (generation.error_class, generation.error_message) == ("unknown_error", "")


@pytest.mark.parametrize("status", ["charged", "submitted", "unknown", "succeeded", "failed"])
def test_a_report_that_is_no_end_changes_nothing(session: Session, status: str) -> None:
    generation_id = make(session, status)
    before = state(session, generation_id)
    assert settle(session, generation_id, Report(Outcome.PENDING, cost_micros=9)) == generations.Ended("pending")
    assert state(session, generation_id) == before
    assert figures(session, generation_id)[0] == 27_000


@pytest.mark.parametrize("report", [SUCCESS, FAILURE])
def test_the_same_report_again_changes_nothing(session: Session, report: Report) -> None:
    generation_id = make(session)
    settle(session, generation_id, report)
    before = state(session, generation_id)
    for _ in range(3):
        assert settle(session, generation_id, report, LATER + timedelta(hours=1)) == generations.Ended("repeated")
    assert state(session, generation_id) == before
    assert generations.get(session, generation_id).ended_at == LATER


def test_a_success_after_the_refund_is_recorded_and_never_charged_again(session: Session) -> None:
    generation_id = make(session)
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "no result", TERMS, at=LATER)
    assert settle(session, generation_id, SUCCESS, LATER + timedelta(hours=1)) == generations.Ended("late")
    assert state(session, generation_id) == ("failed", 100, "succeeded")
    generation = generations.get(session, generation_id)
    assert (generation.late_at, generation.ended_at) == (LATER + timedelta(hours=1), LATER)
    assert generation.outputs == ["https://results.example/1.png"]
    assert settle(session, generation_id, SUCCESS) == generations.Ended("repeated")


@pytest.mark.parametrize(("status", "balance"), [("succeeded", 90), ("failed", 100), ("cancelled", 90)])
def test_our_own_clock_says_nothing_of_what_has_ended(session: Session, status: str, balance: int) -> None:
    generation_id = make(session, status if status != "cancelled" else "submitted")
    if status == "cancelled":
        cancel(session, generation_id)
    gave_up = generations.fail(session, generation_id, ErrorClass.TIMEOUT, "no result", TERMS, at=LATER)
    assert gave_up == generations.Ended("repeated")
    assert state(session, generation_id) == (status, balance, None)


def test_a_failure_after_the_success_is_recorded_and_not_refunded(session: Session) -> None:
    generation_id = make(session)
    settle(session, generation_id, SUCCESS)
    assert settle(session, generation_id, FAILURE) == generations.Ended("late")
    assert state(session, generation_id) == ("succeeded", 90, "failed")


def happen(session: Session, generation_id: UUID, event: str) -> None:
    """One of the things that can happen to a generation; a cancellation that comes too late is refused."""
    reports = {"success": SUCCESS, "failure": FAILURE, "pending": Report(Outcome.PENDING)}
    if event == "cancel":
        with suppress(Conflict):
            cancel(session, generation_id)
    elif event == "timeout":
        generations.fail(session, generation_id, ErrorClass.TIMEOUT, "no result", TERMS, at=LATER)
    else:
        settle(session, generation_id, reports[event])


def expected(told: list[str]) -> tuple[str, int, str | None]:
    """Status, balance and late outcome: the first end counts, but a cancelled one may fail after all."""
    if not told:
        return "submitted", 90, None
    status = {"success": "succeeded", "cancel": "cancelled"}.get(told[0], "failed")
    reported = {"success": "succeeded", "failure": "failed"}
    late = next((reported[event] for event in told[1:] if reported.get(event, status) != status), None)
    returned = status == "failed" or (status, late) == ("cancelled", "failed")
    return status, 100 if returned else 90, late


def test_in_every_order_of_events_the_first_end_counts_and_the_refund_happens_once(session: Session) -> None:
    customer_id = make_customer(session, 95, at=START)
    for order in itertools.permutations(("success", "failure", "timeout", "cancel", "pending")):
        undone = session.begin_nested()
        generation_id = make_generation(session, customer_id, credits=10, at=START)
        told: list[str] = []
        for event in order:
            happen(session, generation_id, event)
            told += [event] if event != "pending" else []
            assert state(session, generation_id) == expected(told), order
        undone.rollback()


def test_a_refusal_costs_nothing_and_is_refunded(session: Session) -> None:
    generation_id = make(session, "charged")
    refused = generations.fail(
        session, generation_id, ErrorClass.INVALID_INPUT, "no", TERMS, refused=True, at=LATER
    )
    assert refused == generations.Ended("ended", 10, 100)
    generation = generations.get(session, generation_id)
    assert (generation.cost_micros, generation.cost_source) == (0, "refused")
    assert figures(session, generation_id) == (0, 0, 0)


def test_a_refusal_of_what_has_no_price_is_known_to_cost_nothing(session: Session) -> None:
    generation_id = make(session, "charged", model="brand/new")
    assert figures(session, generation_id) == (0, 0, 1)
    generations.fail(session, generation_id, ErrorClass.INVALID_INPUT, "no", TERMS, refused=True, at=LATER)
    assert figures(session, generation_id) == (0, 0, 0)


def test_a_refusal_after_a_result_does_not_make_that_result_free(session: Session) -> None:
    generation_id = make(session, "charged")
    settle(session, generation_id, SUCCESS)
    generations.fail(session, generation_id, ErrorClass.PROVIDER_UNAVAILABLE, "no", TERMS, refused=True, at=LATER)
    generation = generations.get(session, generation_id)
    assert (generation.cost_micros, generation.cost_source) == (27_000, "price_book")
    assert figures(session, generation_id) == (27_000, 0, 0)
    assert state(session, generation_id) == ("succeeded", 90, "failed")


def test_the_cost_of_a_failed_job_stays_as_the_platforms_loss(session: Session) -> None:
    generation_id = make(session)
    settle(session, generation_id, FAILURE)
    assert generations.get(session, generation_id).cost_micros == 27_000
    assert figures(session, generation_id) == (27_000, 27_000, 0)


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
def test_the_providers_cost_replaces_the_price_books(session: Session, outcome: Outcome) -> None:
    generation_id = make(session)
    settle(session, generation_id, Report(outcome, cost_micros=12_345))
    generation = generations.get(session, generation_id)
    assert (generation.cost_micros, generation.cost_source) == (12_345, "provider")
    assert figures(session, generation_id) == (12_345, 12_345 if outcome is Outcome.FAILED else 0, 0)


def test_a_cost_that_becomes_known_later_changes_the_loss_where_it_was_refunded(session: Session) -> None:
    generation_id = make(session, model="brand/new")
    generations.fail(session, generation_id, ErrorClass.TIMEOUT, "no result", TERMS, at=LATER)
    assert figures(session, generation_id) == (0, 0, 1)
    settle(session, generation_id, Report(Outcome.SUCCEEDED, cost_micros=5_000), LATER + timedelta(days=1))
    assert figures(session, generation_id) == (5_000, 5_000, 0)
    generations.record_submit(session, generation_id, Accepted("job-7", cost_micros=4_000))
    assert figures(session, generation_id) == (4_000, 4_000, 0)
    losses = select(Event.at, Event.loss_micros).where(Event.loss_micros != 0).order_by(Event.id)
    assert session.execute(losses).all() == [(LATER, 5_000), (LATER, -1_000)]
    costs = select(Event.at, Event.cost_micros).where(Event.cost_micros != 0).order_by(Event.id)
    assert session.execute(costs).all() == [(START, 5_000), (START, -1_000)]
    [refund] = session.scalars(select(Refund))
    assert refund.loss_micros == 4_000


def test_a_cost_after_a_refund_by_hand_changes_the_first_refunds_loss_only(session: Session) -> None:
    generation_id = make(session)
    for done, at in ((0, START), (1, LATER)):
        refunds.issue_manual(
            session, generation_id, TERMS, credits=1, reason="other", note="x", actor="ops",
            idempotency_key=str(done), expected_refunded=done, at=at,
        )  # fmt: skip
    settle(session, generation_id, Report(Outcome.FAILED, cost_micros=30_000), LATER + timedelta(hours=1))
    losses = select(Refund.credits, Refund.loss_micros).order_by(Refund.issued_at)
    assert session.execute(losses).all() == [(1, 30_000), (1, 0), (8, 0)]
    assert figures(session, generation_id) == (30_000, 30_000, 0)


def test_the_same_cost_again_is_no_new_figure(session: Session) -> None:
    generation_id = make(session)
    for _ in range(3):
        settle(session, generation_id, Report(Outcome.SUCCEEDED, cost_micros=12_345))
    events = select(func.count()).where(Event.generation_id == generation_id, Event.type == "cost")
    assert session.scalar(events) == 1


@pytest.mark.parametrize("status", ["submitted", "unknown"])
def test_cancelling_what_may_be_running_returns_the_policys_share_of_nothing(
    session: Session, status: str
) -> None:
    generation_id = make(session, status)
    assert cancel(session, generation_id) == generations.Ended("ended", 0, 90)
    assert state(session, generation_id) == ("cancelled", 90, None)
    assert generations.get(session, generation_id).check_at is not None  # it may fail after all
    assert cancel(session, generation_id) == generations.Ended("repeated")


def test_cancelling_what_was_provably_never_submitted_returns_everything(session: Session) -> None:
    generation_id = make_external(session)
    assert cancel(session, generation_id) == generations.Ended("ended", 10, 100)
    assert cancel(session, generation_id) == generations.Ended("repeated")
    assert state(session, generation_id) == ("cancelled", 100, None)
    assert settle(session, generation_id, FAILURE).credits_refunded == 0
    assert state(session, generation_id) == ("cancelled", 100, "failed")


def test_a_cancelled_job_at_the_platforms_own_provider_is_not_followed(session: Session) -> None:
    generation_id = make_external(session)
    generations.record_submit(session, generation_id, Accepted("their-job"))
    assert cancel(session, generation_id).change == "ended"
    assert generations.get(session, generation_id).check_at is None  # nobody can be asked about it


def test_cancelling_what_is_being_submitted_has_to_wait(session: Session) -> None:
    generation_id = make(session, "charged")
    with pytest.raises(Conflict, match="being submitted") as caught, session.begin_nested():
        cancel(session, generation_id)
    assert caught.value.details == {"status": "charged"}
    assert state(session, generation_id) == ("charged", 90, None)
    generations.record_submit(session, generation_id, Lost("timed out"))
    assert cancel(session, generation_id).change == "ended"


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_cancelling_what_has_ended_otherwise_is_refused(session: Session, status: str) -> None:
    generation_id = make(session, status)
    before = state(session, generation_id)
    with pytest.raises(Conflict, match=f"already {status}. No credits moved"), session.begin_nested():
        cancel(session, generation_id)
    assert state(session, generation_id) == before


def test_cancelling_nothing_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        cancel(session, uuid7())


def test_a_cancelled_one_that_fails_after_all_is_refunded_once(session: Session) -> None:
    generation_id = make(session)
    cancel(session, generation_id)
    assert settle(session, generation_id, FAILURE) == generations.Ended("late", 10, 100)
    assert settle(session, generation_id, FAILURE) == generations.Ended("repeated")
    assert state(session, generation_id) == ("cancelled", 100, "failed")
    failed = select(func.sum(Event.failed), func.sum(Event.cancelled)).where(Event.generation_id == generation_id)
    assert session.execute(failed).one() == (0, 1)


def test_a_cancelled_one_that_succeeds_stays_cancelled_and_paid(session: Session) -> None:
    generation_id = make(session)
    cancel(session, generation_id)
    assert settle(session, generation_id, SUCCESS) == generations.Ended("late")
    assert settle(session, generation_id, FAILURE) == generations.Ended("repeated")
    assert state(session, generation_id) == ("cancelled", 90, "succeeded")


def test_a_cancelled_one_that_fails_gets_what_the_cancellation_left(session: Session) -> None:
    session.add_all(
        RefundPolicy(version=2, error_class=name, percent=percent)
        for name, percent in (("cancelled", 50), ("generation_failed", 80), ("unknown_error", 100))
    )
    session.flush()
    generation_id = make(session)
    assert cancel(session, generation_id).credits_refunded == 5
    assert settle(session, generation_id, FAILURE).credits_refunded == 3
    assert state(session, generation_id) == ("cancelled", 98, "failed")
    reasons = select(Refund.reason, Refund.credits).order_by(Refund.credits)
    assert session.execute(reasons).all() == [("generation_failed", 3), ("cancelled", 5)]


@pytest.mark.parametrize("status", ENDED)
def test_an_end_is_counted_once_where_it_happened(session: Session, status: str) -> None:
    generation_id = make(session)
    if status == "cancelled":
        cancel(session, generation_id)
    for report in (SUCCESS, FAILURE) if status == "succeeded" else (FAILURE, SUCCESS):
        settle(session, generation_id, report, LATER if status != "cancelled" else LATER + timedelta(hours=1))
    ends = select(Event.at, Event.type).where(Event.succeeded + Event.failed + Event.cancelled != 0)
    assert session.execute(ends).all() == [(LATER, status)]


def test_a_refused_account_alerts_the_operator_and_refunds_the_customer(session: Session) -> None:
    for _ in range(2):
        generation_id = make(session, "charged")
        ended = generations.fail(
            session, generation_id, ErrorClass.PROVIDER_ACCOUNT, "no balance", TERMS, refused=True, at=LATER
        )
        assert ended.credits_refunded == 10
    [alert] = session.scalars(select(Alert))
    assert (alert.kind, alert.subject, alert.occurrences) == ("provider_account", "wavespeed", 2)


def test_a_generation_that_does_not_exist_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        generations.get(session, uuid7())
