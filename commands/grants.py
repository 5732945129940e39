"""`flask grants`: give credits."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from commands import ACTOR, one_sentence
from commands.customers import check_text
from extensions import db
from makegood import grants, ledger
from makegood.errors import Invalid

SOURCES = ("bonus", "purchase", "adjustment")
MAX_REASON = 500

group = AppGroup("grants", help="Credits given to customers.")


@group.command("add")
@click.argument("customer_id", metavar="ID", callback=check_text)
@click.argument("credits", type=click.IntRange(1, grants.MAX_CREDITS))
@click.option("--reason", required=True, callback=check_text, help="Why; it stands in the ledger.")
@click.option("--source", type=click.Choice(SOURCES), default="bonus", show_default=True)
def add(customer_id: str, credits: int, reason: str, source: str) -> None:
    """Give CREDITS to the customer ID. They never expire."""
    with one_sentence():
        if len(reason) > MAX_REASON:
            raise Invalid(f"The reason must have at most {MAX_REASON} characters.")
        grant = grants.add(db.session, customer_id, credits, source=source, reason=reason.strip(), actor=ACTOR)
        balance = ledger.balance(db.session, customer_id)
        db.session.commit()
        click.echo(
            f"Gave {grant.credits:,} credits ({grant.source}) to {customer_id}. Balance: {balance:,} credits."
        )
