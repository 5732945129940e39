"""Outputs: files that a provider sent are kept for a while, links are known to die, and late truth is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import books, callbacks, generations, ledger, outputs, reconcile
from makegood.errors import NotFound
from makegood.generations import Lost
from makegood.models import OutputFile, Refund
from makegood.outputs import MAX_FILE_BYTES, Gone
from makegood.providers.protocol import Accepted, ErrorClass, File, Found, Outcome, Report
from tests.making import SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
SPEECH = File("audio/mpeg; charset=x", b"ID3 hello")
SPOKEN = Report(Outcome.SUCCEEDED, files=(SPEECH,))
DIES = START + TERMS.outputs_live


def kept(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(OutputFile)) or 0


def test_an_answer_that_is_the_result_ends_the_generation_at_once(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    one = reserve(session, customer_id, credits=40, at=START).generation_id
    accepted = Accepted("req-1", report=SPOKEN)
    assert generations.record_submit(session, one, accepted, TERMS, at=START) == "succeeded"
    generation = generations.get(session, one)
    assert (generation.provider_job_id, generation.submitted_at) == ("req-1", START)
    assert generation.outputs == [f"/api/v1/generations/{one}/outputs/1"]
    assert generation.outputs_expire_at == DIES
    found = outputs.find(session, one, 1, at=DIES - timedelta(seconds=1))
    assert (found.link, found.content_type, found.content) == (None, "audio/mpeg", b"ID3 hello")
    assert ledger.balance(session, customer_id) == 65
    assert generations.record_submit(session, one, accepted, TERMS, at=START) == "succeeded"
    assert (kept(session), books.violations(session)) == (1, [])


def test_an_answer_that_is_a_failure_is_refunded_at_once(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    one = reserve(session, customer_id, credits=40, at=START).generation_id
    report = Report(Outcome.FAILED, error_class=ErrorClass.CONTENT_POLICY_VIOLATION, message="No.")
    accepted = Accepted("req-1", report=report)
    assert generations.record_submit(session, one, accepted, TERMS, at=START) == "failed"
    assert ledger.balance(session, customer_id) == 105


@pytest.mark.parametrize("content", [b"", b"x" * (MAX_FILE_BYTES + 1)])
def test_a_file_that_cannot_be_kept_is_a_failure_and_refunded(session: Session, content: bytes) -> None:
    customer_id = make_customer(session, at=START)
    one = reserve(session, customer_id, credits=40, at=START).generation_id
    report = Report(Outcome.SUCCEEDED, files=(SPEECH, File("audio/mpeg", content)))
    generations.record_submit(session, one, Accepted("req-1", report=report), TERMS, at=START)
    generation = generations.get(session, one)
    assert (generation.status, generation.error_class) == ("failed", ErrorClass.STORAGE_ERROR)
    assert (kept(session), ledger.balance(session, customer_id)) == (0, 105)


def test_links_and_files_are_numbered_together_and_strange_types_are_not_believed(session: Session) -> None:
    one = make_generation(session, make_customer(session, at=START), at=START)
    files = (File("", b"1"), File("text/html\r\nSet-Cookie: a=b", b"2"), File("IMAGE/PNG", b"3"))
    report = Report(Outcome.SUCCEEDED, outputs=("https://results.example/1.png",), files=files)
    generations.settle(session, one, report, TERMS, at=START)
    assert len(generations.get(session, one).outputs or []) == 4
    assert outputs.find(session, one, 1, at=START).link == "https://results.example/1.png"
    types = [outputs.find(session, one, number, at=START).content_type for number in (2, 3, 4)]
    assert types == [outputs.OTHER, outputs.OTHER, "image/png"]


def test_what_is_over_is_gone_and_forgotten(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    one = make_generation(session, customer_id, at=START)
    generations.settle(session, one, SPOKEN, TERMS, at=START)
    linked = make_generation(session, customer_id, at=START)
    dying = Report(Outcome.SUCCEEDED, outputs=("https://r.example/1",), outputs_expire_at=START)
    generations.settle(session, linked, dying, TERMS, at=START)
    assert outputs.forget(session, at=DIES - timedelta(seconds=1)) == 0
    for gone, at in ((one, DIES), (linked, START)):
        with pytest.raises(Gone, match=r"which is over.*No credits moved\."):
            outputs.find(session, gone, 1, at=at)
    assert outputs.forget(session, at=DIES) == 1
    with pytest.raises(Gone):
        outputs.find(session, one, 1, at=START)
    assert outputs.find(session, linked, 1, at=START - timedelta(seconds=1)).link == "https://r.example/1"


@pytest.mark.parametrize("number", [0, 2, 10**9])
def test_an_output_that_never_was_is_not_found(session: Session, number: int) -> None:
    one = make_generation(session, make_customer(session, at=START), status="succeeded", at=START)
    with pytest.raises(NotFound, match="has 1 outputs"):
        outputs.find(session, one, number)


def test_after_a_crash_the_result_is_found_at_the_provider_with_its_file(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    one = reserve(session, customer_id, credits=40, at=START).generation_id
    at = START + TERMS.check_after
    [claimed] = reconcile.claim(session, at=at)
    found = Found(Report(Outcome.SUCCEEDED, "req-9", files=(SPEECH,)), certain=False)
    assert reconcile.decide(session, claimed, found, TERMS, at=at) == "settled"
    assert outputs.find(session, one, 1, at=at).content == b"ID3 hello"
    assert ledger.balance(session, customer_id) == 65


def test_a_result_after_the_timeout_is_handed_over_and_its_cost_is_our_loss(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    reservation = reserve(session, customer_id, credits=40, at=START)
    one = reservation.generation_id
    generations.record_submit(session, one, Lost("cut"), TERMS, at=START)
    late = START + TERMS.deadline
    [claimed] = reconcile.claim(session, at=late)
    assert reconcile.decide(session, claimed, None, TERMS, at=late) == "timeout"
    assert ledger.balance(session, customer_id) == 105

    body = b'{"outcome": "succeeded", "job": "their-job", "outputs": ["https://results.example/1.png"]}'
    provider = FakeProvider()
    for state in ("applied", "duplicate"):
        receipt = callbacks.receive(
            session,
            {"wavespeed": provider},
            "wavespeed",
            reservation.callback_token,
            {"x-genuine": "yes"},
            body,
            TERMS,
            now=late,
        )
        assert receipt.state == state
    generation = generations.get(session, one)
    assert (generation.status, generation.late_outcome, generation.late_at) == ("failed", "succeeded", late)
    assert generation.provider_job_id == "their-job"
    assert outputs.find(session, one, 1).link == "https://results.example/1.png"
    # Never charged again; the cost stays as recorded, and all of it is loss.
    assert ledger.balance(session, customer_id) == 105
    assert generation.cost_micros == 27_000
    assert session.scalars(select(Refund.loss_micros)).all() == [27_000]
    assert books.violations(session) == []


def test_the_loss_of_a_late_result_follows_what_the_provider_says_it_cost(session: Session) -> None:
    one = make_generation(session, make_customer(session, at=START), at=START)
    generations.fail(session, one, ErrorClass.TIMEOUT, "no result", TERMS, at=START)
    costly = Report(Outcome.SUCCEEDED, outputs=SUCCESS.outputs, cost_micros=31_000)
    assert generations.settle(session, one, costly, TERMS, at=START).change == "late"
    assert session.scalars(select(Refund.loss_micros)).all() == [31_000]
    assert generations.get(session, one).cost_source == "provider"
    assert books.violations(session) == []


def test_a_late_file_is_kept_too(session: Session) -> None:
    one = make_generation(session, make_customer(session, at=START), at=START)
    generations.fail(session, one, ErrorClass.TIMEOUT, "no result", TERMS, at=START)
    for change in ("late", "repeated"):
        assert generations.settle(session, one, SPOKEN, TERMS, at=START).change == change
    assert outputs.find(session, one, 1, at=START).content == b"ID3 hello"
    assert kept(session) == 1
