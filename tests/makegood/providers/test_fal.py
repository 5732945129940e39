"""The adapter for fal; what all adapters must do is in the contract tests."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from makegood.providers import fal
from makegood.providers.protocol import (
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    JobGone,
    Outcome,
    Report,
    SubmitRefused,
    Units,
)
from tests.loopback import Loopback
from tests.samples import CLOCK, FAL_KEY, job_for, make

NOW = datetime.fromtimestamp(CLOCK, UTC)
JOB = "123e4567-e89b-12d3-a456-426614174000"
MODEL = "fal-ai/flux/dev"
FILE = {"url": "https://v3.fal.media/files/a/1.png"}
COMPLETED = (200, json.dumps({"status": "COMPLETED", "request_id": JOB}).encode())


def signed(body: bytes, key: Ed25519PrivateKey = FAL_KEY, **other: str) -> dict[str, str]:
    """Headers that prove the body, with names without their prefix in `other`."""
    given = {"request-id": JOB, "user-id": "github|1234567", "timestamp": str(CLOCK)}
    given |= {name.replace("_", "-"): value for name, value in other.items()}
    signature = key.sign(fal.message(given["request-id"], given["user-id"], given["timestamp"], body)).hex()
    return {f"x-fal-webhook-{name}": value for name, value in {"signature": signature, **given}.items()}


def read(**told: Any) -> Report:
    """The report of a signed callback."""
    body = json.dumps({"request_id": JOB, "gateway_request_id": "another", **told}).encode()
    return make("fal").parse_callback(signed(body), body, NOW, "token")


def failed(detail: Any, error: Any = "Invalid status code: 422", **payload: Any) -> Report:
    """The report of a callback about a failure."""
    return read(status="ERROR", error=error, payload={"detail": detail, **payload})


def ask(loopback: Loopback, status: int, body: Any, headers: dict[str, str] | None = None) -> Report:
    """What is made of a result, after the status says that the job is over."""
    loopback.first = [COMPLETED, (status, json.dumps(body).encode(), headers or {})]
    return make("fal", base_url=loopback.url).fetch(JOB, MODEL)


def test_what_is_signed_is_the_documented_recipe() -> None:
    """https://fal.ai/docs/documentation/model-apis/inference/webhooks"""
    expected = f"r\nu\n1\n{hashlib.sha256(b'{}').hexdigest()}".encode()
    assert fal.message("r", "u", "1", b"{}") == expected


def test_the_keys_come_from_the_base_url_and_never_from_a_callback(loopback: Loopback) -> None:
    x = base64.urlsafe_b64encode(FAL_KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    loopback.answer = (200, json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).encode())
    provider = dataclasses.replace(make("fal", base_url=loopback.url))
    provider.keys.learn([])
    provider.keys._asked_at = float("-inf")
    with Loopback() as elsewhere:
        body = {"request_id": JOB, "status": "OK", "jwks_url": elsewhere.url, "keys": elsewhere.url}
        content = json.dumps(body).encode()
        assert provider.parse_callback(signed(content), content, NOW, "token").outcome == Outcome.SUCCEEDED
    assert elsewhere.requests == []
    assert [request.path for request in loopback.requests] == ["/.well-known/jwks.json"]


def test_without_another_address_the_three_hosts_are_fals_own() -> None:
    provider = make("fal", base_url=None)
    assert isinstance(provider, fal.Fal)
    assert (provider.queue_url, provider.platform_url) == ("https://queue.fal.run", "https://api.fal.ai")
    assert provider.keys._url == "https://rest.fal.ai/.well-known/jwks.json"


def test_a_key_that_fal_did_not_publish_proves_nothing() -> None:
    body = json.dumps({"request_id": JOB, "status": "OK"}).encode()
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    with pytest.raises(CallbackRejected, match="signature"):
        make("fal").parse_callback(signed(body, stranger), body, NOW, "token")


