"""The Replicate adapter against its simulated provider, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from makegood.ids import hash_token
from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    CallbackRejected,
    ErrorClass,
    FetchFailed,
    Job,
    JobGone,
    LostJob,
    Outcome,
    Provider,
    Report,
    SubmitRefused,
    SubmitUnknown,
)
from settings import ProviderSettings
from simulator.server import API_KEY, WEBHOOK_SECRET, Simulator, start
from tests.loopback import Loopback

MODEL = "black-forest-labs/flux-schnell"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"


class Bench:
    """The adapter in front of its simulator, and the inbox for its callbacks."""

    def __init__(self, simulator: Simulator, inbox: Loopback) -> None:
        self.simulator, self.inbox = simulator, inbox
        reach = ProviderSettings(API_KEY, None, WEBHOOK_SECRET, simulator.base_url)
        self.provider: Provider = registry.build({"replicate": reach}, Limits(submit_seconds=2.0))["replicate"]

    def job(self, wish: str, token: str = "token", model: str = MODEL) -> Job:
        """A job that shall end so."""
        return Job(
            UUID(int=1), model, "image", {"prompt": "a red mug", "simulate": wish}, f"{self.inbox.url}/{token}"
        )

    def submit(self, wish: str, model: str = MODEL) -> str:
        """Submit it. Returns the provider's id of it."""
        return self.provider.submit(self.job(wish, model=model)).provider_job_id

    def read(self, count: int) -> list[Report]:
        """What the first `count` callbacks say, verified."""
        now = datetime.now(UTC)
        requests = self.inbox.wait_for(count)[:count]
        return [self.provider.parse_callback(one.headers, one.body, now, "token") for one in requests]

    def lost(self, job: Job, token: str = "token") -> LostJob:
        """The job as reconcile looks for it."""
        return LostJob(job.generation_id, job.model, job.input, datetime.now(UTC), hash_token(token))

    def ended(self) -> None:
        """Wait until every job has ended."""
        give_up = time.monotonic() + 5
        while not all(job.ended for job in self.simulator.accepted):
            assert time.monotonic() < give_up
            time.sleep(0.01)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches."""
    with ExitStack() as stack:

        def make(**options: Any) -> Bench:
            inbox = stack.enter_context(Loopback())
            settings = {"seed": 1, "speed": 200.0, "late_seconds": 30, **options}
            return Bench(stack.enter_context(start(dialect="replicate", **settings)), inbox)

        yield make


def test_a_success_is_called_back_signed_and_can_be_fetched(bench: Callable[..., Bench]) -> None:
    at = bench()
    job_id = at.submit("succeed")
    [report] = at.read(1)
    assert (report.outcome, report.provider_job_id) == (Outcome.SUCCEEDED, job_id)
    assert report.outputs[0].startswith(at.simulator.base_url)
    assert report.usage is not None
    assert report.usage.quantity == Decimal(str(at.simulator.accepted[0].seconds)).quantize(Decimal("0.001"))
    assert report.outputs_expire_at is not None
    fetched = at.provider.fetch(job_id, MODEL)
    assert (fetched.outcome, fetched.outputs, fetched.usage) == (report.outcome, report.outputs, report.usage)
    [request] = at.inbox.requests
    with pytest.raises(CallbackRejected, match="signature"):
        at.provider.parse_callback(request.headers, request.body + b" ", datetime.now(UTC), "token")


def test_a_version_is_asked_for_by_its_digits(bench: Callable[..., Bench]) -> None:
    at = bench()
    at.submit("succeed", f"acme/painter:{VERSION}")
    assert at.read(1)[0].outcome == Outcome.SUCCEEDED
    assert at.simulator.accepted[0].asked.route == VERSION


@pytest.mark.parametrize("error_class", sorted(set(ErrorClass) - {ErrorClass.PROVIDER_ACCOUNT}))
def test_a_failure_of_each_class_is_read_as_that_class(
    error_class: ErrorClass, bench: Callable[..., Bench]
) -> None:
    at = bench()
    job_id = at.submit(f"fail:{error_class}")
    [report] = at.read(1)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert at.provider.fetch(job_id, MODEL).error_class == error_class


@pytest.mark.parametrize(
    ("wish", "error_class"),
    [
        ("refuse", ErrorClass.INVALID_INPUT),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE),
    ],
)
def test_a_refusal_leaves_no_job(wish: str, error_class: ErrorClass, bench: Callable[..., Bench]) -> None:
    at = bench()
    with pytest.raises(SubmitRefused) as raised:
        at.submit(wish)
    assert raised.value.error_class == error_class
    assert at.simulator.accepted == []


def test_messages_that_end_nothing_and_copies_are_recognised(bench: Callable[..., Bench]) -> None:
    at = bench()
    at.submit("processing_first")
    assert {report.outcome for report in at.read(2)} == {Outcome.PENDING, Outcome.SUCCEEDED}
    at = bench()
    at.submit("disorder")
    assert {report.outcome for report in at.read(2)} == {Outcome.SUCCEEDED, Outcome.PENDING}
    at = bench()
    at.submit("duplicate")
    assert len({report.provider_job_id for report in at.read(3)}) == 1


@pytest.mark.parametrize("wish", ["hang", "cut", "half", "error"])
def test_a_submit_without_an_answer_is_found_for_certain(wish: str, bench: Callable[..., Bench]) -> None:
    at = bench()
    job = at.job(wish)
    with pytest.raises(SubmitUnknown):
        at.provider.submit(job)
    at.ended()
    found = at.provider.find(at.lost(job))
    assert found is not None
    assert (found.certain, found.report.outcome) == (True, Outcome.SUCCEEDED)
    assert found.report.provider_job_id == at.simulator.accepted[0].id
    assert at.provider.find(at.lost(job, "another-token")) is None
    assert len(at.simulator.submitted) == 1


def test_a_lost_job_is_found_among_many(bench: Callable[..., Bench]) -> None:
    at = bench()
    lost = at.job("stuck", "lost-token")
    at.provider.submit(lost)
    for _ in range(130):
        at.submit("lose_callback")
    found = at.provider.find(at.lost(lost, "lost-token"))
    assert found is not None
    assert (found.certain, found.report.outcome) == (True, Outcome.PENDING)
    assert found.report.provider_job_id == at.simulator.accepted[0].id


def test_a_job_can_be_stuck_or_gone(bench: Callable[..., Bench]) -> None:
    at = bench()
    stuck = at.submit("stuck")
    assert at.provider.fetch(stuck, MODEL).outcome == Outcome.PENDING
    at = bench()
    gone = at.submit("gone")
    at.ended()
    with pytest.raises(JobGone):
        at.provider.fetch(gone, MODEL)


def test_trouble_and_a_wrong_key_are_no_verdict(bench: Callable[..., Bench]) -> None:
    at = bench(trouble=1.0)
    job_id = at.submit("succeed")
    with pytest.raises(FetchFailed):
        at.provider.fetch(job_id, MODEL)
    with pytest.raises(FetchFailed):
        at.provider.find(at.lost(at.job("succeed")))
    reach = ProviderSettings("another-key", None, WEBHOOK_SECRET, at.simulator.base_url)
    stranger = registry.build({"replicate": reach})["replicate"]
    with pytest.raises(SubmitRefused) as raised:
        stranger.submit(at.job("succeed"))
    assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
    with pytest.raises(FetchFailed):
        stranger.fetch(job_id, MODEL)


def test_a_callback_that_is_not_taken_comes_again_under_the_same_status(bench: Callable[..., Bench]) -> None:
    at = bench(speed=100.0)
    at.inbox.answer = (503, b"{}")
    at.submit("succeed")
    at.inbox.wait_for(2)
    at.inbox.answer = (200, b"{}")
    assert [report.outcome for report in at.read(2)] == [Outcome.SUCCEEDED] * 2
