"""The Newport adapter against its simulated provider, over HTTP: submitted once, polled until its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    Account,
    ErrorClass,
    FetchFailed,
    Job,
    Outcome,
    Provider,
    Report,
    SubmitRefused,
    SubmitUnknown,
)
from settings import ProviderSettings
from simulator.server import API_KEY, Simulator, start
from tests.loopback import Loopback

MODEL = "lipsync/2.0"


class Bench:
    """The adapter in front of its simulator, and an inbox that stays empty."""

    def __init__(self, simulator: Simulator, inbox: Loopback, api_key: str = API_KEY) -> None:
        self.simulator, self.inbox = simulator, inbox
        reach = ProviderSettings(api_key, None, None, simulator.base_url)
        self.provider: Provider = registry.build({"newport": reach}, Limits(submit_seconds=2.0))["newport"]

    def submit(self, wish: str) -> str:
        """Submit a job that shall end so. Returns the provider's id of it."""
        asked = {"audioUrl": "https://example.com/a.mp3", "simulate": wish}
        job = Job(UUID(int=1), MODEL, "video", asked, f"{self.inbox.url}/callbacks/token")
        return self.provider.submit(job).provider_job_id

    def settled(self, job_id: str) -> Report:
        """What polling tells in the end."""
        for _ in range(500):
            report = self.provider.fetch(job_id, MODEL)
            if report.outcome != Outcome.PENDING:
                return report
            time.sleep(0.01)
        raise AssertionError("the job does not end")


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches."""
    with ExitStack() as stack:

        def make(**options: Any) -> Bench:
            inbox = stack.enter_context(Loopback())
            settings = {"seed": 1, "speed": 100.0, **options}
            return Bench(stack.enter_context(start(dialect="newport", **settings)), inbox)

        yield make


def test_a_success_is_polled_for_and_nobody_is_called_back(bench: Callable[..., Bench]) -> None:
    at = bench()
    job_id = at.submit("succeed")
    report = at.settled(job_id)
    assert (report.outcome, report.provider_job_id) == (Outcome.SUCCEEDED, job_id)
    assert report.outputs[0].startswith(at.simulator.base_url)
    assert report.outputs_expire_at is not None
    assert timedelta(hours=23) < report.outputs_expire_at - datetime.now(UTC) <= timedelta(hours=24)
    time.sleep(0.1)
    assert at.inbox.requests == []
    assert "callbacks" not in str(at.simulator.submitted)


def test_before_its_end_a_task_is_pending(bench: Callable[..., Bench]) -> None:
    at = bench()
    job_id = at.submit("stuck")
    give_up = time.monotonic() + 5
    while (report := at.provider.fetch(job_id, MODEL)).status != "status 2":
        assert (report.outcome, report.status) == (Outcome.PENDING, "status 1")
        assert time.monotonic() < give_up
    assert report.outcome == Outcome.PENDING


@pytest.mark.parametrize("error_class", sorted(set(ErrorClass) - {ErrorClass.PROVIDER_ACCOUNT}))
def test_a_failure_of_each_class_is_read_as_that_class(
    error_class: ErrorClass, bench: Callable[..., Bench]
) -> None:
    at = bench()
    report = at.settled(at.submit(f"fail:{error_class}"))
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)


@pytest.mark.parametrize(
    ("wish", "error_class"),
    [
        ("refuse", ErrorClass.INVALID_INPUT),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT),
        ("blank_key", ErrorClass.PROVIDER_ACCOUNT),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE),
    ],
)
def test_a_refusal_leaves_no_job(wish: str, error_class: ErrorClass, bench: Callable[..., Bench]) -> None:
    at = bench()
    with pytest.raises(SubmitRefused) as raised:
        at.submit(wish)
    assert raised.value.error_class == error_class
    assert at.simulator.accepted == []


@pytest.mark.parametrize("wish", ["hang", "cut", "half", "error"])
def test_a_submit_without_an_answer_is_sent_once(wish: str, bench: Callable[..., Bench]) -> None:
    at = bench()
    with pytest.raises(SubmitUnknown):
        at.submit(wish)
    assert len(at.simulator.submitted) == len(at.simulator.accepted) == 1


def test_trouble_a_lost_task_and_a_wrong_key_are_no_verdict(bench: Callable[..., Bench]) -> None:
    at = bench(trouble=1.0)
    job_id = at.submit("succeed")
    with pytest.raises(FetchFailed):
        at.provider.fetch(job_id, MODEL)
    with pytest.raises(FetchFailed):
        bench().provider.fetch(job_id, MODEL)
    stranger = Bench(at.simulator, at.inbox, "another-key")
    with pytest.raises(SubmitRefused) as raised:
        stranger.submit("succeed")
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    with pytest.raises(FetchFailed):
        stranger.provider.account()


def test_the_credits_that_are_left_can_be_asked_for(bench: Callable[..., Bench]) -> None:
    assert bench().provider.account() == Account(Decimal("150.5"), "credits")
