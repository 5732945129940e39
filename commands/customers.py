"""`flask customers`: a customer and their credits."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from commands import one_sentence
from extensions import db
from makegood import customers, grants, json_body, ledger
from makegood.calendars import local_day, month_of, next_month, start_of

NEWEST = 10

group = AppGroup("customers", help="Customers and their credits.")


def check_text(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """Refuse an argument that is not text, as the shell may pass it, or not printable."""
    if not (value.strip() and value.isprintable() and json_body.is_plain(value)):
        raise click.BadParameter("must be printable text.")
    return value


@group.command("show")
@click.argument("customer_id", metavar="ID", callback=check_text)
def show(customer_id: str) -> None:
    """Show a customer's balance, open grants, use this month, and newest ledger rows."""
    timezone = current_app.config["SETTINGS"].terms.timezone
    month = month_of(local_day(datetime.now(UTC), timezone))
    with one_sentence():
        customer = customers.get(db.session, customer_id)
        balance = ledger.balance(db.session, customer_id)
        open_grants = grants.open_grants(db.session, customer_id)
        start, end = start_of(month, timezone), start_of(next_month(month), timezone)
        used = ledger.consumed(db.session, customer_id, start, end)
        rows = ledger.transactions(db.session, customer_id, limit=NEWEST)
    click.echo(f"{customer.id}  {customer.tier}  {customer.email or 'no e-mail address'}")
    click.echo(f"Balance: {balance:,} credits")
    click.echo(f"This month: {used.charged:,} charged, {used.refunded:,} refunded, {used.net:,} net")
    for grant in open_grants:
        until = (
            "" if grant.expires_at is None else f", until {grant.expires_at.astimezone(timezone):%Y-%m-%d %H:%M}"
        )
        click.echo(f"  {grant.remaining:,} of {grant.credits:,} from {grant.source}{until}: {grant.reason}")
    for row in rows:
        at = row.occurred_at.astimezone(timezone)
        click.echo(
            f"{at:%Y-%m-%d %H:%M}  {row.kind:<10} {row.amount:+,}  balance {row.balance_after:,}  {row.reason}"
        )
