"""What is Replicate's own: two ways to name a model, any output, a published signature, a list of predictions."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from makegood.providers.protocol import (
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Found,
    Outcome,
    Report,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from makegood.providers.signatures import sign_v1, verify_v1
from tests.loopback import Loopback
from tests.samples import CLOCK, SAMPLES, TOKEN, job_for, lost_for, make, part_of

NOW = datetime.fromtimestamp(CLOCK, UTC)
SECRET = part_of("replicate", "callback")["webhook_secret"]
JOB = "ufawqhfynnddngldkgtslldrkq"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
LINK = "https://replicate.delivery/x/1.png"


def signed(body: bytes, secret: str = SECRET, webhook_id: str = "msg_1") -> dict[str, str]:
    """Headers that prove the body."""
    stamp = str(CLOCK)
    signature = sign_v1(secret, webhook_id, stamp, body)
    return {"webhook-id": webhook_id, "webhook-timestamp": stamp, "webhook-signature": signature}


def read(**prediction: Any) -> Report:
    """The report of a signed callback."""
    body = json.dumps({"id": JOB, "status": "succeeded", **prediction}).encode()
    return make("replicate").parse_callback(signed(body), body, NOW, TOKEN)


def listed(**prediction: Any) -> dict[str, Any]:
    """A prediction of the lost job's model and input, in a list."""
    job = job_for("replicate")
    made = {"id": JOB, "model": job.model, "input": job.input, "status": "processing", "webhook": None}
    return {**made, "created_at": NOW.isoformat(), **prediction}


def find(loopback: Loopback, *predictions: Any, **page: Any) -> Found | None:
    """What is found in a list of one page."""
    loopback.answer = (200, json.dumps({"results": predictions, "next": None, **page}).encode())
    return make("replicate", base_url=loopback.url).find(lost_for("replicate"))


def test_the_published_example_verifies() -> None:
    """https://github.com/replicate/replicate-python, tests/test_webhooks.py"""
    recorded = json.loads((SAMPLES / "replicate_sdk_vector.headers.json").read_text())
    headers = {name.lower(): value for name, value in recorded["headers"].items()}
    body = (SAMPLES / "replicate_sdk_vector.json").read_bytes()
    then = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert verify_v1(recorded["meta"]["secret"], headers, body, then) == headers["webhook-id"]
    with pytest.raises(CallbackRejected, match="names no prediction"):
        make("replicate", webhook_secret=recorded["meta"]["secret"]).parse_callback(headers, body, then, TOKEN)


def test_one_of_several_signatures_is_enough() -> None:
    good = signed(b"{}")["webhook-signature"]
    wrong = "v1," + "A" * 43 + "="
    for several in (f"{wrong} {good}", f"{good} {wrong}", f"v1a,AAAA {good}", f"v2,x v1,short  {good}"):
        assert verify_v1(SECRET, {**signed(b"{}"), "webhook-signature": several}, b"{}", NOW) == "msg_1"
    for several in (wrong, f"{wrong} {wrong}"):
        with pytest.raises(CallbackRejected, match="does not match"):
            verify_v1(SECRET, {**signed(b"{}"), "webhook-signature": several}, b"{}", NOW)
    with pytest.raises(CallbackRejected, match="does not match"):
        verify_v1(SECRET, {**signed(b"{}"), "webhook-signature": f"{wrong} " * 10 + good}, b"{}", NOW)


def test_a_secret_can_be_replaced_while_callbacks_are_on_their_way() -> None:
    other = "whsec_bmV3IHNlY3JldA=="
    for secrets in (f"{other},{SECRET}", f"{SECRET} , {other}", f"whsec_not base64,{SECRET}", f",,{SECRET}"):
        assert verify_v1(secrets, signed(b"{}"), b"{}", NOW) == "msg_1"
    with pytest.raises(CallbackRejected, match="does not match"):
        verify_v1(other, signed(b"{}"), b"{}", NOW)


