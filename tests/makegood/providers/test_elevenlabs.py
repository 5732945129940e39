"""What is ElevenLabs' own: the answer is the speech, errors with one status for two faults, a history."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from makegood.providers import elevenlabs
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    Account,
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    File,
    Found,
    Outcome,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from tests.loopback import Loopback
from tests.samples import CLOCK, SAMPLES, job_for, lost_for, make

REQUEST = "KFNkUgzL6aR1mWcVQ2Bn"
SPEECH = b"ID3 a little speech"
VOICE = "21m00Tcm4TlvDq8ikWAM"


def submit(loopback: Loopback, **input: Any) -> Any:
    """Submit the usual text, or what is given instead."""
    return make("elevenlabs", base_url=loopback.url).submit(job_for("elevenlabs", **input))


def refused(loopback: Loopback, **input: Any) -> SubmitRefused:
    """How that is refused."""
    with pytest.raises(SubmitRefused) as raised:
        submit(loopback, **input)
    return raised.value


def speaking(loopback: Loopback, **headers: str) -> None:
    """The provider answers with a speech."""
    loopback.answer = (200, SPEECH)
    loopback.headers = {"Content-Type": "audio/mpeg", "request-id": REQUEST, **headers}


def item(**change: Any) -> dict[str, Any]:
    """The recorded item of the history, changed."""
    recorded: dict[str, Any] = json.loads((SAMPLES / "elevenlabs_history.json").read_text())["history"][1]
    return {**recorded, **change}


def answering(content: bytes, content_type: str = "application/json") -> Callable[[socket.socket], None]:
    """An answer with this content."""

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + content)

    return answer


def find(loopback: Loopback, *items: Any, more: bool = False) -> Found | None:
    """What is found in a history of one page, whose sounds are all the same."""
    history = {"history": items, "has_more": more, "last_history_item_id": "last"}

    def answer(connection: socket.socket) -> None:
        sound = loopback.requests[-1].path.endswith("/audio")
        answering(SPEECH if sound else json.dumps(history).encode(), "audio/mpeg" if sound else "text/plain")(
            connection
        )

    loopback.answer = answer
    return make("elevenlabs", base_url=loopback.url).find(lost_for("elevenlabs"))


def test_the_answer_is_the_speech_and_says_what_it_cost(loopback: Loopback) -> None:
    speaking(loopback, **{"character-cost": "1243"})
    accepted = submit(loopback)
    assert accepted.provider_job_id == REQUEST
    assert accepted.usage == Units("character", Decimal(1243))
    report = accepted.report
    assert (report.outcome, report.provider_job_id, report.outputs) == (Outcome.SUCCEEDED, REQUEST, ())
    assert report.files == (File("audio/mpeg", SPEECH),)
    assert report.usage == accepted.usage


@pytest.mark.parametrize("cost", ["", "x", "-1", "1e99", "NaN"])
def test_a_cost_that_is_no_number_leaves_the_booked_one(cost: str, loopback: Loopback) -> None:
    speaking(loopback, **{"character-cost": cost})
    assert submit(loopback).usage is None
    speaking(loopback)
    assert submit(loopback).usage is None


@pytest.mark.parametrize(
    "content_type", ["audio/mpeg", "audio/pcm;rate=16000", "AUDIO/Basic", "application/octet-stream"]
)
def test_any_sound_is_a_speech(content_type: str, loopback: Loopback) -> None:
    speaking(loopback, **{"Content-Type": content_type})
    [speech] = submit(loopback).report.files
    assert speech.content_type == content_type.partition(";")[0].lower()


@pytest.mark.parametrize(
    ("content_type", "content"),
    [("application/json", b'{"audio_base64": ""}'), ("text/html", b"<html>"), ("audio/mpeg", b""), ("", SPEECH)],
)
def test_what_is_no_speech_leaves_the_submit_open(content_type: str, content: bytes, loopback: Loopback) -> None:
    speaking(loopback, **{"Content-Type": content_type})
    loopback.answer = (200, content)
    with pytest.raises(SubmitUnknown):
        submit(loopback)


def test_a_speech_of_up_to_20_megabytes_is_taken(loopback: Loopback) -> None:
    provider = make("elevenlabs", Limits(submit_seconds=10), base_url=loopback.url)
    speaking(loopback)
    loopback.answer = (200, b"\xff\xfb" * (elevenlabs.MAX_BYTES // 2))
    accepted = provider.submit(job_for("elevenlabs"))
    assert accepted.report is not None
    assert len(accepted.report.files[0].content) == elevenlabs.MAX_BYTES
    loopback.answer = (200, b"\xff\xfb" * (elevenlabs.MAX_BYTES // 2) + b"\0")
    with pytest.raises(SubmitUnknown, match="Endless"):
        provider.submit(job_for("elevenlabs"))


def test_a_speech_is_waited_for_longer_than_other_answers() -> None:
    assert (elevenlabs.SUBMIT_SECONDS, elevenlabs.MAX_BYTES) == (60, 20_000_000)


def test_voice_and_format_stand_in_the_address_and_the_rest_in_the_body(loopback: Loopback) -> None:
    speaking(loopback)
    submit(loopback, model_id="eleven_v3", voice_settings={"speed": 0.9})
    [request] = loopback.requests
    assert request.path == f"/v1/text-to-speech/{VOICE}?output_format=mp3_44100_64"
    assert request.headers["accept"] == "*/*"
    assert json.loads(request.body) == {
        "text": "Hello, world!",
        "seed": 7,
        "voice_settings": {"speed": 0.9},
        "model_id": "eleven_multilingual_v2",
    }


def test_without_a_format_it_is_the_usual_one(loopback: Loopback) -> None:
    speaking(loopback)
    asked = {name: value for name, value in job_for("elevenlabs").input.items() if name != "output_format"}
    make("elevenlabs", base_url=loopback.url).submit(dataclasses.replace(job_for("elevenlabs"), input=asked))
    assert loopback.requests[0].path.endswith("?output_format=mp3_44100_128")


@pytest.mark.parametrize(
    ("input", "problem"),
    [
        ({"text": None}, "input.text is required"),
        ({"text": ""}, "input.text is required"),
        ({"text": " \n"}, "input.text is required"),
        ({"text": ["a"]}, "input.text is required"),
        ({"voice_id": None}, "input.voice_id is required"),
        ({"voice_id": ""}, "input.voice_id is required"),
        ({"voice_id": "../user"}, "input.voice_id is required"),
        ({"voice_id": "a?b=c"}, "input.voice_id is required"),
        ({"voice_id": 7}, "input.voice_id is required"),
        ({"output_format": "mp3"}, "input.output_format must be one of"),
        ({"output_format": "pcm_16000&x=y"}, "input.output_format must be one of"),
        ({"output_format": ["pcm_16000"]}, "input.output_format must be one of"),
        ({"output_format": None}, "input.output_format must be one of"),
        ({"text": "a" * 30_001}, "longer than 30000 characters"),
        ({"text": "a" * 2_722, "output_format": "pcm_44100"}, "longer than 2721 characters"),
    ],
)
def test_what_cannot_be_spoken_is_refused_without_being_sent(
    input: dict[str, Any], problem: str, loopback: Loopback
) -> None:
    error = refused(loopback, **input)
    assert error.error_class == ErrorClass.INVALID_INPUT
    assert problem in error.message
    assert loopback.requests == []


def test_the_longest_text_of_a_format_is_sent(loopback: Loopback) -> None:
    speaking(loopback)
    submit(loopback, text="a" * 30_000)
    submit(loopback, text="a" * 2_721, output_format="pcm_44100")
    assert len(loopback.requests) == 2


def test_a_spent_quota_and_a_wrong_key_are_told_apart(loopback: Loopback) -> None:
    said = []
    for name in ("quota_exceeded", "invalid_api_key"):
        loopback.answer = (401, (SAMPLES / f"elevenlabs_error_{name}.json").read_bytes())
        error = refused(loopback)
        assert error.error_class == ErrorClass.PROVIDER_ACCOUNT
        said.append(error.message)
    assert said[0].startswith("quota_exceeded: This request exceeds your quota. You have 12 credits remaining")
    assert said[1] == "invalid_api_key: Invalid API key"


def test_a_list_of_errors_says_which_field_is_wrong(loopback: Loopback) -> None:
    loopback.answer = (422, (SAMPLES / "elevenlabs_error_422.json").read_bytes())
    error = refused(loopback)
    assert (error.error_class, error.message) == (ErrorClass.INVALID_INPUT, "text: Field required")


@pytest.mark.parametrize(
    ("status", "detail", "error_class"),
    [
        (400, {"status": "max_character_limit_exceeded", "message": "?"}, ErrorClass.INVALID_INPUT),
        (400, {"status": "quota_exceeded", "message": "?"}, ErrorClass.PROVIDER_ACCOUNT),
        (400, {"status": "?", "message": "flagged by our content policy"}, ErrorClass.CONTENT_POLICY_VIOLATION),
        (403, {"status": "another_plan", "message": "?"}, ErrorClass.PROVIDER_ACCOUNT),
        (429, {"status": "system_busy", "message": "?"}, ErrorClass.PROVIDER_UNAVAILABLE),
        (429, {"code": "rate_limit_exceeded", "status": "old", "message": "?"}, ErrorClass.PROVIDER_UNAVAILABLE),
        (404, "Not Found", ErrorClass.INVALID_INPUT),
        (422, [], ErrorClass.INVALID_INPUT),
        (422, [7], ErrorClass.INVALID_INPUT),
        (401, None, ErrorClass.PROVIDER_ACCOUNT),
    ],
)
def test_an_error_is_classified_by_its_code_then_its_status(
    status: int, detail: object, error_class: ErrorClass, loopback: Loopback
) -> None:
    loopback.answer = (status, json.dumps({"detail": detail}).encode())
    error = refused(loopback)
    assert error.error_class == error_class
    assert error.message


@pytest.mark.parametrize(
    ("model", "text", "quantity"),
    [
        ("eleven_multilingual_v2", "Hello, world!", Decimal(13)),
        ("eleven_v3", "é🙂", Decimal(2)),
        ("eleven_flash_v2_5", "Hello, world!", Decimal("6.5")),
        ("eleven_turbo_v2", "Hello", Decimal("2.5")),
        ("eleven_flash_v2_5", "", Decimal(0)),
        ("eleven_flash_v2_5", None, None),
        ("eleven_flash_v2_5", ["a"], None),
    ],
)
def test_units_are_characters(model: str, text: object, quantity: Decimal | None) -> None:
    assert make("elevenlabs").units(model, {"text": text}) == Units("character", quantity)


def test_a_lost_speech_is_found_in_the_history(loopback: Loopback) -> None:
    found = find(loopback, item(text="another"), item())
    assert found is not None
    assert not found.certain
    report = found.report
    assert (report.provider_job_id, report.outcome) == (REQUEST, Outcome.SUCCEEDED)
    assert report.files == (File("audio/mpeg", SPEECH),)
    assert report.usage == Units("character", Decimal(42))
    listing, sound = loopback.requests
    query = parse_qs(urlsplit(listing.path).query)
    assert query["voice_id"] == [VOICE]
    assert query["model_id"] == ["eleven_multilingual_v2"]
    assert query["date_after_unix"] == [str(CLOCK - 120)]
    assert query["date_before_unix"] == [str(CLOCK + 121)]
    assert sound.path == "/v1/history/VW7YKqPnjY4h39yTbx2L/audio"


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Hello, world"},
        {"voice_id": "another"},
        {"model_id": "eleven_v3"},
        {"date_unix": CLOCK - 121},
        {"date_unix": CLOCK + 121},
        {"date_unix": None},
        {"date_unix": 2**62},
        {"state": "deleted"},
        {"request_id": None, "history_item_id": "../user"},
    ],
)
def test_what_is_not_alike_is_not_found(change: dict[str, Any], loopback: Loopback) -> None:
    assert find(loopback, item(**change), 7, None) is None


def test_a_speech_without_a_request_is_named_by_its_item(loopback: Loopback) -> None:
    found = find(loopback, item(request_id=None))
    assert found is not None
    assert found.report.provider_job_id == "VW7YKqPnjY4h39yTbx2L"


def test_a_speech_whose_cost_is_not_told_keeps_the_booked_one(loopback: Loopback) -> None:
    for change in ({"character_count_change_to": None}, {"character_count_change_to": 0}):
        found = find(loopback, item(**change))
        assert found is not None
        assert found.report.usage is None


def test_no_more_than_three_pages_are_read(loopback: Loopback) -> None:
    assert find(loopback, item(text="another"), more=True) is None
    assert len(loopback.requests) == 3
    assert "start_after_history_item_id=last" in loopback.requests[2].path


def test_a_sound_that_cannot_be_had_now_is_asked_for_again(loopback: Loopback) -> None:
    loopback.answer = (200, json.dumps({"history": [item()], "has_more": False}).encode())
    with pytest.raises(FetchFailed, match="no speech"):
        make("elevenlabs", base_url=loopback.url).find(lost_for("elevenlabs"))


def test_nobody_is_called_back() -> None:
    headers = json.loads((SAMPLES / "elevenlabs_webhook_speech_to_text.headers.json").read_text())["headers"]
    body = (SAMPLES / "elevenlabs_webhook_speech_to_text.json").read_bytes()
    provider = make("elevenlabs", webhook_secret="wsec_test_elevenlabs_0123456789abcdef")
    with pytest.raises(CallbackRejected, match="answered at once"):
        provider.parse_callback(headers, body, datetime.fromtimestamp(CLOCK, UTC), "token")
    assert not provider.signed


def test_what_is_left_is_the_rest_of_the_quota(loopback: Loopback) -> None:
    provider = make("elevenlabs", base_url=loopback.url)
    for used, left in ((17231, 82769), (100_001, 0)):
        loopback.answer = (200, json.dumps({"character_count": used, "character_limit": 100_000}).encode())
        assert provider.account() == Account(Decimal(left), "characters", limit=Decimal(100_000))
    assert loopback.requests[0].path == "/v1/user/subscription"
    for body in ({}, {"character_count": 1}, {"character_count": None, "character_limit": "x"}):
        loopback.answer = (200, json.dumps(body).encode())
        with pytest.raises(FetchFailed):
            provider.account()