@pytest.mark.parametrize("other", [{"request_id": "x"}, {"user_id": "github|2"}, {"timestamp": str(CLOCK + 1)}])
def test_every_header_is_part_of_what_is_signed(other: dict[str, str]) -> None:
    body = json.dumps({"request_id": JOB, "status": "OK"}).encode()
    headers = signed(body)
    changed = {f"x-fal-webhook-{name.replace('_', '-')}": value for name, value in other.items()}
    assert make("fal").parse_callback(signed(body, **other), body, NOW, "token").provider_job_id == JOB
    with pytest.raises(CallbackRejected, match="signature"):
        make("fal").parse_callback(headers | changed, body, NOW, "token")


@pytest.mark.parametrize(
    "stamp", ["-1795251600", "+1795251600", "1795251600.0", " 1795251600", "１７９５２５１６００"]
)
def test_a_timestamp_is_digits_and_nothing_else(stamp: str) -> None:
    with pytest.raises(CallbackRejected, match="x-fal-webhook-timestamp"):
        make("fal").parse_callback(signed(b"{}", timestamp=stamp), b"{}", NOW, "token")


def test_a_success_is_incomplete_because_only_the_fetch_says_what_it_cost() -> None:
    report = read(status="OK", payload={"images": [FILE]})
    assert (report.outcome, report.incomplete, report.usage) == (Outcome.SUCCEEDED, True, None)
    assert report.outputs == (FILE["url"],)


def test_a_success_without_its_result_is_no_failure() -> None:
    report = read(status="OK", payload=None, payload_error="Response payload is not JSON serializable.")
    assert (report.outcome, report.incomplete, report.outputs) == (Outcome.SUCCEEDED, True, ())


def test_a_failure_counts_at_once() -> None:
    report = failed([{"type": "content_policy_violation", "msg": "Flagged"}])
    assert (report.outcome, report.incomplete) == (Outcome.FAILED, False)
    assert report.message == "Flagged"


def test_the_job_is_the_request_and_not_the_last_try_at_it() -> None:
    assert read(status="OK").provider_job_id == JOB


@pytest.mark.parametrize("status", ["IN_QUEUE", "ok", "COMPLETED", "", "ERROR ", None, 7, {}, ["OK"]])
def test_a_status_that_ends_nothing_changes_nothing(status: object) -> None:
    report = read(status=status, payload={"images": [FILE], "detail": "x"}, error="x")
    assert (report.outcome, report.error_class, report.outputs) == (Outcome.PENDING, None, ())


