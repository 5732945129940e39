"""What is NanoBanana's own: three endpoints, two callback formats, a verdict in the body."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from makegood.providers.protocol import (
    CallbackRejected,
    ErrorClass,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from tests.loopback import Loopback
from tests.samples import job_for, make

TASK = "31ce2c17b257492959d62279e6d01a54"


def read(value: Any) -> Report:
    """The report of a callback."""
    return make("nanobanana").parse_callback({}, json.dumps(value).encode(), datetime.now(UTC), "token")


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [("nano-banana", "generate"), ("nano-banana-2", "generate-2"), ("nano-banana-pro", "generate-pro")],
)
def test_the_model_chooses_the_endpoint(model: str, endpoint: str, loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("nanobanana", callBackUrl="https://evil.example.com"), model=model)
    with pytest.raises(SubmitUnknown):
        make("nanobanana", base_url=loopback.url).submit(job)
    [request] = loopback.requests
    assert request.path == f"/api/v1/nanobanana/{endpoint}"
    assert json.loads(request.body)["callBackUrl"] == job.callback_url


def test_a_model_that_does_not_exist_is_refused_without_being_sent(loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("nanobanana"), model="nano-banana-9")
    with pytest.raises(SubmitRefused) as raised:
        make("nanobanana", base_url=loopback.url).submit(job)
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


@pytest.mark.parametrize(
    ("input", "type"),
    [
        ({}, "TEXTTOIAMGE"),
        ({"imageUrls": ["https://x/y.png"]}, "IMAGETOIAMGE"),
        ({"imageUrls": []}, "TEXTTOIAMGE"),
        ({"type": "IMAGETOIAMGE"}, "IMAGETOIAMGE"),
    ],
)
def test_the_first_model_needs_a_type(input: dict[str, Any], type: str, loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("nanobanana", **input), model="nano-banana")
    with pytest.raises(SubmitUnknown):
        make("nanobanana", base_url=loopback.url).submit(job)
    assert json.loads(loopback.requests[0].body)["type"] == type


@pytest.mark.parametrize(
    ("model", "input", "units"),
    [
        ("nano-banana", {}, Units("image", 1)),
        ("nano-banana", {"numImages": 3}, Units("image", 3)),
        ("nano-banana", {"numImages": 99}, Units("image", 4)),
        ("nano-banana", {"numImages": "x"}, Units("image", 1)),
        ("nano-banana-2", {}, Units("image", 1, "1K")),
        ("nano-banana-2", {"resolution": "2K", "numImages": 3}, Units("image", 1, "2K")),
        ("nano-banana-pro", {"resolution": "4K"}, Units("image", 1, "4K")),
        ("nano-banana-pro", {"resolution": ["4K"]}, Units("image", 1, "1K")),
    ],
)
def test_units_depend_on_the_model(model: str, input: dict[str, Any], units: Units) -> None:
    assert make("nanobanana").units(model, input) == units


def test_the_flag_is_the_verdict_where_there_is_one() -> None:
    data = {"taskId": TASK, "errorCode": 400, "errorMessage": "flagged"}
    assert read({"code": 200, "data": {**data, "successFlag": 3}}).error_class == "content_policy_violation"
    assert read({"code": 500, "data": {**data, "successFlag": 1}}).outcome == Outcome.SUCCEEDED
    assert read({"code": 200, "data": {**data, "successFlag": 0}}).outcome == Outcome.PENDING
    for flag in (None, True, 1.0, "x", [1], -1):
        assert read({"code": 200, "data": {**data, "successFlag": flag}}).outcome == Outcome.PENDING


@pytest.mark.parametrize("code", [None, True, "x", 199, 402, 999, [200]])
def test_a_code_without_a_meaning_changes_nothing(code: object) -> None:
    assert read({"code": code, "data": {"taskId": TASK}}).outcome == Outcome.PENDING


@pytest.mark.parametrize(
    "value", [None, [], {}, {"data": None}, {"data": {"taskId": "../x"}}, {"data": {"taskId": 7}}]
)
def test_a_callback_without_a_task_is_rejected(value: object) -> None:
    with pytest.raises(CallbackRejected):
        read(value)


def test_a_failure_without_code_and_text_is_a_failed_generation() -> None:
    report = read({"code": 200, "data": {"taskId": TASK, "successFlag": 2, "errorCode": 0, "errorMessage": ""}})
    assert report.error_class == ErrorClass.GENERATION_FAILED
    assert report.message == "The provider ended the task with successFlag 2."


def test_a_task_is_asked_for_by_its_id(loopback: Loopback) -> None:
    data = {"taskId": TASK, "successFlag": 1, "response": {"resultImageUrl": "https://x.example.com/1.png"}}
    loopback.answer = (200, json.dumps({"code": 200, "data": data}).encode())
    report = make("nanobanana", base_url=loopback.url).fetch(TASK, "nano-banana-2")
    assert report.outputs == ("https://x.example.com/1.png",)
    assert loopback.requests[0].path == f"/api/v1/nanobanana/record-info?taskId={TASK}"
