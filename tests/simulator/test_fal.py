"""What is fal's own, against its simulated provider: the published keys, and results that callbacks leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from makegood.providers.fal import Fal
from makegood.providers.public_keys import PAUSE_SECONDS
from simulator.server import start
from tests.desk import AFTER, BEFORE, Desk, body_of
from tests.loopback import Loopback


@pytest.fixture
def desk(session: Session) -> Iterator[Callable[..., Desk]]:
    """Makes desks in front of fal."""
    with ExitStack() as stack:

        def make(**options: Any) -> Desk:
            simulator = stack.enter_context(start(dialect="fal", **{"seed": 1, "speed": 200.0, **options}))
            return Desk(session, simulator, stack.enter_context(Loopback()))

        yield make


def test_a_success_without_its_result_is_fetched_and_never_refunded(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.start("succeed", payload_error=True)
    [request] = at.arrived(1)
    assert body_of(request)["payload"] is None
    assert body_of(request)["payload_error"]
    assert at.deliver(request).state == "waiting"
    assert at.end == ("submitted", AFTER)
    generation = at.settled()
    assert at.end == ("succeeded", AFTER)
    assert len(generation.outputs or []) == 2


def test_what_was_billed_is_known_once_the_result_was_fetched(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.start("succeed")
    at.take_in(1)
    assert at.generation.quantity is None
    generation = at.settled()
    assert (generation.unit, generation.quantity) == ("unit", Decimal(2))
    # No price for fal's units is shipped: the cost is unknown, which is not nothing.
    assert (generation.cost_micros, generation.cost_source) == (None, "unknown")


def test_a_failure_counts_at_once_without_a_fetch(desk: Callable[..., Desk]) -> None:
    at = desk()
    at.start("fail:content_policy_violation")
    assert at.take_in(1) == ["applied"]
    assert at.end == ("failed", BEFORE)


def test_the_keys_are_fetched_once_for_many_callbacks(desk: Callable[..., Desk]) -> None:
    at, asked = desk(), []
    assert isinstance(at.provider, Fal)
    door = at.provider.keys._door
    fetch = door.fetch
    door.fetch = lambda url, auth, body=None: asked.append(url) or fetch(url, auth, body)  # type: ignore[method-assign]
    at.start("duplicate")
    assert at.take_in(3) == ["waiting", "duplicate", "duplicate"]
    assert asked == [f"{at.simulator.base_url}/.well-known/jwks.json"]


def test_a_key_that_is_replaced_is_found_within_a_minute(desk: Callable[..., Desk]) -> None:
    at = desk()
    assert isinstance(at.provider, Fal)
    clock = [1000.0]
    at.provider.keys._clock = lambda: clock[0]
    at.start("duplicate")
    assert at.take_in(3) == ["waiting", "duplicate", "duplicate"]
    dialect = at.simulator._server.dialect
    dialect.key = Ed25519PrivateKey.generate()  # type: ignore[attr-defined]
    later = Desk(at.session, at.simulator, at.inbox)
    later.provider = at.provider
    later._taken = 3
    later.start("fail:timeout")
    [request] = later.arrived(1)
    assert later.deliver(request).state == "rejected"
    assert later.end == ("submitted", AFTER)
    clock[0] += PAUSE_SECONDS
    assert later.deliver(request).state == "applied"
    assert later.end == ("failed", BEFORE)


def test_while_the_keys_cannot_be_fetched_nothing_is_believed_and_the_job_is_fetched_all_the_same(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    assert isinstance(at.provider, Fal)
    at.provider.keys._url = "http://127.0.0.1:9/.well-known/jwks.json"
    at.start("fail:timeout")
    assert at.take_in(1) == ["rejected"]
    assert at.end == ("submitted", AFTER)
    assert at.settled().error_class == "timeout"
    assert at.end == ("failed", BEFORE)