@pytest.mark.parametrize("secrets", [None, "", "whsec_", " , whsec_", "whsec_not base64", "whsec_é", "whsec_A"])
def test_a_secret_that_is_not_base64_is_none(secrets: str | None) -> None:
    with pytest.raises(CallbackRejected, match="no webhook secret"):
        verify_v1(secrets, signed(b"{}"), b"{}", NOW)


def test_the_key_is_what_the_secret_decodes_to() -> None:
    """Taken as a text, as WaveSpeed's is, the same secret would make another signature."""
    assert sign_v1("whsec_c2VjcmV0", "a", "1", b"") == sign_v1("c2VjcmV0", "a", "1", b"")
    assert sign_v1("whsec_c2VjcmV0", "a", "1", b"") == "v1,ieCNJsgh+CTQTRRQ6ktyYfP899O1/QrtLy+AmwIX6Hc="


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        ("black-forest-labs/flux-schnell", "/v1/models/black-forest-labs/flux-schnell/predictions", None),
        (f"acme/painter:{VERSION}", "/v1/predictions", VERSION),
    ],
)
def test_the_model_says_how_it_is_asked_for(
    model: str, path: str, version: str | None, loopback: Loopback
) -> None:
    job = dataclasses.replace(job_for("replicate", webhook="https://evil.example.com"), model=model)
    with pytest.raises(SubmitUnknown):
        make("replicate", base_url=loopback.url).submit(job)
    [request] = loopback.requests
    assert request.path == path
    body = json.loads(request.body)
    assert body == {
        "input": job.input,
        "webhook": job.callback_url,
        "webhook_events_filter": ["completed"],
        **({"version": version} if version else {}),
    }


@pytest.mark.parametrize(
    "model",
    [
        "",
        "flux-schnell",
        "a/b/c",
        "../b",
        "a/..",
        "a/b:latest",
        f"a/b:{VERSION[:-1]}",
        f"a/b:{VERSION.upper()}",
        "a/b?c",
        "a b/c",
        "é/b",
        f"a/{'b' * 200}",
    ],
)
def test_a_model_that_is_none_is_refused_without_being_sent(model: str, loopback: Loopback) -> None:
    with pytest.raises(SubmitRefused, match="no such model") as raised:
        make("replicate", base_url=loopback.url).submit(dataclasses.replace(job_for("replicate"), model=model))
    assert raised.value.error_class == ErrorClass.INVALID_INPUT
    assert loopback.requests == []


@pytest.mark.parametrize(
    ("output", "outputs"),
    [
        (LINK, (LINK,)),
        ([LINK, None, "text", f"{LINK}?2"], (LINK, f"{LINK}?2")),
        ({"image": LINK, "seed": 7, "more": [{"mask": f"{LINK}?m"}]}, (LINK, f"{LINK}?m")),
        ("a poem", ()),
        (["a ", "poem"], ()),
        (None, ()),
        (17, ()),
        ("data:image/png;base64,AA", ()),
        ("http", ()),
        ([LINK] * 60, (LINK,) * 50),
    ],
)
def test_whatever_the_output_is_its_links_are_the_outputs(output: object, outputs: tuple[str, ...]) -> None:
    report = read(output=output)
    assert (report.outcome, report.outputs) == (Outcome.SUCCEEDED, outputs)


