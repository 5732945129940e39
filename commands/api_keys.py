"""`flask api-keys`: keys of the platform's backend."""

from __future__ import annotations

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from commands import ACTOR, one_sentence
from extensions import db
from makegood import api_keys
from makegood.models.operators import SCOPES

group = AppGroup("api-keys", help="Keys of the platform's backend and of whoever reads the figures.")


@group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True)
def create(name: str, scopes: tuple[str, ...]) -> None:
    """Make a key. It is shown once, on standard output."""
    with one_sentence():
        key, plain = api_keys.create(db.session, name, scopes, actor=ACTOR)
        db.session.commit()
        click.echo(f"Made {key.name} ({', '.join(key.scopes)}). Keep the key: it is not shown again.", err=True)
    click.echo(plain)


@group.command("list")
def listed() -> None:
    """Show all keys by their first characters."""
    with one_sentence():
        for key in api_keys.listed(db.session):
            state = "" if key.revoked_at is None else f"  revoked {key.revoked_at:%Y-%m-%d}"
            click.echo(f"{key.hint}  {key.name}  {', '.join(key.scopes)}  made {key.created_at:%Y-%m-%d}{state}")


@group.command("revoke")
@click.argument("hint")
def revoke(hint: str) -> None:
    """End a key, named by its first characters as `list` shows them."""
    with one_sentence():
        key = api_keys.revoke(db.session, hint, actor=ACTOR, now=datetime.now(UTC))
        db.session.commit()
        click.echo(f"Revoked {key.name} ({key.hint}).")
