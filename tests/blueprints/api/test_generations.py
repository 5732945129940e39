"""Starting generations through the API: whatever happens, the answer says the truth about the money."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from blueprints.api import answers
from extensions import db
from makegood import generations, reconcile
from makegood.ids import hash_token
from makegood.models import Callback
from makegood.providers.protocol import Accepted, ErrorClass, Job, SubmitRefused, SubmitUnknown
from settings import PROVIDER_NAMES
from tests.backend import Platform
from tests.making import MODEL, TERMS, FakeProvider

IDLE = """
SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()
"""
WORDS_ABOUT_US = "your account 4711 owes us money"


def refuse(platform: Platform, error_class: ErrorClass) -> None:
    """Let the provider refuse every job."""
    platform.provider.answer = SubmitRefused(error_class, WORDS_ABOUT_US)


def test_a_generation_is_charged_and_submitted(platform: Platform) -> None:
    customer = platform.make_customer(20)
    answer = platform.start(customer, metadata={"order": 1})
    assert answer.status_code == 202
    body = answer.json
    assert (body["status"], body["credits_charged"], body["balance"]) == ("submitted", 2, 23)
    assert platform.balance(customer) == 23
    [job] = platform.provider.submitted
    assert (str(job.generation_id), job.model, job.kind) == (body["id"], MODEL, "image")
    assert job.input == {"prompt": "a red mug"}
    shown = platform.send("GET", f"/generations/{body['id']}").json
    assert {name: shown[name] for name in body} == body
    assert (shown["provider_job_id"], shown["metadata"]) == ("job-1", {"order": 1})
    assert (shown["cost_usd"], shown["error"], shown["ended_at"]) == ("0.027", None, None)
    assert shown["cost"] == {
        "usd": "0.027",
        "source": "price_book",
        "unit": "image",
        "quantity": "1",
        "qualifier": "",
        "unit_price_usd": "0.027",
        "per": 1,
        "price_version": 1,
    }


def test_a_cost_that_is_unknown_is_null(platform: Platform) -> None:
    body = platform.start(platform.make_customer(20), model="brand/new", credits=1).json
    shown = platform.send("GET", f"/generations/{body['id']}").json
    assert shown["cost_usd"] is None
    assert shown["cost"] == {
        "usd": None,
        "source": "unknown",
        "unit": "image",
        "quantity": "1",
        "qualifier": "",
        "unit_price_usd": None,
        "per": None,
        "price_version": None,
    }


def test_the_callback_url_carries_this_generations_token(platform: Platform) -> None:
    body = platform.start(platform.make_customer()).json
    [job] = platform.provider.submitted
    prefix = "http://localhost/callbacks/wavespeed/"
    assert job.callback_url.startswith(prefix)
    stored = platform.sql("SELECT callback_token_hash FROM generations WHERE id = :id", id=body["id"])
    assert stored == hash_token(job.callback_url.removeprefix(prefix))


def test_no_connection_is_held_while_the_provider_takes_its_time(platform: Platform) -> None:
    held: list[tuple[int, int]] = []

    class Watching(FakeProvider):
        def submit(self, job: Job) -> Accepted:
            out = db.engine.pool.checkedout()  # type: ignore[attr-defined]
            held.append((out, platform.sql(IDLE)))
            return super().submit(job)

    platform.app.extensions["providers"]["wavespeed"] = Watching()
    assert platform.start(platform.make_customer()).status_code == 202
    assert held == [(0, 0)]


def test_too_few_credits_are_402_and_cost_nothing(platform: Platform) -> None:
    customer = platform.make_customer()
    answer = platform.start(customer, credits=6, idempotency="g1")
    assert answer.status_code == 402
    assert answer.json["error"]["code"] == "insufficient_credits"
    assert (answer.json["required"], answer.json["balance"]) == (6, 5)
    assert (platform.balance(customer), platform.provider.submitted) == (5, [])
    platform.send(
        "POST",
        f"/customers/{customer}/grants",
        {"credits": 1, "source": "bonus", "reason": "top-up"},
        idempotency="t1",
    )
    assert platform.start(customer, credits=6, idempotency="g1").status_code == 202


def test_an_unknown_customer_is_404(platform: Platform) -> None:
    answer = platform.start("nobody")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")
    assert platform.provider.submitted == []


def test_a_model_without_a_credit_price_needs_credits(platform: Platform) -> None:
    customer = platform.make_customer()
    answer = platform.start(customer, model="new/model")
    assert answer.status_code == 422
    assert answer.json["error"]["fields"] == {"credits": "is required: new/model at wavespeed has no credit price"}
    assert platform.balance(customer) == 5
    assert platform.start(customer, model="new/model", credits=3).json["balance"] == 2


def test_every_invalid_field_is_named_at_once(platform: Platform) -> None:
    body = {"customer_id": "", "provider": "nowhere", "model": 5, "input": [], "credits": 0, "bonus": 1}
    answer = platform.send("POST", "/generations?x=1", body)
    assert answer.status_code == 422
    assert answer.json["error"]["fields"] == {
        "x": "is not a field of this request",
        "customer_id": "must not be empty",
        "provider": f"must be one of {', '.join(sorted([*PROVIDER_NAMES, 'external']))}",
        "model": "must be a text",
        "kind": "is required",
        "input": "must be a JSON object",
        "credits": "must be at least 1",
        "bonus": "is not a field of this request",
        "Idempotency-Key": "is required",
    }


@pytest.mark.parametrize("key", ["", "k" * 201, "ü"])
def test_an_idempotency_key_has_bounds(platform: Platform, key: str) -> None:
    answer = (
        platform.start(platform.make_customer(), idempotency=key)
        if key
        else platform.send("POST", "/generations", {"customer_id": "c"}, idempotency="")
    )
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json["error"]["fields"]


@pytest.mark.parametrize(
    ("error_class", "status"),
    [
        (ErrorClass.CONTENT_POLICY_VIOLATION, 400),
        (ErrorClass.INVALID_INPUT, 400),
        (ErrorClass.PROVIDER_UNAVAILABLE, 503),
        (ErrorClass.PROVIDER_ACCOUNT, 502),
        (ErrorClass.INTERNAL_ERROR, 502),
        (ErrorClass.GENERATION_FAILED, 502),
        (ErrorClass.STORAGE_ERROR, 502),
        (ErrorClass.TIMEOUT, 502),
        (ErrorClass.UNKNOWN_ERROR, 502),
    ],
)
def test_a_refusal_is_refunded_and_says_so(platform: Platform, error_class: ErrorClass, status: int) -> None:
    refuse(platform, error_class)
    customer = platform.make_customer()
    answer = platform.start(customer, idempotency="g1")
    body = answer.json
    assert (answer.status_code, body["error"]["code"]) == (status, error_class.value)
    assert (body["refunded"], body["credits_refunded"], body["balance"]) == (True, 2, 5)
    assert body["error"]["request_id"] == answer.headers["X-Request-Id"]
    assert WORDS_ABOUT_US not in answer.text
    assert platform.balance(customer) == 5
    shown = platform.send("GET", f"/generations/{body['generation_id']}")
    assert (shown.json["status"], shown.json["error"]["code"]) == ("failed", error_class.value)
    assert (shown.json["credits_refunded"], shown.json["cost_usd"]) == (2, "0.00")
    assert WORDS_ABOUT_US not in shown.text
    again = platform.start(customer, idempotency="g1")
    assert (again.status_code, again.json) == (status, body)
    assert (platform.balance(customer), len(platform.provider.submitted)) == (5, 1)


def test_a_refusal_without_a_refund_by_policy_does_not_claim_one(platform: Platform) -> None:
    platform.sql(
        "INSERT INTO refund_policies (version, error_class, percent) SELECT 99, error_class, 0 "
        "FROM refund_policies WHERE version = 1"
    )
    refuse(platform, ErrorClass.INVALID_INPUT)
    customer = platform.make_customer()
    body = platform.start(customer).json
    assert (body["refunded"], body["credits_refunded"], body["balance"]) == (False, 0, 3)
    assert "0 of 2 credits" in body["error"]["message"]
    assert platform.balance(customer) == 3


def test_a_lost_answer_is_202_unknown(platform: Platform) -> None:
    platform.provider.answer = SubmitUnknown("timed out")
    customer = platform.make_customer()
    answer = platform.start(customer, idempotency="g1")
    assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "unknown", 3)
    platform.provider.answer = Accepted("job-2")
    assert platform.start(customer, idempotency="g1").json == answer.json
    assert (platform.balance(customer), len(platform.provider.submitted)) == (3, 1)


def test_an_adapter_that_breaks_is_not_a_refusal(platform: Platform) -> None:
    platform.provider.answer = ZeroDivisionError()
    customer = platform.make_customer()
    assert platform.start(customer).json["status"] == "unknown"
    assert platform.balance(customer) == 3


def test_another_request_with_the_same_key_is_a_conflict(platform: Platform) -> None:
    customer = platform.make_customer()
    platform.start(customer, idempotency="g1")
    answer = platform.start(customer, idempotency="g1", input={"prompt": "a blue mug"})
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "idempotency_key_reused")
    assert (platform.balance(customer), len(platform.provider.submitted)) == (3, 1)


def test_fifty_copies_of_one_request_charge_and_submit_once(platform: Platform) -> None:
    customer = platform.make_customer(100)
    together = threading.Barrier(50)

    def send(_: int) -> tuple[int, str]:
        together.wait()
        answer = Platform(platform.app, platform.app.test_client(), platform.key, platform.provider).start(
            customer, idempotency="g1"
        )
        return answer.status_code, answer.json["id"]

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(send, range(50)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 202
    assert (platform.balance(customer), len(platform.provider.submitted)) == (103, 1)


def test_fifty_requests_on_credits_for_ten_charge_ten(platform: Platform) -> None:
    customer = platform.make_customer(15)
    together = threading.Barrier(50)

    def send(_: int) -> int:
        together.wait()
        client = platform.app.test_client()
        return Platform(platform.app, client, platform.key, platform.provider).start(customer).status_code

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert sorted(answers) == [202] * 10 + [402] * 40
    assert (platform.balance(customer), len(platform.provider.submitted)) == (0, 10)


def test_a_repeat_while_the_first_is_undecided_shows_the_current_state(platform: Platform) -> None:
    customer = platform.make_customer()
    inside: list[Any] = []

    class Slow(FakeProvider):
        def submit(self, job: Job) -> Accepted:
            # In a thread: the test's request context is not this one's business.
            with ThreadPoolExecutor(1) as pool:
                inside.append(pool.submit(platform.start, customer, idempotency="g1").result())
            return super().submit(job)

    platform.app.extensions["providers"]["wavespeed"] = slow = Slow()
    assert platform.start(customer, idempotency="g1").json["status"] == "submitted"
    [repeat] = inside
    assert (repeat.status_code, repeat.json["status"], repeat.json["balance"]) == (202, "charged", 3)
    assert len(slow.submitted) == 1
    assert platform.balance(customer) == 3


class Killed(BaseException):
    """The process dies here."""


def crash(platform: Platform, customer: str) -> str:
    """Start a generation in a process that dies while it submits. Returns the generation's id."""

    class Deadly(FakeProvider):
        def submit(self, job: Job) -> Accepted:
            raise Killed

    platform.app.extensions["providers"]["wavespeed"] = Deadly()
    with pytest.raises(Killed):
        platform.start(customer, idempotency="g1")
    platform.app.extensions["providers"]["wavespeed"] = platform.provider
    return str(platform.sql("SELECT id FROM generations"))


