"""`flask operators`: who may log in to the console."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from commands import ACTOR, one_sentence
from extensions import db
from makegood import operators
from makegood.models.operators import ROLES

group = AppGroup("operators", help="Who may log in to the console.")


@group.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), required=True)
def create(email: str, role: str) -> None:
    """Add an operator. The password is asked for, or read from standard input."""
    password = _read_password()
    with one_sentence():
        operator = operators.create(db.session, email, role, password, actor=ACTOR)
        db.session.commit()
        click.echo(f"Added {operator.email} as {operator.role}.")


@group.command("list")
def listed() -> None:
    """Show all operators."""
    with one_sentence():
        for operator in operators.listed(db.session):
            state = "" if operator.disabled_at is None else f"  disabled {operator.disabled_at:%Y-%m-%d}"
            click.echo(f"{operator.email}  {operator.role}{state}")


@group.command("password")
@click.argument("email")
def password(email: str) -> None:
    """Give an operator a new password, which ends their sessions."""
    with one_sentence():
        operators.set_password(db.session, email, _read_password(), actor=ACTOR, now=datetime.now(UTC))
        db.session.commit()
        click.echo(f"{email} has a new password; running sessions have ended.")


@group.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Shut an operator out at once."""
    with one_sentence():
        operators.disable(db.session, email, actor=ACTOR, now=datetime.now(UTC))
        db.session.commit()
        click.echo(f"{email} is disabled; running sessions have ended.")


@group.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled operator log in again."""
    with one_sentence():
        operators.enable(db.session, email, actor=ACTOR)
        db.session.commit()
        click.echo(f"{email} may log in again.")


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _read_password() -> str:
    """From the terminal, twice and unseen; else the first line of standard input."""
    if _at_terminal():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
