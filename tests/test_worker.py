"""The worker: every task runs on the real queue, and one failure does not stop the others."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

import worker
from extensions import db
from makegood import alerts, generations, ledger, presence, rollups
from makegood.models import Alert, ProviderBalance
from makegood.providers.protocol import Account, FetchFailed
from tests.backend import Platform, plugged_in_again, unplug
from tests.conftest import environment
from tests.making import FAILURE, TERMS, FakeProvider, make_customer, make_generation

TASKS = (
    "fold_rollups",
    "reconcile_due",
    "retry_callbacks",
    "deliver_notifications",
    "expire_grants",
    "give_allowances",
    "resolve_alerts",
    "ask_balances",
    "recompute_costs",
    "expire_approvals",
    "refund_in_bulk",
    "clean_up",
    "retry_stalled",
    "start_bills",
    "read_bills",
    "read_stripe",
    "apply_stripe_events",
    "snapshot_mrr",
    "check_purchases",
    "catch_up_purchases",
    "recognise_revenue",
    "rate_revenue",
)


def run(app: Flask, *names: str) -> list[str]:
    """Put tasks into the queue, work until it is empty, and return what became of them."""
    queue = worker.create_queue(app)

    async def work() -> list[str]:
        async with queue.open_async():
            for name in names:
                with suppress(AlreadyEnqueued):
                    await queue.configure_task(name).defer_async(timestamp=0)
            await queue.run_worker_async(
                wait=False,
                install_signal_handlers=False,
            )
            jobs = await queue.job_manager.list_jobs_async()
            return [job.status for job in jobs if job.task_name in names]

    return asyncio.run(work())


def test_every_task_is_scheduled_and_runs(app: Flask) -> None:
    scheduled = worker.create_queue(app).periodic_registry.periodic_tasks.values()
    assert {periodic.task.name for periodic in scheduled} == {*TASKS}
    statuses = run(app, *TASKS)
    assert len(statuses) >= len(TASKS)
    assert set(statuses) == {"succeeded"}


def test_balances_are_asked_for_though_one_provider_fails(app: Flask) -> None:
    class Answering(FakeProvider):
        def account(self) -> Account:
            if self.name == "wavespeed":
                raise FetchFailed("no answer (ReadTimeout)")
            return Account(Decimal(0), "credits")

    names = ("wavespeed", "nanobanana", "luma")
    app.extensions["providers"] = {name: Answering(name) for name in names}
    assert set(run(app, "ask_balances")) == {"succeeded"}
    with app.app_context():
        rows = db.session.scalars(select(ProviderBalance)).all()
        assert {row.provider: row.problem for row in rows} == {
            "wavespeed": "no answer (ReadTimeout)",
            "nanobanana": None,
            "luma": None,
        }
        low = [alert.subject for alert in alerts.open_alerts(db.session) if alert.kind == "provider_balance_low"]
        assert sorted(low) == ["luma", "nanobanana"]


def test_what_a_killed_worker_left_behind_holds_nothing_up(app: Flask) -> None:
    """Its task has been put into the queue again meanwhile, so the job itself cannot go back there."""
    queue = worker.create_queue(app)

    async def defer(name: str) -> None:
        async with queue.open_async():
            await queue.configure_task(name).defer_async(timestamp=0)

    def left() -> list[tuple[str, str]]:
        rows = db.session.execute(
            text("SELECT task_name, status::text FROM procrastinate_jobs WHERE status = 'doing'")
        )
        found = [tuple(row) for row in rows]
        db.session.rollback()
        return found

    for name in ("reconcile_due", "fold_rollups"):
        asyncio.run(defer(name))
    with app.app_context():
        db.session.execute(text("UPDATE procrastinate_jobs SET status = 'doing'"))
        db.session.commit()
        assert len(left()) == 2
    asyncio.run(defer("reconcile_due"))
    statuses = run(app, "retry_stalled")
    assert statuses[0] == "succeeded"
    with app.app_context():
        assert left() == []


def test_a_late_generation_is_settled_by_the_worker(app: Flask) -> None:
    provider = FakeProvider(fetched=FAILURE)
    app.extensions["providers"] = {provider.name: provider}
    with app.app_context():
        customer_id = make_customer(db.session, at=datetime.now(UTC) - timedelta(minutes=10))
        late = datetime.now(UTC) - TERMS.check_after
        generation_id = make_generation(db.session, customer_id, credits=40, at=late)
        db.session.commit()
    run(app, "reconcile_due", "fold_rollups")
    with app.app_context():
        assert generations.get(db.session, generation_id).status == "failed"
        assert ledger.balance(db.session, customer_id) == 105
        assert rollups.state(db.session, TERMS.timezone).valid
        assert db.session.scalar(text("SELECT sum(failed) FROM rollup_days")) == 1


def test_a_refund_that_cannot_be_written_opens_an_alert_and_holds_up_no_other(app: Flask) -> None:
    provider = FakeProvider(fetched=FAILURE)
    app.extensions["providers"] = {provider.name: provider}
    with app.app_context():
        late = datetime.now(UTC) - TERMS.check_after
        unlucky, lucky = (make_customer(db.session, at=late - timedelta(days=1)) for _ in range(2))
        broken = make_generation(db.session, unlucky, credits=40, at=late)
        whole = make_generation(db.session, lucky, credits=40, at=late)
        db.session.execute(
            text(f"ALTER TABLE refunds ADD CONSTRAINT broken CHECK (customer_id <> '{unlucky}') NOT VALID")
        )
        db.session.commit()
    run(app, "reconcile_due")
    with app.app_context():
        assert generations.get(db.session, broken).status == "submitted"
        assert ledger.balance(db.session, unlucky) == 65
        assert generations.get(db.session, whole).status == "failed"
        assert ledger.balance(db.session, lucky) == 105
        [alert] = alerts.open_alerts(db.session)
        assert (alert.kind, alert.generation_id) == ("refund_failed", broken)
        db.session.execute(text("ALTER TABLE refunds DROP CONSTRAINT broken"))
        db.session.execute(text("UPDATE generations SET check_at = now() WHERE check_at IS NOT NULL"))
        db.session.commit()
    run(app, "reconcile_due")
    with app.app_context():
        assert ledger.balance(db.session, unlucky) == 105
        assert db.session.scalar(select(Alert.resolved_at)) is not None


def start_worker(database: str, root: Path) -> subprocess.Popen[str]:
    """`flask worker` as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", "worker"],
        cwd=root,
        env={"PATH": os.environ["PATH"], **environment(database)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_a_fold(database: str, process: subprocess.Popen[str]) -> None:
    """Wait until the worker has done something."""
    engine = create_engine(database)
    with Session(engine) as session:
        before = session.scalar(text("SELECT folded_at FROM rollup_state"))
        give_up = time.monotonic() + 60
        while session.scalar(text("SELECT folded_at FROM rollup_state")) == before:
            session.rollback()
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < give_up, "the worker folded nothing within a minute"
            time.sleep(0.1)
    engine.dispose()


def stop(process: subprocess.Popen[str], sign: signal.Signals) -> str:
    """Stop the worker, which must end by itself. Returns what it said."""
    process.send_signal(sign)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_works_until_it_is_stopped(database: str, root: Path, sign: signal.Signals) -> None:
    process = start_worker(database, root)
    try:
        wait_for_a_fold(database, process)
        assert "Traceback" not in stop(process, sign)
    finally:
        process.kill()


def test_a_worker_that_can_fold_nothing_is_at_work_all_the_same(database: str, root: Path) -> None:
    engine = create_engine(database)
    with Session(engine) as rebuilding, Session(engine) as page:
        page.execute(text("UPDATE rollup_state SET folded_at = clock_timestamp() - interval '1 hour'"))
        page.commit()
        rebuilding.execute(rollups.LOCK_STATE)
        assert presence.away_since(page) is not None
        process = start_worker(database, root)
        try:
            give_up = time.monotonic() + 60
            while presence.away_since(page) is not None:
                page.rollback()
                assert process.poll() is None, process.stdout and process.stdout.read()
                assert time.monotonic() < give_up, "nobody saw the worker within a minute"
                time.sleep(0.1)
            rebuilding.rollback()
            stop(process, signal.SIGTERM)
        finally:
            process.kill()
    engine.dispose()


def test_the_worker_outlives_the_database_being_away(app: Flask, database: str, root: Path) -> None:
    platform = Platform(app, app.test_client(), "", FakeProvider())
    process = start_worker(database, root)
    try:
        wait_for_a_fold(database, process)
        with plugged_in_again(platform):
            unplug(platform, connect=False)
            time.sleep(3)
        wait_for_a_fold(database, process)
        assert "worker_without_database" in stop(process, signal.SIGTERM)
    finally:
        process.kill()


def test_a_worker_without_tables_says_so_and_waits(server: str, root: Path) -> None:
    process = start_worker(server, root)
    try:
        assert process.stdout is not None
        said = ""
        while "worker_without_database" not in said:
            said = process.stdout.readline()
            assert said, "the worker ended"
        assert "procrastinate" in said
        stop(process, signal.SIGINT)
    finally:
        process.kill()
