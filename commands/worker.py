"""`flask worker`: background work. Run as many as wanted."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

import worker


@click.command("worker")
@click.option("--concurrency", default=4, show_default=True, help="Tasks at the same time.")
@with_appcontext
def command(concurrency: int) -> None:
    """Fold rollups, reconcile late generations, expire credits, give allowances."""
    worker.run(current_app._get_current_object(), concurrency)  # type: ignore[attr-defined]
