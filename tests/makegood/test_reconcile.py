"""Reconcile: what nobody reported is looked up, then settled or refunded."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from makegood import alerts, callbacks, generations, ledger, reconcile
from makegood.generations import Reservation
from makegood.models import Callback, Generation
from makegood.providers.protocol import Accepted, ErrorClass, FetchFailed, Outcome, Report
from makegood.terms import Terms
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
DUE = START + TERMS.check_after
PAST_DEADLINE = START + TERMS.deadline
FAILED_HINT = b'{"outcome": "failed", "error_class": "generation_failed"}'


def run(session: Session, provider: FakeProvider, at: datetime) -> list[str]:
    """One pass, as the worker does it."""
    providers = {provider.name: provider}
    claimed = reconcile.claim(session, at=at)
    return [reconcile.decide(session, one, reconcile.look_up(providers, one), TERMS, at=at) for one in claimed]


def submitted(
    session: Session, customer_id: str, *, job: str = "job-1", credits: int | None = None
) -> Reservation:
    """A generation at the provider that signs nothing."""
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, customer_id, provider=provider, credits=credits, at=START)
    generations.record_submit(session, reservation.generation_id, Accepted(job), at=START)
    return reservation


def hint(session: Session, reservation: Reservation, body: bytes, at: datetime) -> None:
    """A delivery that proves nothing."""
    providers = {"nanobanana": FakeProvider(name="nanobanana", signed=False)}
    callbacks.receive(session, providers, "nanobanana", reservation.callback_token, {}, body, TERMS, now=at)


def test_nothing_is_looked_up_before_its_time(session: Session) -> None:
    provider = FakeProvider(fetched=SUCCESS)
    make_generation(session, make_customer(session, at=START), at=START)
    assert run(session, provider, DUE - timedelta(seconds=1)) == []
    assert provider.fetches == 0


def test_a_lost_callback_is_made_up_for_by_a_fetch(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session, at=START), at=START)
    assert run(session, FakeProvider(fetched=SUCCESS), DUE) == ["settled"]
    generation = generations.get(session, generation_id)
    assert (generation.status, generation.check_at) == ("succeeded", None)
    assert generation.outputs == ["https://results.example/1.png"]


def test_a_failure_that_is_fetched_is_refunded(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    generation_id = make_generation(session, customer_id, credits=40, at=START)
    assert ledger.balance(session, customer_id) == 65
    assert run(session, FakeProvider(fetched=FAILURE), DUE) == ["settled"]
    assert generations.get(session, generation_id).status == "failed"
    assert ledger.balance(session, customer_id) == 105


@pytest.mark.parametrize("answer", [Report(Outcome.PENDING), FetchFailed("503"), RuntimeError("?")])
def test_without_a_report_it_is_looked_at_again_less_and_less_often(
    session: Session, answer: Report | Exception
) -> None:
    generation_id = make_generation(session, make_customer(session, at=START), at=START)
    provider = FakeProvider(fetched=answer)
    waits = []
    at = DUE
    for _ in range(4):
        assert run(session, provider, at) == ["later"]
        check_at = generations.get(session, generation_id).check_at
        assert check_at is not None
        waits.append(check_at - at)
        at = check_at
    assert waits == [timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=5), timedelta(minutes=5)]


@pytest.mark.parametrize("status", ["submitted", "unknown", "charged"])
def test_past_the_deadline_it_fails_as_a_timeout_and_is_refunded(session: Session, status: str) -> None:
    customer_id = make_customer(session, at=START)
    generation_id = make_generation(session, customer_id, status=status, credits=40, at=START)
    assert run(session, FakeProvider(), PAST_DEADLINE) == ["timeout"]
    generation = generations.get(session, generation_id)
    assert (generation.status, generation.error_class) == ("failed", ErrorClass.TIMEOUT)
    assert ledger.balance(session, customer_id) == 105
    assert run(session, FakeProvider(), PAST_DEADLINE + timedelta(days=1)) == []


def test_a_result_found_at_the_deadline_is_a_result_not_a_timeout(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session, at=START), at=START)
    run(session, FakeProvider(fetched=SUCCESS), PAST_DEADLINE)
    assert generations.get(session, generation_id).status == "succeeded"


def test_the_last_look_is_exactly_at_the_deadline(session: Session) -> None:
    generation_id = make_generation(session, make_customer(session, at=START), at=START)
    run(session, FakeProvider(), PAST_DEADLINE - timedelta(seconds=30))
    assert generations.get(session, generation_id).check_at == PAST_DEADLINE


def test_a_submit_whose_outcome_was_never_recorded_opens_one_alert_until_it_is_refunded(
    session: Session,
) -> None:
    generation_id = make_generation(session, make_customer(session, at=START), status="charged", at=START)
    run(session, FakeProvider(), DUE)
    run(session, FakeProvider(), DUE + timedelta(minutes=5))
    [alert] = alerts.open_alerts(session)
    assert (alert.kind, alert.generation_id, alert.occurrences) == ("refund_failed", generation_id, 2)
    assert alert.resolved_at is None
    run(session, FakeProvider(), PAST_DEADLINE)
    session.refresh(alert)
    assert alert.resolved_at is not None


def test_a_provider_that_calls_nobody_back_is_asked_soon_and_often(session: Session) -> None:
    provider = FakeProvider(name="newport", signed=False)
    generation_id = make_generation(
        session, make_customer(session, at=START), provider=provider, credits=2, at=START
    )
    due = generations.get(session, generation_id).check_at
    looks = []
    for _ in range(5):
        assert due is not None
        looks.append((due - START).total_seconds())
        assert run(session, provider, due) == ["later"]
        due = generations.get(session, generation_id).check_at
    assert looks == [10, 20, 40, 70, 100]
    provider.fetched = SUCCESS
    assert due is not None
    assert run(session, provider, due) == ["settled"]
    assert generations.get(session, generation_id).status == "succeeded"


def test_a_poll_while_the_submit_is_under_way_alerts_nobody(session: Session) -> None:
    provider = FakeProvider(name="newport", signed=False)
    customer_id = make_customer(session, at=START)
    make_generation(session, customer_id, provider=provider, credits=2, status="charged", at=START)
    assert run(session, provider, START + timedelta(seconds=10)) == ["later"]
    assert alerts.open_alerts(session) == []
    assert run(session, provider, DUE) == ["later"]
    assert [alert.kind for alert in alerts.open_alerts(session)] == ["refund_failed"]


def test_a_shorter_time_until_the_first_look_holds_for_a_polled_provider_too(session: Session) -> None:
    provider, terms = FakeProvider(name="newport", signed=False), Terms(check_after=timedelta(seconds=4))
    reservation = reserve(
        session, make_customer(session, at=START), provider=provider, credits=2, terms=terms, at=START
    )
    generation = generations.get(session, reservation.generation_id)
    assert generation.check_at == START + timedelta(seconds=4)


def test_an_unsigned_hint_is_settled_by_the_fetch_that_it_asked_for(session: Session) -> None:
    provider = FakeProvider(name="nanobanana", signed=False, fetched=SUCCESS)
    reservation = reserve(session, make_customer(session, at=START), provider=provider, at=START)
    generations.record_submit(session, reservation.generation_id, provider.submit(None))  # type: ignore[arg-type]
    hint = b'{"outcome": "failed", "error_class": "generation_failed"}'
    soon = START + timedelta(seconds=5)
    callbacks.receive(
        session, {"nanobanana": provider}, "nanobanana", reservation.callback_token, {}, hint, TERMS, now=soon
    )
    assert run(session, provider, soon) == ["settled"]
    assert generations.get(session, reservation.generation_id).status == "succeeded"
    assert session.scalars(select(Callback.state)).all() == ["applied"]


def test_an_unsigned_hint_after_the_timeout_hands_over_the_late_result(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, customer_id, provider=provider, credits=40, at=START)
    generations.record_submit(session, reservation.generation_id, provider.submit(None))  # type: ignore[arg-type]
    run(session, provider, PAST_DEADLINE)
    provider.fetched = SUCCESS
    late = PAST_DEADLINE + timedelta(minutes=1)
    hint = b'{"outcome": "succeeded"}'
    callbacks.receive(
        session, {"nanobanana": provider}, "nanobanana", reservation.callback_token, {}, hint, TERMS, now=late
    )
    assert run(session, provider, late) == ["settled"]
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.late_outcome, generation.check_at) == ("failed", "succeeded", None)
    assert ledger.balance(session, customer_id) == 105


def test_a_cancelled_generation_that_fails_after_all_is_refunded(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    generation_id = make_generation(session, customer_id, credits=40, at=START)
    generations.cancel(session, generation_id, TERMS, actor="test", at=START)
    assert ledger.balance(session, customer_id) == 65
    assert run(session, FakeProvider(), DUE) == ["later"]
    check_at = generations.get(session, generation_id).check_at
    assert check_at is not None
    assert run(session, FakeProvider(fetched=FAILURE), check_at) == ["settled"]
    assert ledger.balance(session, customer_id) == 105
    assert generations.get(session, generation_id).check_at is None


def test_a_cancelled_generation_is_looked_at_until_the_deadline_and_no_longer(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    generation_id = make_generation(session, customer_id, credits=40, at=START)
    generations.cancel(session, generation_id, TERMS, actor="test", at=START)
    assert run(session, FakeProvider(), PAST_DEADLINE) == ["over"]
    assert generations.get(session, generation_id).check_at is None
    assert ledger.balance(session, customer_id) == 65


def test_a_hint_that_nothing_confirms_is_given_up_at_the_deadline(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, customer_id, provider=provider, at=START)
    callbacks.receive(
        session,
        {"nanobanana": provider},
        "nanobanana",
        reservation.callback_token,
        {},
        b'{"outcome": "succeeded"}',
        TERMS,
        now=START,
    )
    received_before = datetime.now(UTC) + timedelta(seconds=1)
    [claimed] = reconcile.claim(session, at=received_before)
    assert reconcile.decide(session, claimed, None, TERMS, at=received_before) == "timeout"
    assert session.scalars(select(Callback.state)).all() == ["ignored"]


def test_a_hint_that_comes_during_the_look_up_is_not_forgotten(session: Session) -> None:
    reservation = submitted(session, make_customer(session, at=START))
    [claimed] = reconcile.claim(session, at=DUE)
    asked = DUE + timedelta(seconds=1)
    hint(session, reservation, FAILED_HINT, asked)
    assert reconcile.decide(session, claimed, None, TERMS, at=DUE) == "later"
    assert generations.get(session, reservation.generation_id).check_at == asked


def test_a_hint_that_comes_during_the_last_look_up_still_hands_over_the_late_result(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    reservation = submitted(session, customer_id, credits=40)
    [claimed] = reconcile.claim(session, at=PAST_DEADLINE)
    hint(session, reservation, b'{"outcome": "succeeded"}', PAST_DEADLINE + timedelta(seconds=1))
    soon = PAST_DEADLINE + timedelta(seconds=2)
    assert reconcile.decide(session, claimed, None, TERMS, at=soon) == "timeout"
    assert ledger.balance(session, customer_id) == 105
    assert run(session, FakeProvider(name="nanobanana", signed=False, fetched=SUCCESS), soon) == ["settled"]
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.late_outcome, generation.check_at) == ("failed", "succeeded", None)
    assert session.scalars(select(Callback.state)).all() == ["applied"]
    assert ledger.balance(session, customer_id) == 105


def test_a_hint_after_the_end_is_followed_until_the_provider_answers(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    reservation = submitted(session, customer_id, credits=40)
    generations.cancel(session, reservation.generation_id, TERMS, actor="api-key:test", at=START)
    soon = START + timedelta(seconds=5)
    hint(session, reservation, FAILED_HINT, soon)
    away = FakeProvider(name="nanobanana", signed=False, fetched=FetchFailed("503"))
    assert run(session, away, soon) == ["later"]
    assert ledger.balance(session, customer_id) == 65
    back = FakeProvider(name="nanobanana", signed=False, fetched=FAILURE)
    assert run(session, back, soon + TERMS.check_after) == ["settled"]
    assert ledger.balance(session, customer_id) == 105
    assert session.scalars(select(Callback.state)).all() == ["applied"]


def test_a_hint_that_the_provider_never_confirms_is_given_up(session: Session) -> None:
    reservation = submitted(session, make_customer(session, at=START))
    generations.cancel(session, reservation.generation_id, TERMS, actor="api-key:test", at=START)
    hint(session, reservation, FAILED_HINT, START)
    much_later = datetime.now(UTC) + reconcile.HINTS_COUNT_FOR + timedelta(seconds=5)
    assert run(session, FakeProvider(name="nanobanana", signed=False), much_later) == ["over"]
    assert generations.get(session, reservation.generation_id).check_at is None


def test_where_the_submits_answer_was_lost_the_hint_names_the_job_to_fetch(session: Session) -> None:
    provider = FakeProvider(name="nanobanana", signed=False, fetched=SUCCESS)
    reservation = reserve(session, make_customer(session, at=START), provider=provider, at=START)
    generations.record_submit(session, reservation.generation_id, generations.Lost("timed out"), at=START)
    hint(session, reservation, b'{"outcome": "succeeded", "job": "job-9"}', START)
    assert run(session, provider, START) == ["settled"]
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.provider_job_id) == ("succeeded", "job-9")


def test_a_hint_cannot_name_another_generations_job(session: Session) -> None:
    customer_id = make_customer(session, at=START)
    submitted(session, customer_id, job="job-9")
    provider = FakeProvider(name="nanobanana", signed=False, fetched=FAILURE)
    reservation = reserve(session, customer_id, provider=provider, at=START)
    hint(session, reservation, b'{"outcome": "failed", "job": "job-9"}', START)
    assert run(session, provider, START) == ["later"]
    assert generations.get(session, reservation.generation_id).provider_job_id is None


def test_the_submits_answer_names_the_job_better_than_a_hint(session: Session) -> None:
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, make_customer(session, at=START), provider=provider, at=START)
    hint(session, reservation, b'{"outcome": "failed", "job": "job-9"}', START)
    generations.record_submit(session, reservation.generation_id, Accepted("job-1"), at=START)
    assert generations.get(session, reservation.generation_id).provider_job_id == "job-1"


def test_a_look_up_that_breaks_is_no_report_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    provider = FakeProvider(fetched=ZeroDivisionError())
    claimed = reconcile.Claimed(UUID(int=1), "wavespeed", "m", "submitted", "job-1", START, 1, DUE)
    assert reconcile.look_up({"wavespeed": provider}, claimed) is None
    assert "look_up_failed" in caplog.text


@pytest.mark.parametrize(
    ("report", "at", "alerted"),
    [(FAILURE, DUE, 1), (SUCCESS, PAST_DEADLINE, 0), (None, DUE, 0), (None, PAST_DEADLINE, 1)],
)
def test_what_could_not_be_decided_is_an_alert_only_if_a_refund_was_due(
    session: Session, report: Report | None, at: datetime, alerted: int
) -> None:
    make_generation(session, make_customer(session, at=START), at=START)
    [claimed] = reconcile.claim(session, at=at)
    reconcile.raise_undecided(session, claimed, report, TERMS, at=at)
    assert len(alerts.open_alerts(session)) == alerted


def test_the_alert_is_resolved_when_a_callback_ends_the_generation_after_all(session: Session) -> None:
    provider = FakeProvider()
    reservation = reserve(session, make_customer(session, at=START), at=START)
    run(session, provider, DUE)
    [alert] = alerts.open_alerts(session)
    assert alerts.resolve_ended(session) == 0
    callbacks.receive(
        session,
        {"wavespeed": provider},
        "wavespeed",
        reservation.callback_token,
        {"x-genuine": "yes"},
        FAILED_HINT,
        TERMS,
    )
    assert alerts.resolve_ended(session) == 1
    session.refresh(alert)
    assert alert.resolved_at is not None


def test_what_a_killed_worker_had_claimed_comes_up_again(session: Session) -> None:
    make_generation(session, make_customer(session, at=START), at=START)
    assert len(reconcile.claim(session, at=DUE)) == 1
    assert reconcile.claim(session, at=DUE) == []
    assert len(reconcile.claim(session, at=DUE + reconcile.LEASE)) == 1


def test_many_workers_side_by_side_take_each_generation_once(database: str) -> None:
    engine = create_engine(database, pool_size=10)
    with Session(engine) as session:
        customer_id = make_customer(session, credits=1000, at=START)
        ids = {make_generation(session, customer_id, at=START) for _ in range(200)}
        session.commit()
    taken: list[UUID] = []
    start = threading.Barrier(6)

    def work() -> None:
        start.wait()
        with Session(engine) as session:
            while claimed := reconcile.claim(session, limit=7, at=DUE):
                session.commit()
                for one in claimed:
                    reconcile.decide(session, one, FAILURE, TERMS, at=DUE)
                    session.commit()
                    taken.append(one.id)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Session(engine) as session:
        assert Counter(taken) == Counter(ids)
        assert ledger.balance(session, customer_id) == 1005
        failed = select(func.count()).select_from(Generation).where(Generation.status == "failed")
        assert session.scalar(failed) == 200
    engine.dispose()
