"""Lost jobs: what a provider took without our hearing of it is found there, and settled once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from makegood import alerts, books, callbacks, generations, ledger, reconcile
from makegood.generations import Lost, Reservation
from makegood.models import Generation
from makegood.providers.protocol import (
    Accepted,
    ErrorClass,
    FetchFailed,
    Found,
    JobGone,
    Outcome,
    Report,
    SubmitUnknown,
)
from tests.making import MODEL, TERMS, FakeProvider, make_customer, reserve

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
DUE = START + TERMS.check_after
PAST_DEADLINE = START + TERMS.deadline
DONE = Report(Outcome.SUCCEEDED, "their-job", ("https://results.example/1.png",))
FAILED = Report(Outcome.FAILED, "their-job", error_class=ErrorClass.INTERNAL_ERROR, message="Broken.")
RUNNING = Report(Outcome.PENDING, "their-job", status="processing")


def run(session: Session, provider: FakeProvider, at: datetime) -> list[str]:
    """One pass, as the worker does it."""
    claimed = reconcile.claim(session, at=at)
    providers = {provider.name: provider}
    return [reconcile.decide(session, one, reconcile.look_up(providers, one), TERMS, at=at) for one in claimed]


def lose(session: Session, customer_id: str, *, crashed: bool = False, **request: Any) -> Reservation:
    """A generation whose submit was never answered; after a crash nobody has even written that down."""
    reservation = reserve(session, customer_id, credits=40, at=START, **request)
    if not crashed:
        generations.record_submit(session, reservation.generation_id, Lost("timed out"), at=START)
    return reservation


def state(session: Session, generation_id: UUID) -> tuple[str, str | None, bool]:
    generation = generations.get(session, generation_id)
    return generation.status, generation.provider_job_id, generation.job_by_likeness


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("certain", [False, True])
def test_a_lost_job_is_found_at_its_provider_and_settled(session: Session, crashed: bool, certain: bool) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id, crashed=crashed)
    provider = FakeProvider(found=Found(DONE, certain=certain))
    assert run(session, provider, DUE) == ["settled"]
    assert state(session, lost.generation_id) == ("succeeded", "their-job", not certain)
    assert generations.get(session, lost.generation_id).outputs == ["https://results.example/1.png"]
    assert provider.submitted == []
    [asked] = provider.lost
    assert (asked.generation_id, asked.model, asked.charged_at) == (lost.generation_id, MODEL, START)
    assert asked.input == {"prompt": "a red mug"}
    assert ledger.balance(session, customer_id) == 65
    assert books.violations(session) == []


def test_a_lost_job_that_failed_there_is_refunded_once(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id)
    assert run(session, FakeProvider(found=Found(FAILED, certain=True)), DUE) == ["settled"]
    assert generations.get(session, lost.generation_id).error_class == ErrorClass.INTERNAL_ERROR
    assert ledger.balance(session, customer_id) == 105
    assert run(session, FakeProvider(found=Found(FAILED, certain=True)), PAST_DEADLINE) == []
    assert ledger.balance(session, customer_id) == 105


def test_a_lost_job_that_still_runs_is_fetched_from_then_on(session: Session) -> None:
    lost = lose(session, make_customer(session, at=START), crashed=True)
    provider = FakeProvider(found=FetchFailed("503"))
    assert run(session, provider, DUE) == ["later"]
    assert len(alerts.open_alerts(session)) == 1
    provider.found = Found(RUNNING, certain=True)
    again = generations.get(session, lost.generation_id).check_at
    assert again is not None
    assert run(session, provider, again) == ["later"]
    assert state(session, lost.generation_id) == ("submitted", "their-job", False)
    [alert] = alerts.open_alerts(session)
    assert alert.resolved_at is not None
    provider.fetched = DONE
    assert run(session, provider, PAST_DEADLINE) == ["settled"]
    assert (len(provider.lost), provider.fetches) == (2, 1)
    assert state(session, lost.generation_id) == ("succeeded", "their-job", False)


@pytest.mark.parametrize("found", [None, FetchFailed("503"), RuntimeError("?")])
def test_what_cannot_be_found_is_looked_for_until_the_deadline_and_then_refunded(
    session: Session, found: Exception | None
) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id)
    provider = FakeProvider(found=found)
    assert run(session, provider, DUE) == ["later"]
    assert ledger.balance(session, customer_id) == 65
    assert run(session, provider, PAST_DEADLINE) == ["timeout"]
    assert len(provider.lost) == 2
    assert state(session, lost.generation_id)[:2] == ("failed", None)
    assert ledger.balance(session, customer_id) == 105


def test_the_last_look_before_giving_up_may_still_find_it(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id)
    assert run(session, FakeProvider(found=Found(DONE, certain=True)), PAST_DEADLINE) == ["settled"]
    assert generations.get(session, lost.generation_id).status == "succeeded"
    assert ledger.balance(session, customer_id) == 65


def test_a_likely_job_that_another_generation_carries_is_not_taken(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    owner = reserve(session, customer_id, at=START, input={"prompt": "a blue mug"})
    generations.record_submit(session, owner.generation_id, Accepted("their-job"), at=START)
    lost = lose(session, customer_id)
    for certain in (False, True):
        answer = Found(DONE, certain=certain)
        [claimed] = [one for one in reconcile.claim(session, at=DUE) if one.id == lost.generation_id] or [None]
        if claimed is not None:
            assert reconcile.decide(session, claimed, answer, TERMS, at=DUE) == "later"
    assert state(session, lost.generation_id) == ("unknown", None, False)
    assert state(session, owner.generation_id) == ("submitted", "their-job", False)


@pytest.mark.parametrize(
    ("twin", "taken"),
    [
        ({}, False),
        ({"input": {"prompt": "a blue mug"}}, True),
        ({"model": "bytedance/seedream-v4/edit"}, True),
        ({"provider": FakeProvider(name="simulated")}, True),
    ],
)
def test_a_likely_job_counts_only_without_a_twin(session: Session, twin: dict[str, Any], taken: bool) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id)
    other = lose(session, make_customer(session, at=START), crashed=True, **twin)
    [claimed] = [one for one in reconcile.claim(session, at=DUE) if one.id == lost.generation_id]
    outcome = reconcile.decide(session, claimed, Found(DONE, certain=False), TERMS, at=DUE)
    assert outcome == ("settled" if taken else "later")
    assert state(session, other.generation_id) == ("charged", None, False)


@pytest.mark.parametrize(("end", "taken"), [("refused", True), ("timeout", False), ("known", True)])
def test_an_ended_twin_stands_in_the_way_unless_its_job_is_known_or_was_refused(
    session: Session, end: str, taken: bool
) -> None:
    twin = lose(session, make_customer(session, at=START)).generation_id
    if end == "refused":
        generations.fail(session, twin, ErrorClass.PROVIDER_UNAVAILABLE, "busy", TERMS, refused=True, at=START)
    elif end == "timeout":
        generations.fail(session, twin, ErrorClass.TIMEOUT, "no result", TERMS, at=START)
    else:
        generations.record_submit(session, twin, Accepted("another-job"), at=START)
    lost = lose(session, make_customer(session, at=START))
    [claimed] = [one for one in reconcile.claim(session, at=DUE) if one.id == lost.generation_id]
    outcome = reconcile.decide(session, claimed, Found(DONE, certain=False), TERMS, at=DUE)
    assert (outcome == "settled") is taken


def test_a_cancelled_lost_job_that_failed_is_found_and_refunded(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    lost = lose(session, customer_id)
    generations.cancel(session, lost.generation_id, TERMS, actor="test", at=START)
    assert ledger.balance(session, customer_id) == 65
    assert run(session, FakeProvider(found=Found(FAILED, certain=True)), DUE) == ["settled"]
    assert ledger.balance(session, customer_id) == 105


@pytest.mark.parametrize("ended", [False, True])
def test_a_callback_with_the_token_takes_a_job_that_another_was_only_likely_to_have(
    session: Session, ended: bool
) -> None:
    # The true owner had timed out already when a later request for the same thing was taken for its job.
    likely_customer, true_customer = make_customer(session, at=START), make_customer(session, at=START)
    true = lose(session, true_customer, input={"prompt": "a red mug", "seed": 1})
    likely = lose(session, likely_customer)
    [claimed] = [one for one in reconcile.claim(session, at=DUE) if one.id == likely.generation_id]
    answer = Found(DONE if ended else RUNNING, certain=False)
    reconcile.decide(session, claimed, answer, TERMS, at=DUE)
    assert state(session, likely.generation_id)[1:] == ("their-job", True)

    body = b'{"outcome": "succeeded", "job": "their-job", "outputs": ["https://results.example/1.png"]}'
    provider = FakeProvider()
    receipt = callbacks.receive(
        session,
        {"wavespeed": provider},
        "wavespeed",
        true.callback_token,
        {"x-genuine": "yes"},
        body,
        TERMS,
        now=DUE,
    )
    assert (receipt.state, receipt.detail) == ("applied", "ended")
    assert state(session, true.generation_id) == ("succeeded", "their-job", False)
    generation = generations.get(session, likely.generation_id)
    assert (generation.provider_job_id, generation.job_by_likeness) == (None, False)
    # What ended stays as it ended, what is in flight is looked for again; nobody is charged or refunded twice.
    assert generation.status == ("succeeded" if ended else "unknown")
    assert (generation.check_at is None) is ended
    assert (ledger.balance(session, likely_customer), ledger.balance(session, true_customer)) == (65, 65)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert run(session, FakeProvider(), soon) == ([] if ended else ["timeout"])
    assert ledger.balance(session, likely_customer) == (65 if ended else 105)
    assert books.violations(session) == []


def test_a_job_that_is_taken_back_while_it_is_fetched_settles_only_its_owner(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    likely = lose(session, customer_id)
    run(session, FakeProvider(found=Found(RUNNING, certain=False)), DUE)
    at = generations.get(session, likely.generation_id).check_at or DUE
    [claimed] = reconcile.claim(session, at=at)
    answer = reconcile.look_up({"wavespeed": FakeProvider(fetched=DONE)}, claimed)
    owner = reserve(session, make_customer(session, at=START), at=START).generation_id
    generations.record_submit(session, owner, Accepted("their-job"), TERMS, at=at)
    assert reconcile.decide(session, claimed, answer, TERMS, at=at) == "later"
    assert state(session, likely.generation_id) == ("unknown", None, False)
    assert state(session, owner) == ("submitted", "their-job", False)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    [again] = [one for one in reconcile.claim(session, at=soon) if one.id == likely.generation_id]
    assert reconcile.decide(session, again, None, TERMS, at=soon) == "timeout"
    assert ledger.balance(session, customer_id) == 105


def test_a_callback_about_another_job_than_the_likely_one_is_believed(session: Session) -> None:
    lost = lose(session, make_customer(session, at=START))
    run(session, FakeProvider(found=Found(RUNNING, certain=False)), DUE)
    body = b'{"outcome": "succeeded", "job": "my-own-job"}'
    receipt = callbacks.receive(
        session,
        {"wavespeed": FakeProvider()},
        "wavespeed",
        lost.callback_token,
        {"x-genuine": "yes"},
        body,
        TERMS,
        now=DUE,
    )
    assert (receipt.state, receipt.detail) == ("applied", "ended")
    assert state(session, lost.generation_id) == ("succeeded", "my-own-job", False)


def test_the_submits_own_answer_takes_the_job_back_from_a_likely_owner(session: Session) -> None:
    likely = lose(session, make_customer(session, at=START))
    run(session, FakeProvider(found=Found(RUNNING, certain=False)), DUE)
    late = reserve(session, make_customer(session, at=START), at=START)
    assert generations.record_submit(session, late.generation_id, Accepted("their-job"), at=DUE) == "submitted"
    assert state(session, late.generation_id) == ("submitted", "their-job", False)
    assert state(session, likely.generation_id) == ("unknown", None, False)


def test_the_database_refuses_two_generations_on_one_job_but_for_the_platforms_own(session: Session) -> None:
    customer_id = make_customer(session, 200, at=START)
    mine = lose(session, customer_id).generation_id
    other = lose(session, customer_id).generation_id
    elsewhere = lose(session, customer_id, provider=FakeProvider(name="simulated")).generation_id
    write = text(
        "UPDATE generations SET provider_job_id = 'one', provider = coalesce(:p, provider) WHERE id = :id"
    )
    session.execute(write, {"id": mine, "p": None})
    session.execute(write, {"id": elsewhere, "p": None})
    with pytest.raises(IntegrityError, match="uq_generations_provider_job"), session.begin_nested():
        session.execute(write, {"id": other, "p": None})
    for generation_id in (mine, other):
        session.execute(write, {"id": generation_id, "p": "external"})


def test_a_provider_that_names_one_job_twice_loses_nobody_their_credits(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    first, second = (reserve(session, customer_id, credits=40, at=START).generation_id for _ in range(2))
    for generation_id in (first, second):
        assert generations.record_submit(session, generation_id, Accepted("same"), at=START) == "submitted"
    assert state(session, first) == ("submitted", "same", False)
    assert state(session, second) == ("submitted", None, False)
    provider = FakeProvider(fetched=Report(Outcome.SUCCEEDED, "same"))
    assert sorted(run(session, provider, PAST_DEADLINE)) == ["settled", "timeout"]
    assert ledger.balance(session, customer_id) == 65


def test_a_job_that_is_gone_for_good_is_refunded_before_the_deadline(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    reservation = reserve(session, customer_id, credits=40, at=START)
    generations.record_submit(session, reservation.generation_id, Accepted("job-1"), at=START)
    provider = FakeProvider(fetched=JobGone("404"))
    assert run(session, provider, DUE) == ["later"]
    assert generations.get(session, reservation.generation_id).gone_since == DUE
    assert ledger.balance(session, customer_id) == 65
    assert run(session, provider, DUE + reconcile.GONE_FOR) == ["gone"]
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.error_class) == ("failed", ErrorClass.GENERATION_FAILED)
    assert generation.error_message == reconcile.GONE
    assert ledger.balance(session, customer_id) == 105
    assert DUE + reconcile.GONE_FOR < PAST_DEADLINE


def test_a_job_that_was_gone_for_a_moment_lives_on(session: Session) -> None:
    reservation = reserve(session, make_customer(session, at=START), at=START)
    generations.record_submit(session, reservation.generation_id, Accepted("job-1"), at=START)
    at = DUE
    for answer in (JobGone("404"), FetchFailed("503"), Report(Outcome.PENDING), JobGone("404")):
        assert run(session, FakeProvider(fetched=answer), at) == ["later"]
        at = generations.get(session, reservation.generation_id).check_at or at
    assert generations.get(session, reservation.generation_id).gone_since is not None
    assert run(session, FakeProvider(fetched=DONE), at) == ["settled"]


def test_a_job_that_only_a_hint_named_is_not_given_up_before_the_deadline(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    provider = FakeProvider(name="nanobanana", signed=False, fetched=JobGone("404"))
    hinted = lose(session, customer_id, provider=provider)
    body = b'{"outcome": "succeeded", "job": "made-up"}'
    callbacks.receive(
        session, {"nanobanana": provider}, "nanobanana", hinted.callback_token, {}, body, TERMS, now=DUE
    )
    assert run(session, provider, DUE) == ["later"]
    assert run(session, provider, PAST_DEADLINE - timedelta(seconds=1)) == ["later"]
    assert ledger.balance(session, customer_id) == 65
    assert run(session, provider, PAST_DEADLINE) == ["gone"]
    assert ledger.balance(session, customer_id) == 105


def test_callback_find_answer_and_deadline_at_once_settle_each_generation_once(engine: Engine) -> None:
    provider, at = FakeProvider(), PAST_DEADLINE
    body = b'{"outcome": "failed", "error_class": "internal_error", "job": "%s"}'
    lost: list[tuple[str, Reservation]] = []
    with Session(engine) as session:
        for _ in range(25):
            customer_id = make_customer(session, at=START)
            lost.append((customer_id, lose(session, customer_id)))
        claimed = {one.id: one for one in reconcile.claim(session, at=at)}
        session.commit()
    start = threading.Barrier(4)

    def worker(step: Callable[[Session, Reservation], object]) -> None:
        start.wait(timeout=30)
        for _, reservation in lost:
            with Session(engine) as session:
                try:
                    step(session, reservation)
                    session.commit()
                except (IntegrityError, OperationalError):
                    session.rollback()  # the loser of a race comes again: its lease or its delivery brings it

    def callback(session: Session, one: Reservation) -> None:
        said = body % f"job-{one.generation_id.hex}".encode()
        genuine = {"x-genuine": "yes"}
        callbacks.receive(
            session, {"wavespeed": provider}, "wavespeed", one.callback_token, genuine, said, TERMS, now=at
        )

    def find(session: Session, one: Reservation) -> None:
        report = replace(DONE, provider_job_id=f"job-{one.generation_id.hex}")
        found = Found(report, certain=True)
        reconcile.decide(session, claimed[one.generation_id], found, TERMS, at=at)

    def deadline(session: Session, one: Reservation) -> None:
        reconcile.decide(session, claimed[one.generation_id], None, TERMS, at=at)

    def answer(session: Session, one: Reservation) -> None:
        accepted = Accepted(f"job-{one.generation_id.hex}")
        generations.record_submit(session, one.generation_id, accepted, TERMS, at=at)

    threads = [threading.Thread(target=worker, args=(step,)) for step in (callback, find, deadline, answer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    with Session(engine) as session:
        for customer_id, reservation in lost:
            ended = generations.get(session, reservation.generation_id)
            assert ended.status in ("succeeded", "failed")
            refunded = 40 if ended.status == "failed" else 0
            assert (ended.credits_refunded, ledger.balance(session, customer_id)) == (refunded, 65 + refunded)
            assert ended.provider_job_id in (None, f"job-{ended.id.hex}")
        assert books.violations(session) == []


def test_it_is_never_submitted_twice(session: Session) -> None:
    provider = FakeProvider(answer=SubmitUnknown("cut"), found=Found(DONE, certain=True))
    lost = lose(session, make_customer(session, at=START))
    for at in (DUE, PAST_DEADLINE):
        run(session, provider, at)
    assert provider.submitted == []
    assert session.get_one(Generation, lost.generation_id).status == "succeeded"