def test_after_a_crash_a_repeat_is_answered_from_the_rows(platform: Platform) -> None:
    customer = platform.make_customer()
    generation_id = crash(platform, customer)
    repeat = platform.start(customer, idempotency="g1")
    assert (repeat.status_code, repeat.json["id"], repeat.json["status"]) == (202, generation_id, "charged")
    give_up(platform.app)
    repeat = platform.start(customer, idempotency="g1")
    assert (repeat.status_code, repeat.json["error"]["code"]) == (502, "timeout")
    assert (repeat.json["refunded"], repeat.json["credits_refunded"], repeat.json["balance"]) == (True, 2, 5)
    assert (platform.balance(customer), platform.provider.submitted) == (5, [])


def give_up(app: Flask) -> None:
    """Let reconcile meet everything that is in flight after its deadline."""
    with app.app_context():
        late = db.session.scalar(db.text("SELECT max(charged_at) FROM generations")) + 2 * TERMS.deadline
        for claimed in reconcile.claim(db.session, at=late):
            reconcile.decide(db.session, claimed, None, TERMS, at=late)
        db.session.commit()


def test_a_callback_that_is_quicker_than_the_submit_decides_the_answer(platform: Platform) -> None:
    customer = platform.make_customer()

    class Quick(FakeProvider):
        def submit(self, job: Job) -> Accepted:
            path = job.callback_url.removeprefix("http://localhost")
            body = b'{"outcome": "failed", "job": "job-1", "error_class": "storage_error"}'
            with ThreadPoolExecutor(1) as pool:
                send = platform.app.test_client().post
                assert pool.submit(send, path, data=body, headers={"x-genuine": "yes"}).result().status_code == 200
            return super().submit(job)

    platform.app.extensions["providers"]["wavespeed"] = Quick()
    answer = platform.start(customer)
    assert (answer.status_code, answer.json["error"]["code"]) == (502, "storage_error")
    assert (answer.json["credits_refunded"], answer.json["balance"]) == (2, 5)
    assert platform.balance(customer) == 5
    with platform.app.app_context():
        assert db.session.scalars(db.select(Callback.state)).all() == ["applied"]


