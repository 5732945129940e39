"""A process that is killed at any commit leaves rows from which everything is finished, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from makegood import books, generations, ledger, reconcile
from makegood.models import Alert, Generation
from tests.makegood.crashing import Life, Remembering, deliver, refund_by_hand
from tests.making import TERMS, make_customer, reserve

START = datetime(2026, 11, 15, 12, tzinfo=UTC)
LATER = START + TERMS.check_after + reconcile.LEASE
PAST_DEADLINE = START + TERMS.deadline + timedelta(hours=1)
BOUNDARIES = {"succeeded": 12, "failed": 10, "refused": 5, "reconciled": 10}
"""Boundaries of a life: two for each commit or savepoint, and two (a refusal: one) at the provider."""

Live = Callable[[Life], int]


@pytest.fixture
def live(database: str, root: Path) -> Iterator[Live]:
    """Lives one life in a process of its own. Returns how it ended: 0, or minus the signal."""
    command = [sys.executable, "-m", "tests.makegood.crashing", database]
    with subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1, text=True) as mother:
        orders, answers = mother.stdin, mother.stdout
        assert orders is not None
        assert answers is not None

        def do(life: Life) -> int:
            print(json.dumps(asdict(life)), file=orders, flush=True)
            return int(answers.readline())

        yield do
        orders.close()


def recover(session: Session, provider: Remembering, customer_id: str) -> Generation | None:
    """What goes on after the crash: the platform asks again, callbacks come again, workers look, time passes."""
    again = reserve(session, customer_id, provider=provider, credits=10, key=f"key-{customer_id}", at=LATER)
    if not again.repeated:
        session.rollback()
        return None
    session.commit()
    if provider.story != "reconciled":
        redeliver(session, provider, LATER)
    for at in (LATER, PAST_DEADLINE):
        for claimed in reconcile.claim(session, at=at):
            session.commit()
            report = reconcile.look_up({provider.name: provider}, claimed)
            reconcile.decide(session, claimed, report, TERMS, at=at)
            session.commit()
    redeliver(session, provider, PAST_DEADLINE)
    generation = generations.get(session, again.generation_id)
    if provider.story == generation.status == "succeeded":
        refund_by_hand(session, again, PAST_DEADLINE)
        session.commit()
    return generations.get(session, again.generation_id)


def redeliver(session: Session, provider: Remembering, at: datetime) -> None:
    """The provider delivers the callback of each job, whether or not it has done so before."""
    for job in provider.jobs():
        assert deliver(session, provider, job["token"], at) in ("applied", "duplicate")


def expected(story: str, took_the_job: bool, generation: Generation) -> tuple[str, int, str | None]:
    """Status, balance and late outcome: refunded unless a success can be proven in time."""
    if story == "succeeded" and took_the_job:
        return "succeeded", 94, None
    if story == "reconciled" and generation.provider_job_id:
        return "succeeded", 90, None
    late = "succeeded" if story == "reconciled" and took_the_job else None
    return "failed", 100, late


@pytest.mark.parametrize("story", BOUNDARIES)
def test_a_process_killed_at_any_commit_leaves_rows_that_are_finished_once(
    engine: Engine, live: Live, tmp_path: Path, story: str
) -> None:
    with Session(engine) as session:
        for dies_at in range(1, BOUNDARIES[story] + 2):
            customer_id = make_customer(session, 95, at=START)
            session.commit()
            journal = str(tmp_path / customer_id)
            survives = dies_at > BOUNDARIES[story]
            ended = live(Life(story, customer_id, journal, dies_at, START.isoformat()))
            assert ended == (0 if survives else -signal.SIGKILL), dies_at
            provider = Remembering(journal, story)
            took_the_job = len(provider.jobs()) > 0
            generation = recover(session, provider, customer_id)
            balance = ledger.balance(session, customer_id)
            assert len(provider.jobs()) == took_the_job
            if generation is None:
                assert (dies_at, balance) == (1, 100)
                continue
            found = (generation.status, balance, generation.late_outcome)
            assert found == expected(story, took_the_job, generation), dies_at
        assert books.violations(session) == []
        unresolved = select(func.count()).where(Alert.resolved_at.is_(None))
        assert session.scalar(unresolved) == 0
