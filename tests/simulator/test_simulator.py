"""The real WaveSpeed adapter against the simulated provider, over HTTP, for everything that can be asked of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from makegood.providers import registry
from makegood.providers.http import Limits
from makegood.providers.protocol import (
    Accepted,
    CallbackRejected,
    ErrorClass,
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
from simulator.server import Simulator, start
from tests.loopback import Loopback, free_port

KEY = "simulated-key"
SECRET = "whsec_simulated-webhook-secret"
SPEED = 100.0
MODEL = "google/nano-banana/edit"
COMMAND = [sys.executable, "-m", "simulator", "--speed", "100"]
ENVIRONMENT = {**os.environ, "SIMULATED_API_KEY": KEY, "SIMULATED_WEBHOOK_SECRET": SECRET}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated provider whose jobs take a few hundredths of a second."""
    with start(api_key=KEY, webhook_secret=SECRET, seed=1, speed=SPEED, late_seconds=30) as running:
        yield running


@pytest.fixture
def inbox() -> Iterator[Loopback]:
    """Where callbacks arrive."""
    with Loopback() as server:
        yield server


@pytest.fixture
def provider(simulator: Simulator) -> Provider:
    """The adapter under its second name."""
    reach = ProviderSettings(api_key=KEY, webhook_secret=SECRET, base_url=simulator.base_url)
    return registry.build({"simulated": reach}, Limits(submit_seconds=1.0))["simulated"]


@pytest.fixture
def submit(provider: Provider, inbox: Loopback) -> Callable[..., str]:
    """Submits a job that shall end as `simulate` says. Returns the provider's id of it."""

    def do(simulate: str | None, model: str = MODEL, **more: object) -> str:
        return provider.submit(job(inbox, simulate, model, **more)).provider_job_id

    return do


def job(inbox: Loopback, simulate: str | None, model: str = MODEL, **more: object) -> Job:
    """A job with or without a wish."""
    wish = {} if simulate is None else {"simulate": simulate}
    return Job(UUID(int=1), model, "image", {"prompt": "x", **wish, **more}, f"{inbox.url}/callbacks/token")


def read(provider: Provider, inbox: Loopback, count: int) -> list[Report]:
    """What the first `count` callbacks say, verified."""
    requests = inbox.wait_for(count)[:count]
    return [provider.parse_callback(one.headers, one.body, datetime.now(UTC), "token") for one in requests]


