"""What is Newport's own: many endpoints, one address to ask, numbers for statuses, no callbacks."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from makegood.providers import registry
from makegood.providers.newport import ENDPOINTS
from makegood.providers.protocol import (
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    File,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from tests.loopback import Loopback
from tests.samples import job_for, lost_for, make

TASK = "aa4bf173ffd84c2f8734d536d6a7b5a7"
LINK = "https://results.example.com/x.mp4"


def fetch(loopback: Loopback, data: Any = None, **task: Any) -> Report:
    """What is made of an answer about the task."""
    answer = {"code": 0, "data": {"task": {"taskId": TASK, **task}, **(data or {})}}
    loopback.answer = (200, json.dumps(answer).encode())
    return make("newport", base_url=loopback.url).fetch(TASK, "lipsync")


def refused(loopback: Loopback, **envelope: Any) -> SubmitRefused:
    """How a submit is refused that is answered so."""
    loopback.answer = (200, json.dumps(envelope).encode())
    with pytest.raises(SubmitRefused) as raised:
        make("newport", base_url=loopback.url).submit(job_for("newport"))
    return raised.value


@pytest.mark.parametrize("model", sorted(ENDPOINTS))
def test_the_model_is_the_endpoint(model: str, loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("newport"), model=model)
    with pytest.raises(SubmitUnknown):
        make("newport", base_url=loopback.url).submit(job)
    [request] = loopback.requests
    assert (request.method, request.path) == ("POST", f"/api/async/{model}")
    assert json.loads(request.body) == job.input


@pytest.mark.parametrize("model", ["", "lipsync/3.0", "/lipsync", "../getAsyncResult", "lipsync?x", "LIPSYNC"])
def test_a_model_that_does_not_exist_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    with pytest.raises(SubmitRefused, match="no such model") as raised:
        make("newport", base_url=loopback.url).submit(dataclasses.replace(job_for("newport"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


def test_a_task_is_asked_for_with_its_id_in_the_body(loopback: Loopback) -> None:
    assert fetch(loopback, status=2).outcome == Outcome.PENDING
    [request] = loopback.requests
    assert (request.method, request.path) == ("POST", "/api/getAsyncResult")
    assert json.loads(request.body) == {"taskId": TASK}


def test_links_of_every_kind_are_outputs(loopback: Loopback) -> None:
    results = {
        "videos": [{"videoUrl": LINK}, {"videoUrl": None}, 7],
        "images": [{"imageUrl": f"{LINK}?i"}, {"videoUrl": LINK}],
        "audios": {"audioUrl": LINK},
    }
    assert fetch(loopback, results, status=3).outputs == (LINK, f"{LINK}?i")
    assert fetch(loopback, {"audios": [{"audioUrl": LINK}]}, status="3").outputs == (LINK,)


def test_the_id_of_a_cloned_voice_is_handed_over_as_a_file(loopback: Loopback) -> None:
    report = fetch(loopback, {"cloneId": "fe82a0faf1444f93bd7f49a4ba745b63"}, status=3)
    assert report.files == (File("application/json", b'{"cloneId": "fe82a0faf1444f93bd7f49a4ba745b63"}'),)
    for nothing in (None, "", 7, "a b"):
        assert fetch(loopback, {"cloneId": nothing}, status=3).files == ()


@pytest.mark.parametrize(
    ("expire", "at"),
    [
        (1795338000000, datetime(2026, 11, 22, 9, tzinfo=UTC)),
        (0, None),
        (None, None),
        (-5, None),
        (2**62, None),
        ("soon", None),
        (True, None),
    ],
)
def test_the_answer_says_when_the_links_die(expire: object, at: datetime | None, loopback: Loopback) -> None:
    assert fetch(loopback, status=3, expire=expire).outputs_expire_at == at


@pytest.mark.parametrize(
    ("task", "error_class"),
    [
        ({}, ErrorClass.GENERATION_FAILED),
        ({"reason": "no face detected in the image"}, ErrorClass.GENERATION_FAILED),
        ({"reason": "Content policy violation"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"reason": "something", "errorCode": 10192}, ErrorClass.INVALID_INPUT),
        ({"reason": "something", "errorCode": 19999}, ErrorClass.UNKNOWN_ERROR),
        ({"reason": ["nsfw"], "errorCode": [10192]}, ErrorClass.GENERATION_FAILED),
    ],
)
def test_a_failure_is_classified_by_its_code_then_its_reason(
    task: dict[str, Any], error_class: ErrorClass, loopback: Loopback
) -> None:
    report = fetch(loopback, status=4, **task)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert report.message


def test_what_a_failed_task_was_billed_is_told_too(loopback: Loopback) -> None:
    assert fetch(loopback, status=4, creditsConsumed=12).usage == Units("credit", Decimal(12))
    for nothing in (None, -1, "x", True):
        assert fetch(loopback, status=4, creditsConsumed=nothing).usage is None


@pytest.mark.parametrize(
    ("envelope", "error_class"),
    [
        ({"code": 13005, "message": "key is blank"}, ErrorClass.PROVIDER_ACCOUNT),
        ({"code": 13006, "message": "key is invalid"}, ErrorClass.PROVIDER_ACCOUNT),
        ({"code": 13007, "message": "key prefix is wrong"}, ErrorClass.PROVIDER_ACCOUNT),
        ({"code": 10192, "message": "illegal parameter"}, ErrorClass.INVALID_INPUT),
        ({"code": 10192, "message": "flagged as sensitive"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        ({"code": 14001, "message": "Insufficient credits"}, ErrorClass.PROVIDER_ACCOUNT),
        ({"code": 14001, "message": "?"}, ErrorClass.UNKNOWN_ERROR),
        ({"code": 429, "message": "?"}, ErrorClass.PROVIDER_UNAVAILABLE),
    ],
)
def test_every_code_but_0_is_a_refusal(
    envelope: dict[str, Any], error_class: ErrorClass, loopback: Loopback
) -> None:
    assert refused(loopback, **envelope, data=None).error_class == error_class


@pytest.mark.parametrize(
    "envelope",
    [
        {"code": 0, "data": None},
        {"code": 0, "data": {"taskId": ""}},
        {"code": 500, "message": "insufficient credits"},
        {"code": 14001, "data": {"taskId": TASK}},
        {"code": -1},
        {"data": {"taskId": TASK}},
    ],
)
def test_an_answer_that_leaves_it_open_is_no_refusal(envelope: dict[str, Any], loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps(envelope).encode())
    with pytest.raises(SubmitUnknown):
        make("newport", base_url=loopback.url).submit(job_for("newport"))


@pytest.mark.parametrize(
    ("model", "input", "quantity"),
    [
        ("dreamvideo_3.0/text_to_video", {"duration": 7, "resolution": "480P"}, 14),
        ("dreamvideo_3.0/text_to_video", {"duration": "7"}, 28),
        ("dreamvideo_3.0/image_to_video", {}, 20),
        ("dreamvideo_3.0/image_to_video", {"duration": 16}, None),
        ("dreamvideo_3.0/image_to_video", {"duration": None}, None),
        ("dreamvideo_3.0/image_to_video", {"resolution": "4K"}, None),
        ("dreamvideo_3.0/image_to_video", {"resolution": ["480P"]}, None),
        ("lipsync", {"duration": 7}, None),
        ("talking_face", {}, None),
    ],
)
def test_units_are_credits_where_the_input_says_for_how_long(
    model: str, input: dict[str, Any], quantity: int | None
) -> None:
    assert make("newport").units(model, input) == Units("credit", quantity)


def test_nobody_is_called_back_and_so_it_is_polled() -> None:
    provider = make("newport")
    with pytest.raises(CallbackRejected, match="nobody back"):
        provider.parse_callback({}, b"{}", datetime.now(UTC), "token")
    assert not provider.signed
    assert registry.POLLED["newport"].total_seconds() == 10


def test_every_polled_provider_is_one_that_calls_nobody_back() -> None:
    for name in registry.POLLED:
        with pytest.raises(CallbackRejected):
            make(name).parse_callback({}, b"{}", datetime.now(UTC), "token")


def test_a_lost_task_cannot_be_found(loopback: Loopback) -> None:
    assert make("newport", base_url=loopback.url).find(lost_for("newport")) is None
    assert loopback.requests == []


@pytest.mark.parametrize("data", [{"credits": "150.5"}, {"credits": 150.5}, 150.5])
def test_the_credits_that_are_left_can_be_asked_for(data: object, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 0, "data": data}).encode())
    assert make("newport", base_url=loopback.url).account() == Account(Decimal("150.5"), "credits")
    assert (loopback.requests[0].method, loopback.requests[0].path) == ("GET", "/api/user/available_credits")


@pytest.mark.parametrize("data", [None, {}, {"credits": None}, {"credits": True}, [], "x"])
def test_credits_that_are_no_number_are_unknown(data: object, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"code": 0, "data": data}).encode())
    with pytest.raises(FetchFailed):
        make("newport", base_url=loopback.url).account()
