"""The adapter for PiAPI; what all adapters must do is in the contract tests."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import callbacks, generations, ledger, reconcile
from makegood.generations import Reservation
from makegood.providers.piapi import PiAPI
from makegood.providers.protocol import (
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Job,
    JobGone,
    Outcome,
    Provider,
    Report,
    SubmitRefused,
)
from tests.loopback import Loopback
from tests.making import TERMS, make_customer, reserve
from tests.samples import CLOCK, TOKEN, job_for, make

NOW = datetime.fromtimestamp(CLOCK, UTC)
JOB = "f38e2944-a5fe-44b4-9464-920c94276d74"
DONE = {
    "task_id": JOB,
    "status": "completed",
    "output": {"video": {"url": "https://x/1.mp4"}},
    "error": {"code": 0},
}


def body_of(**task: Any) -> bytes:
    """A callback."""
    return json.dumps({"timestamp": CLOCK, "data": {"task_id": JOB, **task}}).encode()


def read(**task: Any) -> Report:
    """The report of a callback with the job's secret."""
    provider = make("piapi")
    headers = {"x-webhook-secret": provider.job_secret(TOKEN) or ""}
    return provider.parse_callback(headers, body_of(**task), NOW, TOKEN)


def test_the_job_is_given_the_model_its_task_type_and_where_to_call_back(loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 200, "data": {"task_id": JOB}}).encode())
    provider = make("piapi", base_url=loopback.url)
    for model, task_type in (("luma", "video_generation"), ("Qubico/flux1-dev", "txt2img")):
        job = dataclasses.replace(job_for("piapi"), model=f"{model}/{task_type}")
        assert provider.submit(job).provider_job_id == JOB
        sent = json.loads(loopback.requests[-1].body)
        webhook = {"endpoint": job.callback_url, "secret": provider.job_secret(TOKEN)}
        config = {"service_mode": "public", "webhook_config": webhook}
        assert sent == {"model": model, "task_type": task_type, "input": dict(job.input), "config": config}
    assert loopback.requests[0].path == "/api/v1/task"
    assert loopback.requests[0].headers["x-api-key"] == "test-key"


def test_an_input_cannot_change_what_is_asked_for(loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 200, "data": {"task_id": JOB}}).encode())
    job = job_for("piapi", config={"webhook_config": {"endpoint": "https://evil.example"}}, model="dearer")
    make("piapi", base_url=loopback.url).submit(job)
    sent = json.loads(loopback.requests[0].body)
    assert (sent["model"], sent["config"]["webhook_config"]["endpoint"]) == ("luma", job.callback_url)


