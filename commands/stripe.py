"""`flask stripe`: read Stripe now, and see how far that is."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

import tasks.stripe
from commands import ACTOR, one_sentence
from extensions import db
from makegood.models import StripeResource
from makegood.stripe import progress, sync
from makegood.stripe.client import Client
from makegood.stripe.progress import Progress

STATES = {
    "waiting": "waits",
    "backfill": "being read",
    "current": "current",
    "no_permission": "not permitted",
    "failed": "failed",
}

group = AppGroup("stripe", help="What Stripe knows: read it now, and see how far that is.")


@group.command("sync")
@click.option("--full", is_flag=True, help="Read every list down to its oldest object once more.")
def read_now(full: bool) -> None:
    """Read every list of Stripe now, whether it is due or not. Ends with 1 where one failed.

    A list that another process reads at the moment is left to that one. A list that the key may not read is no
    failure: it is named, and the rest is read.
    """
    client: Client | None = current_app.extensions["stripe"]
    if client is None:
        raise click.ClickException("STRIPE_API_KEY is not set: Stripe cannot be read without it.")
    with one_sentence():
        _ask(client, full)
        begun = datetime.now(UTC)
        while not _all_read(begun) and (claimed := sync.claim(db.session)):
            while claimed:
                db.session.commit()
                claimed = tasks.stripe.take_page(claimed, sync.read(client, claimed))
                if claimed and claimed.pages % 10 == 0:
                    _say(claimed.name)
            db.session.commit()
        states = _print()
        db.session.rollback()
    if any(row.state == "failed" for row in states.lists):
        raise SystemExit(1)


@group.command("status")
def status() -> None:
    """Show how far each list of Stripe has been read. Ends with 1 where one failed."""
    with one_sentence():
        states = _print()
        db.session.rollback()
    if not states.lists:
        click.echo("Stripe has not been read yet; run: flask --app app stripe sync")
    if any(row.state == "failed" for row in states.lists):
        raise SystemExit(1)


def _ask(client: Client, full: bool) -> None:
    sync.prepare(db.session, client.livemode, current_app.config["SETTINGS"].stripe.grants_since)
    if full:
        progress.read_all_again(db.session(), actor=ACTOR)
    progress.ask_now(db.session())
    db.session.commit()


def _all_read(begun: datetime) -> bool:
    """Whether every list has been read to its end, or tried in vain, since then."""
    return not any(
        row.next_try_at is None or row.next_try_at <= begun or (row.cursor is not None and row.problem is None)
        for row in progress.read(db.session()).lists
    )


def _say(name: str) -> None:
    row = next(row for row in progress.read(db.session()).lists if row.name == name)
    click.echo(_line(row))


def _print() -> Progress:
    states = progress.read(db.session())
    for row in states.lists:
        click.echo(_line(row))
    return states


def _line(row: StripeResource) -> str:
    said = f"{progress.title(row.name):<21}{STATES[row.state]:<14}"
    if row.problem:
        return f"{said}{row.problem}"
    if row.state == "backfill":
        reached = f", back to {row.reached:%Y-%m-%d}" if row.reached else ""
        return f"{said}{row.objects:,} read{reached}"
    return f"{said}as of {row.read_at:%Y-%m-%d %H:%M:%S} UTC" if row.read_at else said.rstrip()