@pytest.mark.parametrize(
    ("metrics", "usage"),
    [
        ({"predict_time": 2.3}, Decimal("2.300")),
        ({"predict_time": 5.247161016}, Decimal("5.247")),
        ({"predict_time": 0}, Decimal(0)),
        ({"predict_time": 7}, Decimal(7)),
        ({"predict_time": -1}, None),
        ({"predict_time": True}, None),
        ({"predict_time": "x"}, None),
        ({"predict_time": 1e15}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_seconds_are_what_is_billed(metrics: object, usage: Decimal | None) -> None:
    for status in ("succeeded", "failed", "canceled"):
        assert read(status=status, metrics=metrics).usage == (None if usage is None else Units("second", usage))


def test_what_never_started_was_not_billed() -> None:
    report = read(status="aborted", metrics={})
    assert (report.error_class, report.usage) == (ErrorClass.TIMEOUT, Units("second", Decimal(0)))
    assert report.message == "The provider ended the prediction as aborted."


def test_the_files_die_an_hour_after_the_end() -> None:
    ended = "2026-11-21T08:59:44.400123456Z"
    assert read(completed_at=ended).outputs_expire_at == datetime(2026, 11, 21, 9, 59, 44, 400123, UTC)
    for nothing in (None, "", "yesterday", 7, "2026-11-21T08:59:44", "9999-12-31T23:59:59Z"):
        assert read(completed_at=nothing).outputs_expire_at is None


def test_a_message_of_another_status_is_another_delivery() -> None:
    assert read(status="starting").delivery == "msg_1:starting"
    assert read(status="succeeded").delivery == "msg_1:succeeded"


def test_a_lost_prediction_is_known_by_its_callback_address(loopback: Loopback) -> None:
    job = job_for("replicate")
    theirs = listed(id="other", webhook="https://makegood.example.com/callbacks/p/another-token")
    found = find(loopback, theirs, listed(webhook=job.callback_url, input={"changed": "by the provider"}))
    assert found is not None
    assert (found.certain, found.report.provider_job_id, found.report.outcome) == (True, JOB, Outcome.PENDING)
    query = parse_qs(urlsplit(loopback.requests[0].path).query)
    assert query == {
        "created_after": ["2026-11-21T08:58:00+00:00"],
        "created_before": ["2026-11-21T09:02:00+00:00"],
    }
    assert len(loopback.requests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"webhook": "https://makegood.example.com/callbacks/p/another-token"},
        {"model": "acme/painter"},
        {"input": {"prompt": "a blue mug"}},
        {"created_at": (NOW - timedelta(minutes=3)).isoformat()},
        {"created_at": (NOW + timedelta(minutes=3)).isoformat()},
        {"created_at": None},
        {"id": "../../account"},
    ],
)
def test_what_is_not_alike_is_not_found(change: dict[str, Any], loopback: Loopback) -> None:
    assert find(loopback, listed(**change)) is None


def test_without_an_address_the_first_that_is_alike_is_found_but_not_for_certain(loopback: Loopback) -> None:
    found = find(loopback, listed(), listed(id="second"))
    assert found is not None
    assert (found.certain, found.report.provider_job_id) == (False, JOB)
    found = find(loopback, listed(), listed(id="second", webhook=job_for("replicate").callback_url))
    assert found is not None
    assert (found.certain, found.report.provider_job_id) == (True, "second")


def test_a_version_is_found_by_its_version(loopback: Loopback) -> None:
    answer = {"results": [listed(model="acme/painter", version=VERSION)]}
    loopback.answer = (200, json.dumps(answer).encode())
    provider = make("replicate", base_url=loopback.url)
    for model, found in ((f"acme/painter:{VERSION}", True), (f"acme/painter:{'0' * 64}", False)):
        lost = dataclasses.replace(lost_for("replicate"), model=model)
        assert (provider.find(lost) is not None) == found


def test_the_next_page_is_asked_for_here_wherever_its_link_leads(loopback: Loopback) -> None:
    with Loopback() as elsewhere:
        assert find(loopback, next=f"{elsewhere.url}/v1/predictions?cursor=a%26b") is None
    assert elsewhere.requests == []
    assert len(loopback.requests) == 4
    assert [parse_qs(urlsplit(one.path).query).get("cursor") for one in loopback.requests[:2]] == [None, ["a&b"]]


@pytest.mark.parametrize(
    "page", [{"next": 7}, {"next": "https://["}, {"results": {"a": 1}}, {"results": [None, 7]}]
)
def test_a_list_of_another_shape_holds_nothing(page: dict[str, Any], loopback: Loopback) -> None:
    assert find(loopback, **page) is None


def test_a_list_that_cannot_be_had_is_no_verdict(loopback: Loopback) -> None:
    loopback.answer = (429, b'{"detail": "Request was throttled."}')
    with pytest.raises(FetchFailed, match="429"):
        make("replicate", base_url=loopback.url).find(lost_for("replicate"))
