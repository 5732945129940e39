"""What is Kling's own: tokens made from two keys, an id of ours, codes beneath the HTTP status, units."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jwt
import pytest

from makegood.providers.kling import ENDPOINTS
from makegood.providers.kling_tokens import Tokens, encode
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
from tests.samples import CLOCK, GENERATION, SAMPLES, TOKEN, job_for, lost_for, make

TASK = "829413077246210087"
NOW = datetime.fromtimestamp(CLOCK, UTC)
SECRET = "the-secret-key-of-this-account-has-32"
EXPIRED = (401, json.dumps({"code": 1004, "message": "Authorization has expired"}).encode())
TAKEN = (200, json.dumps({"code": 0, "data": {"task_id": TASK}}).encode())


def read(**task: Any) -> Report:
    """The report of a callback."""
    body = json.dumps({"task_id": TASK, "task_status": "succeed", **task}).encode()
    return make("kling").parse_callback({}, body, NOW, TOKEN)


def answer(status: int, code: Any, data: Any = None) -> tuple[int, bytes]:
    """An answer in Kling's envelope."""
    return status, json.dumps({"code": code, "message": "?", "request_id": "x", "data": data}).encode()


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_token_is_the_documented_recipe() -> None:
    vector = json.loads((SAMPLES / "kling_jwt_vector.json").read_text())
    token = encode(vector["access_key"], vector["secret_key"], vector["now"])
    assert token == vector["token_compact_json_this_key_order"]
    assert jwt.get_unverified_header(token) == vector["header"]
    options: Any = {"verify_exp": False, "verify_nbf": False}
    claims = jwt.decode(token, vector["secret_key"], algorithms=["HS256"], options=options)
    assert claims == vector["payload"]


def test_a_token_is_kept_for_less_than_its_half_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [CLOCK]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    tokens = Tokens("access", SECRET)
    first = tokens.current()
    clock[0] += 1499
    assert tokens.current() == first
    clock[0] += 1
    second = tokens.current()
    assert second != first
    clock[0] -= 3600
    assert tokens.current() != second, "the clock was set back: the token is not valid yet"


def test_a_token_is_replaced_once_however_many_find_it_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [CLOCK]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    tokens = Tokens("access", SECRET)
    old = tokens.current()
    clock[0] += 10
    fresh: list[str] = []

    def renew() -> None:
        fresh.append(tokens.after(old))
        clock[0] += 10

    threads = [threading.Thread(target=renew) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(fresh)) == 1
    assert fresh[0] != old
    assert tokens.current() == fresh[0]


def test_every_request_carries_a_token_that_the_secret_key_proves(loopback: Loopback) -> None:
    loopback.answer = TAKEN
    make("kling", base_url=loopback.url, api_key="access", api_secret=SECRET).submit(job_for("kling"))
    [request] = loopback.requests
    claims = jwt.decode(request.headers["authorization"].removeprefix("Bearer "), SECRET, algorithms=["HS256"])
    assert claims["iss"] == "access"
    assert claims["exp"] - claims["nbf"] == 1805


def test_after_an_expired_token_a_submit_comes_again_with_the_same_id(loopback: Loopback) -> None:
    loopback.first = [EXPIRED, TAKEN]
    assert make("kling", base_url=loopback.url).submit(job_for("kling")).provider_job_id == TASK
    ids = [json.loads(request.body)["external_task_id"] for request in loopback.requests]
    assert ids == [str(GENERATION)] * 2


def test_an_expired_token_is_replaced_once(loopback: Loopback) -> None:
    provider = make("kling", base_url=loopback.url)
    loopback.answer = EXPIRED
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(job_for("kling"))
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    assert len(loopback.requests) == 2
    with pytest.raises(FetchFailed):
        provider.fetch(TASK, "lip-sync")
    assert len(loopback.requests) == 4


