"""`flask demo`: a made-up account, and everything that runs around it."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import psycopg
from flask import current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade
from sqlalchemy import make_url

from commands import one_sentence
from demo import credentials, database, run, state
from demo.processes import Family, ProcessError
from extensions import db
from settings import Settings, SettingsError

OLDEST_SERVER = 150000
CONNECT_SECONDS = 5


@click.command("demo")
@click.option("--port", help="Where the console listens; else PORT, else 8000.")
@click.option("--reset", is_flag=True, help="Start over with a new account.")
@click.option("--no-traffic", is_flag=True, help="Leave the account still.")
@click.option("--credentials", "file", type=Path, help="Also write address, log-in and keys there, as JSON.")
@with_appcontext
def command(port: str | None, reset: bool, no_traffic: bool, file: Path | None) -> None:
    """Make a sample account and run console, API, worker and simulated providers until Ctrl-C."""
    logging.getLogger().setLevel(logging.WARNING)
    with _one_sentence(), _interruptible():
        settings: Settings = current_app.config["SETTINGS"]
        number = _port(port)
        _check_before_anything_changes(settings, number, reset, file)
        known = state.load()
        with run.only_one(state.DIRECTORY):
            address = _open_database(settings, reset)
            try:
                _fill(known, settings)
                _run(known, settings, address, number, not no_traffic, file)
            finally:
                db.session.remove()
                db.engine.dispose()
                if settings.database_url is None:
                    database.close()


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        with one_sentence():
            yield
    except (run.DemoError, ProcessError, SettingsError) as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped.")


def _port(given: str | None) -> int:
    value = given or os.environ.get("PORT") or "8000"
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise run.DemoError(f"The port is {value!r}; it must be a whole number from 1 to 65535.")
    return int(value)


def _check_before_anything_changes(settings: Settings, port: int, reset: bool, file: Path | None) -> None:
    if settings.environment != "demo":
        raise run.DemoError(
            f"The demo makes customers up: it runs with ENVIRONMENT=demo, not {settings.environment}."
        )
    if reset and settings.database_url is not None:
        raise run.DemoError(
            "--reset is for the embedded database; it does not touch the one that DATABASE_URL names."
        )
    run.check_port(port)
    if file is not None:
        if not file.absolute().parent.is_dir():
            raise run.DemoError(f"{file} cannot be written: there is no directory {file.absolute().parent}.")
        file.unlink(missing_ok=True)  # who waits for it must not read the last run's


def _open_database(settings: Settings, reset: bool) -> str:
    """Start the embedded database, or reach the given one. Returns its address."""
    if settings.database_url is None:
        server = database.server()
        if reset:
            server.drop_database()
            server.create_database()
        return server.url()
    url = make_url(settings.database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=CONNECT_SECONDS) as connection:
        if connection.info.server_version < OLDEST_SERVER:
            raise run.DemoError(
                "The server that DATABASE_URL names is older than PostgreSQL 15, the oldest that will do."
            )
    return settings.database_url


def _fill(known: state.State, settings: Settings) -> None:
    """Bring the tables up to date, and make the account when there is none: all of it or nothing."""
    upgrade()
    session = db.session
    if credentials.is_new(session()):
        if credentials.has_account(session()):
            raise run.DemoError("The database holds an account that no demo made; give the demo an empty one.")
        # Here, because every web process imports this module.
        from demo.seed import SeedError, seed, tidy
        from simulator.stripe import keeping

        with click.progressbar(length=1000, label="Making up 90 days of an account") as bar:
            try:
                made = seed(
                    session(), settings.terms, lambda done, total: bar.update(1000 * done // total - bar.pos)
                )
            except SeedError as error:
                raise run.DemoError(str(error)) from None
        credentials.ensure(session(), known, settings.terms)
        # Before the commit: an account in the database needs its Stripe.
        state.write_private(state.DIRECTORY / state.STRIPE_FILE, keeping.dump(made.stripe))
        session.commit()
        tidy(db.engine, settings.terms)
    credentials.ensure(session(), known, settings.terms)
    session.commit()


def _run(
    known: state.State, settings: Settings, address: str, port: int, traffic: bool, file: Path | None
) -> None:
    url = f"http://{run.HOST}:{port}"
    ports = run.free_ports({**known.ports, "stripe": known.stripe_port})
    known.stripe_port = ports.pop("stripe")
    known.ports = ports
    state.save(known)
    logs = state.DIRECTORY / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    environ = {**known.environ(), "DATABASE_URL": address, "MAKEGOOD_URL": url, "MAKEGOOD_API_KEY": known.api_key}
    environ["PUBLIC_URL"] = os.environ.get("PUBLIC_URL") or url
    account = str(state.DIRECTORY / state.STRIPE_FILE)
    stripe = ["--port", str(known.stripe_port), "--account", account, "--webhooks", f"{url}/webhooks/stripe"]
    started = run.children(environ, logs, port=port, providers=known.ports, stripe=stripe, traffic=traffic)
    family = Family(started, partial(click.echo, err=True))
    try:
        family.start()
        run.wait_until_it_answers(port, family)
        if file is not None:
            state.write_private(file, credentials.as_json(known, url))
        click.echo(credentials.greeting(known, url))
        click.echo(f"\nLogs are in {logs}. Ctrl-C stops everything.")
        run.watch(family, _mend_database if settings.database_url is None else lambda: None)
    except KeyboardInterrupt:
        click.echo("\nStopping ...")
    finally:
        _stop(family)


def _mend_database() -> None:
    if not database.is_running():
        click.echo("The embedded PostgreSQL has ended; starting it again.", err=True)
        database.server()


def _stop(family: Family) -> None:
    """End all processes; a second Ctrl-C ends them at once."""
    try:
        family.stop()
    except KeyboardInterrupt:
        family.kill()
