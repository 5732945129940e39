"""BFL's, fal's and PiAPI's adapters against their simulated providers, over HTTP and down to the credits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy.orm import Session

from makegood.providers.protocol import ErrorClass
from simulator.dialects import DIALECTS
from simulator.server import start
from tests.desk import AFTER, BEFORE, Desk
from tests.loopback import Loopback

NAMES = ("bfl", "fal", "piapi")
AT_ONCE = ("bfl",)
"""Whose successes count as soon as they are called back; the others are fetched first."""
FAILING = [(name, error_class) for name in NAMES for error_class in DIALECTS[name].failures]


@pytest.fixture
def desk(session: Session) -> Iterator[Callable[..., Desk]]:
    """Makes desks: `desk("fal")`."""
    with ExitStack() as stack:

        def make(name: str, **options: Any) -> Desk:
            settings = {"seed": 1, "speed": 200.0, "late_seconds": 30, **options}
            simulator = stack.enter_context(start(dialect=name, **settings))
            return Desk(session, simulator, stack.enter_context(Loopback()))

        yield make


@pytest.mark.parametrize("name", NAMES)
def test_a_success_keeps_the_charge_and_has_results_and_units(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("succeed")
    assert at.take_in(1) == ["applied" if name in AT_ONCE else "waiting"]
    generation = at.settled()
    assert at.end == ("succeeded", AFTER)
    assert generation.outputs is not None
    assert all(link.startswith(at.simulator.base_url) for link in generation.outputs)
    assert generation.provider_job_id == at.simulator.accepted[0].id
    assert generation.quantity is not None


@pytest.mark.parametrize(("name", "error_class"), FAILING)
def test_a_failure_is_refunded_and_read_as_what_it_is(
    desk: Callable[..., Desk], name: str, error_class: str
) -> None:
    at = desk(name)
    at.start(f"fail:{error_class}")
    assert at.take_in(1) == ["waiting" if name == "piapi" else "applied"]
    assert at.settled().error_class == error_class
    assert at.end == ("failed", BEFORE)


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_of_no_known_kind_is_refunded_too(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("fail:of_another_kind")
    at.take_in(1)
    assert at.settled().error_class == ErrorClass.UNKNOWN_ERROR
    assert at.end == ("failed", BEFORE)


@pytest.mark.parametrize("name", NAMES)
def test_three_copies_of_a_failure_refund_once(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("fail:timeout")
    [first] = at.arrived(1)
    copies = [first, first, first]
    states = [at.deliver(copy).state for copy in copies]
    assert states == ["waiting" if name == "piapi" else "applied", "duplicate", "duplicate"]
    at.settled()
    assert at.end == ("failed", BEFORE)


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_a_success_are_duplicates(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("duplicate")
    states = at.take_in(3)
    assert states[1:] == ["duplicate", "duplicate"]
    at.settled()
    assert at.end == ("succeeded", AFTER)


@pytest.mark.parametrize("wish", ["processing_first", "disorder"])
@pytest.mark.parametrize("name", NAMES)
def test_what_ends_nothing_changes_nothing_before_or_after_the_end(
    desk: Callable[..., Desk], name: str, wish: str
) -> None:
    at = desk(name)
    at.start(wish)
    states = at.take_in(2)
    # On a busy machine the two may overtake each other.
    assert states.count("ignored") == 1
    at.settled()
    assert at.end == ("succeeded", AFTER)


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_callback_leaves_a_job_that_is_fetched(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("lose_callback")
    while not at.simulator.accepted[0].ended:
        time.sleep(0.01)
    assert at.settled().outputs
    assert at.end == ("succeeded", AFTER)
    assert at.inbox.requests == []


@pytest.mark.parametrize("wish", ["hang", "cut", "half", "error"])
@pytest.mark.parametrize("name", NAMES)
def test_after_a_lost_answer_the_callback_finds_the_job(desk: Callable[..., Desk], name: str, wish: str) -> None:
    at = desk(name)
    at.start(wish)
    assert at.end == ("unknown", AFTER)
    at.take_in(1)
    assert at.settled().provider_job_id == at.simulator.accepted[0].id
    assert at.end == ("succeeded", AFTER)
    assert len(at.simulator.submitted) == 1, "nothing is ever submitted twice"


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_comes_before_the_answer_was_recorded(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name)
    at.start("early", record=False)
    assert at.generation.status == "charged"
    at.take_in(1)
    assert at.settled().provider_job_id == at.simulator.accepted[0].id
    assert at.end == ("succeeded", AFTER)


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_is_refunded_at_once(desk: Callable[..., Desk], name: str) -> None:
    for wish in DIALECTS[name].refusals:
        at = desk(name)
        at.start(wish)
        assert at.end == ("failed", BEFORE), wish
        assert at.simulator.accepted == []
        if wish == "refuse_account":
            assert at.generation.error_class == ErrorClass.PROVIDER_ACCOUNT


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_of_another_job_proves_nothing_here(desk: Callable[..., Desk], name: str) -> None:
    """The other job's callback, with all its proof, sent to this one's address."""
    at = desk(name)
    at.start("succeed")
    [request] = at.arrived(1)
    other = Desk(at.session, at.simulator, at.inbox)
    other.start("stuck")
    assert other.deliver(request).state == "rejected"
    assert other.end == at.end == ("submitted", AFTER)


@pytest.mark.parametrize("name", NAMES)
def test_trouble_at_the_provider_delays_and_loses_nothing(desk: Callable[..., Desk], name: str) -> None:
    at = desk(name, trouble=0.5)
    at.start("succeed")
    at.take_in(1)
    assert at.settled().outputs
    assert at.end == ("succeeded", AFTER)


@pytest.mark.parametrize("name", NAMES)
def test_the_balance_is_asked_over_http(desk: Callable[..., Desk], name: str) -> None:
    account = desk(name).provider.account()
    assert account is not None
    assert account.remaining > 0
