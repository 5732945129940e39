"""`flask customers`: a customer and their credits."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

from commands import one_sentence
from extensions import db
from makegood import accounts

group = AppGroup("customers", help="Customers and their credits.")


def check_text(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an argument that is not text, as the shell may pass it, or not printable."""
    if not (value.strip() and value.isprintable()):
        raise click.BadParameter("must be printable text.")
    return value


@group.command("show")
@click.argument("customer_id", metavar="ID", callback=check_text)
def show(customer_id: str) -> None:
    """Show a customer's balance, open grants, use this month, and newest ledger rows."""
    terms = current_app.config["SETTINGS"].terms
    with one_sentence():
        account = accounts.read(db.session(), customer_id, terms)
    customer, used = account.customer, account.this_month
    click.echo(f"{customer.id}  {customer.tier}  {customer.email or 'no e-mail address'}")
    click.echo(f"Balance: {account.balance.balance:,} credits")
    charged, refunded = used.credits_charged, used.credits_refunded
    click.echo(f"This month: {charged:,} charged, {refunded:,} refunded, {used.net_credits:,} net")
    for grant in account.grants:
        until = ""
        if grant.expires_at is not None:
            until = f", until {grant.expires_at.astimezone(terms.timezone):%Y-%m-%d %H:%M}"
        click.echo(f"  {grant.remaining:,} of {grant.credits:,} from {grant.source}{until}: {grant.reason}")
    for row in account.transactions:
        at = row.occurred_at.astimezone(terms.timezone)
        click.echo(
            f"{at:%Y-%m-%d %H:%M}  {row.kind:<10} {row.amount:+,}  balance {row.balance_after:,}  {row.reason}"
        )
