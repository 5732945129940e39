"""Bulk refunds and reversals in real threads with real commits, and under SIGKILL at every commit."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from makegood import books, bulk_refunds, generations, grants, ledger, operators, refunds, reversals
from makegood.errors import Conflict, InsufficientCredits
from makegood.generations import costs
from makegood.ids import uuid7
from makegood.models import BulkRefund, Generation, Refund, Reversal
from tests.makegood.crashing import Life
from tests.makegood.test_concurrency import at_once, balance, charged, committed, count
from tests.makegood.test_concurrency import engine as engine
from tests.makegood.test_crashes import Live
from tests.makegood.test_crashes import live as live
from tests.making import TERMS, make_customer, make_generation

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
SCOPE = bulk_refunds.Scope("wavespeed", AT - timedelta(hours=1), AT + timedelta(hours=1))
CROWD = 16
OPS = "ops@example.com"


def start(session: Session, *, key: str = "form", scope: bulk_refunds.Scope = SCOPE, actor: str = "ops") -> UUID:
    """Confirm what is there."""
    seen = bulk_refunds.preview(session, scope)
    bulk = bulk_refunds.start(
        session, scope, TERMS, fingerprint=seen.fingerprint, count=seen.generations, reason="outage", note="x",
        actor=actor, idempotency_key=key,
    )  # fmt: skip
    return bulk.id


def work(session: Session) -> None:
    """What a worker does."""
    while bulk_refunds.work(session, TERMS, at=LATER):
        session.commit()


def by_hand(session: Session, generation_id: UUID, credits: int) -> Refund:
    return refunds.issue_manual(
        session, generation_id, TERMS, credits=credits, reason="other", note="x", actor="ops",
        idempotency_key=uuid7().hex, expected_refunded=0, at=LATER,
    )  # fmt: skip


def reverse(session: Session, refund_id: UUID) -> Reversal:
    return reversals.reverse(session, refund_id, TERMS, note="x", actor="o", idempotency_key=uuid7().hex, at=LATER)


def test_workers_operators_and_the_clock_refund_each_generation_once(engine: Engine) -> None:
    def fill(session: Session) -> list[UUID]:
        names = [make_customer(session, 95, at=AT) for _ in range(4)]
        return [make_generation(session, name, credits=5, status="succeeded", at=AT) for name in names * 6]

    made = committed(engine, fill)
    bulk_id = committed(engine, start)
    hands = [partial(by_hand, generation_id=one, credits=3) for one in made[::3]]
    dearer = [partial(costs.set_cost, generation_id=one, micros=9, source="bill") for one in reversed(made[::4])]
    clock: list[Any] = [partial(grants.expire_due, at=LATER)] * 2
    at_once(engine, [*[work] * 4, *hands, *dearer, *clock])
    committed(engine, work)
    with Session(engine) as session:
        bulk = bulk_refunds.get(session, bulk_id)
        assert (bulk.state, bulk.refunded + bulk.skipped, bulk.failed) == ("finished", 24, 0)
        assert session.scalars(select(Generation.credits_refunded).distinct()).all() == [5]


def test_the_same_form_at_once_begins_one(engine: Engine) -> None:
    def fill(session: Session) -> None:
        make_generation(session, make_customer(session, 95, at=AT), credits=5, status="succeeded", at=AT)

    committed(engine, fill)
    assert len(set(at_once(engine, [start] * CROWD))) == 1
    assert count(engine, BulkRefund) == 1


def test_a_form_that_comes_again_while_its_first_is_worked_on_is_not_told_that_nothing_moved(
    engine: Engine,
) -> None:
    def fill(session: Session) -> None:
        operators.create(session, OPS, "admin", "x" * 20, actor="t")
        make_generation(session, make_customer(session, 95, at=AT), credits=5, status="succeeded", at=AT)

    committed(engine, fill)
    with Session(engine) as first, ThreadPoolExecutor(1) as pool:
        bulk_id = start(first, actor=OPS)
        second = pool.submit(committed, engine, partial(start, actor=OPS))
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not first.scalar(waits) and not second.done():
            pass
        bulk_refunds.work(first, TERMS, at=LATER)
        first.commit()
        assert second.result(timeout=30) == bulk_id


def test_two_bulk_refunds_of_the_same_incident_refund_it_once(engine: Engine) -> None:
    def fill(session: Session) -> None:
        name = make_customer(session, 95, at=AT)
        for _ in range(6):
            make_generation(session, name, credits=5, status="succeeded", at=AT)

    committed(engine, fill)
    at_once(engine, [partial(start, key=key) for key in ("a", "b", "c")])
    at_once(engine, [work] * 4)
    with Session(engine) as session:
        totals = session.execute(select(func.sum(BulkRefund.refunded), func.sum(BulkRefund.skipped))).one()
        assert tuple(totals) == (6, 12)


def test_a_stop_beside_a_worker_takes_effect_between_two_generations(engine: Engine) -> None:
    def fill(session: Session) -> None:
        name = make_customer(session, 95, at=AT)
        for _ in range(12):
            make_generation(session, name, credits=5, status="succeeded", at=AT)

    committed(engine, fill)
    bulk_id = committed(engine, start)
    at_once(engine, [work, work, partial(bulk_refunds.stop, bulk_refund_id=bulk_id, actor="ops")])
    with Session(engine) as session:
        bulk = bulk_refunds.get(session, bulk_id)
        assert bulk.state in ("stopped", "finished")
        assert session.scalar(select(func.count()).select_from(Refund)) == bulk.refunded


def test_a_refund_is_reversed_once_however_many_ask(engine: Engine) -> None:
    customer = committed(engine, lambda session: make_customer(session, 95, at=AT))
    generation_id = committed(engine, partial(charged, customer_id=customer, credits=10, at=AT))
    refund_id = committed(engine, lambda session: by_hand(session, generation_id, 10).id)
    results = at_once(engine, [partial(reverse, refund_id=refund_id)] * CROWD)
    assert sum(isinstance(result, Conflict) for result in results) == CROWD - 1
    assert (balance(engine, customer), count(engine, Reversal)) == (90, 1)


def test_a_reversal_and_charges_at_once_never_take_what_is_not_there(engine: Engine) -> None:
    customer = committed(engine, lambda session: make_customer(session, 5, at=AT))
    generation_id = committed(engine, partial(charged, customer_id=customer, credits=10, at=AT))
    refund_id = committed(engine, lambda session: by_hand(session, generation_id, 10).id)
    crowd = [partial(charged, customer_id=customer, credits=2, at=LATER)] * 7
    results = at_once(engine, [*crowd, partial(reverse, refund_id=refund_id)])
    taken_back = not isinstance(results[-1], Conflict)
    charges = sum(not isinstance(result, InsufficientCredits) for result in results[:-1])
    assert balance(engine, customer) == 10 - 2 * charges - 10 * taken_back
    assert charges == (0 if taken_back else 5)


def test_a_worker_killed_at_any_commit_leaves_a_bulk_refund_that_another_finishes(
    database: str, engine: Engine, live: Live, tmp_path: Path
) -> None:
    for dies_at in range(1, 40):
        start_of_life = AT + timedelta(days=dies_at)
        window = bulk_refunds.Scope("wavespeed", start_of_life, start_of_life + timedelta(hours=1))

        def fill(session: Session, at: datetime = start_of_life) -> str:
            name = make_customer(session, 95, at=at)
            for _ in range(2):
                make_generation(session, name, credits=5, status="succeeded", at=at)
            return name

        customer = committed(engine, fill)
        bulk_id = committed(engine, partial(start, key=f"form-{dies_at}", scope=window))
        life = Life(
            "bulk", customer, str(tmp_path / "none"), dies_at, (start_of_life + timedelta(hours=2)).isoformat()
        )
        ended = live(life)
        with Session(engine) as session:
            # PostgreSQL needs a moment to see that the other end is dead, and a worker passes by what is locked.
            session.execute(select(BulkRefund).with_for_update())
            session.commit()
            while bulk_refunds.work(session, TERMS, at=start_of_life + timedelta(hours=3)):
                session.commit()
            bulk = bulk_refunds.get(session, bulk_id)
            assert (bulk.state, bulk.refunded, bulk.skipped, bulk.credits_refunded) == ("finished", 2, 0, 10)
            assert ledger.balance(session, customer) == 100
            assert [generation.credits_refunded for generation in _of(session, customer)] == [5, 5]
            assert books.violations(session) == []
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert dies_at > 10


def _of(session: Session, customer: str) -> list[Generation]:
    ids = session.scalars(select(Generation.id).where(Generation.customer_id == customer)).all()
    return [generations.get(session, one) for one in ids]