def test_cancelling_follows_the_policy_once_submitted(platform: Platform) -> None:
    customer = platform.make_customer()
    generation_id = platform.start(customer).json["id"]
    for _ in range(2):
        answer = platform.send("POST", f"/generations/{generation_id}/cancel")
        assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
        assert (answer.json["credits_refunded"], answer.json["balance"]) == (0, 3)
    assert platform.balance(customer) == 3


def test_cancelling_what_never_left_returns_everything(platform: Platform) -> None:
    customer = platform.make_customer()
    generation_id = platform.start(customer, provider="external", model="own", credits=4).json["id"]
    answer = platform.send("POST", f"/generations/{generation_id}/cancel")
    assert (answer.json["status"], answer.json["credits_refunded"], answer.json["balance"]) == ("cancelled", 4, 5)
    assert platform.balance(customer) == 5


def test_what_has_ended_cannot_be_cancelled(platform: Platform) -> None:
    refuse(platform, ErrorClass.INVALID_INPUT)
    customer = platform.make_customer()
    generation_id = platform.start(customer).json["generation_id"]
    answer = platform.send("POST", f"/generations/{generation_id}/cancel")
    assert (answer.status_code, answer.json["status"]) == (409, "failed")
    assert platform.balance(customer) == 5


@pytest.mark.parametrize("generation_id", ["01a1fe1d-db90-72ec-b261-1ac988672a26", "x", "%00", "1/2"])
@pytest.mark.parametrize(("method", "below"), [("GET", ""), ("POST", "/cancel"), ("POST", "/outcome")])
def test_an_unknown_generation_is_404(platform: Platform, generation_id: str, method: str, below: str) -> None:
    body = {"status": "succeeded"} if below == "/outcome" else None
    answer = platform.send(method, f"/generations/{generation_id}{below}", body)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("ask", ["get", "repeat"])
def test_state_and_balance_in_an_answer_are_of_one_instant(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    customer = platform.make_customer()
    generation_id = crash(platform, customer)
    read = answers.ledger.balance

    def fail_meanwhile(session: Session, customer_id: str) -> int:
        with Session(db.engine) as other, other.begin():
            generations.fail(other, UUID(generation_id), ErrorClass.TIMEOUT, "late", TERMS)
        return read(session, customer_id)

    monkeypatch.setattr(answers.ledger, "balance", fail_meanwhile)
    if ask == "get":
        answer = platform.send("GET", f"/generations/{generation_id}").json
    else:
        answer = platform.start(customer, idempotency="g1").json
    assert (answer["status"], answer["credits_refunded"], answer["balance"]) == ("charged", 0, 3)
