"""What is Luma's own: its endpoints and tiers, its reasons, its list of generations."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from makegood.ids import hash_token
from makegood.providers.luma import ENDPOINTS
from makegood.providers.protocol import (
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    JobGone,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from tests.loopback import Loopback
from tests.samples import CLOCK, TOKEN, job_for, lost_for, make

JOB = "d1ad97c4-9d8f-4e3a-9c2e-3b8c0b9b1e2a"
NOW = datetime.fromtimestamp(CLOCK, UTC)
ADDRESS = f"https://makegood.example.com/callbacks/luma/{TOKEN}"


def read(**generation: Any) -> Report:
    """The report of a callback."""
    body = json.dumps({"id": JOB, "state": "completed", "assets": None, **generation}).encode()
    return make("luma").parse_callback({}, body, NOW, TOKEN)


def submitted(loopback: Loopback, model: str, **input: Any) -> tuple[str, dict[str, Any]]:
    """Where a submit goes, and what it says."""
    job = dataclasses.replace(job_for("luma"), model=model, input={"prompt": "a red mug", **input})
    with pytest.raises(SubmitUnknown):
        make("luma", base_url=loopback.url).submit(job)
    return loopback.requests[-1].path, json.loads(loopback.requests[-1].body)


@pytest.mark.parametrize("model", ENDPOINTS)
def test_the_model_chooses_endpoint_and_kind(model: str, loopback: Loopback) -> None:
    name, _, operation = model.partition("/")
    medium = "image" if name.startswith("photon") else "video"
    path, body = submitted(
        loopback, model, generation_type="upscale_video", callback_url="https://evil.example.com"
    )
    assert path == "/dream-machine/v1/generations/" + "/".join(filter(None, [medium, operation]))
    assert body["model"] == name
    assert body["generation_type"] == (f"{operation}_{medium}" if operation else medium)
    assert body["callback_url"] == job_for("luma").callback_url


@pytest.mark.parametrize("model", ["", "ray-3", "ray-2/", "photon-1/modify", "../credits", "upscale"])
def test_a_model_that_does_not_exist_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    job = dataclasses.replace(job_for("luma"), model=model)
    with pytest.raises(SubmitRefused) as raised:
        make("luma", base_url=loopback.url).submit(job)
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


def test_waiting_for_the_result_in_the_submit_is_refused(loopback: Loopback) -> None:
    with pytest.raises(SubmitRefused, match="sync"):
        make("luma", base_url=loopback.url).submit(job_for("luma", sync=True))
    assert loopback.requests == []


@pytest.mark.parametrize(
    ("input", "tier"),
    [
        ({}, ("720p", "5s")),
        ({"resolution": "1080p"}, ("1080p", "5s")),
        ({"duration": "9s", "resolution": "540p"}, ("540p", "9s")),
        ({"duration": 9, "resolution": None}, ("720p", "5s")),
    ],
)
def test_the_tier_that_is_booked_is_the_one_that_is_sent(
    input: dict[str, Any], tier: tuple[str, str], loopback: Loopback
) -> None:
    assert make("luma").units("ray-2", input) == Units("run", 1, " ".join(tier))
    _, body = submitted(loopback, "ray-2", **input)
    assert (body["resolution"], body["duration"]) == tier


@pytest.mark.parametrize(
    ("model", "units"),
    [
        ("ray-1-6", Units("run", 1)),
        ("ray-2/modify", Units("run", 1)),
        ("photon-1", Units("image", 1)),
        ("photon-flash-1/reframe", Units("image", 1)),
    ],
)
def test_other_models_have_no_tiers(model: str, units: Units, loopback: Loopback) -> None:
    assert make("luma").units(model, {"resolution": "4k"}) == units
    assert "duration" not in submitted(loopback, model)[1]


@pytest.mark.parametrize(
    ("reason", "error_class"),
    [
        ("CONTAINS BLACKLISTED WORDS", ErrorClass.CONTENT_POLICY_VIOLATION),
        ("Frame moderation failed: frame0", ErrorClass.CONTENT_POLICY_VIOLATION),
        ("Error dispatching job", ErrorClass.INTERNAL_ERROR),
        ("Error processing callback", ErrorClass.INTERNAL_ERROR),
        ("The request timed out", ErrorClass.TIMEOUT),
        ("", ErrorClass.GENERATION_FAILED),
        (["x"], ErrorClass.GENERATION_FAILED),
        ("?", ErrorClass.UNKNOWN_ERROR),
    ],
)
def test_a_failure_is_classified_by_its_reason(reason: object, error_class: ErrorClass) -> None:
    report = read(state="failed", failure_reason=reason)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)


def test_a_video_is_the_result_and_not_its_picture() -> None:
    video, picture = "https://x.example.com/1.mp4", "https://x.example.com/1.jpg"
    assert read(assets={"image": picture, "video": video, "progress_video": picture}).outputs == (video,)
    assert read(assets={"image": picture, "video": None}).outputs == (picture,)
    assert read(assets={"video": "file:///etc/passwd"}).outputs == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": null}', b'{"id": "../x", "state": "completed"}'])
def test_a_callback_without_a_generation_is_rejected(body: bytes) -> None:
    with pytest.raises(CallbackRejected):
        make("luma").parse_callback({}, body, NOW, TOKEN)


def test_a_generation_is_gone_only_when_the_provider_itself_says_so(loopback: Loopback) -> None:
    provider = make("luma", base_url=loopback.url)
    loopback.answer = (404, b'{"detail": "Not found"}')
    with pytest.raises(JobGone):
        provider.fetch(JOB, "ray-2")
    assert loopback.requests[0].path == f"/dream-machine/v1/generations/{JOB}"
    for answer in ((404, b"{}"), (404, b"<html>"), (403, b'{"detail": "?"}'), (500, b'{"detail": "?"}')):
        loopback.answer = answer
        with pytest.raises(FetchFailed):
            provider.fetch(JOB, "ray-2")


def listed(number: int, at: datetime, address: str = "https://elsewhere.example.com/x") -> dict[str, Any]:
    """A generation as it is listed."""
    created_at = at.isoformat().replace("+00:00", "Z")
    request = {"callback_url": address}
    return {"id": f"job-{number}", "state": "dreaming", "created_at": created_at, "request": request}


def pages(loopback: Loopback, *pages: list[dict[str, Any]], more: object = True) -> None:
    """What the list answers, the last page with has_more = False."""
    last = len(pages) - 1
    answers = [{"generations": page, "has_more": more if n < last else False} for n, page in enumerate(pages)]
    loopback.first = [(200, json.dumps(answer).encode()) for answer in answers]


def test_a_lost_job_is_looked_for_page_by_page(loopback: Loopback) -> None:
    newer = [listed(n, NOW + timedelta(seconds=100 - n)) for n in range(100)]
    pages(loopback, newer, newer[:40], [listed(141, NOW, ADDRESS)])
    found = make("luma", base_url=loopback.url).find(lost_for("luma"))
    assert found is not None
    assert found.certain
    assert found.report.provider_job_id == "job-141"
    assert [request.path.partition("?")[2] for request in loopback.requests] == [
        "limit=100&offset=0",
        "limit=100&offset=100",
        "limit=100&offset=140",
    ]


def test_a_search_ends_where_the_list_is_older_than_the_charge(loopback: Loopback) -> None:
    older = [listed(n, NOW - timedelta(minutes=4 + n)) for n in range(3)]
    pages(loopback, older, [listed(4, NOW, ADDRESS)])
    assert make("luma", base_url=loopback.url).find(lost_for("luma")) is None
    assert len(loopback.requests) == 1


def test_a_list_in_another_order_is_read_on(loopback: Loopback) -> None:
    oldest_first = [listed(n, NOW - timedelta(days=3 - n)) for n in range(3)]
    pages(loopback, oldest_first, [{"created_at": "yesterday"}], [listed(4, NOW, ADDRESS)])
    assert make("luma", base_url=loopback.url).find(lost_for("luma")) is not None


def test_a_search_ends_at_all(loopback: Loopback) -> None:
    endless = {"generations": [listed(n, NOW + timedelta(hours=1)) for n in range(100)], "has_more": True}
    loopback.answer = (200, json.dumps(endless).encode())
    assert make("luma", base_url=loopback.url).find(lost_for("luma")) is None
    assert len(loopback.requests) == 5


@pytest.mark.parametrize(
    "address", [None, 7, "", ADDRESS + "x", ADDRESS[:-1], TOKEN.upper(), f"https://x/{TOKEN}/other", ["x"]]
)
def test_only_our_address_proves_a_job_ours(address: Any, loopback: Loopback) -> None:
    pages(loopback, [listed(1, NOW, address)])
    assert make("luma", base_url=loopback.url).find(lost_for("luma")) is None


def test_another_jobs_token_is_not_ours(loopback: Loopback) -> None:
    pages(loopback, [listed(1, NOW, ADDRESS)])
    other = dataclasses.replace(lost_for("luma"), callback_token_hash=hash_token("another-token"))
    assert make("luma", base_url=loopback.url).find(other) is None


@pytest.mark.parametrize(
    ("cents", "dollars", "micros"), [(71234.0, "712.34", 712_340_000), (0, "0", 0), (0.5, "0.005", 5_000)]
)
def test_the_balance_is_in_cents(cents: float, dollars: str, micros: int, loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"credit_balance": cents}).encode())
    account = make("luma", base_url=loopback.url).account()
    assert account is not None
    assert (str(account.remaining), account.unit, account.usd_micros) == (dollars, "USD", micros)
    assert loopback.requests[0].path == "/dream-machine/v1/credits"
