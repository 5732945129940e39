"""The demo's traffic: through the real API, patient while the server is away, gone when it is told to go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from flask import Flask
from sqlalchemy import text

from demo import traffic
from demo.chance import Chance
from demo.people import Person, person
from demo.state import PORTS
from demo.traffic import Away, Platform, run
from extensions import db
from makegood import books, grants
from simulator.several import lines, several
from simulator.stripe.server import SimulatedStripe
from tests.loopback import Loopback, free_port
from tests.people import add_key
from tests.stripe import pack

STARTED = {"id": "01a1fe32-2f5f-743b-8aa2-b46bcaa9322a", "status": "submitted", "credits_charged": 2, "balance": 9}

STRIPE = {"STRIPE_BASE_URL": "http://127.0.0.1:9", "STRIPE_API_KEY": "rk_test_secret"}


@pytest.fixture
def served(make_app: Callable[..., Flask]) -> Iterator[tuple[Flask, httpx.Client]]:
    """The application, a client that talks to it with a platform's key, and providers that take jobs and are gone
    before they are done."""
    with several(dict.fromkeys(PORTS, 0), {}, seed=1, speed=10) as simulators:
        for one in simulators:
            one._server.submit_seconds = 0
        app = make_app(**dict(line.split("=", 1) for one in simulators for line in lines(one)))
        headers = {"Authorization": f"Bearer {add_key(app, 'platform')}"}
        with httpx.Client(
            transport=httpx.WSGITransport(app=app), base_url="http://localhost", headers=headers
        ) as client:
            yield app, client


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.Client, list[httpx.Request]]:
    """A client whose requests get these answers in turn, and the requests."""
    requests: list[httpx.Request] = []
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = left.pop(0) if left else httpx.Response(202, json=STARTED)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.Client(transport=httpx.MockTransport(handle), base_url="http://localhost"), requests


def nobody_buys(customer: Person, credits: int) -> None:
    """The checkout of a demo in which credits last."""
    raise AssertionError


class Settled(Chance):
    """Chance without newcomers and cancellations."""

    def happens(self, probability: float) -> bool:
        return False


def test_customers_sign_up_buy_credits_and_start_generations(
    served: tuple[Flask, httpx.Client], capsys: pytest.CaptureFixture[str]
) -> None:
    app, client = served
    bought: list[int] = []

    def checkout(customer: Person, credits: int) -> None:
        bought.append(credits)
        with app.app_context():
            grants.add(db.session(), customer.id, credits, source="purchase", reason="Pack", actor="test")
            db.session.commit()

    platform = Platform(client, Chance("traffic"), checkout)
    platform._customers = platform._customers[:2]
    for _ in range(60):
        assert 0 < platform.generate() < 2
    with app.app_context():
        made = db.session.execute(text("SELECT provider, count(*) FROM generations GROUP BY 1 ORDER BY 2 DESC"))
        providers = dict(map(tuple, made))
        assert sum(providers.values()) == 60 - len(bought)
        assert providers.keys() <= PORTS.keys()
        assert len(providers) >= 4
        assert next(iter(providers)) == "simulated"
        assert len(bought) > 0
        assert books.violations(db.session()) == []
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if " PUT customers/" in line]) >= 2
    assert len([line for line in lines if " POST generations " in line and "404" not in line]) == 60
    assert len([line for line in lines if "-> 402 insufficient_credits" in line]) == len(bought)


def test_now_and_then_somebody_is_new_or_gives_up(
    served: tuple[Flask, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "NEWCOMERS", 1.0)
    monkeypatch.setattr(traffic, "CANCELLATIONS", 1.0)
    app, client = served
    platform = Platform(client, Chance("newcomers"), nobody_buys)
    known = len(platform._customers)
    platform.generate()
    assert len(platform._customers) == known + 1
    with app.app_context():
        assert db.session.scalar(text("SELECT status FROM generations")) == "cancelled"


def test_a_refusal_of_the_provider_is_no_trouble_of_the_server() -> None:
    refused = {"error": {"code": "provider_unavailable"}, "refunded": True, "credits_refunded": 2, "balance": 9}
    client, requests = answering(httpx.Response(503, json=refused))
    with client:
        assert Platform(client, Settled("refusal"), nobody_buys).generate() > 0
    assert len(requests) == 1


@pytest.mark.parametrize("status", [401, 429, 500, 502])
def test_an_answer_that_says_come_later_is_waited_for(status: int) -> None:
    client, _ = answering(httpx.Response(status, json={"error": {"code": "x"}}))
    with client, pytest.raises(Away, match=str(status)):
        Platform(client, Settled("later"), nobody_buys).generate()


def test_a_request_that_was_cut_off_is_repeated_with_the_same_key() -> None:
    client, requests = answering(httpx.RemoteProtocolError("cut off"))
    with client:
        Platform(client, Settled("cut"), nobody_buys).generate()
    keys = [request.headers["Idempotency-Key"] for request in requests]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert requests[0].content == requests[1].content


def test_while_the_server_is_away_it_asks_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [httpx.ConnectError("refused")] * 2  # each request is sent twice
    client, _ = answering(*gone * 8, httpx.Response(202, json=STARTED), *gone)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with client, pytest.raises(KeyboardInterrupt):
        run(client, Settled("away"), nobody_buys, 60)
    assert waited[:8] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert 0.4 <= waited[8] <= 1.6
    assert waited[9] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_even_while_it_waits_for_an_answer(root: Path, number: int) -> None:
    released = threading.Event()

    def never(_: socket.socket) -> None:
        released.wait(20)

    with Loopback(never) as server:
        environ = {**os.environ, "MAKEGOOD_URL": server.url, "MAKEGOOD_API_KEY": "mg_secret", **STRIPE}
        process = subprocess.Popen([sys.executable, "-m", "demo.traffic"], cwd=root, env=environ)
        server.wait_for(1, 20)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 3
        released.set()
    assert server.requests[0].headers["authorization"] == "Bearer mg_secret"
    assert json.loads(server.requests[0].body)["provider"] in PORTS


def test_it_starts_before_the_server_and_does_not_print_its_key(root: Path) -> None:
    command = [sys.executable, "-m", "demo.traffic", "--url", f"http://127.0.0.1:{free_port()}", "--rate", "600"]
    environ = {**os.environ, "MAKEGOOD_API_KEY": "mg_secret", **STRIPE}
    process = subprocess.Popen(command, cwd=root, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    rest, _ = process.communicate(timeout=10)
    assert "ConnectError; next attempt in 1 s" in line
    assert "secret" not in line + rest


def test_what_is_bought_at_the_simulated_stripe_is_paid_for_there(stripe: SimulatedStripe) -> None:
    pack(stripe.account, 100, 690)
    someone = person(1, 1)
    traffic.at_stripe(stripe.url, stripe.api_key)(someone, 100)
    traffic.at_stripe(stripe.url, "rk_test_wrong")(someone, 100)
    (charge,) = stripe.account.all("charges")
    assert (charge["amount"], charge["metadata"]) == (690, {"user_id": someone.id})
    with pytest.raises(Away):
        traffic.at_stripe(f"http://127.0.0.1:{free_port()}", stripe.api_key)(someone, 100)


@pytest.mark.parametrize("arguments", [["--rate", "0"], ["--rate", "nan"], ["--url", ""]])
def test_wrong_options_are_one_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAKEGOOD_URL", raising=False)
    for name, value in STRIPE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="2"):
        traffic.main(["--url", "http://127.0.0.1:9", "--api-key", "mg_x", *arguments])
    assert "error:" in capsys.readouterr().err
