"""Providers that sign nothing, over HTTP: what they call back is a hint, and money moves after a fetch.

Luma waits five seconds for an answer and takes 200 only; Kling calls back at every change of status.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from simulator.jobs import State
from simulator.server import Simulator
from tests.backend import Platform
from tests.loopback import Loopback
from tests.offers import OFFERS

NAMES = ("luma", "kling")
MESSAGES = {"luma": 2, "kling": 3}
"""How many messages a job sends until its end."""
SOON = timedelta(seconds=1)


class Delivery:
    """A generation at a simulated provider, whose messages are handed to the application one by one."""

    def __init__(self, platform: Platform, simulator: Simulator, inbox: Loopback, name: str, wish: str) -> None:
        self.platform, self.simulator, self.inbox = platform, simulator, inbox
        self.name = name
        self.customer = platform.make_customer()
        offer = OFFERS[name]
        fields = {"provider": name, "model": offer.model, "kind": offer.kind}
        asked = offer.input(f"a red mug [simulate:{wish}]")
        self.started = platform.start(self.customer, credits=3, input=asked, **fields)
        assert self.started.status_code == 202

    def messages(self, count: int) -> list[tuple[str, bytes]]:
        """Where the provider's first messages went, and what they say."""
        return [(one.path, one.body) for one in self.inbox.wait_for(count)[:count]]

    def send(self, path: str, body: bytes) -> TestResponse:
        """Deliver one."""
        return self.platform.app.test_client().post(path, data=body)

    def seen(self) -> tuple[str, int]:
        """The generation's status, and the customer's credits."""
        return str(self.platform.sql("SELECT status FROM generations")), self.platform.balance(self.customer)


@pytest.fixture
def deliver(platform: Platform, simulate: Callable[[str], Simulator]) -> Iterator[Callable[[str, str], Delivery]]:
    """Starts a generation with a fate at a provider: `deliver("luma", "succeed")`."""
    with Loopback() as inbox:
        right = platform.app.config["SETTINGS"]
        platform.app.config["SETTINGS"] = dataclasses.replace(right, public_url=inbox.url)
        yield lambda name, wish: Delivery(platform, simulate(name), inbox, name, wish)


@pytest.mark.parametrize("name", NAMES)
def test_every_message_is_answered_with_200_at_once_and_none_moves_money(
    name: str, deliver: Callable[[str, str], Delivery], reconcile_at: Callable[[datetime], None]
) -> None:
    delivery = deliver(name, "fail:content_policy_violation")
    messages = delivery.messages(MESSAGES[name])
    states = []
    for path, body in (*messages, *messages):
        started = time.monotonic()
        answer = delivery.send(path, body)
        assert answer.status_code == 200
        assert time.monotonic() - started < 2
        states.append(answer.json["state"])
    assert sorted(states[: len(messages)]) == ["ignored"] * (len(messages) - 1) + ["waiting"]
    assert delivery.seen() == ("submitted", 2)
    reconcile_at(datetime.now(UTC) + SOON)
    assert delivery.seen() == ("failed", 5)
    assert delivery.platform.sql("SELECT error_class FROM generations") == "content_policy_violation"


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_that_the_provider_does_not_confirm_refunds_nothing(
    name: str, deliver: Callable[[str, str], Delivery], reconcile_at: Callable[[datetime], None]
) -> None:
    delivery = deliver(name, "succeed")
    path, body = delivery.messages(MESSAGES[name])[0]
    field, failed = {"luma": ("state", "failed"), "kling": ("task_status", "failed")}[name]
    assert delivery.send(path, json.dumps({**json.loads(body), field: failed}).encode()).status_code == 200
    reconcile_at(datetime.now(UTC) + SOON)
    assert delivery.seen() == ("succeeded", 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_token_that_is_echoed_is_not_kept(name: str, deliver: Callable[[str, str], Delivery]) -> None:
    delivery = deliver(name, "succeed")
    for path, body in delivery.messages(MESSAGES[name]):
        token = path.rpartition("/")[2]
        assert (token.encode() in body) == (name == "luma"), "Luma echoes the request"
        assert delivery.send(path, body).status_code == 200
        kept = "SELECT count(*) FROM callbacks WHERE position(convert_to(:token, 'UTF8') IN body) > 0"
        assert delivery.platform.sql(kept, token=token) == 0
        assert (
            delivery.platform.sql(
                "SELECT count(*) FROM callbacks WHERE parsed::text LIKE '%' || :token || '%'", token=token
            )
            == 0
        )


@pytest.mark.parametrize(
    ("name", "fate", "cost", "source"),
    [
        ("luma", "succeed", 710_000, "price_book"),
        ("kling", "succeed", 350_000, "provider"),
        ("kling", "fail:timeout", 0, "provider"),
    ],
)
def test_the_cost_is_what_the_price_book_or_the_answer_says(
    name: str,
    fate: str,
    cost: int,
    source: str,
    deliver: Callable[[str, str], Delivery],
    reconcile_at: Callable[[datetime], None],
) -> None:
    delivery = deliver(name, fate)
    for path, body in delivery.messages(MESSAGES[name]):
        delivery.send(path, body)
    reconcile_at(datetime.now(UTC) + SOON)
    assert delivery.platform.sql("SELECT cost_micros FROM generations") == cost
    assert delivery.platform.sql("SELECT cost_source FROM generations") == source


@pytest.mark.parametrize("name", NAMES)
def test_a_job_whose_submit_was_never_answered_is_found_and_settled(
    name: str, deliver: Callable[[str, str], Delivery], reconcile_at: Callable[[datetime], None]
) -> None:
    delivery = deliver(name, "cut")
    assert delivery.started.json["status"] == "unknown"
    while delivery.simulator.accepted[0].state != State.SUCCEEDED:
        time.sleep(0.01)
    reconcile_at(datetime.now(UTC) + timedelta(minutes=3))
    assert delivery.seen() == ("succeeded", 2)
    shown: Any = delivery.platform.send("GET", f"/generations/{delivery.started.json['id']}").json
    assert shown["provider_job_id"] == delivery.simulator.accepted[0].id
    assert len(delivery.simulator.submitted) == 1
