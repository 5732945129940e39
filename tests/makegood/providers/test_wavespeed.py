"""What is WaveSpeed's own: its addresses, its units, its statuses, its signature."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from makegood.providers.protocol import (
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Job,
    JobGone,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from makegood.providers.signatures import sign_v3, verify_v3
from tests.loopback import Loopback
from tests.samples import CLOCK, SAMPLES, job_for, make, part_of

NOW = datetime.fromtimestamp(CLOCK, UTC)
SECRET = part_of("wavespeed", "callback")["webhook_secret"]
JOB = "7c1f0e5b9a3d4c6f8b2e1a0d9c8b7a65"


def read(**prediction: Any) -> Report:
    """The report of a signed callback."""
    body = json.dumps({"id": JOB, "status": "completed", "outputs": [], **prediction}).encode()
    return make("wavespeed").parse_callback(signed(body), body, NOW, "token")


def signed(body: bytes, webhook_id: str = JOB) -> dict[str, str]:
    """Headers that prove the body."""
    stamp = str(int(NOW.timestamp()))
    signature = sign_v3(SECRET, webhook_id, stamp, body)
    return {"webhook-id": webhook_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def test_the_signature_is_the_documented_recipe() -> None:
    """The text after "whsec_" is the key as it stands; base64-decoding it would give another signature."""
    name = "wavespeed_docs_vector_NOT_VERIFYING"
    meta = json.loads((SAMPLES / f"{name}.headers.json").read_text())["meta"]
    body = (SAMPLES / f"{name}.json").read_bytes()
    signature = sign_v3(meta["secret"], "45b392b22c3b449fa935bd4dc", "1758798328", body)
    assert signature == meta["correct_signature_for_this_body_and_secret_1758798328"]


def test_the_published_examples_do_not_verify() -> None:
    """Neither does, with the published secret, in any reading of the recipe."""
    name = "wavespeed_docs_vector_NOT_VERIFYING"
    recorded = json.loads((SAMPLES / f"{name}.headers.json").read_text())
    body = (SAMPLES / f"{name}.json").read_bytes()
    adapter = make("wavespeed", webhook_secret=recorded["meta"]["secret"])
    first = {key.lower(): value for key, value in recorded["headers"].items()}
    for headers in (first, {**first, **recorded["meta"]["second_published_vector"]}):
        then = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        with pytest.raises(CallbackRejected, match="signature"):
            adapter.parse_callback(headers, body, then, "token")


def test_a_simulated_provider_without_an_address_takes_no_job() -> None:
    provider = make("simulated", base_url=None)
    assert not provider.configured
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(job_for("simulated"))
    assert raised.value.error_class == ErrorClass.PROVIDER_UNAVAILABLE
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")


def test_a_secret_can_be_replaced_while_callbacks_are_on_their_way() -> None:
    for secrets in (f"whsec_new,{SECRET}", f"{SECRET}, whsec_new", f" {SECRET} "):
        assert verify_v3(secrets, signed(b"{}"), b"{}", NOW) == JOB
    with pytest.raises(CallbackRejected):
        verify_v3("whsec_new,whsec_newer", signed(b"{}"), b"{}", NOW)


@pytest.mark.parametrize("webhook_id", ["", "x" * 201, "a b", "é", "a\n"])
def test_a_delivery_id_that_is_none_is_rejected_even_when_signed(webhook_id: str) -> None:
    with pytest.raises(CallbackRejected, match="webhook-id"):
        verify_v3(SECRET, signed(b"{}", webhook_id), b"{}", NOW)


@pytest.mark.parametrize(
    "stamp",
    [
        "-1795251600",
        "+1795251600",
        "1795251600.0",
        " 1795251600",
        "1_795_251_600",
        "１７９５２５１６００",
        "9" * 13,
    ],
)
def test_a_timestamp_is_digits_and_nothing_else(stamp: str) -> None:
    headers = {**signed(b"{}"), "webhook-timestamp": stamp}
    headers["webhook-signature"] = sign_v3(SECRET, JOB, stamp, b"{}")
    with pytest.raises(CallbackRejected, match="webhook-timestamp"):
        verify_v3(SECRET, headers, b"{}", NOW)


def test_a_second_callback_of_another_status_is_another_delivery() -> None:
    """The id in the header may be the job's: the end must not look like a copy of an earlier message."""
    assert read(status="processing").delivery != read(status="completed").delivery
    assert read(status="completed").delivery == read(status="completed", executionTime=1).delivery


@pytest.mark.parametrize("status", ["created", "processing", "queued", "COMPLETED", "", "failed ", None, 7, {}])
def test_a_status_that_ends_nothing_changes_nothing(status: object) -> None:
    report = read(status=status, error="Sync mode timed out", code=5004)
    assert report.outcome == Outcome.PENDING
    assert report.error_class is None


@pytest.mark.parametrize(
    ("fields", "error_class"),
    [
        ({"code": 1200, "error": "The request timed out."}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"code": "5004", "error": ""}, ErrorClass.TIMEOUT),
        ({"code": 5003, "error": None}, ErrorClass.PROVIDER_UNAVAILABLE),
        ({"error": "NSFW content detected"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"error": "Insufficient credits. Please top up"}, ErrorClass.PROVIDER_ACCOUNT),
        ({"error": "Failed to fetch the image"}, ErrorClass.INVALID_INPUT),
        ({"code": True, "error": "?"}, ErrorClass.UNKNOWN_ERROR),
        ({"code": [1200], "error": ["nsfw"]}, ErrorClass.UNKNOWN_ERROR),
        ({}, ErrorClass.UNKNOWN_ERROR),
    ],
)
def test_a_failure_is_classified_by_code_then_text_then_not_at_all(
    fields: dict[str, Any], error_class: ErrorClass
) -> None:
    report = read(status="failed", **fields)
    assert report.outcome == Outcome.FAILED
    assert report.error_class == error_class
    assert report.message


