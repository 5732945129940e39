"""Providers that call nobody back, over HTTP: one answers with the result itself, the other is polled."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from simulator.dialects.elevenlabs import SECOND_OF_SILENCE
from simulator.server import Simulator
from tests.backend import Platform

SPEECH = {"text": "Hello, world!", "voice_id": "21m00Tcm4TlvDq8ikWAM"}


def test_a_speech_is_settled_and_served_at_once(platform: Platform, simulate: Callable[[str], Simulator]) -> None:
    simulate("elevenlabs")
    customer = platform.make_customer()
    fields = {"provider": "elevenlabs", "model": "eleven_multilingual_v2", "kind": "audio"}
    answer = platform.start(customer, credits=3, input={**SPEECH, "simulate": "succeed"}, **fields)
    assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "succeeded", 2)
    shown = platform.send("GET", f"/generations/{answer.json['id']}").json
    assert len(shown["outputs"]) == 1
    # 13 characters at $0.10 a thousand.
    assert platform.sql("SELECT cost_micros FROM generations") == 1300
    assert platform.sql("SELECT cost_source FROM generations") == "provider"
    sound = platform.send("GET", f"/generations/{answer.json['id']}/outputs/1")
    assert (sound.status_code, sound.mimetype, sound.data) == (200, "audio/mpeg", SECOND_OF_SILENCE)


@pytest.mark.parametrize(
    ("fate", "status", "code"),
    [
        ("refuse", 400, "invalid_input"),
        ("refuse_account", 502, "provider_account"),
        ("busy", 503, "provider_unavailable"),
    ],
)
def test_a_speech_that_is_refused_is_refunded_in_the_answer(
    platform: Platform, simulate: Callable[[str], Simulator], fate: str, status: int, code: str
) -> None:
    simulate("elevenlabs")
    customer = platform.make_customer()
    fields = {"provider": "elevenlabs", "model": "eleven_multilingual_v2", "kind": "audio"}
    answer = platform.start(customer, credits=3, input={**SPEECH, "simulate": fate}, **fields)
    assert (answer.status_code, answer.json["error"]["code"], answer.json["refunded"]) == (status, code, True)
    assert "quota" not in answer.text
    assert platform.balance(customer) == 5
    assert platform.sql("SELECT cost_micros FROM generations") == 0


def test_a_speech_whose_answer_was_lost_is_found_with_its_sound(
    platform: Platform, simulate: Callable[[str], Simulator], reconcile_at: Callable[[datetime], None]
) -> None:
    simulator = simulate("elevenlabs")
    customer = platform.make_customer()
    fields = {"provider": "elevenlabs", "model": "eleven_flash_v2_5", "kind": "audio"}
    answer = platform.start(customer, credits=3, input={**SPEECH, "simulate": "cut"}, **fields)
    assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "unknown", 2)
    reconcile_at(datetime.now(UTC) + timedelta(minutes=3))
    shown = platform.send("GET", f"/generations/{answer.json['id']}").json
    assert (shown["status"], shown["balance"]) == ("succeeded", 2)
    assert shown["provider_job_id"] == simulator.accepted[0].id
    sound = platform.send("GET", f"/generations/{answer.json['id']}/outputs/1")
    assert sound.data == SECOND_OF_SILENCE
    assert len(simulator.submitted) == 1
    # 13 characters that count half are billed as 7.
    assert platform.sql("SELECT cost_micros FROM generations") == 700


@pytest.mark.parametrize(
    ("fate", "status", "balance"), [("succeed", "succeeded", 2), ("fail:timeout", "failed", 5)]
)
def test_a_task_is_settled_by_polling(
    platform: Platform,
    simulate: Callable[[str], Simulator],
    reconcile_at: Callable[[datetime], None],
    fate: str,
    status: str,
    balance: int,
) -> None:
    simulator = simulate("newport")
    customer = platform.make_customer()
    fields = {"provider": "newport", "model": "lipsync/2.0", "kind": "video", "input": {"simulate": fate}}
    answer = platform.start(customer, credits=3, **fields)
    assert (answer.status_code, answer.json["status"]) == (202, "submitted")
    while not simulator.accepted[0].ended:
        time.sleep(0.01)
    charged_at = platform.sql("SELECT charged_at FROM generations")
    reconcile_at(charged_at + timedelta(seconds=9))
    assert platform.sql("SELECT status FROM generations") == "submitted", "it is not due yet"
    reconcile_at(charged_at + timedelta(seconds=10))
    assert platform.sql("SELECT status FROM generations") == status
    assert platform.balance(customer) == balance
