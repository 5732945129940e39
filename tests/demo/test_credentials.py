"""What the demo prints can be pasted into a shell."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from demo import credentials
from demo.state import State
from extensions import db
from makegood.models import Customer
from makegood.terms import Terms
from simulator.outcomes import PLANS
from simulator.server import Simulator, start

SAY_ARGUMENTS = 'curl() { for argument in "$@"; do printf "%s\\n" "$argument"; done; }\n'


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A provider that takes jobs."""
    with start(seed=1) as running:
        yield running


def made_up() -> State:
    return State("secret", "key", "whsec_x", "a-password-of-the-demo")


def pasted(shell: str, greeting: str) -> list[str]:
    """The arguments that curl gets when the printed line is pasted into a shell."""
    line = greeting[greeting.index("curl http") : greeting.index("\n\nTo choose")]
    done = subprocess.run([shell, "-c", SAY_ARGUMENTS + line], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_printed_line_starts_a_generation(
    shell: str, make_app: Callable[..., Flask], simulator: Simulator
) -> None:
    app = make_app(SIMULATED_BASE_URL=simulator.base_url, SIMULATED_API_KEY="simulated-key")
    state = made_up()
    with app.app_context():
        credentials.ensure(db.session(), state, Terms())
        db.session.commit()
        assert db.session.get_one(Customer, credentials.CUSTOMER).tier == "pro"
    url, *options = pasted(shell, credentials.greeting(state, "http://127.0.0.1:8000"))
    assert url == "http://127.0.0.1:8000/api/v1/generations"
    given = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    (body,) = [value for option, value in given if option == "-d"]
    answer = app.test_client().post("/api/v1/generations", data=body, headers=headers)
    assert answer.status_code == 202
    assert answer.json["status"] == "submitted"


def test_a_line_pasted_twice_has_two_keys() -> None:
    greeting = credentials.greeting(made_up(), "http://127.0.0.1:8000")
    keys = {line for _ in range(8) for line in pasted("bash", greeting) if line.startswith("Idempotency-Key: ")}
    assert len(keys) > 1


def test_every_wish_is_named() -> None:
    greeting = credentials.greeting(made_up(), "http://127.0.0.1:8000")
    assert all(f'"{wish}"' in greeting for wish in PLANS)
    assert "fail:" in greeting


def test_scripts_get_the_same_credentials() -> None:
    state = made_up()
    assert json.loads(credentials.as_json(state, "http://127.0.0.1:8000")) == {
        "url": "http://127.0.0.1:8000",
        "operator": credentials.EMAIL,
        "password": state.password,
        "api_key": state.api_key,
        "stats_key": state.stats_key,
    }
