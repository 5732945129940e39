"""Background tasks and their schedule. Like a route, a task calls one rule and commits; it holds no rules."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import procrastinate
import procrastinate.exceptions
import psycopg
import structlog
from flask import Flask, current_app
from procrastinate.jobs import Status
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from blueprints.api import answers
from demo import database
from extensions import db
from makegood import (
    alerts,
    approvals,
    bills,
    bulk_refunds,
    callbacks,
    grants,
    logins,
    notifications,
    outputs,
    purchases,
    reconcile,
    rollups,
    throttles,
)
from makegood.bills import drafts, lines, reading
from makegood.errors import Conflict
from makegood.notifications import Due, Result
from makegood.prices import recompute
from makegood.provider_health import balances
from makegood.purchases import checks
from makegood.reconcile import Answer, Claimed
from makegood.revenue import estimates, recognised, snapshots
from makegood.stripe import applying, related, sync
from makegood.stripe.client import Listing
from makegood.terms import Terms

AWAY = (procrastinate.exceptions.ConnectorException, psycopg.OperationalError, OperationalError)
RETRY_SECONDS = 2
LOOK_UPS = 8
"""Jobs looked up at providers at the same time, by one task."""
DELIVERIES = 16
"""Notifications delivered at the same time, by one task."""
READING_SECONDS = 30
"""How long a task goes on to claim lists of Stripe: a worker that shall end does not wait for a whole backfill."""
EVENTS = 8
"""Stripe events whose objects are read at the same time, by one task."""
ASKED_AT_ONCE = 3
"""Providers asked for our balance at the same time."""

log = structlog.get_logger()


def fold_rollups(app: Flask) -> None:
    """Fold events into the rollups, so that polls stay fast."""
    try:
        rollups.fold(db.session, _terms(app).timezone)
        db.session.commit()
    except Conflict:
        db.session.rollback()
        log.info("rollups_busy")  # a rebuild met a writer; the next run tries again


def recognise_revenue(app: Flask) -> None:
    """Count what became of paid credits, so that margin and liability stay fast."""
    _in_batches(lambda: recognised.fold(db.session(), _terms(app).timezone))


def reconcile_due(app: Flask) -> None:
    """Settle or refund generations whose end nobody reported, until none is due."""
    look_up = partial(reconcile.look_up, app.extensions["providers"])
    while claimed := reconcile.claim(db.session, limit=2 * LOOK_UPS):
        db.session.commit()
        with ThreadPoolExecutor(LOOK_UPS) as pool:
            answers = list(pool.map(look_up, claimed))
        for one, answer in zip(claimed, answers, strict=True):
            _decide(one, answer, _terms(app))
    db.session.commit()


def retry_callbacks(app: Flask) -> None:
    """Apply deliveries that could not be applied when they came."""
    last = None
    while last := callbacks.retry_next(db.session, app.extensions["providers"], _terms(app), after=last):
        db.session.commit()
    db.session.commit()


def expire_grants(app: Flask) -> None:
    """Take expired credits out of the balances."""
    _in_batches(lambda: grants.expire_due(db.session))


def give_allowances(app: Flask) -> None:
    """Give the month's allowance to those who have not had it."""
    _in_batches(lambda: grants.give_allowances(db.session, timezone=_terms(app).timezone))


def catch_up_purchases(app: Flask) -> None:
    """Credit payments that could not be credited at once, and settle debts from what refunds returned."""
    lifetime = _terms(app).returned_credits_live
    purchases.catch_up(db.session(), lifetime=lifetime)
    db.session.commit()
    _in_batches(lambda: purchases.debts.settle(db.session()))


def check_purchases(app: Flask) -> None:
    """See whether all that was paid for is credited, and the other way round."""
    checks.run_and_alert(db.session())
    db.session.commit()


def expire_approvals(app: Flask) -> None:
    """Close the requests that nobody decided in time."""
    approvals.expire_due(db.session(), at=datetime.now(UTC))
    db.session.commit()


def recompute_costs(app: Flask) -> None:
    """Bring past costs in line with the price book, where an operator asked for it."""
    _in_batches(lambda: recompute.work(db.session))


