"""`flask rollups`: the sums that the panels read."""

from __future__ import annotations

import time

import click
from flask import current_app
from flask.cli import AppGroup

from commands import one_sentence
from extensions import db
from makegood import rollups
from makegood.errors import Conflict
from makegood.revenue import anew
from makegood.terms import Terms

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.5

group = AppGroup("rollups", help="The sums that the panels read.")


@group.command("rebuild")
@click.option("--revenue", is_flag=True, help="Make the sums of revenue anew instead.")
def rebuild(revenue: bool) -> None:
    """Make the rollups anew from the events, for the reporting time zone. Charges wait meanwhile."""
    terms: Terms = current_app.config["SETTINGS"].terms
    if revenue:
        _rebuild_revenue(terms)
        return
    end = time.monotonic() + PATIENCE_SECONDS
    with one_sentence():
        while (counted := _try(terms)) is None:
            if time.monotonic() > end:
                raise click.ClickException(
                    "Nothing was rebuilt: some transaction kept the ledger locked all the time. "
                    "The figures are as they were; try again in a quieter minute."
                )
            time.sleep(PAUSE_SECONDS)
    click.echo(f"Rebuilt the rollups from {counted:,} events in the time zone {terms.timezone.key}.")


def _rebuild_revenue(terms: Terms) -> None:
    with one_sentence():
        for _ in anew.rebuild(db.session(), terms.timezone):
            db.session.commit()
    click.echo(f"Rebuilt the sums of revenue in the time zone {terms.timezone.key}.")


def _try(terms: Terms) -> int | None:
    """The number of events, or None when a writer was in the way."""
    try:
        counted = rollups.rebuild(db.session(), terms.timezone)
        db.session.commit()
    except Conflict:
        db.session.rollback()
        return None
    return counted
