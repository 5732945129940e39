"""The adapter for Black Forest Labs; what all adapters must do is in the contract tests."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from makegood.providers.bfl import BFL, sign
from makegood.providers.protocol import (
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from tests.loopback import Loopback
from tests.samples import CLOCK, TOKEN, job_for, make

NOW = datetime.fromtimestamp(CLOCK, UTC)
JOB = "d5ba37dc-ba09-4658-852e-deea7e176439"
READY = {"id": JOB, "status": "Ready", "result": {"sample": "https://x/1.jpeg"}}


def read(adapter: Any = None, *, token: str = TOKEN, **task: Any) -> Report:
    """The report of a callback that is signed with the secret of the job with that token."""
    adapter = adapter or make("bfl")
    body = json.dumps({"id": JOB, **task}).encode()
    headers = {"x-bfl-signature": sign(adapter.job_secret(token), body)}
    report: Report = adapter.parse_callback(headers, body, NOW, token)
    return report


def test_the_signature_is_the_documented_recipe() -> None:
    """HMAC-SHA256 of the body alone, with the secret as text: skills/bfl-api/references/webhook-integration.md"""
    assert sign("secret", b"{}") == "sha256=" + hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()


def test_each_job_is_given_a_secret_of_its_own(loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"id": JOB}).encode())
    provider = make("bfl", base_url=loopback.url)
    for token in ("a" * 43, "b" * 43):
        provider.submit(
            dataclasses.replace(job_for("bfl"), callback_url=f"https://m.example/callbacks/bfl/{token}")
        )
    secrets = [json.loads(request.body)["webhook_secret"] for request in loopback.requests]
    assert secrets == [provider.job_secret("a" * 43), provider.job_secret("b" * 43)]
    assert secrets[0] != secrets[1]
    assert loopback.requests[0].path == "/v1/flux-2-pro"
    assert loopback.requests[0].headers["x-key"] == "test-key"


def test_a_leaked_secret_opens_its_own_job_only() -> None:
    leaked = make("bfl").job_secret(TOKEN)
    body = json.dumps(READY).encode()
    headers = {"x-bfl-signature": sign(leaked or "", body)}
    assert make("bfl").parse_callback(headers, body, NOW, TOKEN).outcome == Outcome.SUCCEEDED
    with pytest.raises(CallbackRejected, match="signature"):
        make("bfl").parse_callback(headers, body, NOW, "another-token")


def test_the_accounts_secret_itself_proves_nothing() -> None:
    body = json.dumps(READY).encode()
    headers = {"x-bfl-signature": sign("the-accounts-secret", body)}
    with pytest.raises(CallbackRejected, match="signature"):
        make("bfl", webhook_secret="the-accounts-secret").parse_callback(headers, body, NOW, TOKEN)


@pytest.mark.parametrize("secret", [None, "", " ", ",", "whsec_", " , whsec_"])
def test_without_a_secret_no_job_is_submitted_and_no_callback_is_genuine(
    secret: str | None, loopback: Loopback
) -> None:
    provider = make("bfl", webhook_secret=secret, base_url=loopback.url)
    assert not provider.configured
    assert provider.job_secret(TOKEN) is None
    with pytest.raises(SubmitRefused, match="BFL_WEBHOOK_SECRET is not set") as raised:
        provider.submit(job_for("bfl"))
    assert raised.value.error_class == ErrorClass.PROVIDER_UNAVAILABLE
    assert loopback.requests == []
    for key in ("", "None", "whsec_"):
        with pytest.raises(CallbackRejected, match="no webhook secret"):
            provider.parse_callback({"x-bfl-signature": sign(key, b"{}")}, b"{}", NOW, TOKEN)


def test_a_job_under_way_can_still_be_fetched_without_a_secret(loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps(READY).encode())
    assert make("bfl", webhook_secret=None, base_url=loopback.url).fetch(JOB, "m").outcome == Outcome.SUCCEEDED


def test_a_secret_can_be_replaced_while_callbacks_are_on_their_way() -> None:
    old, new = make("bfl", webhook_secret="old"), make("bfl", webhook_secret="new, old")
    assert new.job_secret(TOKEN) == make("bfl", webhook_secret="new").job_secret(TOKEN)
    body = json.dumps(READY).encode()
    for provider in (old, new):
        headers = {"x-bfl-signature": sign(provider.job_secret(TOKEN) or "", body)}
        assert new.parse_callback(headers, body, NOW, TOKEN).outcome == Outcome.SUCCEEDED


def test_a_copy_sent_again_is_the_same_delivery_and_another_end_another() -> None:
    """The signature has no time: only the delivery tells a replay, however late it comes."""
    body = json.dumps(READY).encode()
    headers = {"x-bfl-signature": sign(make("bfl").job_secret(TOKEN) or "", body)}
    later = make("bfl").parse_callback(headers, body, NOW + timedelta(days=400), TOKEN)
    assert later.delivery == make("bfl").parse_callback(headers, body, NOW, TOKEN).delivery
    assert read(status="Pending").delivery != read(status="Ready").delivery != read(status="Error").delivery


def test_the_link_dies_ten_minutes_after_the_end() -> None:
    assert read(**READY, timestamp="2026-11-21T08:59:00Z").outputs_expire_at == NOW + timedelta(minutes=9)
    assert read(**READY, timestamp="2026-11-21T09:00:07Z").outputs_expire_at == NOW + timedelta(minutes=10)
    for unusable in (None, "yesterday", 7, "2026-11-21T08:59:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
        assert read(**READY, timestamp=unusable).outputs_expire_at == NOW + timedelta(minutes=10)
    assert read(id=JOB, status="Ready", result=None).outputs_expire_at is None


def test_a_fetched_link_dies_ten_minutes_after_the_job_ended_or_at_the_latest_from_now(loopback: Loopback) -> None:
    provider = make("bfl", base_url=loopback.url)
    ended_at = int(datetime.now(UTC).timestamp()) - 60
    for end_time in (ended_at, float(ended_at), ended_at + 0.9, str(ended_at)):
        ready = {**READY, "result": {"sample": "https://x/1.jpeg", "end_time": end_time}}
        loopback.answer = (200, json.dumps(ready).encode())
        expire_at = provider.fetch(JOB, "m").outputs_expire_at
        assert expire_at == datetime.fromtimestamp(ended_at, UTC) + timedelta(minutes=10)
    for end_time in (None, -1, 7, "x", 10**18, 9_999_999_999, True):
        ready = {**READY, "result": {"sample": "https://x/1.jpeg", "end_time": end_time}}
        loopback.answer = (200, json.dumps(ready).encode())
        expire_at = provider.fetch(JOB, "m").outputs_expire_at
        assert expire_at is not None
        assert abs(expire_at - datetime.now(UTC) - timedelta(minutes=10)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "status", ["Pending", "Task not found", "ready", "READY", "Ready ", "", None, 7, {}, ["Ready"]]
)
def test_a_status_that_ends_nothing_changes_nothing(status: object) -> None:
    report = read(status=status, error="internal_error", result={"sample": "https://x/1.jpeg"})
    assert (report.outcome, report.error_class, report.outputs) == (Outcome.PENDING, None, ())


@pytest.mark.parametrize(
    ("task", "error_class"),
    [
        ({"error": "generation_timeout"}, ErrorClass.TIMEOUT),
        ({"error": "content_policy_violation", "message": "timed out"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"error": "no_such_error", "message": "NSFW content"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"error": "no_such_error", "message": "?"}, ErrorClass.UNKNOWN_ERROR),
        ({"error": ["internal_error"], "message": ["?"]}, ErrorClass.UNKNOWN_ERROR),
        ({}, ErrorClass.GENERATION_FAILED),
    ],
)
def test_an_error_is_classified_by_its_name_then_by_its_text(
    task: dict[str, Any], error_class: ErrorClass
) -> None:
    report = read(status="Error", **task)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert report.message


@pytest.mark.parametrize("status", ["Request Moderated", "Content Moderated"])
def test_what_was_moderated_says_why(status: str) -> None:
    report = read(status=status, details={"Moderation Reasons": ["Safety Filter", 7, "Derivative Works Filter"]})
    assert report.error_class == ErrorClass.CONTENT_POLICY_VIOLATION
    assert report.message == f"{status}: Safety Filter, Derivative Works Filter"
    assert read(status=status).message == f"The provider ended the job as {status}."


def test_the_regional_address_in_an_answer_is_never_followed(loopback: Loopback) -> None:
    with Loopback() as elsewhere:
        answer = {"id": JOB, "polling_url": f"{elsewhere.url}/v1/get_result?id={JOB}", "cost": 3.0}
        loopback.answer = (200, json.dumps(answer).encode())
        provider = make("bfl", base_url=loopback.url)
        assert provider.submit(job_for("bfl")).usage == Units("credit", Decimal(3))
        loopback.answer = (200, json.dumps(READY).encode())
        provider.fetch(JOB, "m")
    assert elsewhere.requests == []
    assert loopback.requests[1].path == f"/v1/get_result?id={JOB}"


@pytest.mark.parametrize(
    ("cost", "credits"),
    [
        (3.0, "3"),
        (4.5, "4.5"),
        ("1.4", "1.4"),
        (0, "0"),
        (1.23449, "1.234"),
        (None, None),
        (-3, None),
        ("?", None),
        (True, None),
        (10**10, None),
        (0.0001, None),
        ([3], None),
    ],
)
def test_the_answer_to_the_submit_says_what_it_costs(
    cost: object, credits: str | None, loopback: Loopback
) -> None:
    loopback.answer = (200, json.dumps({"id": JOB, "cost": cost}).encode())
    usage = make("bfl", base_url=loopback.url).submit(job_for("bfl")).usage
    assert usage == (None if credits is None else Units("credit", Decimal(credits)))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "e", "message": "No credits"}, "No credits"),
        ({"detail": "No credits"}, "No credits"),
        ({"detail": [{"loc": ["body", "width"], "msg": "too wide"}, {"msg": "bad"}]}, "width: too wide; bad"),
        ({"error": "No credits"}, "No credits"),
        ({"detail": [7, None, {}, {"loc": 1, "msg": 2}]}, "The provider refused with the code 402."),
        ({}, "The provider refused with the code 402."),
    ],
)
def test_a_refusal_is_read_in_either_shape(body: dict[str, Any], text: str, loopback: Loopback) -> None:
    loopback.answer = (402, json.dumps(body).encode())
    with pytest.raises(SubmitRefused) as raised:
        make("bfl", base_url=loopback.url).submit(job_for("bfl"))
    assert (raised.value.error_class, raised.value.message) == (ErrorClass.PROVIDER_ACCOUNT, text)


@pytest.mark.parametrize(
    "model",
    [
        "",
        "get_result",
        "delete_finetune",
        "credits",
        "/flux-2-pro",
        "flux-2-pro/",
        "flux/../credits",
        "flux-2-pro?a=b",
        "flux-2-pro#",
        "flux 2",
        "FLUX-2",
        "flüx",
        "flux" + "-" * 200,
        "flux-2-pro\n",
    ],
)
def test_a_model_that_is_none_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    with pytest.raises(SubmitRefused) as raised:
        make("bfl", base_url=loopback.url).submit(dataclasses.replace(job_for("bfl"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


@pytest.mark.parametrize(
    "model", ["flux-2-pro", "flux-2-klein-4b", "flux-pro-1.1-ultra", "flux-kontext-max", "flux-dev"]
)
def test_the_documented_models_are_sent(model: str, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"id": JOB}).encode())
    make("bfl", base_url=loopback.url).submit(dataclasses.replace(job_for("bfl"), model=model))
    assert loopback.requests[0].path == f"/v1/{model}"


def test_a_job_that_is_not_known_here_is_not_gone(loopback: Loopback) -> None:
    """It may be another region's: where to ask is not told when there is a callback."""
    provider = make("bfl", base_url=loopback.url)
    unknown, detail = {"id": JOB, "status": "Task not found"}, {"detail": "?"}
    for status, body in (
        *((200, unknown), (404, unknown), (404, detail), (500, unknown), (403, detail), (429, detail)),
        *((200, detail), (503, READY), (200, {**READY, "id": "another"})),
    ):
        loopback.answer = (status, json.dumps(body).encode())
        with pytest.raises(FetchFailed):
            provider.fetch(JOB, "m")


