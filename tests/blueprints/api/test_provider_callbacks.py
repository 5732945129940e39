"""BFL, fal and PiAPI over HTTP: real adapters, simulated providers, and callbacks that really arrive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flask import Flask
from werkzeug.serving import make_server

import logs
import tasks.generations
from app import create_app
from extensions import db
from simulator.server import API_KEY, WEBHOOK_SECRET, Simulator, start
from tests.backend import Platform
from tests.conftest import environment
from tests.making import FakeProvider
from tests.offers import OFFERS
from tests.people import add_key

NAMES = ("bfl", "fal", "piapi")


class Installation:
    """An application where its provider can call it, and a worker that looks up what is due."""

    def __init__(self, app: Flask, simulator: Simulator) -> None:
        self.app, self.simulator, self.name = app, simulator, simulator.name
        self.platform = Platform(app, app.test_client(), add_key(app, "platform"), FakeProvider(name=self.name))
        self.customer = self.platform.make_customer()

    def start(self, wish: str) -> Any:
        """Start a generation with this fate, for 3 of the customer's 5 credits."""
        offer = OFFERS[self.name]
        fields = {"provider": self.name, "model": offer.model, "kind": offer.kind, "credits": 3}
        return self.platform.start(self.customer, input=offer.input(f"a red mug [simulate:{wish}]"), **fields)

    def end_of(self, generation_id: str) -> Any:
        """The generation, as soon as it has ended."""
        give_up = time.monotonic() + 20
        while True:
            shown = self.platform.send("GET", f"/generations/{generation_id}").json
            if shown["ended_at"] is not None:
                return shown
            assert time.monotonic() < give_up, f"still {shown['status']}"
            self.work()
            time.sleep(0.05)

    def work(self) -> None:
        """What the worker does every few seconds."""
        with self.app.app_context():
            tasks.generations.reconcile_due(self.app)


@pytest.fixture(params=NAMES)
def installation(request: pytest.FixtureRequest, database: str) -> Iterator[Installation]:
    """One for each provider."""
    server = make_server("127.0.0.1", 0, Flask("placeholder"), threaded=True)
    with start(dialect=request.param, seed=1, speed=100.0) as simulator:
        prefix = request.param.upper()
        own = {"BASE_URL": simulator.base_url, "API_KEY": API_KEY, "WEBHOOK_SECRET": WEBHOOK_SECRET}
        settings = {f"{prefix}_{name}": value for name, value in own.items()}
        address = f"http://127.0.0.1:{server.port}"
        server.app = app = create_app(environment(database, PUBLIC_URL=address, **settings))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Installation(app, simulator)
    server.shutdown()
    thread.join()
    server.server_close()
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("fate", ["succeed", "duplicate", "disorder", "cut"])
def test_a_success_is_settled_and_handed_over(installation: Installation, fate: str) -> None:
    answer = installation.start(fate)
    assert (answer.status_code, answer.json["balance"]) == (202, 2)
    shown = installation.end_of(answer.json["id"])
    assert (shown["status"], shown["balance"]) == ("succeeded", 2)
    assert shown["outputs"]
    assert (shown["outputs_expire_at"] is not None) == (installation.name == "bfl")
    # BFL says what a job costs only in the answer to its submit.
    lost = installation.name == "bfl" and fate == "cut"
    assert installation.platform.sql("SELECT quantity > 0 FROM generations") == (None if lost else True)
    assert len(installation.simulator.submitted) == 1


@pytest.mark.parametrize("fate", ["fail:content_policy_violation", "fail:timeout"])
def test_a_failure_is_refunded(installation: Installation, fate: str) -> None:
    shown = installation.end_of(installation.start(fate).json["id"])
    assert (shown["status"], shown["balance"]) == ("failed", 5)
    assert installation.platform.sql("SELECT error_class FROM generations") == fate.removeprefix("fail:")


@pytest.mark.parametrize("fate", ["succeed", "fail:timeout"])
def test_copies_at_once_and_workers_at_once_move_credits_once(installation: Installation, fate: str) -> None:
    """The copies carry all the proof of the first, which was the provider's own."""
    taken: list[tuple[str, Any, dict[str, str]]] = []
    post = httpx.Client.post

    def remember(client: httpx.Client, url: str, **given: Any) -> httpx.Response:
        taken.append((url, given["content"], dict(given["headers"])))
        return post(client, url, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Client, "post", remember)
        answer = installation.start(fate)
        while not taken:
            time.sleep(0.01)
    together, statuses = threading.Barrier(12), []

    def deliver() -> None:
        url, content, headers = taken[0]
        with httpx.Client(trust_env=False) as client:
            together.wait()
            statuses.append(client.post(url, content=content, headers=headers).status_code)

    def work() -> None:
        together.wait()
        for _ in range(3):
            installation.work()

    threads = [threading.Thread(target=target) for target in [deliver] * 9 + [work] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = installation.end_of(answer.json["id"])
    assert statuses == [200] * 9
    assert shown["balance"] == (2 if fate == "succeed" else 5)
    refunds = installation.platform.sql("SELECT count(*) FROM refunds")
    assert refunds == (0 if fate == "succeed" else 1)
    assert installation.platform.sql("SELECT count(*) FROM callbacks WHERE state = 'waiting'") == 0


def test_neither_token_nor_secrets_are_kept_or_logged(
    installation: Installation, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "makegood")
    installation.end_of(installation.start("processing_first").json["id"])
    [job] = installation.simulator.accepted
    token = (job.asked.webhook or "").rpartition("/")[2]
    assert len(token) >= 22
    kept = installation.platform.sql(
        "SELECT string_agg(c::text || convert_from(c.body, 'UTF8'), '') || (SELECT string_agg(g::text, '') "
        "FROM generations g) FROM callbacks c"
    )
    printed = capfd.readouterr()
    written = "".join(logs.formatter().format(record) for record in caplog.records)
    assert "/callbacks/" in written
    seen = kept + written + printed.out + printed.err
    for secret in (token, job.asked.secret, WEBHOOK_SECRET, API_KEY):
        assert secret is None or secret not in seen
        assert secret is None or secret.encode().hex() not in seen
    assert (job.asked.secret is not None) == (installation.name != "fal")
