"""`flask worker`: background work. Run as many as wanted."""

from __future__ import annotations

import time

import click
import procrastinate.exceptions
import psycopg
import structlog
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import OperationalError

import worker

RETRY_SECONDS = 2
log = structlog.get_logger()


@click.command("worker")
@click.option("--concurrency", default=4, show_default=True, help="Tasks at the same time.")
@with_appcontext
def command(concurrency: int) -> None:
    """Fold rollups, reconcile late generations, expire credits, give allowances."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    away = (procrastinate.exceptions.ConnectorException, psycopg.OperationalError, OperationalError)
    while True:
        try:
            return worker.run(app, concurrency)
        except away as error:
            log.warning("worker_without_database", error=type(error).__name__, retry_seconds=RETRY_SECONDS)
            time.sleep(RETRY_SECONDS)
