"""The callbacks inbox."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.orm import Session

from makegood import alerts, callbacks, generations, hints, ledger, reconcile
from makegood.callbacks import Receipt
from makegood.errors import NotFound
from makegood.generations import Reservation
from makegood.models import Callback, Generation
from makegood.providers.protocol import Accepted, FetchFailed, JobGone, Report
from tests.making import FAILURE, TERMS, FakeProvider, make_customer, reserve

GENUINE = {"x-genuine": "yes", "content-type": "application/json", "authorization": "Bearer secret"}
SUCCEEDED = {"outcome": "succeeded", "outputs": ["https://results.example/1.png"], "delivery": "d1"}
FAILED = {"outcome": "failed", "error_class": "generation_failed", "delivery": "d2"}


def receive(
    session: Session,
    reservation: Reservation,
    payload: dict[str, Any] | bytes,
    *,
    provider: FakeProvider | None = None,
    headers: dict[str, str] = GENUINE,
) -> Receipt:
    """Deliver a payload to a reservation's callback address."""
    provider = provider or FakeProvider()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    providers = {provider.name: provider}
    return callbacks.receive(session, providers, provider.name, reservation.callback_token, headers, body, TERMS)


def status(session: Session, reservation: Reservation) -> str:
    """The generation's status now."""
    return generations.get(session, reservation.generation_id).status


def test_a_genuine_callback_settles_its_generation(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    assert receive(session, reservation, SUCCEEDED).state == "applied"
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.outputs) == ("succeeded", ["https://results.example/1.png"])


