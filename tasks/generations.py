"""Tasks about generations: their ends, what the platform is told of them, and their refunds in bulk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import structlog
from flask import Flask

from blueprints.api import answers
from extensions import db
from makegood import bulk_refunds, callbacks, notifications, reconcile
from makegood.notifications import Due, Result
from makegood.reconcile import Answer, Claimed
from makegood.terms import Terms
from tasks import in_batches, terms

LOOK_UPS = 8
"""Jobs looked up at providers at the same time, by one task."""
DELIVERIES = 16
"""Notifications delivered at the same time, by one task."""

log = structlog.get_logger()


def reconcile_due(app: Flask) -> None:
    """Settle or refund generations whose end nobody reported, until none is due."""
    look_up = partial(reconcile.look_up, app.extensions["providers"])
    while claimed := reconcile.claim(db.session, limit=2 * LOOK_UPS):
        db.session.commit()
        with ThreadPoolExecutor(LOOK_UPS) as pool:
            answers = list(pool.map(look_up, claimed))
        for one, answer in zip(claimed, answers, strict=True):
            _decide(one, answer, terms(app))
    db.session.commit()


def _decide(claimed: Claimed, answer: Answer, terms: Terms) -> None:
    try:
        reconcile.decide(db.session, claimed, answer, terms)
        db.session.commit()
    except Exception:
        db.session.rollback()
        log.exception("reconcile_failed", generation_id=str(claimed.id))
        reconcile.raise_undecided(db.session, claimed, answer, terms)
        db.session.commit()


def retry_callbacks(app: Flask) -> None:
    """Apply deliveries that could not be applied when they came."""
    last = None
    while last := callbacks.retry_next(db.session, app.extensions["providers"], terms(app), after=last):
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


def _message(due: Due) -> bytes:
    """The generation as the API shows it now."""
    data = answers.generation(db.session, due.generation_id).model_dump(mode="json")
    db.session.rollback()
    return notifications.body(due, data)


def refund_in_bulk(app: Flask) -> None:
    """Refund the generations of the bulk refunds that operators confirmed, one by one."""
    in_batches(lambda: bulk_refunds.work(db.session, terms(app)))
