"""Submitting: what the provider answered is recorded, and no answer is not a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from makegood import generations, ledger
from makegood.generations import Lost, Refusal
from makegood.ids import uuid7
from makegood.providers.protocol import Accepted, ErrorClass, Job, Report, SubmitRefused, SubmitUnknown
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, reserve

pytestmark = pytest.mark.usefixtures("balanced_books")

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = START + timedelta(seconds=3)
JOB = Job(uuid7(), "m", "image", {}, "http://localhost/callbacks/wavespeed/secret-token")


@pytest.fixture
def generation_id(session: Session) -> UUID:
    """Charged 10 of 100 credits."""
    return reserve(session, make_customer(session, 95, at=START), credits=10, at=START).generation_id


def balance(session: Session, generation_id: UUID) -> int:
    """The credits of the generation's customer."""
    return ledger.balance(session, generations.get(session, generation_id).customer_id)


def test_an_accepted_job_is_passed_on() -> None:
    provider = FakeProvider(answer=Accepted("job-7", cost_micros=5))
    assert generations.dispatch(provider, JOB) == Accepted("job-7", cost_micros=5)
    assert provider.submitted == [JOB]


def test_a_refusal_names_its_class() -> None:
    answer = SubmitRefused(ErrorClass.INVALID_INPUT, "no such model")
    assert generations.dispatch(FakeProvider(answer=answer), JOB) == Refusal(
        ErrorClass.INVALID_INPUT, "no such model"
    )


@pytest.mark.parametrize("error", [SubmitUnknown("timed out"), RuntimeError("?"), OSError(), ValueError("x")])
def test_anything_else_counts_as_lost_because_the_provider_may_be_working(error: Exception) -> None:
    provider = FakeProvider(answer=error)
    assert isinstance(generations.dispatch(provider, JOB), Lost)
    assert len(provider.submitted) == 1


def test_the_callback_address_is_not_shown() -> None:
    assert "secret-token" not in repr(JOB)


def test_an_accepted_job_is_recorded(session: Session, generation_id: UUID) -> None:
    assert generations.record_submit(session, generation_id, Accepted("job-7"), at=LATER) == "submitted"
    generation = generations.get(session, generation_id)
    assert (generation.provider_job_id, generation.submitted_at) == ("job-7", LATER)
    assert (generation.cost_micros, generation.cost_source) == (27_000, "price_book")
    assert balance(session, generation_id) == 90


def test_the_providers_own_cost_replaces_the_price_books(session: Session, generation_id: UUID) -> None:
    generations.record_submit(session, generation_id, Accepted("job-7", cost_micros=31_000), at=LATER)
    generation = generations.get(session, generation_id)
    assert (generation.cost_micros, generation.cost_source) == (31_000, "provider")


def test_a_lost_answer_keeps_the_charge_until_reconcile_decides(session: Session, generation_id: UUID) -> None:
    assert generations.record_submit(session, generation_id, Lost("timed out"), at=LATER) == "unknown"
    generation = generations.get(session, generation_id)
    assert (generation.provider_job_id, generation.submitted_at) == (None, None)
    assert generation.check_at == START + TERMS.check_after
    assert balance(session, generation_id) == 90


def test_a_lost_answer_does_not_undo_an_accepted_one(session: Session, generation_id: UUID) -> None:
    generations.record_submit(session, generation_id, Accepted("job-7"), at=LATER)
    assert generations.record_submit(session, generation_id, Lost("timed out"), at=LATER) == "submitted"
    assert generations.record_submit(session, generation_id, Accepted("job-8"), at=LATER) == "submitted"
    assert generations.get(session, generation_id).provider_job_id == "job-7"


def test_an_answer_that_comes_after_all_ends_the_doubt(session: Session, generation_id: UUID) -> None:
    generations.record_submit(session, generation_id, Lost("timed out"), at=LATER)
    assert generations.record_submit(session, generation_id, Accepted("job-7"), at=LATER) == "submitted"


@pytest.mark.parametrize(("report", "status", "credits"), [(SUCCESS, "succeeded", 90), (FAILURE, "failed", 100)])
@pytest.mark.parametrize("answer", [Accepted("job-7", cost_micros=31_000), Lost("timed out")])
def test_a_callback_may_come_before_the_answer_and_stands(
    session: Session, generation_id: UUID, report: Report, status: str, credits: int, answer: Accepted | Lost
) -> None:
    generations.settle(session, generation_id, report, TERMS, at=LATER)
    assert generations.record_submit(session, generation_id, answer, at=LATER) == status
    generation = generations.get(session, generation_id)
    accepted = isinstance(answer, Accepted)
    assert generation.provider_job_id == ("job-7" if accepted else None)
    assert generation.cost_micros == (31_000 if accepted else 27_000)
    assert balance(session, generation_id) == credits
