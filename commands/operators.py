"""`flask operators`: who may log in to the console."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from commands import ACTOR, one_sentence
from extensions import db
from makegood import invitations, operators
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


@group.command("invite")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), required=True)
def invite(email: str, role: str) -> None:
    """Make a link with which somebody becomes an operator and sets their own password."""
    with one_sentence():
        invitation, token = invitations.send(db.session, email, role, actor=ACTOR, now=datetime.now(UTC))
        until = f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"
        db.session.commit()
        click.echo(
            f"Pass this path of the console on to {invitation.email}. It works once, until {until}:", err=True
        )
    click.echo(f"/invitations/{token}")


@group.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice(ROLES))
def role(email: str, role: str) -> None:
    """Give an operator another role."""
    with one_sentence():
        operators.set_role(db.session, email, role, actor=ACTOR)
        db.session.commit()
        click.echo(f"{email} is {role} now.")


@group.command("reset-second-factor")
@click.argument("email")
def reset_second_factor(email: str) -> None:
    """Take an operator's second factor away, when the phone and the recovery codes are lost."""
    with one_sentence():
        removed = operators.reset_second_factor(db.session, email, actor=ACTOR, now=datetime.now(UTC))
        db.session.commit()
        click.echo(
            f"{email} has no second factor any more; running sessions have ended."
            if removed
            else f"{email} had none."
        )


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _read_password() -> str:
    """From the terminal, twice and unseen; else the first line of standard input."""
    if _at_terminal():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