def refund_in_bulk(app: Flask) -> None:
    """Refund the generations of the bulk refunds that operators confirmed, one by one."""
    _in_batches(lambda: bulk_refunds.work(db.session, _terms(app)))


def resolve_alerts(app: Flask) -> None:
    """Resolve the alerts of providers that take our generations again, and of refunds that were made after all."""
    alerts.resolve_mended_accounts(db.session)
    alerts.resolve_ended(db.session)
    db.session.commit()


def ask_balances(app: Flask) -> None:
    """Ask every configured provider what is left, keep what each says, and warn where it does not last."""
    providers = app.extensions["providers"]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        for asked in pool.map(balances.ask, providers.values()):
            if asked is not None:
                balances.keep(db.session, asked)
                db.session.commit()
    balances.watch(db.session, providers, _terms(app))
    db.session.commit()


def start_bills(app: Flask) -> None:
    """Start the imports of bills that nobody has to ask for, and match lines whose job has become known."""
    bills.start_nightly(db.session, app.extensions["providers"], _terms(app).timezone)
    lines.match(db.session)
    db.session.commit()


def read_bills(app: Flask) -> None:
    """Read the bills that were asked for from their providers, page by page."""
    while claimed := reading.claim(db.session):
        while claimed:
            db.session.commit()
            page = reading.read(app.extensions["providers"], claimed)
            claimed = reading.take(db.session, claimed, page)
        db.session.commit()
    db.session.commit()


def deliver_notifications(app: Flask) -> None:
    """Tell the platform of generations that ended, until nothing is due."""
    settings = app.config["SETTINGS"]
    if settings.notify_url is None:
        return

    def deliver(one: Due, message: bytes) -> Result:
        sent = notifications.headers(one, message, settings.notify_secrets, datetime.now(UTC))
        return notifications.post(settings.notify_url, sent, message)

    while due := notifications.claim(db.session, limit=DELIVERIES):
        db.session.commit()
        messages = [_message(one) for one in due]
        with ThreadPoolExecutor(DELIVERIES) as pool:
            results = list(pool.map(deliver, due, messages))
        for one, result in zip(due, results, strict=True):
            notifications.record(db.session, one, result)
            db.session.commit()
    db.session.commit()


def read_stripe(app: Flask) -> None:
    """Read the lists of Stripe that are due, page by page. Without a key that can read Stripe there are none."""
    client = app.extensions["stripe"]
    if client is None:
        return
    sync.prepare(db.session, client.livemode, app.config["SETTINGS"].stripe.grants_since)
    end = time.monotonic() + READING_SECONDS
    while time.monotonic() < end and (claimed := sync.claim(db.session)):
        while claimed:
            db.session.commit()
            claimed = stripe_page(claimed, sync.read(client, claimed))
        db.session.commit()
    db.session.commit()


def apply_stripe_events(app: Flask) -> None:
    """Apply what Stripe told us, until nothing is due or it has lasted long: the next task goes on. Without a key
    that can read Stripe it waits."""
    client = app.extensions["stripe"]
    if client is None:
        return

    engine = db.engine  # the threads below have no application of their own

    def known(resource: str, object_id: str) -> bool:
        with Session(engine) as session:
            return related.is_known(session, resource, object_id)

    def claim() -> list[applying.Claimed] | None:
        return applying.claim(db.session, livemode=client.livemode, limit=4 * EVENTS)

    end = time.monotonic() + READING_SECONDS
    while time.monotonic() < end and (claimed := claim()) is not None:
        db.session.commit()
        with ThreadPoolExecutor(EVENTS) as pool:
            answers = list(pool.map(partial(applying.read, client, known), claimed))
        for one, answer in zip(claimed, answers, strict=True):
            _apply(one, answer)
    applying.resolve_alert(db.session)
    db.session.commit()


def snapshot_mrr(app: Flask) -> None:
    """Take the day's snapshot of MRR, and estimate the days before the first one where that is due."""
    rules, timezone = app.config["SETTINGS"].mrr, _terms(app).timezone
    snapshots.take(db.session(), rules, timezone)
    db.session.commit()
    estimates.rebuild(db.session(), rules, timezone)
    db.session.commit()


