"""The ElevenLabs adapter against its simulated provider, over HTTP: the answer is the speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    Account,
    ErrorClass,
    FetchFailed,
    File,
    Job,
    LostJob,
    Outcome,
    Provider,
    SubmitRefused,
    SubmitUnknown,
    Units,
)
from settings import ProviderSettings
from simulator.dialects.elevenlabs import SECOND_OF_SILENCE
from simulator.server import API_KEY, Simulator, start

VOICE = "21m00Tcm4TlvDq8ikWAM"
MODEL = "eleven_multilingual_v2"
SPEECH = File("audio/mpeg", SECOND_OF_SILENCE)


class Bench:
    """The adapter in front of its simulator."""

    def __init__(self, simulator: Simulator, api_key: str = API_KEY) -> None:
        self.simulator = simulator
        reach = ProviderSettings(api_key, None, None, simulator.base_url)
        limits = Limits(submit_seconds=2.0)
        self.provider: Provider = registry.build({"elevenlabs": reach}, limits)["elevenlabs"]


def job(wish: str, text: str = "Hello, world!", model: str = MODEL) -> Job:
    """A text to speak, that shall end so."""
    asked = {"text": text, "voice_id": VOICE, "simulate": wish}
    return Job(UUID(int=1), model, "audio", asked, "https://makegood.example.com/callbacks/elevenlabs/token")


def lost(one: Job) -> LostJob:
    """The same as reconcile looks for it."""
    return LostJob(one.generation_id, one.model, one.input, datetime.now(UTC), b"")


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches."""
    with ExitStack() as stack:
        settings = {"seed": 1, "speed": 200.0}
        yield lambda **more: Bench(stack.enter_context(start(dialect="elevenlabs", **{**settings, **more})))


def test_the_answer_is_the_speech_and_what_it_cost(bench: Callable[..., Bench]) -> None:
    at = bench()
    accepted = at.provider.submit(job("succeed"))
    assert accepted.usage == Units("character", Decimal(13))
    assert accepted.report is not None
    assert (accepted.report.outcome, accepted.report.files) == (Outcome.SUCCEEDED, (SPEECH,))
    assert "callbacks" not in str(at.simulator.submitted)


def test_a_model_that_counts_half_costs_half(bench: Callable[..., Bench]) -> None:
    at = bench()
    one = job("succeed", "Hello!", "eleven_flash_v2_5")
    booked = at.provider.units(one.model, one.input)
    assert booked == at.provider.submit(one).usage == Units("character", Decimal(3))


@pytest.mark.parametrize(
    ("wish", "error_class", "said"),
    [
        ("refuse", ErrorClass.INVALID_INPUT, "text: Field required"),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT, "quota_exceeded: "),
        ("wrong_key", ErrorClass.PROVIDER_ACCOUNT, "invalid_api_key: "),
        ("plan", ErrorClass.PROVIDER_ACCOUNT, "only_for_creator+: "),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE, "too_many_concurrent_requests: "),
        ("fail:provider_unavailable", ErrorClass.PROVIDER_UNAVAILABLE, "system_busy: "),
        ("fail:content_policy_violation", ErrorClass.CONTENT_POLICY_VIOLATION, "worker_17: "),
        ("fail:unknown_error", ErrorClass.INVALID_INPUT, "voice_not_found: "),
    ],
)
def test_a_refusal_says_what_is_wrong_and_leaves_nothing(
    wish: str, error_class: ErrorClass, said: str, bench: Callable[..., Bench]
) -> None:
    at = bench()
    with pytest.raises(SubmitRefused) as raised:
        at.provider.submit(job(wish))
    assert raised.value.error_class == error_class
    assert raised.value.message.startswith(said)
    assert at.simulator.accepted == []


@pytest.mark.parametrize("wish", ["hang", "cut", "half", "error"])
def test_a_speech_whose_answer_was_lost_is_found_and_fetched(wish: str, bench: Callable[..., Bench]) -> None:
    at = bench()
    with pytest.raises(SubmitUnknown):
        at.provider.submit(job(wish))
    assert len(at.simulator.submitted) == 1
    found = at.provider.find(lost(job(wish)))
    assert found is not None
    assert not found.certain
    report = found.report
    assert (report.outcome, report.files) == (Outcome.SUCCEEDED, (SPEECH,))
    assert report.usage == Units("character", Decimal(13))
    assert report.provider_job_id == at.simulator.accepted[0].id
    assert at.provider.find(lost(job(wish, "Another text"))) is None
    assert at.provider.fetch(at.simulator.accepted[0].id, MODEL).files == (SPEECH,)


def test_a_lost_speech_is_found_among_many(bench: Callable[..., Bench]) -> None:
    at = bench(speed=5000.0)
    first = at.provider.submit(job("succeed", "the first")).provider_job_id
    for number in range(130):
        at.provider.submit(job("succeed", f"number {number}"))
    found = at.provider.find(lost(job("succeed", "the first")))
    assert found is not None
    assert found.report.provider_job_id == first


def test_what_is_left_of_the_quota_can_be_asked_for(bench: Callable[..., Bench]) -> None:
    at = bench()
    at.provider.submit(job("succeed"))
    assert at.provider.account() == Account(Decimal(99_987), "characters", limit=Decimal(100_000))


def test_trouble_and_a_wrong_key_are_no_verdict(bench: Callable[..., Bench]) -> None:
    at = bench(trouble=1.0)
    job_id = at.provider.submit(job("succeed")).provider_job_id
    with pytest.raises(FetchFailed):
        at.provider.fetch(job_id, MODEL)
    with pytest.raises(FetchFailed):
        at.provider.find(lost(job("succeed")))
    stranger = Bench(at.simulator, "another-key").provider
    with pytest.raises(SubmitRefused, match="invalid_api_key") as raised:
        stranger.submit(job("succeed"))
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    with pytest.raises(FetchFailed):
        stranger.account()
