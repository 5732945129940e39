"""What all simulated providers do alike, whichever protocol they speak."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from makegood.providers.protocol import FetchFailed, JobGone, Outcome, SubmitRefused, SubmitUnknown
from simulator.dialect import Dialect
from simulator.dialects import DIALECTS
from simulator.jobs import State
from simulator.server import API_KEY
from tests.simulator.bench import Bench

CALLING = tuple(name for name, dialect in DIALECTS.items() if dialect.message is not Dialect.message)
"""Dialects that call back."""
LATER = tuple(name for name, dialect in DIALECTS.items() if not dialect.synchronous)
"""Dialects whose submit is answered before its job has ended."""


@pytest.mark.parametrize("name", CALLING)
def test_a_message_after_the_end_changes_nothing(bench: Callable[..., Bench], name: str) -> None:
    at = bench(name)
    at.submit("disorder")
    pending = len(DIALECTS[name].announces) + 1
    # They are sent side by side: on a busy machine they may overtake each other.
    outcomes = sorted(report.outcome for report in at.read(pending + 1))
    assert outcomes == [Outcome.PENDING] * pending + [Outcome.SUCCEEDED]


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
    at.ended()
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
    at.ended()
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
