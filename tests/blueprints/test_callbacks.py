"""POST /callbacks/<provider>/<token>: exactly 200 for what is genuine, a 4xx for the rest, never a 500."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from werkzeug.test import TestResponse

from makegood import generations
from makegood.callbacks import MAX_BODY
from tests.backend import Platform, plugged_in_again, unplug
from tests.making import FakeProvider

GENUINE = {"x-genuine": "yes"}
FAILED = b'{"outcome": "failed", "job": "job-1", "error_class": "storage_error", "delivery": "d1"}'
SUCCEEDED = b'{"outcome": "succeeded", "job": "job-1", "outputs": ["https://r.example/1.png"], "delivery": "d2"}'


class Delivery:
    """A generation that was submitted, and its provider's way to call back."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.customer = platform.make_customer()
        self.generation_id = platform.start(self.customer).json["id"]
        self.path = platform.provider.submitted[-1].callback_url.removeprefix("http://localhost")

    def send(
        self, body: bytes = FAILED, headers: dict[str, str] = GENUINE, path: str | None = None
    ) -> TestResponse:
        """Deliver."""
        return self.platform.app.test_client().post(path or self.path, data=body, headers=headers)

    @property
    def status(self) -> str:
        """The generation's status."""
        return str(self.platform.send("GET", f"/generations/{self.generation_id}").json["status"])

    @property
    def balance(self) -> int:
        """The customer's credits."""
        return self.platform.balance(self.customer)


@pytest.fixture
def delivery(platform: Platform) -> Delivery:
    """A customer with 5 credits, 2 of which were charged for a generation in flight."""
    return Delivery(platform)


def test_a_failure_is_refunded_at_once(delivery: Delivery) -> None:
    answer = delivery.send()
    assert (answer.status_code, answer.json) == (200, {"state": "applied"})
    assert (delivery.status, delivery.balance) == ("failed", 5)


def test_a_success_keeps_the_charge(delivery: Delivery) -> None:
    assert delivery.send(SUCCEEDED).status_code == 200
    assert (delivery.status, delivery.balance) == ("succeeded", 3)


def test_a_duplicate_is_200_and_changes_nothing(delivery: Delivery) -> None:
    delivery.send()
    answer = delivery.send()
    assert (answer.status_code, answer.json) == (200, {"state": "duplicate"})
    assert delivery.balance == 5


def test_fifty_copies_at_once_refund_once(delivery: Delivery) -> None:
    together = threading.Barrier(50)

    def send(_: int) -> int:
        together.wait()
        return delivery.send().status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(send, range(50))) == {200}
    assert delivery.balance == 5
    assert delivery.platform.sql("SELECT count(*) FROM refunds") == 1
    assert delivery.platform.sql("SELECT count(*) FROM callbacks") == 50


def test_what_is_no_end_is_200_and_changes_nothing(delivery: Delivery) -> None:
    answer = delivery.send(b'{"outcome": "pending", "job": "job-1"}')
    assert (answer.status_code, answer.json) == (200, {"state": "ignored"})
    assert (delivery.status, delivery.balance) == ("submitted", 3)


def test_what_is_not_genuine_is_401_kept_and_changes_nothing(delivery: Delivery) -> None:
    answer = delivery.send(headers={})
    assert (answer.status_code, answer.json) == (401, {"state": "rejected"})
    assert (delivery.status, delivery.balance) == ("submitted", 3)
    assert delivery.platform.sql("SELECT body FROM callbacks WHERE state = 'rejected'") == FAILED


@pytest.mark.parametrize(
    "path",
    [
        "/callbacks/wavespeed/x",
        "/callbacks/wavespeed/%00",
        "/callbacks/%00/x",
        "/callbacks/nobody/x",
        "/callbacks/wavespeed/" + "x" * 5000,
        "/callbacks/wavespeed/%FF",
    ],
)
def test_an_unknown_token_is_404_and_nothing_is_kept(delivery: Delivery, path: str) -> None:
    answer = delivery.send(path=path)
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")
    assert delivery.platform.sql("SELECT count(*) FROM callbacks") == 0


def test_a_token_opens_only_its_own_providers_door(delivery: Delivery) -> None:
    delivery.platform.app.extensions["providers"]["simulated"] = FakeProvider(name="simulated")
    assert delivery.send(path=delivery.path.replace("wavespeed", "simulated")).status_code == 404
    assert delivery.balance == 3


def test_a_body_has_a_limit_of_its_own(delivery: Delivery) -> None:
    fits = FAILED[:-1] + b" " * (MAX_BODY - len(FAILED)) + b"}"
    assert delivery.send(fits + b" ").status_code == 413
    assert delivery.platform.sql("SELECT count(*) FROM callbacks") == 0
    assert delivery.send(fits).status_code == 200
    assert delivery.balance == 5


def test_a_chunked_body_has_the_same_limit(delivery: Delivery) -> None:
    answer = delivery.platform.client.post(
        delivery.path,
        input_stream=BytesIO(FAILED + b" " * MAX_BODY),
        environ_overrides={"wsgi.input_terminated": True},
        headers=GENUINE | {"Transfer-Encoding": "chunked"},
    )
    assert answer.status_code == 413
    assert delivery.platform.sql("SELECT count(*) FROM callbacks") == 0


def test_an_encoded_body_is_refused(delivery: Delivery) -> None:
    assert delivery.send(headers=GENUINE | {"Content-Encoding": "gzip"}).status_code == 415
    assert delivery.balance == 3


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(delivery: Delivery, method: str) -> None:
    assert delivery.platform.client.open(delivery.path, method=method).status_code == 405


def test_while_the_database_is_away_the_provider_is_told_to_come_again(delivery: Delivery) -> None:
    with plugged_in_again(delivery.platform):
        unplug(delivery.platform, connect=False)
        answer = delivery.send()
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert delivery.send().status_code == 200
    assert delivery.balance == 5


def test_a_delivery_that_cannot_be_applied_yet_is_kept_and_200(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(generations, "settle", broken)
    answer = delivery.send()
    assert (answer.status_code, answer.json) == (200, {"state": "waiting"})
    assert (delivery.status, delivery.balance) == ("submitted", 3)
