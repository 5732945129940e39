"""`flask demo` says in one sentence why it cannot run, before it changes anything."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click.testing
import flask.cli
import psycopg
import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session

import app
import logs
import settings
from commands import demo as command
from demo import database, state
from embedded import binaries
from extensions import db
from makegood import operators

SETTINGS = ("ENVIRONMENT", "DATABASE_URL", "SECRET_KEY", "PORT", "REPORTING_TIMEZONE", "PUBLIC_URL")
Run = Callable[..., str]


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state directory of a fresh checkout."""
    parent = Path(tempfile.mkdtemp(prefix="makegood-test-"))
    parent.chmod(0o711)
    monkeypatch.setattr(state, "DIRECTORY", parent / ".makegood")
    yield parent / ".makegood"
    database.close()
    shutil.rmtree(parent)


@pytest.fixture
def fails(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command that must fail with one sentence, which is returned."""
    configure = logs.configure
    monkeypatch.setattr(logs, "configure", lambda environment: configure("test"))
    made: list[Flask] = []
    real = app.create_app

    def create_app() -> Flask:
        made.append(real())
        return made[-1]

    monkeypatch.setattr(app, "create_app", create_app)

    def run(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
        for name in SETTINGS:
            monkeypatch.delenv(name, raising=False)
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        result = click.testing.CliRunner().invoke(flask.cli.cli, ["--app", "app", *arguments])
        assert result.exit_code == 1, result.output
        lines = result.output.strip().splitlines()
        assert len(lines) == 1, result.output
        assert lines[0].startswith("Error: ")
        return lines[0].removeprefix("Error: ")

    yield run
    for one in made:
        with one.app_context():
            db.engine.dispose()


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_a_busy_port_is_refused_before_anything_is_made(fails: Run, directory: Path, busy_port: int) -> None:
    expected = (
        f"Port {busy_port} cannot be used (Address already in use); choose another: make demo PORT={busy_port + 1}"
    )
    assert fails("demo", "--port", str(busy_port)) == expected
    assert fails("demo", environ={"PORT": str(busy_port)}) == expected
    assert fails("demo", "--reset", environ={"PORT": str(busy_port)}) == expected
    assert not (directory / "postgresql").exists()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "²", " 80"])
def test_a_port_that_is_none_is_named(fails: Run, port: str) -> None:
    assert fails("demo", f"--port={port}") == f"The port is {port!r}; it must be a whole number from 1 to 65535."


def test_without_any_postgresql_the_sentence_says_what_to_install(
    fails: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "WHEEL", "not_installed_anywhere")
    monkeypatch.setattr(binaries, "SYSTEM_DIRECTORIES", ())
    assert fails("demo", "--port", free_port()).startswith(
        "No PostgreSQL 15 or newer was found; install one (pip install"
    )
    assert fails("operators", "list").startswith("No PostgreSQL 15 or newer was found; install one (pip install")


def test_a_foreign_data_directory_is_named(fails: Run, directory: Path) -> None:
    (directory / "postgresql" / "14").mkdir(parents=True)
    assert "was made by PostgreSQL 14" in fails("demo", "--port", free_port())
    assert "was made by PostgreSQL 14" in fails("db", "upgrade")


@pytest.mark.parametrize("arguments", [("demo",), ("db", "upgrade"), ("db", "check"), ("operators", "list")])
def test_an_unreachable_database_is_named(fails: Run, directory: Path, arguments: tuple[str, ...]) -> None:
    away = {"ENVIRONMENT": "demo", "DATABASE_URL": "postgresql://someone:secret@127.0.0.1:1/makegood"}
    said = fails(*arguments, environ=away)
    assert said.startswith("The database cannot be used, check DATABASE_URL: ")
    assert "Connection refused" in said
    assert "secret" not in said
    assert not (directory / "postgresql").exists()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"DATABASE_URL": "postgresql://127.0.0.1/x"}, "SECRET_KEY must be a random text"),
        ({"SECRET_KEY": "x" * 40, "DATABASE_URL": "postgresql://127.0.0.1/x"}, "SECRET_KEY must be a random text"),
        ({"ENVIRONMENT": "production"}, "DATABASE_URL is not set: "),
        (
            {"SECRET_KEY": "abcdefghijklmnopqrstuvwxyz0123456789", "DATABASE_URL": "postgresql://127.0.0.1:1/x"},
            "PUBLIC_URL is not set: name the address",
        ),
        (
            {"ENVIRONMENT": "demo", "DATABASE_URL": "mysql://127.0.0.1/x"},
            "DATABASE_URL must be a PostgreSQL address",
        ),
        (
            {"ENVIRONMENT": "demo", "DATABASE_URL": "postgresql://x:y:z/"},
            "DATABASE_URL must be a PostgreSQL address",
        ),
        (
            {"ENVIRONMENT": "demo", "REPORTING_TIMEZONE": "Mars/Base"},
            "REPORTING_TIMEZONE is 'Mars/Base', which is no",
        ),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT is 'staging'; it must be one of"),
    ],
)
@pytest.mark.parametrize("arguments", [("demo",), ("db", "upgrade")])
def test_a_missing_or_malformed_setting_is_named(
    fails: Run, environ: dict[str, str], sentence: str, arguments: tuple[str, ...]
) -> None:
    assert fails(*arguments, environ=environ).startswith(sentence)


def test_the_demo_stays_out_of_production(fails: Run) -> None:
    environ = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "postgresql://127.0.0.1:1/makegood",
        "SECRET_KEY": os.urandom(32).hex(),
        "PUBLIC_URL": "https://makegood.example.com",
    }
    assert fails("demo", environ=environ) == (
        "The demo makes customers up: it runs with ENVIRONMENT=demo, not production."
    )


def test_the_demo_leaves_a_strangers_account_alone(fails: Run, database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as session, session.begin():
        operators.create(session, "somebody@example.com", "admin", "correct horse battery", actor="test")
    engine.dispose()
    given = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    assert fails("demo", "--port", free_port(), environ={"ENVIRONMENT": "demo", "DATABASE_URL": given}) == (
        "The database holds an account that no demo made; give the demo an empty one."
    )


def test_reset_empties_the_embedded_database(directory: Path) -> None:
    own = settings.load(state.complete({}))
    address = command._open_database(own, reset=False).replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE account ()")
        assert command._open_database(own, reset=True).replace("+psycopg", "") == address
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT to_regclass('account')").fetchone() == (None,)


def test_reset_never_empties_a_database_of_ones_own(fails: Run, database: str) -> None:
    assert fails("demo", "--reset", environ={"ENVIRONMENT": "demo", "DATABASE_URL": database}).startswith(
        "--reset is for the embedded database"
    )


def test_a_place_for_credentials_that_does_not_exist_is_named_first(fails: Run, directory: Path) -> None:
    assert "there is no directory" in fails("demo", "--port", free_port(), "--credentials", "/nowhere/at/all.json")
    assert not (directory / "postgresql").exists()


def test_a_second_demo_of_the_same_checkout_is_refused(fails: Run, directory: Path) -> None:
    state.load()
    with command.run.only_one(directory):
        assert fails("demo", "--port", free_port()).startswith("The demo of this checkout is running already")


def test_a_database_without_tables_says_how_to_make_them(fails: Run) -> None:
    assert fails("operators", "list") == "The database has no tables yet; run: flask --app app db upgrade"