@pytest.mark.parametrize("model", ["", "luma", "/x", "x/", "a//b", "a/../b", "a b/c", "a/b?c", "é/b", "a/b/c/d/e"])
def test_a_model_without_a_task_type_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    with pytest.raises(SubmitRefused, match="a model and a task type") as raised:
        make("piapi", base_url=loopback.url).submit(dataclasses.replace(job_for("piapi"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


@pytest.mark.parametrize("secret", [None, "", " ", ",", "whsec_"])
def test_without_a_secret_no_job_is_submitted_and_no_callback_is_taken(
    secret: str | None, loopback: Loopback
) -> None:
    provider = make("piapi", webhook_secret=secret, base_url=loopback.url)
    assert not provider.configured
    with pytest.raises(SubmitRefused, match="PIAPI_WEBHOOK_SECRET is not set"):
        provider.submit(job_for("piapi"))
    assert loopback.requests == []
    for given in ("", "None", "whsec_"):
        with pytest.raises(CallbackRejected, match="no webhook secret"):
            provider.parse_callback({"x-webhook-secret": given}, body_of(**DONE), NOW, TOKEN)


def test_the_accounts_secret_and_another_jobs_prove_nothing() -> None:
    provider = make("piapi", webhook_secret="the-accounts-secret")
    for wrong in ("the-accounts-secret", provider.job_secret("another-token") or "", "é", "\udcff", "\0"):
        with pytest.raises(CallbackRejected, match="not this job's"):
            provider.parse_callback({"x-webhook-secret": wrong}, body_of(**DONE), NOW, TOKEN)


def test_a_secret_can_be_replaced_while_callbacks_are_on_their_way() -> None:
    new = make("piapi", webhook_secret="new,old")
    for secret in ("new", "old"):
        headers = {"x-webhook-secret": make("piapi", webhook_secret=secret).job_secret(TOKEN) or ""}
        assert new.parse_callback(headers, body_of(**DONE), NOW, TOKEN).outcome == Outcome.SUCCEEDED


@pytest.mark.parametrize("change", [str.lower, str.upper, str.capitalize])
def test_a_status_is_read_in_any_case(change: Callable[[str], str]) -> None:
    assert read(**DONE | {"status": change("completed")}).outcome == Outcome.SUCCEEDED
    assert read(**DONE | {"status": change("failed")}).outcome == Outcome.FAILED


@pytest.mark.parametrize(
    "status", ["Staged", "pending", "Processing", "retry", "", "completed ", None, 7, {}, ["failed"]]
)
def test_a_status_that_ends_nothing_changes_nothing(status: object) -> None:
    report = read(**DONE | {"status": status, "meta": {"usage": {"consume": 5}}})
    assert (report.outcome, report.outputs, report.usage) == (Outcome.PENDING, (), None)


@pytest.mark.parametrize("code", [0, "0", None, False])
def test_a_completed_task_without_an_error_code_succeeded(code: object) -> None:
    assert read(**DONE | {"error": {"code": code}}).outcome == Outcome.SUCCEEDED


@pytest.mark.parametrize("error", [None, {}, [], "x"])
def test_a_completed_task_without_an_error_succeeded(error: object) -> None:
    assert read(**DONE | {"error": error}).outcome == Outcome.SUCCEEDED


@pytest.mark.parametrize("code", [10000, "10000", -1, "E1", {"a": 1}])
def test_a_completed_task_with_an_error_code_failed(code: object) -> None:
    report = read(**DONE | {"error": {"code": code, "message": "Worker 17 gave up"}})
    assert (report.outcome, report.outputs, report.error_class) == (Outcome.FAILED, (), ErrorClass.UNKNOWN_ERROR)


@pytest.mark.parametrize(
    ("error", "error_class", "message"),
    [
        (
            {"raw_message": "NSFW content", "message": "task failed"},
            ErrorClass.CONTENT_POLICY_VIOLATION,
            "NSFW content",
        ),
        ({"raw_message": "", "message": "task failed"}, ErrorClass.GENERATION_FAILED, "task failed"),
        ({"message": "insufficient credits"}, ErrorClass.PROVIDER_ACCOUNT, "insufficient credits"),
        ({"raw_message": ["x"], "message": 7}, ErrorClass.UNKNOWN_ERROR, None),
        ({}, ErrorClass.UNKNOWN_ERROR, None),
    ],
)
def test_a_failure_is_classified_by_the_models_own_text_first(
    error: dict[str, Any], error_class: ErrorClass, message: str | None
) -> None:
    report = read(status="failed", error={"code": 10000, **error})
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert report.message == (message or "The provider ended the task as failed, with the error code 10000.")


@pytest.mark.parametrize(
    ("consume", "points", "micros"),
    [
        (2_000_000, "2000000", None),
        (0, "0", 0),
        (0.5, "0.5", None),
        ("12", "12", None),
        (None, None, None),
        (-1, None, None),
        (10**9 + 1, None, None),
        ({}, None, None),
        (True, None, None),
    ],
)
def test_a_failed_task_cost_nothing_only_if_it_says_so(
    consume: object, points: str | None, micros: int | None
) -> None:
    usage = {"meta": {"usage": {"type": "point", "frozen": 9, "consume": consume}}}
    report = read(status="failed", **usage)
    assert (report.usage.quantity if report.usage else None) == (None if points is None else Decimal(points))
    assert report.cost_micros == micros
    succeeded = read(**DONE, **usage)
    assert (succeeded.usage, succeeded.cost_micros) == (report.usage, None)


def test_a_failure_inside_an_answer_of_success_is_a_failure(loopback: Loopback) -> None:
    task = {"task_id": JOB, "status": "failed", "error": {"code": 10000, "message": "task failed"}}
    loopback.answer = (200, json.dumps({"code": 200, "message": "success", "data": task}).encode())
    assert make("piapi", base_url=loopback.url).fetch(JOB, "m").outcome == Outcome.FAILED
    assert loopback.requests[0].path == f"/api/v1/task/{JOB}"


def test_a_task_is_gone_only_when_the_provider_itself_says_so(loopback: Loopback) -> None:
    provider = make("piapi", base_url=loopback.url)
    for status, code, error in (
        (404, 404, JobGone),
        (200, 404, JobGone),
        (400, 400, FetchFailed),
        (401, 401, FetchFailed),
        (429, 429, FetchFailed),
        (503, 404, FetchFailed),
        (200, 200, FetchFailed),
    ):
        loopback.answer = (status, json.dumps({"code": code, "data": None}).encode())
        with pytest.raises(error):
            provider.fetch(JOB, "m")


def test_the_balance_is_what_it_is_worth_in_dollars(loopback: Loopback) -> None:
    provider = make("piapi", base_url=loopback.url)
    worth = {"equivalent_in_usd": 12.34}
    for body in ({"code": 200, "data": worth}, worth):
        loopback.answer = (200, json.dumps(body).encode())
        assert provider.account() == Account(Decimal("12.34"), "USD", usd_micros=12_340_000)
    for status, body in ((200, {"code": 200, "data": {}}), (200, {"code": 401, "data": worth}), (500, worth)):
        loopback.answer = (status, json.dumps(body).encode())
        with pytest.raises(FetchFailed):
            provider.account()
    assert loopback.requests[0].path == "/account/info"


def test_the_secrets_are_in_no_picture_of_the_adapter() -> None:
    provider = make("piapi", api_key="key-that-nobody-may-see", webhook_secret="secret-that-nobody-may-see")
    assert isinstance(provider, PiAPI)
    assert "nobody-may-see" not in repr(provider)


class Delivery:
    """A job in flight at PiAPI, which echoes the secret and the address in everything that it says of it."""

    def __init__(self, session: Session, loopback: Loopback) -> None:
        self.session = session
        self.loopback = loopback
        self.provider: Provider = make("piapi", base_url=loopback.url)
        self.customer = make_customer(session)
        self.reservation: Reservation = reserve(
            session,
            self.customer,
            provider=self.provider,
            model="luma/video_generation",
            credits=30,  # type: ignore[arg-type]
        )
        self.token = self.reservation.callback_token or ""
        self.secret = self.provider.job_secret(self.token) or ""
        address = f"https://m.example/callbacks/piapi/{self.token}"
        webhook = {"endpoint": address, "secret": self.secret}
        self.task = {**DONE, "config": {"webhook_config": webhook}, "meta": {"usage": {"consume": 2_000_000}}}
        loopback.answer = (200, json.dumps({"code": 200, "data": self.task}).encode())
        job = Job(self.reservation.generation_id, "luma/video_generation", "video", {}, address)
        result = generations.dispatch(self.provider, job)
        assert generations.record_submit(session, job.generation_id, result) == "submitted"  # type: ignore[arg-type]

    def send(self, secret: str | None = None, **task: Any) -> callbacks.Receipt:
        """Deliver."""
        headers = {
            "content-type": "application/json",
            "x-webhook-secret": self.secret if secret is None else secret,
        }
        body = json.dumps({"timestamp": CLOCK, "data": {**self.task, **task}}).encode()
        providers = {"piapi": self.provider}
        return callbacks.receive(self.session, providers, "piapi", self.token, headers, body, TERMS)

    def reconcile(self) -> str:
        """Look the job up, as the callback asked for."""
        [claimed] = reconcile.claim(self.session)
        report = reconcile.look_up({"piapi": self.provider}, claimed)
        return reconcile.decide(self.session, claimed, report, TERMS)

    @property
    def balance(self) -> int:
        """The customer's credits: 105 before the charge of 30."""
        return ledger.balance(self.session, self.customer)


@pytest.fixture
def delivery(session: Session, loopback: Loopback) -> Delivery:
    """A job that was submitted and has ended at the provider."""
    return Delivery(session, loopback)


def test_neither_secret_nor_token_is_ever_stored_or_logged(
    delivery: Delivery, session: Session, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    old = make("piapi", webhook_secret="an-old-secret").job_secret(delivery.token) or ""
    states = [delivery.send().state, delivery.send(status="processing").state, delivery.send().state]
    echo = {"webhook_config": {"endpoint": delivery.token, "secret": old}}
    states += [delivery.send(secret="wrong").state, delivery.send(secret=old, config=echo).state]
    assert states == ["waiting", "ignored", "duplicate", "rejected", "rejected"]
    assert delivery.reconcile() == "settled"
    tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    kept = ""
    for table in tables:
        kept += "".join(session.scalars(text(f'SELECT t::text FROM "{table}" t')).all())
    kept += "".join(body.decode() for body in session.scalars(text("SELECT body FROM callbacks")).all())
    printed = capfd.readouterr()
    assert '"secret": "***"' in kept
    for secret in (delivery.secret, delivery.token, old, "piapi-test-webhook-secret"):
        assert secret not in kept
        assert secret.encode().hex() not in kept
        assert secret not in caplog.text + printed.out + printed.err


def test_a_callback_with_the_right_secret_moves_nothing_before_the_job_was_fetched(delivery: Delivery) -> None:
    """The secret stands in clear in every callback: whoever saw one could send another."""
    lie = {"status": "failed", "error": {"code": 1, "message": "task failed"}}
    assert delivery.send(**lie).state == "waiting"
    assert delivery.balance == 75
    assert callbacks.retry_next(delivery.session, {"piapi": delivery.provider}, TERMS) is None
    assert delivery.balance == 75
    assert delivery.reconcile() == "settled"
    generation = generations.get(delivery.session, delivery.reservation.generation_id)
    assert (generation.status, generation.outputs) == ("succeeded", ["https://x/1.mp4"])
    assert (generation.unit, generation.quantity, generation.cost_micros) == ("point", 2_000_000, None)
    assert delivery.balance == 75


def test_a_failure_is_refunded_once_it_was_fetched_and_cost_nothing_if_it_took_no_points(
    delivery: Delivery, loopback: Loopback
) -> None:
    failed = {**delivery.task, "status": "failed", "error": {"code": 1, "message": "task failed"}}
    failed["meta"] = {"usage": {"consume": 0}}
    loopback.answer = (200, json.dumps({"code": 200, "data": failed}).encode())
    assert delivery.send(status="failed").state == "waiting"
    assert delivery.reconcile() == "settled"
    generation = generations.get(delivery.session, delivery.reservation.generation_id)
    assert (generation.status, generation.cost_micros, generation.cost_source) == ("failed", 0, "provider")
    assert delivery.balance == 105


def test_a_wrong_secret_changes_nothing_and_is_kept_for_operators_to_see(delivery: Delivery) -> None:
    for wrong in ("wrong", ""):
        receipt = delivery.send(secret=wrong, status="failed")
        assert (receipt.state, delivery.balance) == ("rejected", 75)
    assert "x-webhook-secret" in receipt.detail