def settled(provider: Provider, job_id: str) -> Report:
    """What the provider says of a job, once it ended."""
    for _ in range(200):
        report = provider.fetch(job_id, MODEL)
        if report.outcome != Outcome.PENDING:
            return report
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_a_success_is_called_back_and_can_be_fetched(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    job_id = submit("succeed")
    [report] = read(provider, inbox, 1)
    assert (report.outcome, report.provider_job_id) == (Outcome.SUCCEEDED, job_id)
    fetched = provider.fetch(job_id, MODEL)
    assert (fetched.outcome, fetched.outputs) == (report.outcome, report.outputs)
    [link] = report.outputs
    picture = httpx.get(link, trust_env=False)
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.startswith("<svg")


def test_before_its_end_a_job_is_pending(provider: Provider, inbox: Loopback) -> None:
    with start(api_key=KEY, webhook_secret=SECRET, speed=1) as slow:
        reach = ProviderSettings(api_key=KEY, webhook_secret=SECRET, base_url=slow.base_url)
        patient = registry.build({"simulated": reach})["simulated"]
        job_id = patient.submit(job(inbox, "succeed")).provider_job_id
        assert patient.fetch(job_id, MODEL).outcome == Outcome.PENDING
    assert inbox.requests == []


@pytest.mark.parametrize("error_class", ErrorClass)
def test_a_failure_of_each_class_is_read_as_that_class(
    error_class: ErrorClass, provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    job_id = submit(f"fail:{error_class}")
    [report] = read(provider, inbox, 1)
    assert (report.outcome, report.error_class) == (Outcome.FAILED, error_class)
    assert report.message
    assert provider.fetch(job_id, MODEL).error_class == error_class


def test_a_class_that_does_not_exist_fails_with_an_error_that_nobody_mapped(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    submit("fail:timeout_of_another_kind")
    assert read(provider, inbox, 1)[0].error_class == ErrorClass.UNKNOWN_ERROR


@pytest.mark.parametrize(
    ("simulate", "error_class"),
    [
        ("refuse", ErrorClass.INVALID_INPUT),
        ("refuse_account", ErrorClass.PROVIDER_ACCOUNT),
        ("busy", ErrorClass.PROVIDER_UNAVAILABLE),
        ("no such wish", ErrorClass.INVALID_INPUT),
    ],
)
def test_a_refusal_leaves_no_job(
    simulate: str, error_class: ErrorClass, submit: Callable[..., str], simulator: Simulator
) -> None:
    with pytest.raises(SubmitRefused) as raised:
        submit(simulate)
    assert raised.value.error_class == error_class
    assert simulator.accepted == []


@pytest.mark.parametrize("simulate", ["hang", "cut"])
def test_a_lost_answer_leaves_a_job_that_calls_back(
    simulate: str, provider: Provider, submit: Callable[..., str], simulator: Simulator, inbox: Loopback
) -> None:
    with pytest.raises(SubmitUnknown):
        submit(simulate)
    [report] = read(provider, inbox, 1)
    assert report.outcome == Outcome.SUCCEEDED
    assert [one.id for one in simulator.accepted] == [report.provider_job_id]


def test_a_lost_callback_leaves_only_the_fetch(
    provider: Provider, submit: Callable[..., str], simulator: Simulator, inbox: Loopback
) -> None:
    assert settled(provider, submit("lose_callback")).outcome == Outcome.SUCCEEDED
    time.sleep(0.2)
    assert (inbox.requests, simulator.delivered) == ([], [])


def test_duplicates_are_one_delivery_three_times(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    submit("duplicate")
    reports = read(provider, inbox, 3)
    assert len({report.delivery for report in reports}) == 1
    time.sleep(0.1)
    assert len(inbox.requests) == 3


def test_a_late_callback_comes_long_after_the_end(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    job_id = submit("late")
    assert settled(provider, job_id).outcome == Outcome.SUCCEEDED
    assert inbox.requests == []
    assert read(provider, inbox, 1)[0].provider_job_id == job_id


def test_a_message_that_ends_nothing_can_come_first(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    submit("processing_first")
    # On a busy machine they may overtake each other.
    first, second = sorted(read(provider, inbox, 2), key=lambda report: report.outcome)
    assert (first.outcome, second.outcome) == (Outcome.PENDING, Outcome.SUCCEEDED)
    assert first.delivery != second.delivery


def test_a_callback_that_is_not_taken_is_sent_four_times_in_all(
    provider: Provider, submit: Callable[..., str], simulator: Simulator, inbox: Loopback
) -> None:
    inbox.answer = (500, b"{}")
    job_id = submit("succeed")
    assert len({report.delivery for report in read(provider, inbox, 4)}) == 1
    time.sleep(0.2)
    assert simulator.delivered == [(job_id, "succeeded", 500)] * 4


def test_nobody_listening_for_callbacks_hurts_nothing(provider: Provider, simulator: Simulator) -> None:
    for url in (f"http://127.0.0.1:{free_port()}/x", "no address", "ftp://127.0.0.1/x", ""):
        accepted = provider.submit(Job(UUID(int=1), MODEL, "image", {"simulate": "succeed"}, url))
        assert settled(provider, accepted.provider_job_id).outcome == Outcome.SUCCEEDED


def test_sequential_models_make_as_many_pictures_as_asked_for(
    provider: Provider, submit: Callable[..., str], inbox: Loopback
) -> None:
    submit("succeed", "bytedance/seedream-v4/sequential", max_images=3)
    [report] = read(provider, inbox, 1)
    assert len(set(report.outputs)) == 3


def test_a_callback_signed_with_another_secret_is_rejected(
    submit: Callable[..., str], inbox: Loopback, simulator: Simulator
) -> None:
    submit("succeed")
    [request] = inbox.wait_for(1)
    reach = ProviderSettings(api_key=KEY, webhook_secret="whsec_other", base_url=simulator.base_url)
    other = registry.build({"simulated": reach})["simulated"]
    with pytest.raises(CallbackRejected):
        other.parse_callback(request.headers, request.body, datetime.now(UTC), "token")


def test_chance_succeeds_about_nineteen_times_in_twenty_and_repeats_itself() -> None:
    def draw() -> Counter[str]:
        with start(seed=7, speed=10_000) as running:
            reach = ProviderSettings(api_key=KEY, base_url=running.base_url)
            provider = registry.build({"simulated": reach})["simulated"]
            return Counter(_end(provider) for _ in range(300))

    first = draw()
    assert 0.90 < first["accepted"] / 300 <= 1
    assert draw() == first


def _end(provider: Provider) -> str:
    try:
        accepted = provider.submit(Job(UUID(int=1), MODEL, "image", {}, ""))
    except SubmitRefused as refused:
        return refused.error_class
    assert isinstance(accepted, Accepted)
    return "accepted"


def test_a_wrong_key_gets_nothing(simulator: Simulator, inbox: Loopback) -> None:
    for key in ("wrong", "Bearer", KEY + "x"):
        reach = ProviderSettings(api_key=key, base_url=simulator.base_url)
        stranger = registry.build({"simulated": reach})["simulated"]
        with pytest.raises(SubmitRefused) as raised:
            stranger.submit(job(inbox, "succeed"))
        assert raised.value.error_class == ErrorClass.PROVIDER_ACCOUNT
        with pytest.raises(FetchFailed):
            stranger.fetch("a" * 32, MODEL)
    assert simulator.accepted == []
    assert httpx.get(f"{simulator.base_url}/_log", trust_env=False).status_code == 401


def test_an_unknown_job_is_gone(provider: Provider) -> None:
    with pytest.raises(JobGone):
        provider.fetch("0" * 32, MODEL)


def test_history_balance_and_the_log_of_what_was_taken(simulator: Simulator, submit: Callable[..., str]) -> None:
    ids = [submit("succeed") for _ in range(3)]
    with httpx.Client(
        base_url=simulator.base_url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
    ) as client:
        assert [one["id"] for one in client.get("/_log").json()["data"]] == ids
        page = client.post("/api/v3/predictions", json={"page": 2, "page_size": 2}).json()["data"]
        assert (page["total"], [one["id"] for one in page["items"]]) == (3, ids[:1])
        assert client.post("/api/v3/predictions", json={"page": 0}).status_code == 400
        assert client.get("/api/v3/balance").json()["data"]["balance"] > 0
        assert client.get("/nothing").status_code == 404


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes, simulator: Simulator) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{simulator.base_url}/api/v3/a/b", content=body, headers=headers, trust_env=False)
    assert answer.status_code == (400 if body else 200)
    assert len(simulator.accepted) == (0 if body else 1)


def test_garbage_on_the_wire_hurts_nobody(provider: Provider, simulator: Simulator, inbox: Loopback) -> None:
    port = int(simulator.base_url.rpartition(":")[2])
    for garbage in (b"\x00\xff\r\n\r\n", b"GET //[ HTTP/1.1\r\n\r\n", b"POST /api/v3/a HTTP/1.1\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(garbage)
    assert provider.submit(job(inbox, "succeed")).provider_job_id


def test_a_client_that_dies_while_it_writes_has_asked_for_nothing(simulator: Simulator) -> None:
    port = int(simulator.base_url.rpartition(":")[2])
    for written in (b"", b"{", b'{"prompt": "x"'):
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            head = f"POST /api/v3/a/b HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 15\r\n\r\n"
            connection.sendall(head.encode() + written)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    assert (simulator.submitted, simulator.accepted) == ([], [])


def test_it_stops_at_once_with_a_submit_hanging_and_callbacks_to_come(inbox: Loopback) -> None:
    simulator = start(api_key=KEY, webhook_secret=SECRET, speed=1)
    reach = ProviderSettings(api_key=KEY, base_url=simulator.base_url)
    provider = registry.build({"simulated": reach}, Limits(submit_seconds=0.5))["simulated"]
    with pytest.raises(SubmitUnknown):
        provider.submit(job(inbox, "hang"))
    started = time.monotonic()
    simulator.stop()
    assert time.monotonic() - started < 1
    with pytest.raises(SubmitRefused):
        provider.submit(job(inbox, "succeed"))


@pytest.fixture
def process(root: Path) -> Iterator[subprocess.Popen[str]]:
    """The simulator as a process of its own."""
    with subprocess.Popen(
        [*COMMAND, "simulated:0"], cwd=root, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def test_it_runs_as_a_process_and_ends_on_a_signal(
    process: subprocess.Popen[str], root: Path, inbox: Loopback
) -> None:
    assert process.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert address is not None
    reach = ProviderSettings(api_key=KEY, webhook_secret=SECRET, base_url=address[0])
    provider = registry.build({"simulated": reach})["simulated"]
    provider.submit(job(inbox, "succeed"))
    assert read(provider, inbox, 1)[0].outcome == Outcome.SUCCEEDED
    busy = subprocess.run(
        [*COMMAND, f"simulated:{address[1]}"],
        cwd=root,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert busy.returncode == 1
    assert busy.stderr.startswith(f"simulated cannot listen on port {address[1]} (")
    assert busy.stderr.count("\n") == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_predictions_look_like_the_recorded_ones(
    submit: Callable[..., str], inbox: Loopback, root: Path
) -> None:
    submit("succeed")
    submit("fail:timeout")
    recorded = root / "tests" / "provider_samples"
    success = json.loads((recorded / "wavespeed_webhook_success.json").read_bytes())
    failure = json.loads((recorded / "wavespeed_webhook_failed_timeout.json").read_bytes())
    for request in inbox.wait_for(2):
        body = json.loads(request.body)
        assert set(body) >= set(success if body["status"] == "completed" else failure)
