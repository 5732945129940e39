"""What is BFL's own, against its simulated provider: costs in the answer, secrets of jobs, links that die soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from makegood import generations
from makegood.providers.bfl import sign
from simulator.server import WEBHOOK_SECRET, start
from tests.desk import AFTER, BEFORE, Desk
from tests.loopback import Loopback


@pytest.fixture
def desk(session: Session) -> Iterator[Desk]:
    """A desk in front of BFL."""
    with start(dialect="bfl", seed=1, speed=200.0) as simulator, Loopback() as inbox:
        yield Desk(session, simulator, inbox)


def test_the_cost_in_the_answer_is_the_cost(desk: Desk) -> None:
    desk.start("stuck")
    generation = desk.generation
    assert (generation.unit, generation.quantity) == ("credit", Decimal(3))
    assert (generation.cost_micros, generation.cost_source) == (30_000, "provider")


def test_the_link_is_known_to_die_ten_minutes_after_the_end(desk: Desk) -> None:
    desk.start("succeed")
    assert desk.take_in(1) == ["applied"]
    generation, ended_at = desk.generation, desk.simulator.accepted[0].ended_at
    assert ended_at is not None
    assert generation.outputs_expire_at == ended_at.replace(microsecond=0) + timedelta(minutes=10)


def test_a_captured_callback_sent_again_and_again_moves_nothing_more(desk: Desk) -> None:
    """There is no time in the signature: the copy verifies for ever."""
    desk.start("fail:timeout")
    [request] = desk.arrived(1)
    assert desk.deliver(request).state == "applied"
    assert [desk.deliver(request).state for _ in range(5)] == ["duplicate"] * 5
    assert desk.end == ("failed", BEFORE)


def test_neither_the_accounts_secret_nor_none_signs_a_callback(desk: Desk) -> None:
    desk.start("fail:timeout")
    [request] = desk.arrived(1)
    own = desk.simulator.accepted[0].asked.secret or ""
    assert own == desk.provider.job_secret(desk.reservation.callback_token or "")
    for secret in (WEBHOOK_SECRET, "", own[::-1], own.upper()):
        forged = {"x-bfl-signature": sign(secret, request.body)}
        assert desk.deliver(request, headers=forged).state == "rejected"
    assert desk.deliver(request, headers={"x-bfl-signature": ""}).state == "rejected"
    assert desk.end == ("submitted", AFTER)


def test_without_a_secret_the_job_is_refused_and_refunded(desk: Desk, session: Session) -> None:
    object.__setattr__(desk.provider, "webhook_secret", None)
    desk.start("succeed")
    assert desk.end == ("failed", BEFORE)
    assert desk.simulator.submitted == []
    generation = generations.get(session, desk.reservation.generation_id)
    assert "BFL_WEBHOOK_SECRET is not set" in (generation.error_message or "")
    assert generation.cost_micros == 0