@pytest.mark.parametrize(
    "other", [(401, b"<html>"), (500, EXPIRED[1]), answer(401, 1003), answer(429, 1302), answer(500, 5000)]
)
def test_nothing_else_makes_a_submit_come_again(other: tuple[int, bytes], loopback: Loopback) -> None:
    loopback.answer = other
    with pytest.raises((SubmitRefused, SubmitUnknown)):
        make("kling", base_url=loopback.url).submit(job_for("kling"))
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_model_is_an_endpoint_and_a_name(endpoint: str, loopback: Loopback) -> None:
    provider = make("kling", base_url=loopback.url)
    for model, name in ((f"{endpoint}/kling-v3", "kling-v3"), (endpoint, "kling-v1")):
        sneaky = {"model_name": "kling-v1", "external_task_id": "another's", "callback_url": "https://evil"}
        job = dataclasses.replace(job_for("kling", **sneaky), model=model)
        with pytest.raises(SubmitUnknown):
            provider.submit(job)
        with pytest.raises(FetchFailed):
            provider.fetch(TASK, model)
        submit, fetch = loopback.requests[-2:]
        assert submit.path == f"/v1/{ENDPOINTS[endpoint]}"
        assert fetch.path == f"/v1/{ENDPOINTS[endpoint]}/{TASK}"
        body = json.loads(submit.body)
        assert (body["model_name"], body["external_task_id"]) == (name, str(GENERATION))
        assert body["callback_url"] == job.callback_url


@pytest.mark.parametrize(
    "model", ["", "kling-v3", "videos/text2video", "../account/costs", "text2video/" + "x" * 200]
)
def test_a_model_without_an_endpoint_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    provider = make("kling", base_url=loopback.url)
    with pytest.raises(SubmitRefused) as raised:
        provider.submit(dataclasses.replace(job_for("kling"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    if not model.startswith("text2video"):
        with pytest.raises(FetchFailed):
            provider.fetch(TASK, model)
        with pytest.raises(FetchFailed):
            provider.find(dataclasses.replace(lost_for("kling"), model=model))
    assert loopback.requests == []


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429])
@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        (1101, ErrorClass.PROVIDER_ACCOUNT),
        (1304, ErrorClass.PROVIDER_ACCOUNT),
        (1302, ErrorClass.PROVIDER_UNAVAILABLE),
        (1301, ErrorClass.CONTENT_POLICY_VIOLATION),
        ("1201", ErrorClass.INVALID_INPUT),
    ],
)
def test_the_code_decides_and_not_the_status(
    status: int, code: object, error_class: ErrorClass, loopback: Loopback
) -> None:
    loopback.answer = answer(status, code)
    with pytest.raises(SubmitRefused) as raised:
        make("kling", base_url=loopback.url).submit(job_for("kling"))
    assert raised.value.error_class == error_class
    assert len(loopback.requests) == 1, "arrears and limits are never met by trying again"


@pytest.mark.parametrize(
    "unclear",
    [
        answer(200, None),
        answer(200, 5002),
        answer(200, 9),
        answer(201, 0, {"task_id": TASK}),
        answer(500, 1101),
        answer(400, 0, {"task_id": TASK}),
    ],
)
def test_an_answer_that_contradicts_itself_is_no_refusal(unclear: tuple[int, bytes], loopback: Loopback) -> None:
    loopback.answer = unclear
    with pytest.raises(SubmitUnknown):
        make("kling", base_url=loopback.url).submit(job_for("kling"))


@pytest.mark.parametrize("status", ["submitted", "processing", "succeeded", "SUCCEED", "success", "", None, 1, {}])
def test_only_succeed_and_failed_end_a_task(status: object) -> None:
    report = read(task_status=status, final_unit_deduction="3", task_status_msg="risk control")
    assert (report.outcome, report.usage, report.error_class) == (Outcome.PENDING, None, None)


@pytest.mark.parametrize(
    ("deducted", "quantity"),
    [
        ("3", "3"),
        ("2.5", "2.5"),
        ("0", "0"),
        (0.2, "0.2"),
        ("0.0004", None),
        ("", None),
        (None, None),
        ("-1", None),
        ("NaN", None),
        ("1e99", None),
        (True, None),
        (["3"], None),
    ],
)
def test_units_are_what_the_end_of_the_task_says(deducted: object, quantity: str | None) -> None:
    expected = None if quantity is None else Units("unit", Decimal(quantity))
    assert read(final_unit_deduction=deducted).usage == expected
    assert read(final_unit_deduction=deducted, task_status="failed").usage == expected