@pytest.mark.parametrize("status", ["cancelled", "deleted", "timeout"])
def test_the_other_ends_of_a_job_are_failures(status: str) -> None:
    report = read(status=status)
    assert report.outcome == Outcome.FAILED
    assert report.message == f"The provider ended the job as {status}."


def test_only_links_are_outputs() -> None:
    good = "https://cdn.example.com/a.png"
    bad = [
        None,
        7,
        "",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "ftp://x/y",
        "https://",
        "http://a b/",
        "//x/y",
    ]
    bad += ["https://[", "https://x/\n", "https://x/\x7f", "https://x/" + "a" * 2000]
    assert read(outputs=[*bad, good]).outputs == (good,)
    assert read(outputs=good).outputs == (good,)
    assert read(outputs={"a": good}).outputs == ()
    assert len(read(outputs=[good] * 60).outputs) == 50


def test_a_message_is_one_readable_line() -> None:
    report = read(status="failed", error="a\x00b\r\n\tc\u202ed\ud800" + "x" * 10_000)
    assert report.message is not None
    assert report.message.startswith("a b c d x")
    assert len(report.message) == 500
    report.message.encode()


@pytest.mark.parametrize("job_id", [None, 7, "", "a/b", "../x", "x" * 201, "a\0", ["a"]])
def test_a_signed_callback_without_a_job_is_rejected(job_id: object) -> None:
    with pytest.raises(CallbackRejected, match="names no job"):
        read(id=job_id)


def test_a_signed_body_that_is_not_json_is_rejected() -> None:
    for body in (b"", b"x", b"[" * 5000, b'{"id":"a","id":"b"}', b"\xff", b"[]", b"null"):
        with pytest.raises(CallbackRejected):
            make("wavespeed").parse_callback(signed(body), body, NOW, "token")


def test_the_callback_address_is_a_query_parameter_and_the_body_is_the_input(loopback: Loopback) -> None:
    with pytest.raises(SubmitUnknown):
        make("wavespeed", base_url=loopback.url).submit(job_for("wavespeed", images=["https://x/y.png"]))
    [request] = loopback.requests
    webhook = "https%3A%2F%2Fmakegood.example.com%2Fcallbacks%2Fp%2Fsecret-token%3Fa%3Db%26c%3Dd%20e"
    assert request.path == f"/api/v3/google/nano-banana/edit?webhook={webhook}"
    assert json.loads(request.body) == {"prompt": "a red mug", "images": ["https://x/y.png"]}


@pytest.mark.parametrize(
    "model", ["", "/", "../balance", "a/../b", "a//b", "a/", "a?b=c", "a#b", "a b", "é", "%2e", "x" * 201]
)
def test_a_model_that_is_no_path_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("wavespeed"), model=model)
    _refused(make("wavespeed", base_url=loopback.url), job)
    assert loopback.requests == []


@pytest.mark.parametrize("option", ["enable_sync_mode", "enable_base64_output"])
def test_waiting_for_the_result_in_the_submit_is_refused(option: str, loopback: Loopback) -> None:
    provider = make("wavespeed", base_url=loopback.url)
    _refused(provider, job_for("wavespeed", **{option: True}))
    assert loopback.requests == []
    loopback.answer = (200, json.dumps({"code": 200, "data": {"id": JOB}}).encode())
    assert provider.submit(job_for("wavespeed", **{option: False})).provider_job_id == JOB


def test_a_job_is_gone_only_when_the_provider_itself_says_so(loopback: Loopback) -> None:
    provider = make("wavespeed", base_url=loopback.url)
    for status, code, error in (
        (404, 404, JobGone),
        (200, 404, JobGone),
        (401, 401, FetchFailed),
        (200, 402, FetchFailed),
        (429, 429, FetchFailed),
        (503, 404, FetchFailed),
        (200, 200, FetchFailed),
    ):
        loopback.answer = (status, json.dumps({"code": code, "message": "?"}).encode())
        with pytest.raises(error):
            provider.fetch(JOB, "m")
    loopback.answer = (404, b"<html>not found</html>")
    with pytest.raises(FetchFailed):
        provider.fetch(JOB, "m")
    assert loopback.requests[0].path == f"/api/v3/predictions/{JOB}/result"


@pytest.mark.parametrize(
    ("model", "input", "quantity"),
    [
        ("google/nano-banana/edit", {}, 1),
        ("google/nano-banana/edit", {"max_images": 4}, 1),
        ("bytedance/seedream-v4/sequential", {"max_images": 4}, 4),
        ("bytedance/seedream-v4/edit-sequential", {"max_images": "3"}, 3),
        ("bytedance/seedream-v4/sequential", {}, 1),
        ("bytedance/seedream-v4/sequential", {"max_images": 0}, 1),
        ("bytedance/seedream-v4/sequential", {"max_images": -5}, 1),
        ("bytedance/seedream-v4/sequential", {"max_images": 10**15}, 100),
        ("bytedance/seedream-v4/sequential", {"max_images": True}, 1),
        ("bytedance/seedream-v4/sequential", {"max_images": [2]}, 1),
    ],
)
def test_units_are_images(model: str, input: dict[str, Any], quantity: int) -> None:
    assert make("wavespeed").units(model, input) == Units("image", quantity)


def _refused(provider: Any, job: Job) -> None:
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(job)
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
