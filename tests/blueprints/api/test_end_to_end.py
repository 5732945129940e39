"""The main job over HTTP: the real WaveSpeed adapter, the simulated provider, and its signed callbacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from app import create_app
from extensions import db
from makegood import reconcile
from simulator.server import Simulator, start
from tests.backend import Platform
from tests.conftest import environment
from tests.making import FakeProvider
from tests.people import add_key

API_KEY, SECRET = "simulated-key", "whsec_simulated-webhook-secret"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated provider whose jobs take a few hundredths of a second."""
    with start(api_key=API_KEY, webhook_secret=SECRET, seed=1, speed=100.0, late_seconds=30) as running:
        yield running


@pytest.fixture
def platform(database: str, simulator: Simulator) -> Iterator[Platform]:
    """A platform's backend, with the application where the provider can call it."""
    server = make_server("127.0.0.1", 0, Flask("placeholder"), threaded=True)
    settings = environment(
        database,
        PUBLIC_URL=f"http://127.0.0.1:{server.port}",
        SIMULATED_BASE_URL=simulator.base_url,
        SIMULATED_API_KEY=API_KEY,
        SIMULATED_WEBHOOK_SECRET=SECRET,
    )
    server.app = app = create_app(settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Platform(app, app.test_client(), add_key(app, "platform"), FakeProvider(name="simulated"))
    simulator.stop()
    server.shutdown()
    thread.join()
    server.server_close()
    with app.app_context():
        db.engine.dispose()


def end_of(platform: Platform, generation_id: str) -> Any:
    """The generation, as soon as it has ended."""
    give_up = time.monotonic() + 20
    while True:
        shown = platform.send("GET", f"/generations/{generation_id}").json
        if shown["ended_at"] is not None:
            return shown
        assert time.monotonic() < give_up, f"still {shown['status']}"
        time.sleep(0.02)


def start_one(platform: Platform, customer: str, simulate: str, **fields: Any) -> Any:
    """Start a generation with this fate."""
    return platform.start(customer, input={"prompt": "a red mug", "simulate": simulate}, **fields)


@pytest.mark.parametrize("fate", ["succeed", "duplicate", "processing_first", "late"])
def test_a_success_is_settled_by_its_callback(platform: Platform, simulator: Simulator, fate: str) -> None:
    customer = platform.make_customer()
    answer = start_one(platform, customer, fate)
    assert (answer.status_code, answer.json["status"], answer.json["balance"]) == (202, "submitted", 3)
    shown = end_of(platform, answer.json["id"])
    assert (shown["status"], shown["credits_refunded"], shown["balance"]) == ("succeeded", 0, 3)
    assert shown["outputs"][0].startswith("http")
    assert [job.id for job in simulator.accepted] == [shown["provider_job_id"]]


@pytest.mark.parametrize(
    "error_class",
    [
        "content_policy_violation",
        "internal_error",
        "generation_failed",
        "storage_error",
        "timeout",
        "provider_unavailable",
        "provider_account",
        "invalid_input",
        "unknown_error",
    ],
)
def test_a_failure_is_refunded_by_its_callback(platform: Platform, error_class: str) -> None:
    customer = platform.make_customer()
    shown = end_of(platform, start_one(platform, customer, f"fail:{error_class}").json["id"])
    assert (shown["status"], shown["error"]["code"]) == ("failed", error_class)
    assert (shown["credits_refunded"], shown["balance"]) == (2, 5)
    assert platform.balance(customer) == 5


@pytest.mark.parametrize(
    ("fate", "status", "code"),
    [
        ("refuse", 400, "invalid_input"),
        ("refuse_account", 502, "provider_account"),
        ("busy", 503, "provider_unavailable"),
    ],
)
def test_a_refusal_is_refunded_in_the_answer(
    platform: Platform, simulator: Simulator, fate: str, status: int, code: str
) -> None:
    customer = platform.make_customer()
    first = start_one(platform, customer, fate, idempotency="g1")
    again = start_one(platform, customer, fate, idempotency="g1")
    for answer in (first, again):
        assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
        assert (answer.json["refunded"], answer.json["credits_refunded"], answer.json["balance"]) == (True, 2, 5)
    assert (platform.balance(customer), len(simulator.accepted)) == (5, 0)
    assert "top up" not in first.text.lower()
    kinds = platform.sql("SELECT coalesce(jsonb_agg(kind), '[]') FROM alerts")
    assert kinds == (["provider_account"] if code == "provider_account" else [])


def test_a_cut_submit_is_unknown_until_its_callback_comes(platform: Platform, simulator: Simulator) -> None:
    customer = platform.make_customer()
    answer = start_one(platform, customer, "cut")
    assert (answer.status_code, answer.json["status"]) == (202, "unknown")
    shown = end_of(platform, answer.json["id"])
    assert (shown["status"], shown["balance"]) == ("succeeded", 3)
    assert [job.id for job in simulator.accepted] == [shown["provider_job_id"]]


def test_a_lost_callback_is_made_good_by_asking_the_provider(platform: Platform, simulator: Simulator) -> None:
    customer = platform.make_customer()
    generation_id = start_one(platform, customer, "lose_callback").json["id"]
    while not simulator.accepted[0].ended:
        time.sleep(0.02)
    with platform.app.app_context():
        terms = platform.app.config["SETTINGS"].terms
        due = db.session.scalar(db.text("SELECT check_at FROM generations")) + timedelta(seconds=1)
        [claimed] = reconcile.claim(db.session, at=due)
        db.session.commit()
        report = reconcile.look_up(platform.app.extensions["providers"], claimed)
        assert reconcile.decide(db.session, claimed, report, terms, at=due) == "settled"
        db.session.commit()
    assert platform.send("GET", f"/generations/{generation_id}").json["status"] == "succeeded"
    assert platform.balance(customer) == 3


def test_a_provider_without_a_key_takes_nothing_and_costs_nothing(platform: Platform) -> None:
    customer = platform.make_customer()
    answer = platform.start(customer, provider="nanobanana", model="nano-banana", credits=2)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "provider_unavailable")
    assert (answer.json["refunded"], answer.json["credits_refunded"], answer.json["balance"]) == (True, 2, 5)
    assert platform.balance(customer) == 5