@pytest.mark.parametrize(
    ("detail", "more", "error_class"),
    [
        ([{"type": "content_policy_violation", "msg": "x"}], {}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ([{"type": "generation_timeout", "msg": "x"}], {}, ErrorClass.TIMEOUT),
        ([{"type": "internal_server_error", "msg": "x"}], {}, ErrorClass.INTERNAL_ERROR),
        ([{"type": "downstream_service_unavailable", "msg": "x"}], {}, ErrorClass.PROVIDER_UNAVAILABLE),
        ([{"type": "image_too_small", "msg": "The image timed out"}], {}, ErrorClass.INVALID_INPUT),
        ([{"type": "no_such_type", "msg": "NSFW"}], {}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ([{"type": "missing"}, {"type": "content_policy_violation"}], {}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ("Request timed out", {"error_type": "request_timeout"}, ErrorClass.TIMEOUT),
        ("x", {"error_type": "runner_disconnected"}, ErrorClass.PROVIDER_UNAVAILABLE),
        ("User is locked. Reason: Exhausted balance.", {}, ErrorClass.PROVIDER_ACCOUNT),
        ("x", {"error_type": ["request_timeout"]}, ErrorClass.UNKNOWN_ERROR),
        ({"type": "content_policy_violation"}, {}, ErrorClass.UNKNOWN_ERROR),
        (None, {}, ErrorClass.UNKNOWN_ERROR),
        (None, {"status": 422}, ErrorClass.INVALID_INPUT),
        (None, {"status": 500}, ErrorClass.INTERNAL_ERROR),
        (None, {"status": 503}, ErrorClass.PROVIDER_UNAVAILABLE),
        (None, {"status": 504}, ErrorClass.TIMEOUT),
    ],
)
def test_a_failure_is_classified_by_its_type_then_by_its_text_then_by_its_status(
    detail: Any, more: dict[str, Any], error_class: ErrorClass
) -> None:
    report = failed(detail, error=f"Invalid status code: {more.pop('status', 418)}", **more)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert report.message


def test_only_owner_and_app_of_a_model_stand_in_the_address_that_is_asked(loopback: Loopback) -> None:
    provider = make("fal", base_url=loopback.url)
    apps = {"fal-ai/flux/dev": "fal-ai/flux", "fal-ai/flux": "fal-ai/flux", "a/b/c/d": "a/b"}
    for model, app in {
        **apps,
        "workflows/me/flow": "workflows/me/flow",
        "comfy/me/flow/x": "comfy/me/flow",
    }.items():
        loopback.first = [COMPLETED, (200, json.dumps({"images": [FILE]}).encode())]
        loopback.requests.clear()
        assert provider.fetch(JOB, model).outcome == Outcome.SUCCEEDED
        paths = [request.path for request in loopback.requests]
        assert paths == [f"/{app}/requests/{JOB}/status", f"/{app}/requests/{JOB}"]


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS", "CANCELLED", "completed", ""])
def test_before_its_end_a_jobs_result_is_not_asked_for(status: str, loopback: Loopback) -> None:
    loopback.answer = (202, json.dumps({"status": status, "request_id": JOB}).encode())
    report = make("fal", base_url=loopback.url).fetch(JOB, MODEL)
    assert (report.outcome, report.status, len(loopback.requests)) == (Outcome.PENDING, status, 1)


@pytest.mark.parametrize(
    ("header", "quantity"),
    [
        ("2", "2"),
        ("3.008", "3.008"),
        ("1.048576", "1.049"),
        ("0", "0"),
        ("1e3", "1000"),
        (None, None),
        ("", None),
        ("many", None),
        ("-1", None),
        ("NaN", None),
        ("Infinity", None),
        ("9" * 12, None),
        ("0.0001", None),
    ],
)
def test_what_was_billed_stands_in_the_header_of_the_result(
    header: str | None, quantity: str | None, loopback: Loopback
) -> None:
    headers = {} if header is None else {"X-Fal-Billable-Units": header}
    report = ask(loopback, 200, {"images": [FILE]}, headers)
    assert (report.outcome, report.outputs, report.incomplete) == (Outcome.SUCCEEDED, (FILE["url"],), False)
    assert report.usage == (None if quantity is None else Units("unit", Decimal(quantity)))


def test_a_failed_job_is_known_by_its_result(loopback: Loopback) -> None:
    refused, new = [{"type": "content_policy_violation", "msg": "x"}], {"detail": "x", "error_type": "new_type"}
    for status, body, headers, error_class in (
        (422, {"detail": refused}, {}, ErrorClass.CONTENT_POLICY_VIOLATION),
        (422, {"detail": [{"type": "no_such_type", "msg": "x"}]}, {}, ErrorClass.INVALID_INPUT),
        (500, {"detail": [{"type": "internal_server_error", "msg": "x"}]}, {}, ErrorClass.INTERNAL_ERROR),
        (504, {"detail": "x", "error_type": "startup_timeout"}, {}, ErrorClass.TIMEOUT),
        (500, new, {"X-Fal-Retryable": "true"}, ErrorClass.PROVIDER_UNAVAILABLE),
        (500, new, {"X-Fal-Retryable": "false"}, ErrorClass.INTERNAL_ERROR),
        (599, new, {}, ErrorClass.UNKNOWN_ERROR),
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, {}, ErrorClass.PROVIDER_ACCOUNT),
    ):
        report = ask(loopback, status, body, headers)
        assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class), body
        assert report.message


def test_a_server_error_is_never_charged_and_any_other_may_be(loopback: Loopback) -> None:
    """https://fal.ai/docs/documentation/model-apis/faq"""
    for status, micros in ((500, 0), (503, 0), (504, 0), (422, None), (400, None)):
        assert failed("x", error=f"Invalid status code: {status}").cost_micros == micros
        detail = {"detail": [{"type": "no_media_generated", "msg": "x"}]}
        report = ask(loopback, status, detail, {"X-Fal-Billable-Units": "1.5"})
        assert (report.outcome, report.cost_micros) == (Outcome.FAILED, micros)
        assert report.usage == Units("unit", Decimal("1.5"))
    assert failed("x", error="Worker 17 gave up").cost_micros is None


def test_a_status_may_say_itself_that_the_job_failed(loopback: Loopback) -> None:
    told = {"status": "COMPLETED", "request_id": JOB, "error": "It timed out", "error_type": "request_timeout"}
    loopback.first = [(200, json.dumps(told).encode()), (500, b"{}")]
    report = make("fal", base_url=loopback.url).fetch(JOB, MODEL)
    assert (report.outcome, report.error_class, report.message) == (
        Outcome.FAILED,
        ErrorClass.TIMEOUT,
        "It timed out",
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"detail": "Authentication is required"}),
        (403, {"detail": "You may not do that"}),
        (404, {"detail": "Not found"}),
        (429, {"detail": "Too many requests"}),
        (500, {"detail": "Internal Server Error"}),
        (502, {}),
        (202, {"status": "IN_PROGRESS"}),
    ],
)
def test_a_result_that_is_only_not_to_be_had_now_is_no_failure_of_the_job(
    status: int, body: dict[str, Any], loopback: Loopback
) -> None:
    with pytest.raises(FetchFailed):
        ask(loopback, status, body)


