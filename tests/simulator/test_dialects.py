"""What all simulated providers do alike, whichever protocol they speak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from makegood.ids import uuid7
from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    FetchFailed,
    Job,
    JobGone,
    Outcome,
    Provider,
    Report,
    SubmitRefused,
    SubmitUnknown,
)
from settings import ProviderSettings
from simulator.dialect import Dialect
from simulator.dialects import DIALECTS
from simulator.jobs import State
from simulator.server import API_KEY, API_SECRET, WEBHOOK_SECRET, Simulator, start
from tests.loopback import Loopback
from tests.offers import OFFERS

CALLING = tuple(name for name, dialect in DIALECTS.items() if dialect.message is not Dialect.message)
"""Dialects that call back."""
LATER = tuple(name for name, dialect in DIALECTS.items() if not dialect.synchronous)
"""Dialects whose submit is answered before its job has ended."""


class Bench:
    """A provider's adapter in front of its simulator, and the inbox for its callbacks."""

    def __init__(self, name: str, simulator: Simulator, inbox: Loopback) -> None:
        self.name, self.simulator, self.inbox = name, simulator, inbox
        self.offer = OFFERS[name]
        self.model = self.offer.model
        reach = ProviderSettings(API_KEY, API_SECRET, WEBHOOK_SECRET, simulator.base_url)
        self.provider: Provider = registry.build({name: reach}, Limits(submit_seconds=1.0))[name]

    def submit(self, wish: str, generation_id: UUID | None = None) -> str:
        """Submit a job with this fate, for which its prompt has a marker. Returns the provider's id of it."""
        asked = self.offer.input(f"a red mug [simulate:{wish}]")
        url = f"{self.inbox.url}/callbacks/{self.name}/token"
        job = Job(generation_id or uuid7(), self.model, self.offer.kind, asked, url)
        return self.provider.submit(job).provider_job_id

    def read(self, count: int) -> list[Report]:
        """What the first `count` callbacks say, verified where they are signed."""
        now = datetime.now(UTC)
        requests = self.inbox.wait_for(count)[:count]
        return [self.provider.parse_callback(one.headers, one.body, now, "token") for one in requests]


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches: `bench("kling", trouble=0.5)`."""
    with ExitStack() as stack:

        def make(name: str, **options: Any) -> Bench:
            inbox = stack.enter_context(Loopback())
            simulator = stack.enter_context(
                start(dialect=name, **{"seed": 1, "speed": 200.0, "late_seconds": 30, **options})
            )
            return Bench(name, simulator, inbox)

        yield make


def ended(bench: Bench) -> None:
    """Wait until the one job has ended."""
    give_up = time.monotonic() + 5
    while not all(job.ended for job in bench.simulator.accepted):
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize("name", CALLING)
def test_a_message_after_the_end_changes_nothing(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name, speed=20.0)  # slow enough for messages to keep their order on the way
    at.submit("disorder")
    reports = at.read(len(DIALECTS[name].announces) + 2)
    assert [report.outcome for report in reports[-2:]] == [Outcome.SUCCEEDED, Outcome.PENDING]


@pytest.mark.parametrize("name", CALLING)
def test_a_callback_can_come_before_the_submit_is_answered(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name)
    job_id = at.submit("early")
    assert (job_id, State.SUCCEEDED) in [one[:2] for one in at.simulator.delivered]


@pytest.mark.parametrize("wish", ["half", "error", "cut", "hang"])
@pytest.mark.parametrize("name", CALLING)
def test_a_submit_without_an_answer_takes_the_job_once(bench: Callable[..., Bench], name: str, wish: str) -> None:
    at = bench(name)
    with pytest.raises(SubmitUnknown):
        at.submit(wish)
    [report] = at.read(1)
    assert report.provider_job_id == at.simulator.accepted[0].id
    assert len(at.simulator.accepted) == len(at.simulator.submitted) == 1


@pytest.mark.parametrize("name", LATER)
def test_a_job_can_be_stuck(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name)
    job_id = at.submit("stuck")
    time.sleep(0.3)
    assert at.provider.fetch(job_id, at.model).outcome == Outcome.PENDING


@pytest.mark.parametrize("name", LATER)
def test_a_job_can_be_gone(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name)
    job_id = at.submit("gone")
    ended(at)
    with pytest.raises((JobGone, FetchFailed)):  # not every provider says so that it can be told from trouble
        at.provider.fetch(job_id, at.model)


@pytest.mark.parametrize("name", LATER)
def test_beyond_its_limit_it_is_busy(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name, max_running=1)
    at.submit("stuck")
    with pytest.raises(SubmitRefused):
        at.submit("succeed")
    assert len(at.simulator.accepted) == 1
    assert len(at.simulator.submitted) == 2


@pytest.mark.parametrize("name", LATER)
def test_trouble_meets_everything_but_submits(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name, trouble=1.0)
    job_id = at.submit("succeed")
    with pytest.raises(FetchFailed):
        at.provider.fetch(job_id, at.model)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_refusal_leaves_no_job(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name)
    refusals = set(DIALECTS[name].refusals)
    assert refusals >= {"refuse", "refuse_account", "busy"}
    wishes = refusals - {"taken_before"}
    for wish in wishes:
        with pytest.raises(SubmitRefused):
            at.submit(wish)
    assert len(at.simulator.submitted) == len(wishes)
    assert at.simulator.accepted == []


def test_wavespeed_bills_each_job_and_refunds_what_failed(bench: Callable[..., Bench]) -> None:
    at = bench("wavespeed")
    ids = [at.submit("succeed"), at.submit("fail:timeout")]
    ended(at)
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=at.simulator.base_url, headers=headers, trust_env=False) as client:

        def search(**asked: Any) -> Any:
            return client.post("/api/v3/billings/search", json=asked).json()["data"]

        rows = search()["items"]
        told = [(row["billing_type"], row["prediction"]["uuid"], row["price"]) for row in rows]
        assert told == [("refund", ids[1], 0.027), ("deduct", ids[1], 0.027), ("deduct", ids[0], 0.027)]
        assert search(billing_type="refund", page_size=1)["total"] == 1
        assert [row["prediction"]["uuid"] for row in search(prediction_uuids=ids[:1])["items"]] == ids[:1]
        assert [row["uuid"] for row in search(page=2, page_size=2)["items"]] == [rows[2]["uuid"]]
        assert search(end_time="1000")["items"] == []
        assert len({row["uuid"] for row in rows}) == 3