def test_a_failure_is_refunded_by_its_callback(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    assert ledger.balance(session, customer_id) == 75
    assert receive(session, reservation, FAILED).state == "applied"
    assert status(session, reservation) == "failed"
    assert ledger.balance(session, customer_id) == 105


def test_a_callback_may_come_before_the_submits_answer_was_saved(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    receive(session, reservation, SUCCEEDED | {"job": "job-7"})
    assert generations.record_submit(session, reservation.generation_id, Accepted("job-7")) == "succeeded"
    assert generations.get(session, reservation.generation_id).provider_job_id == "job-7"


def test_a_delivery_is_applied_once_and_its_duplicates_are_kept(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    states = [receive(session, reservation, FAILED).state for _ in range(3)]
    assert states == ["applied", "duplicate", "duplicate"]
    assert ledger.balance(session, customer_id) == 105


def test_another_delivery_of_the_same_failure_refunds_nothing_more(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    receive(session, reservation, FAILED)
    again = receive(session, reservation, FAILED | {"delivery": "d3"})
    assert (again.state, again.detail) == ("applied", "repeated")
    assert ledger.balance(session, customer_id) == 105


def test_a_success_after_the_refund_is_recorded_as_late_and_never_charged_again(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    receive(session, reservation, FAILED)
    assert receive(session, reservation, SUCCEEDED).detail == "late"
    generation = generations.get(session, reservation.generation_id)
    assert (generation.status, generation.late_outcome) == ("failed", "succeeded")
    assert generation.outputs == ["https://results.example/1.png"]
    assert ledger.balance(session, customer_id) == 105


def test_a_status_that_is_no_end_changes_nothing_and_does_not_use_up_its_delivery_id(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    assert receive(session, reservation, SUCCEEDED | {"outcome": "pending"}).state == "ignored"
    assert status(session, reservation) == "charged"
    assert receive(session, reservation, SUCCEEDED).state == "applied"


def test_a_callback_that_is_not_genuine_changes_nothing_and_blocks_nothing(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    assert receive(session, reservation, FAILED, headers={}).state == "rejected"
    assert ledger.balance(session, customer_id) == 75
    assert status(session, reservation) == "charged"
    assert receive(session, reservation, FAILED).state == "applied"
    assert ledger.balance(session, customer_id) == 105


def test_a_callback_about_another_job_is_rejected(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    generations.record_submit(session, reservation.generation_id, Accepted("job-1"))
    receipt = receive(session, reservation, FAILED | {"job": "job-2"})
    assert (receipt.state, receipt.detail) == ("rejected", "it is about another job")
    assert ledger.balance(session, customer_id) == 75


@pytest.mark.parametrize("provider", ["wavespeed", "nanobanana"])
def test_an_unknown_token_is_refused_and_nothing_is_stored(session: Session, provider: str) -> None:
    reservation = reserve(session, make_customer(session))
    token = "x" * 43 if provider == "wavespeed" else reservation.callback_token
    adapter = FakeProvider(name=provider)
    with pytest.raises(NotFound):
        callbacks.receive(
            session, {provider: adapter}, provider, token, GENUINE, json.dumps(SUCCEEDED).encode(), TERMS
        )
    assert session.scalars(select(Callback)).all() == []


def test_the_body_is_kept_raw_and_secrets_are_not(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    body = json.dumps(SUCCEEDED).encode() + b"  \n"
    receipt = receive(session, reservation, body)
    stored = session.get_one(Callback, receipt.callback_id)
    assert stored.body == body
    assert stored.headers == {"content-type": "application/json"}


def test_an_unsigned_callback_moves_nothing_and_asks_for_a_fetch_at_once(session: Session) -> None:
    customer_id = make_customer(session)
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, customer_id, provider=provider, credits=30)
    before = generations.get(session, reservation.generation_id).check_at
    receipt = receive(session, reservation, FAILED, provider=provider, headers={})
    generation = generations.get(session, reservation.generation_id)
    assert (receipt.state, generation.status) == ("waiting", "charged")
    assert before is not None
    assert generation.check_at is not None
    assert generation.check_at < before
    assert ledger.balance(session, customer_id) == 75


def test_what_cannot_be_applied_stays_in_the_inbox_and_is_applied_later(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits < 0) NOT VALID"))
    assert receive(session, reservation, FAILED).state == "waiting"
    assert status(session, reservation) == "charged"
    assert ledger.balance(session, customer_id) == 75
    session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
    provider = FakeProvider()
    assert callbacks.retry_next(session, {provider.name: provider}, TERMS) is not None
    assert status(session, reservation) == "failed"
    assert ledger.balance(session, customer_id) == 105
    assert callbacks.retry_next(session, {provider.name: provider}, TERMS) is None


def test_one_that_can_never_be_applied_does_not_keep_the_others_waiting(session: Session) -> None:
    customer_id, providers = make_customer(session), {"wavespeed": FakeProvider()}
    reservations = [reserve(session, customer_id, credits=10) for _ in range(2)]
    session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits < 0) NOT VALID"))
    for reservation in reservations:
        assert receive(session, reservation, FAILED).state == "waiting"
    broken = f"generation_id <> '{reservations[0].generation_id}'"
    session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
    session.execute(text(f"ALTER TABLE refunds ADD CONSTRAINT broken CHECK ({broken}) NOT VALID"))
    tried = []
    while tried[-1:] != [None]:
        after = tried[-1] if tried else None
        tried.append(callbacks.retry_next(session, providers, TERMS, after=after))
    assert len(tried) == 3
    assert [status(session, reservation) for reservation in reservations] == ["charged", "failed"]


def test_a_refund_that_a_callback_could_not_write_is_an_alert_until_it_is_written(session: Session) -> None:
    customer_id, providers = make_customer(session), {"wavespeed": FakeProvider()}
    reservation = reserve(session, customer_id, credits=10)
    generations.record_submit(session, reservation.generation_id, Accepted("job-1"))
    generations.cancel(session, reservation.generation_id, TERMS, actor="api-key:test")
    session.execute(text("ALTER TABLE refunds ADD CONSTRAINT broken CHECK (credits < 0) NOT VALID"))
    assert receive(session, reservation, FAILED).state == "waiting"
    assert callbacks.retry_next(session, providers, TERMS) is not None
    assert callbacks.retry_next(session, providers, TERMS) is None, "the next try is further away"
    [alert] = alerts.open_alerts(session)
    assert (alert.kind, alert.generation_id) == ("refund_failed", reservation.generation_id)
    assert alerts.resolve_ended(session) == 0
    session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
    session.execute(text("UPDATE callbacks SET received_at = received_at - interval '10 seconds'"))
    assert callbacks.retry_next(session, providers, TERMS) is not None
    assert ledger.balance(session, customer_id) == 105
    assert alerts.resolve_ended(session) == 1


def test_an_unsigned_hint_is_not_retried_as_if_it_were_proven(session: Session) -> None:
    provider = FakeProvider(name="nanobanana", signed=False)
    reservation = reserve(session, make_customer(session), provider=provider)
    receive(session, reservation, FAILED, provider=provider, headers={})
    assert callbacks.retry_next(session, {provider.name: provider}, TERMS) is None
    assert status(session, reservation) == "charged"


@pytest.mark.parametrize("likely", [False, True])
def test_an_unsigned_callback_about_another_generations_job_waits_and_says_so(
    session: Session, likely: bool
) -> None:
    customer_id = make_customer(session)
    provider = FakeProvider(name="nanobanana", signed=False)
    other = reserve(session, customer_id, provider=provider)
    generations.record_submit(session, other.generation_id, Accepted("job-1"))
    reservation = reserve(session, customer_id, provider=provider, credits=30)
    if likely:
        session.execute(
            update(Generation)
            .where(Generation.id == reservation.generation_id)
            .values(provider_job_id="job-2", job_by_likeness=True)
        )
    balance = ledger.balance(session, customer_id)
    receipt = receive(session, reservation, FAILED | {"job": "job-1"}, provider=provider, headers={})
    assert (receipt.state, receipt.detail) == ("waiting", "it names a job that another generation carries")
    stored = session.get_one(Callback, receipt.callback_id, populate_existing=True)
    assert (stored.state, stored.detail) == (receipt.state, receipt.detail)
    generation = generations.get(session, reservation.generation_id)
    assert (generation.provider_job_id, generation.job_by_likeness) == ("job-2" if likely else None, likely)
    assert generations.get(session, other.generation_id).provider_job_id == "job-1"
    assert ledger.balance(session, customer_id) == balance
    hints.give_up(session, reservation.generation_id, before=datetime.now(UTC) + timedelta(minutes=1))
    session.refresh(stored)
    assert (stored.state, stored.detail) == ("ignored", receipt.detail), "the reason stays"


@pytest.mark.parametrize("payload", [SUCCEEDED, FAILED])
def test_a_genuine_callback_that_leaves_something_out_moves_nothing_until_its_job_is_fetched(
    session: Session, payload: dict[str, Any]
) -> None:
    customer_id, provider = make_customer(session), FakeProvider()
    reservation = reserve(session, customer_id, credits=30)
    before = generations.get(session, reservation.generation_id).check_at
    receipt = receive(session, reservation, payload | {"incomplete": True, "job": "job-7"}, provider=provider)
    generation = generations.get(session, reservation.generation_id)
    assert (receipt.state, generation.status) == ("waiting", "charged")
    assert receipt.detail == "incomplete: the job is fetched before it counts"
    assert generation.provider_job_id == "job-7"
    assert before is not None
    assert generation.check_at is not None
    assert generation.check_at < before
    assert ledger.balance(session, customer_id) == 75
    assert callbacks.retry_next(session, {provider.name: provider}, TERMS) is None
    assert status(session, reservation) == "charged"
    assert ledger.balance(session, customer_id) == 75


def test_what_the_fetch_says_counts_and_not_what_the_incomplete_callback_said(session: Session) -> None:
    customer_id, provider = make_customer(session), FakeProvider()
    reservation = reserve(session, customer_id, credits=30)
    generations.record_submit(session, reservation.generation_id, Accepted("job-7"))
    receipt = receive(session, reservation, SUCCEEDED | {"incomplete": True, "job": "job-7"}, provider=provider)
    [claimed] = reconcile.claim(session)
    provider.fetched = FAILURE
    report = reconcile.look_up({provider.name: provider}, claimed)
    assert reconcile.decide(session, claimed, report, TERMS) == "settled"
    assert status(session, reservation) == "failed"
    assert ledger.balance(session, customer_id) == 105
    stored = session.get_one(Callback, receipt.callback_id, populate_existing=True)
    assert (stored.state, stored.detail) == ("applied", "fetched: failed")


@pytest.mark.parametrize(
    ("payload", "status_after", "balance"),
    [
        (SUCCEEDED | {"incomplete": True}, "succeeded", 75),
        (SUCCEEDED | {"incomplete": True, "outputs": []}, "failed", 105),
    ],
)
@pytest.mark.parametrize("fetched", [FetchFailed("no answer"), JobGone("never heard of it")])
def test_a_result_that_a_genuine_callback_brought_is_not_lost_if_its_job_can_never_be_fetched(
    session: Session, payload: dict[str, Any], status_after: str, balance: int, fetched: Exception
) -> None:
    customer_id, provider = make_customer(session), FakeProvider(fetched=fetched)
    reservation = reserve(session, customer_id, credits=30)
    generations.record_submit(session, reservation.generation_id, Accepted("job-7"))
    receipt = receive(session, reservation, payload, provider=provider)
    at = datetime.now(UTC)
    while status(session, reservation) == "submitted":
        at += timedelta(minutes=2)
        for claimed in reconcile.claim(session, at=at):
            answer = reconcile.look_up({provider.name: provider}, claimed)
            reconcile.decide(session, claimed, answer, TERMS, at=at)
        assert at < datetime.now(UTC) + TERMS.deadline + timedelta(minutes=10)
    assert status(session, reservation) == status_after
    assert ledger.balance(session, customer_id) == balance
    stored = session.get_one(Callback, receipt.callback_id, populate_existing=True)
    expected = ("applied", "genuine, but never fetched: succeeded")
    assert (stored.state, stored.detail) == (expected if balance == 75 else ("ignored", stored.detail))


def test_a_copy_of_an_incomplete_callback_is_a_duplicate(session: Session) -> None:
    customer_id = make_customer(session)
    reservation = reserve(session, customer_id, credits=30)
    payload = SUCCEEDED | {"incomplete": True}
    assert [receive(session, reservation, payload).state for _ in range(2)] == ["waiting", "duplicate"]
    assert ledger.balance(session, customer_id) == 75


def test_a_secret_that_a_header_brings_in_clear_is_masked_in_the_body_whatever_it_is(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    secret = "a-secret-of-this-delivery"
    body = json.dumps(
        SUCCEEDED | {"secret": secret, "address": f"/callbacks/{reservation.callback_token}"}
    ).encode()
    for headers, state in ((GENUINE, "applied"), ({}, "rejected")):
        receipt = receive(session, reservation, body, headers={**headers, "x-webhook-secret": secret})
        stored = session.get_one(Callback, receipt.callback_id)
        assert receipt.state == state
        assert b'"***"' in stored.body
        kept = stored.body + json.dumps([stored.headers, stored.parsed, stored.detail]).encode()
        assert secret.encode() not in kept
        assert reservation.callback_token.encode() not in kept


def test_a_failure_that_repeats_a_secret_keeps_none_of_it_in_its_message(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    secret = "a-secret-of-this-delivery"
    message = f"could not call /callbacks/wavespeed/{reservation.callback_token} with {secret}"
    payload = FAILED | {"message": message}
    receipt = receive(session, reservation, payload, headers={**GENUINE, "x-webhook-secret": secret})
    parsed = session.get_one(Callback, receipt.callback_id).parsed
    assert parsed is not None
    masked = "could not call /callbacks/wavespeed/*** with ***"
    assert (receipt.state, parsed["message"]) == ("applied", masked)
    assert generations.get(session, reservation.generation_id).error_message == masked


def test_what_is_too_short_for_a_secret_does_not_spoil_the_body(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    receipt = receive(session, reservation, SUCCEEDED, headers={**GENUINE, "x-webhook-secret": "e"})
    assert session.get_one(Callback, receipt.callback_id).body == json.dumps(SUCCEEDED).encode()


def test_nothing_is_asked_of_the_database_before_the_signature_was_checked(session: Session) -> None:
    """Checking it may mean fetching a provider's public keys, and no transaction is open while we wait."""
    reservation, seen = reserve(session, make_customer(session)), []

    class Watching(FakeProvider):
        def parse_callback(self, *given: Any, **named: Any) -> Report:
            seen.append(len(statements))
            return super().parse_callback(*given, **named)

    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert receive(session, reservation, SUCCEEDED, provider=Watching()).state == "applied"
    assert seen == [0]
    assert statements


def test_a_callback_takes_few_statements(session: Session) -> None:
    reservation = reserve(session, make_customer(session))
    statements: list[str] = []
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert receive(session, reservation, SUCCEEDED).state == "applied"
    assert len(statements) <= 6, statements