def test_a_job_is_gone_only_when_its_status_says_so(loopback: Loopback) -> None:
    provider = make("fal", base_url=loopback.url)
    for status, error in (
        (404, JobGone),
        (401, FetchFailed),
        (403, FetchFailed),
        (429, FetchFailed),
        (500, FetchFailed),
    ):
        loopback.answer = (status, json.dumps({"detail": "x"}).encode())
        with pytest.raises(error):
            provider.fetch(JOB, MODEL)


@pytest.mark.parametrize(
    "model", ["", "flux", "/flux/dev", "fal-ai/", "a/../b", "a//b", "a/b?c=d", "a/b#", "a b/c", "é/b"]
)
def test_a_model_that_is_no_path_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    provider = make("fal", base_url=loopback.url)
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(dataclasses.replace(job_for("fal"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, model)
    assert loopback.requests == []


def test_results_inside_the_answer_are_refused(loopback: Loopback) -> None:
    provider = make("fal", base_url=loopback.url)
    with pytest.raises(SubmitRefused, match="sync_mode") as raised:
        provider.submit(job_for("fal", sync_mode=True))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []
    loopback.answer = (200, json.dumps({"request_id": JOB}).encode())
    assert provider.submit(job_for("fal", sync_mode=False)).provider_job_id == JOB


def test_the_balance_is_shown_to_a_key_that_may_ask_for_it(loopback: Loopback) -> None:
    provider = make("fal", base_url=loopback.url)
    credits = {"current_balance": 24.5, "currency": "USD"}
    loopback.answer = (200, json.dumps({"username": "u", "credits": credits}).encode())
    assert provider.account() == Account(Decimal("24.5"), "USD", usd_micros=24_500_000)
    loopback.answer = (200, json.dumps({"credits": {**credits, "currency": "EUR"}}).encode())
    assert provider.account() == Account(Decimal("24.5"), "EUR")
    for status in (401, 403):
        loopback.answer = (status, json.dumps({"error": {"message": "Admin API key required"}}).encode())
        assert provider.account() is None
    loopback.answer = (200, json.dumps({"username": "u"}).encode())
    with pytest.raises(FetchFailed):
        provider.account()
    assert loopback.requests[0].path == "/v1/account/billing?expand=credits"