def test_the_balance_is_in_credits_of_a_cent(loopback: Loopback) -> None:
    provider = make("bfl", base_url=loopback.url)
    for credits, micros in ((500, 5_000_000), (0.5, 5_000), (-12.3, -123_000), ("7", 70_000)):
        loopback.answer = (200, json.dumps({"credits": credits}).encode())
        assert provider.account() == Account(Decimal(str(credits)), "credits", usd_micros=micros)
    for body in ({}, {"credits": None}, {"credits": "many"}, {"credits": {}}):
        loopback.answer = (200, json.dumps(body).encode())
        with pytest.raises(FetchFailed):
            provider.account()
    assert loopback.requests[0].path == "/v1/credits"


def test_the_secrets_are_in_no_picture_of_the_adapter() -> None:
    provider = make("bfl", api_key="key-that-nobody-may-see", webhook_secret="secret-that-nobody-may-see")
    assert isinstance(provider, BFL)
    assert "nobody-may-see" not in repr(provider)


def test_an_answer_with_another_code_of_success_is_no_refusal(loopback: Loopback) -> None:
    for status in (201, 202, 204):
        loopback.answer = (status, json.dumps({"id": JOB}).encode() if status != 204 else b"")
        with pytest.raises(SubmitUnknown):
            make("bfl", base_url=loopback.url).submit(job_for("bfl"))
