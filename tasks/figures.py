"""Tasks that keep figures ready, so that pages stay fast."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from flask import Flask

from extensions import db
from makegood import rollups
from makegood.calendars import local_day
from makegood.errors import Conflict
from makegood.revenue import estimates, payments, rated, recognised, snapshots
from tasks import in_batches, terms

log = structlog.get_logger()


def fold_rollups(app: Flask) -> None:
    """Fold events into the rollups, so that polls stay fast."""
    try:
        rollups.fold(db.session, terms(app).timezone)
        db.session.commit()
    except Conflict:
        db.session.rollback()
        log.info("rollups_busy")  # a rebuild met a writer; the next run tries again


def recognise_revenue(app: Flask) -> None:
    """Count what became of paid credits, and whose payments are, so that margin and liability stay fast."""
    in_batches(lambda: payments.fold(db.session()))
    in_batches(lambda: recognised.fold(db.session(), terms(app).timezone))


def rate_revenue(app: Flask) -> None:
    """Keep what paid credits of other currencies came to in quarters of a month that are over."""
    timezone = terms(app).timezone
    in_batches(lambda: rated.fold(db.session(), timezone, local_day(datetime.now(UTC), timezone)))


def snapshot_mrr(app: Flask) -> None:
    """Take the day's snapshot of MRR, and estimate the days before the first one where that is due."""
    rules, timezone = app.config["SETTINGS"].mrr, terms(app).timezone
    snapshots.take(db.session(), rules, timezone)
    db.session.commit()
    estimates.rebuild(db.session(), rules, timezone)
    db.session.commit()
