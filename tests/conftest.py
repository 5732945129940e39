"""Fixtures: a real PostgreSQL, a migrated template database, and one clone of it for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

import embedded
from app import create_app
from extensions import db
from makegood import passwords
from tests.one_app import OneApp, leave
from tests.people import add_operator, log_in
from tests.stripe import stripe  # noqa: F401 (a fixture)

SECRET_KEY = "only-for-tests-0123456789-abcdefghijklmnop"
DATABASE_FIXTURES = {"server", "database", "session", "make_app", "app", "client", "operator"}
HERE = Path(__file__).parent
MEMORY, ROOM_IN_MEMORY = Path("/dev/shm"), 4_000_000_000
LARGEST_LOG_MB = 256
"""What PostgreSQL writes ahead, which may lie in memory, does not grow beyond this between two checkpoints."""
SLOWEST = (
    "browser/",
    "demo/",
    "makegood/stats/test_histories",
    "makegood/test_crashes",
    "makegood/test_histories",
    "test_crashes_everywhere",
    "test_embedded",
    "test_worker",
)
_numbers = itertools.count(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process of tests more than processors: some tests wait, for processes that start, end or are killed."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that touches PostgreSQL, and begin with what takes longest, so that nobody waits for it."""
    items.sort(key=lambda item: not item.path.relative_to(HERE).as_posix().startswith(SLOWEST))
    for item in items:
        if DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)


def environment(database_url: str, **extra: str) -> dict[str, str]:
    """The settings that tests run with."""
    return {
        "ENVIRONMENT": "test",
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": database_url,
        "PUBLIC_URL": "http://localhost",
        "WAVESPEED_API_KEY": "test-wavespeed-key",
        "WAVESPEED_WEBHOOK_SECRET": "whsec_dGVzdC1vbmx5LXNlY3JldC1mb3Itd2F2ZXNwZWVkLTE=",
        "WAVESPEED_BASE_URL": "http://127.0.0.1:9",
        **extra,
    }


@cache
def _administrator(server: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection that makes and drops databases, open as long as the server runs."""
    address = make_url(server).set(drivername="postgresql", database="postgres")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


def administer(server: str, statement: str) -> None:
    """Have the server do this, outside every transaction."""
    _administrator(server).execute(statement)  # type: ignore[arg-type]


def _url(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL with a migrated template database, of the version in TEST_POSTGRES when that is set.

    Each process of the tests has one to itself: what is open in any database of a server holds back what
    another's rollups may count.
    """
    major = os.environ.get("TEST_POSTGRES")
    with embedded.temporary(durable=False, major=int(major) if major else None, within=_in_memory()) as postgres:
        address = postgres.url("postgres")
        administer(address, f"ALTER SYSTEM SET max_wal_size = '{LARGEST_LOG_MB}MB'")
        administer(address, "SELECT pg_reload_conf()")
        template = template_database()
        administer(address, f"CREATE DATABASE {template} TEMPLATE template0")
        app = create_app(environment(_url(address, template)))
        with app.app_context():
            upgrade()
            _keep_a_worker_at_work()
            db.engine.dispose()
        yield address
        _administrator(address).close()


def _keep_a_worker_at_work() -> None:
    """The template ages as the tests run: none of them is to see that as a worker that went away."""
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE rollup_state SET folded_at = '2100-01-01T00:00:00Z'"))


def template_database() -> str:
    """The name of the template database on this process's server."""
    return f"makegood_template_{os.getpid()}"


def _in_memory() -> Path | None:
    """Where files are kept in memory, if there is room: a clone of the template database is 800 of them."""
    try:
        found = os.statvfs(MEMORY)
    except OSError:
        return None
    return MEMORY if found.f_bavail * found.f_frsize > ROOM_IN_MEMORY else None


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The URL of a clone of the template database, dropped afterwards."""
    name = f"makegood_test_{os.getpid()}_{next(_numbers)}"
    # Copying files is several times as fast as logging every page, where nothing waits for the disk.
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template_database()} STRATEGY file_copy")
    try:
        yield _url(server, name)
    finally:
        administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The URL of a fresh database, for tests that commit or use several connections."""
    with fresh_database(server) as url:
        yield url


@pytest.fixture(scope="session")
def rules_database(server: str) -> Iterator[str]:
    """One database that all tests without commits share."""
    name = f"makegood_rules_{os.getpid()}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template_database()}")
    yield _url(server, name)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def rules_engine(rules_database: str) -> Iterator[Engine]:
    """Its engine, shared too, because compiled statements are kept with it."""
    engine = create_engine(rules_database)
    yield engine
    engine.dispose()


@pytest.fixture
def session(rules_engine: Engine) -> Iterator[Session]:
    """A session whose work is rolled back at the end."""
    with Session(rules_engine) as session:
        yield session


MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """The compiled templates, for all applications together: each test has a new one."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(database: str, templates: FileSystemBytecodeCache) -> Iterator[MakeApp]:
    """Makes applications on one fresh database, with further settings: `make_app(TRUSTED_PROXIES="1")`."""
    made: list[Flask] = []

    def make(**extra: str) -> Flask:
        app = create_app(environment(database, **extra))
        app.jinja_env.bytecode_cache = templates
        made.append(app)
        return app

    yield make
    for app in made:
        leave(app)


@pytest.fixture(scope="session")
def one_app(server: str, templates: FileSystemBytecodeCache) -> OneApp:
    """The application that tests have one after the other."""
    return OneApp(environment(server), templates)


@pytest.fixture
def app(database: str, one_app: OneApp) -> Iterator[Flask]:
    """The application on a fresh database."""
    yield one_app.on(database)
    one_app.leave()


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Passwords cost microseconds instead of a fifth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    """The browser of an admin who is logged in."""
    add_operator(app)
    browser = app.test_client()
    assert log_in(browser).status_code == 303
    return browser


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser or a platform's backend without credentials."""
    return app.test_client()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[1]