def clean_up(app: Flask) -> None:
    """Forget what its time has passed: throttle windows, kept outputs, delivered notifications, old balances,
    uploads nobody imported."""
    drafts.clean(db.session)
    logins.clean(db.session, before=datetime.now(UTC) - timedelta(days=1))
    throttles.clean(db.session, before=datetime.now(UTC) - timedelta(days=1))
    outputs.forget(db.session)
    notifications.forget(db.session, before=datetime.now(UTC) - notifications.KEEP)
    balances.forget(db.session, before=datetime.now(UTC) - balances.KEEP)
    db.session.commit()


@dataclass(frozen=True)
class Scheduled:
    """A task and when it runs. At most one waits in the queue; two that run at the same time share the work by
    locks on rows, which end with a killed worker's connection."""

    work: Callable[[Flask], None]
    cron: str


SCHEDULE = (
    Scheduled(fold_rollups, "* * * * * */5"),
    Scheduled(recognise_revenue, "* * * * * */15"),
    Scheduled(reconcile_due, "* * * * * */5"),
    Scheduled(retry_callbacks, "* * * * * */10"),
    Scheduled(read_stripe, "* * * * * */5"),
    Scheduled(apply_stripe_events, "* * * * * */5"),
    Scheduled(deliver_notifications, "* * * * * */5"),
    Scheduled(recompute_costs, "* * * * * */5"),
    Scheduled(refund_in_bulk, "* * * * * */5"),
    Scheduled(expire_grants, "* * * * *"),
    Scheduled(give_allowances, "*/5 * * * *"),
    Scheduled(catch_up_purchases, "*/5 * * * *"),
    Scheduled(check_purchases, "17 4 * * *"),
    Scheduled(expire_approvals, "3-59/10 * * * *"),
    Scheduled(resolve_alerts, "* * * * *"),
    Scheduled(ask_balances, "4-59/15 * * * *"),
    Scheduled(start_bills, "*/10 * * * *"),
    Scheduled(read_bills, "* * * * * */5"),
    Scheduled(snapshot_mrr, "* * * * *"),
    Scheduled(clean_up, "7 * * * *"),
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


def _terms(app: Flask) -> Terms:
    terms: Terms = app.config["SETTINGS"].terms
    return terms


def _in_batches(batch: Callable[[], int]) -> None:
    """Repeat and commit until a batch has nothing left to do."""
    while batch():
        db.session.commit()
    db.session.commit()


def _message(due: Due) -> bytes:
    """The generation as the API shows it now."""
    data = answers.generation(db.session, due.generation_id).model_dump(mode="json")
    db.session.rollback()
    return notifications.body(due, data)


def stripe_page(claimed: sync.Claimed, page: Listing | sync.Unread) -> sync.Claimed | None:
    """Take in a page, or keep why that failed; what to read next."""
    try:
        lifetime = _terms(current_app).returned_credits_live
        following = sync.take(db.session, claimed, page, lifetime=lifetime)
        db.session.commit()
    except Exception as error:
        db.session.rollback()
        log.exception("stripe_page_not_taken", resource=claimed.name)
        problem = f"What Stripe answered could not be taken in ({type(error).__name__}); the log has more."
        following = sync.take(db.session, claimed, sync.Unread(problem))
        db.session.commit()
    return following


def _decide(claimed: Claimed, answer: Answer, terms: Terms) -> None:
    try:
        reconcile.decide(db.session, claimed, answer, terms)
        db.session.commit()
    except Exception:
        db.session.rollback()
        log.exception("reconcile_failed", generation_id=str(claimed.id))
        reconcile.raise_undecided(db.session, claimed, answer, terms)
        db.session.commit()


def _apply(claimed: applying.Claimed, answer: applying.Answer) -> None:
    try:
        if not isinstance(answer, applying.Unread):
            lifetime = _terms(current_app).returned_credits_live
            applying.take(db.session, claimed, answer, lifetime=lifetime)
            db.session.commit()
            return
    except Exception as error:
        db.session.rollback()
        log.exception("stripe_event_not_applied", events=claimed.ids)
        answer = applying.Unread(f"What Stripe answered could not be taken in ({type(error).__name__}).")
    applying.postpone(db.session, claimed, answer)
    db.session.commit()
