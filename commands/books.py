"""`flask books`: whether everything adds up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
from flask import current_app
from flask.cli import AppGroup

from commands import one_sentence
from extensions import db
from makegood import books, rollups
from makegood.books import revenue
from makegood.books import rollups as counted
from makegood.books.violation import Violation
from makegood.calendars import local_day

DAYS = 7
SHOWN = 10
"""How many rows are shown of those that break a rule."""
MOST = 1000
"""How many rows of rollups are looked for, of all tables together."""
REBUILD = "flask --app app rollups rebuild"

group = AppGroup("books", help="Whether the ledger, and the sums that are kept of it, add up.")


@group.command("check")
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=DAYS,
    show_default=True,
    help="How many days of rollups are counted again, up to today.",
)
@click.option("--all", "everything", is_flag=True, help="Every rule over all rows: minutes on a large platform.")
def check(days: int, everything: bool) -> None:
    """Count the last days' rollups again, or with --all everything. Ends with 1 where something does not add up.

    Nothing is changed. Rollups are compared to their events; with --all also the ledger, grants, generations,
    refunds, purchases, events and the sums of revenue to each other.
    """
    broken: list[str] = []
    with one_sentence():
        for rule in books.CHECKS if everything else ():
            broken += _told(rule, books.broken(db.session(), rule, most=SHOWN + 1))
        broken += _check_rollups(None if everything else days)
    for remedy in dict.fromkeys(_remedy(rule) for rule in broken):
        click.echo(remedy)
    if broken:
        raise SystemExit(1)


def _check_rollups(days: int | None) -> list[str]:
    """The rules that the rollups of so many days break, or all there are."""
    timezone = current_app.config["SETTINGS"].terms.timezone
    valid = rollups.state(db.session(), timezone).valid
    db.session.rollback()
    if not valid:
        click.echo(f"The rollups are not of this server or time zone. They count for nothing until: {REBUILD}")
        return []
    today = local_day(datetime.now(UTC), timezone)
    window = None if days is None else (today - timedelta(days=days - 1), today)
    found = counted.violations(db.session(), window, most=MOST)
    db.session.rollback()
    since = f"since {window[0]}, in whole days, quarters and months" if window else "of all days"
    if not found:
        click.echo(f"ok      the rollups {since} are the sums of their events")
    rules = dict.fromkeys(violation.rule for violation in found)
    return [one for rule in rules for one in _told(rule, [row for row in found if row.rule == rule])]


def _told(rule: str, found: list[Violation]) -> list[str]:
    """Say whether a rule holds, and what breaks it. Returns the rule if anything does."""
    db.session.rollback()
    click.echo(f"{'BROKEN' if found else 'ok':<8}{rule}")
    for violation in found[:SHOWN]:
        click.echo(f"        {violation.subject}: {violation.found}")
    if len(found) > SHOWN:
        click.echo("        and more")
    return [rule] if found else []


def _remedy(rule: str) -> str:
    if rule in revenue.CHECKS:
        return f"Sums of revenue are made anew by: {REBUILD} --revenue"
    if rule in books.CHECKS:
        return "Rows of the ledger are never changed: keep a backup, and find out what wrote them."
    return f"Rollups are made anew by: {REBUILD}"
