"""The schedule of background work, the queue that it stands in, and working it off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import procrastinate
import procrastinate.exceptions
import psycopg
import structlog
from flask import Flask
from procrastinate.jobs import Status
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from demo import database
from tasks import credits, figures, generations, providers, stripe, upkeep

AWAY = (procrastinate.exceptions.ConnectorException, psycopg.OperationalError, OperationalError)
RETRY_SECONDS = 2

log = structlog.get_logger()


@dataclass(frozen=True)
class Scheduled:
    """A task and when it runs. At most one waits in the queue; two that run at the same time share the work by
    locks on rows, which end with a killed worker's connection."""

    work: Callable[[Flask], None]
    cron: str


SCHEDULE = (
    Scheduled(figures.fold_rollups, "* * * * * */5"),
    Scheduled(figures.recognise_revenue, "* * * * * */15"),
    Scheduled(generations.reconcile_due, "* * * * * */5"),
    Scheduled(generations.retry_callbacks, "* * * * * */10"),
    Scheduled(stripe.read_stripe, "* * * * * */5"),
    Scheduled(stripe.apply_stripe_events, "* * * * * */5"),
    Scheduled(generations.deliver_notifications, "* * * * * */5"),
    Scheduled(providers.recompute_costs, "* * * * * */5"),
    Scheduled(generations.refund_in_bulk, "* * * * * */5"),
    Scheduled(credits.expire_grants, "* * * * *"),
    Scheduled(credits.give_allowances, "*/5 * * * *"),
    Scheduled(credits.catch_up_purchases, "*/5 * * * *"),
    Scheduled(credits.check_purchases, "17 4 * * *"),
    Scheduled(credits.expire_approvals, "3-59/10 * * * *"),
    Scheduled(upkeep.resolve_alerts, "* * * * *"),
    Scheduled(providers.ask_balances, "4-59/15 * * * *"),
    Scheduled(providers.start_bills, "*/10 * * * *"),
    Scheduled(providers.read_bills, "* * * * * */5"),
    Scheduled(figures.rate_revenue, "* * * * *"),
    Scheduled(figures.snapshot_mrr, "* * * * *"),
    Scheduled(upkeep.clean_up, "7 * * * *"),
)
"""The sixth field, where there is one, is seconds."""


def create_queue(app: Flask) -> procrastinate.App:
    """The job queue on the application's database, with every scheduled task."""
    url = app.config["SETTINGS"].database_url or database.server().url()
    address = make_url(url).set(drivername="postgresql")
    connector = procrastinate.PsycopgConnector(conninfo=address.render_as_string(hide_password=False))
    queue = procrastinate.App(connector=connector)
    for scheduled in SCHEDULE:
        _add(queue, app, scheduled)

    @queue.periodic(cron="* * * * *")
    @queue.task(name="retry_stalled", queueing_lock="retry_stalled")
    async def retry_stalled(timestamp: int) -> None:
        """Start the jobs of killed workers again, and forget failed jobs after a week."""
        for job in await queue.job_manager.get_stalled_jobs():
            try:
                await queue.job_manager.retry_job(job)
            except procrastinate.exceptions.UniqueViolation:
                # The next run of its task waits already, and does the same work.
                await queue.job_manager.finish_job(job, Status.FAILED, delete_job=True)
        await queue.job_manager.delete_old_jobs(nb_hours=7 * 24, include_failed=True)

    return queue


def run(app: Flask, concurrency: int) -> None:
    """Work until SIGINT or SIGTERM. While the database is away, try again."""
    asyncio.run(_run(app, concurrency))


async def _run(app: Flask, concurrency: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await _work(create_queue(app), concurrency, stop)
            problem = "the connection was lost"
        except AWAY as error:
            problem = str(error.__cause__ or error).strip().partition("\n")[0]
        if not stop.is_set():
            log.warning("worker_without_database", problem=problem, retry_seconds=RETRY_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_SECONDS)


async def _work(queue: procrastinate.App, concurrency: int, stop: asyncio.Event) -> None:
    """Work until `stop`, or until procrastinate gives up because its connection is gone."""
    async with queue.open_async():
        working = asyncio.create_task(
            queue.run_worker_async(
                concurrency=concurrency,
                delete_jobs="successful",
                shutdown_graceful_timeout=10,
                install_signal_handlers=False,
            )
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def _add(queue: procrastinate.App, app: Flask, scheduled: Scheduled) -> None:
    name = scheduled.work.__name__

    @queue.periodic(cron=scheduled.cron)
    @queue.task(name=name, queueing_lock=name)
    def perform(timestamp: int) -> None:
        with app.app_context():
            scheduled.work(app)