@pytest.mark.parametrize("created_at", [None, 0, -5, True, 1.5, "1795251581000", 10**18, []])
def test_a_task_of_no_known_time_has_no_known_expiry(created_at: object) -> None:
    assert read(created_at=created_at).outputs_expire_at is None


def test_results_are_links_to_videos_and_images() -> None:
    video, image = "https://x.example.com/1.mp4", "https://x.example.com/1.png"
    result = {"videos": [{"url": video}, {"url": "javascript:x"}, None, 7], "images": [{"index": 0, "url": image}]}
    assert read(task_result=result).outputs == (video, image)
    for none in (None, [], {"videos": {"url": video}}, {"videos": None, "images": "x"}):
        assert read(task_result=none).outputs == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"task_id": 7}', b'{"task_id": "../x"}'])
def test_a_callback_without_a_task_is_rejected(body: bytes) -> None:
    with pytest.raises(CallbackRejected):
        make("kling").parse_callback({}, body, NOW, TOKEN)


def test_a_task_is_gone_only_when_the_provider_itself_says_so(loopback: Loopback) -> None:
    provider = make("kling", base_url=loopback.url)
    loopback.answer = answer(404, 1203)
    with pytest.raises(JobGone):
        provider.fetch(TASK, "text2video")
    for other in (answer(404, None), answer(404, 1202), answer(400, 1201), answer(200, 1203), answer(503, 1203)):
        loopback.answer = other
        with pytest.raises(FetchFailed):
            provider.fetch(TASK, "text2video")


def test_a_lost_task_is_asked_for_by_our_own_id(loopback: Loopback) -> None:
    data = {"task_id": TASK, "task_status": "processing", "task_info": {"external_task_id": str(GENERATION)}}
    loopback.answer = answer(200, 0, data)
    found = make("kling", base_url=loopback.url).find(lost_for("kling"))
    assert found is not None
    assert found.certain
    assert (found.report.provider_job_id, found.report.outcome) == (TASK, Outcome.PENDING)
    assert loopback.requests[0].path == f"/v1/videos/text2video/{GENERATION}"


@pytest.mark.parametrize("said", [answer(404, 1203), answer(400, 1201), answer(200, 0, None), answer(200, 0, [])])
def test_a_task_that_was_never_taken_is_not_found(said: tuple[int, bytes], loopback: Loopback) -> None:
    loopback.answer = said
    assert make("kling", base_url=loopback.url).find(lost_for("kling")) is None


@pytest.mark.parametrize("said", [answer(503, 1203), answer(504, 5002), answer(404, 1202), answer(401, 1002)])
def test_trouble_does_not_mean_that_a_task_was_never_taken(said: tuple[int, bytes], loopback: Loopback) -> None:
    loopback.answer = said
    with pytest.raises(FetchFailed):
        make("kling", base_url=loopback.url).find(lost_for("kling"))


@pytest.mark.parametrize("info", [None, {}, {"external_task_id": None}, {"external_task_id": TASK}, []])
def test_a_task_that_does_not_carry_our_id_is_not_ours(info: object, loopback: Loopback) -> None:
    loopback.answer = answer(200, 0, {"task_id": TASK, "task_status": "succeed", "task_info": info})
    with pytest.raises(FetchFailed, match="another"):
        make("kling", base_url=loopback.url).find(lost_for("kling"))


def test_an_account_without_packs_has_nothing_left_to_count(loopback: Loopback) -> None:
    provider = make("kling", base_url=loopback.url)
    loopback.answer = answer(200, 0, {"resource_pack_subscribe_infos": []})
    assert provider.account() is None
    pack = {"status": "runOut", "remaining_quantity": 0, "total_quantity": 100}
    loopback.answer = answer(200, 0, {"resource_pack_subscribe_infos": [pack]})
    account = provider.account()
    assert account is not None
    assert (account.remaining, account.limit) == (0, 0)


def test_packs_are_asked_for_by_when_they_were_bought(loopback: Loopback) -> None:
    with pytest.raises(FetchFailed):
        make("kling", base_url=loopback.url).account()
    path, _, query = loopback.requests[0].path.partition("?")
    assert path == "/account/costs"
    start, end = (int(part.partition("=")[2]) for part in query.split("&"))
    assert abs(end / 1000 - time.time()) < 60
    assert end - start == 400 * 86_400_000
