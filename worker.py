"""Background tasks and their schedule. Like a route, a task calls one rule and commits; it holds no rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import procrastinate
import structlog
from flask import Flask
from procrastinate import JobContext
from sqlalchemy import make_url

from extensions import db
from makegood import alerts, callbacks, grants, reconcile, rollups, throttles
from makegood.errors import Conflict
from makegood.providers.protocol import Report
from makegood.reconcile import Claimed
from makegood.terms import Terms

LOOK_UPS = 8
"""Jobs looked up at providers at the same time, by one task."""

tasks = procrastinate.Blueprint()
log = structlog.get_logger()


def create_queue(app: Flask) -> procrastinate.App:
    """The job queue on the application's database."""
    address = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    connector = procrastinate.PsycopgConnector(conninfo=address.render_as_string(hide_password=False))
    queue = procrastinate.App(connector=connector)
    queue.add_tasks_from(tasks, namespace="makegood")
    return queue


def run(app: Flask, concurrency: int) -> None:
    """Work until SIGINT or SIGTERM."""
    create_queue(app).run_worker(
        concurrency=concurrency,
        delete_jobs="successful",
        shutdown_graceful_timeout=10,
        additional_context={"flask_app": app},
    )


@contextmanager
def _application(context: JobContext) -> Iterator[Flask]:
    app: Flask = context.additional_context["flask_app"]
    with app.app_context():
        yield app


def _terms(app: Flask) -> Terms:
    terms: Terms = app.config["SETTINGS"].terms
    return terms


def _in_batches(batch: Callable[[], int]) -> None:
    """Repeat and commit until a batch has nothing left to do."""
    while batch():
        db.session.commit()
    db.session.commit()


@tasks.periodic(cron="* * * * * */5")
@tasks.task(name="fold_rollups", queueing_lock="fold_rollups", lock="fold_rollups", pass_context=True)
def fold_rollups(context: JobContext, timestamp: int) -> None:
    """Fold events into the rollups, so that polls stay fast."""
    with _application(context) as app:
        try:
            rollups.fold(db.session, _terms(app).timezone)
        except Conflict:
            log.info("rollups_busy")  # a rebuild met a writer; the next run tries again
            return
        db.session.commit()


@tasks.periodic(cron="* * * * * */5")
@tasks.task(name="reconcile_due", queueing_lock="reconcile_due", pass_context=True)
def reconcile_due(context: JobContext, timestamp: int) -> None:
    """Settle or refund generations whose end nobody reported, until none is due."""
    with _application(context) as app:
        look_up = partial(reconcile.look_up, app.extensions["providers"])
        while claimed := reconcile.claim(db.session):
            db.session.commit()
            with ThreadPoolExecutor(LOOK_UPS) as pool:
                reports = list(pool.map(look_up, claimed))
            for one, report in zip(claimed, reports, strict=True):
                _decide(one, report, _terms(app))
        db.session.commit()


def _decide(claimed: Claimed, report: Report | None, terms: Terms) -> None:
    try:
        reconcile.decide(db.session, claimed, report, terms)
        db.session.commit()
    except Exception:
        db.session.rollback()
        log.exception("reconcile_failed", generation_id=str(claimed.id))
        alerts.raise_refund_failed(db.session, claimed.id)
        db.session.commit()


@tasks.periodic(cron="* * * * * */10")
@tasks.task(name="retry_callbacks", queueing_lock="retry_callbacks", lock="retry_callbacks", pass_context=True)
def retry_callbacks(context: JobContext, timestamp: int) -> None:
    """Apply deliveries that could not be applied when they came."""
    with _application(context) as app:
        callbacks.retry_waiting(db.session, app.extensions["providers"], _terms(app))
        db.session.commit()


@tasks.periodic(cron="* * * * *")
@tasks.task(name="expire_grants", queueing_lock="expire_grants", lock="expire_grants", pass_context=True)
def expire_grants(context: JobContext, timestamp: int) -> None:
    """Take expired credits out of the balances."""
    with _application(context):
        _in_batches(lambda: grants.expire_due(db.session))


@tasks.periodic(cron="*/5 * * * *")
@tasks.task(name="give_allowances", queueing_lock="give_allowances", lock="give_allowances", pass_context=True)
def give_allowances(context: JobContext, timestamp: int) -> None:
    """Give the month's allowance to those who have not had it."""
    with _application(context) as app:
        _in_batches(lambda: grants.give_allowances(db.session, timezone=_terms(app).timezone))


@tasks.periodic(cron="* * * * *")
@tasks.task(name="resolve_alerts", queueing_lock="resolve_alerts", lock="resolve_alerts", pass_context=True)
def resolve_alerts(context: JobContext, timestamp: int) -> None:
    """Resolve the alerts of providers that take our generations again."""
    with _application(context):
        alerts.resolve_mended_accounts(db.session)
        db.session.commit()


@tasks.periodic(cron="7 * * * *")
@tasks.task(name="clean_up", queueing_lock="clean_up", lock="clean_up", pass_context=True)
def clean_up(context: JobContext, timestamp: int) -> None:
    """Forget throttle windows that have passed."""
    with _application(context):
        throttles.clean(db.session, before=datetime.now(UTC) - timedelta(days=1))
        db.session.commit()


@tasks.periodic(cron="* * * * *")
@tasks.task(name="retry_stalled", queueing_lock="retry_stalled", pass_context=True)
async def retry_stalled(context: JobContext, timestamp: int) -> None:
    """Start the jobs of killed workers again, and forget failed jobs after a week."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs():
        await manager.retry_job(job)
    await manager.delete_old_jobs(nb_hours=7 * 24, include_failed=True)
