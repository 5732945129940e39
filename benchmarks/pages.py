"""Milliseconds of server time for every page of the console, asked for as a browser does, without a network."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from psycopg import Connection

from app import create_app
from benchmarks import addresses, database, polls, sales
from extensions import db
from makegood import operators

DAYS = 90
GENERATIONS_EACH = 50
"""Of a customer, on average."""
HOUSE = 10
"""So many in a hundred generations are of one customer: an API's house account."""
EMAIL, PASSWORD = "bench@example.com", "only for benchmarks"
# The charges in the ledger, which a customer's page lists.
LEDGER = """
    SET session_replication_role = replica;
    INSERT INTO credit_transactions (id, customer_id, entry, kind, amount, balance_after, generation_id, actor,
                                     reason, occurred_at)
        SELECT uuidv7(), customer_id, row_number() OVER (PARTITION BY customer_id ORDER BY id), 'charge',
               -credits_charged, 1000000, id, actor, model, charged_at FROM generations;
    SET session_replication_role = origin;
"""


@dataclass(frozen=True)
class Page:
    """A page and its median in milliseconds."""

    path: str
    milliseconds: float


def measure(server: database.Server, size: int, *, rounds: int) -> list[Page]:
    """Every page of `addresses`, the slowest first. Without rounds, each is asked for once."""
    name = f"pages_{size}"
    url = database.make(server, name)
    fill(url, size)
    with _console(url) as (app, browser), database.connect(url) as connection:
        pages = [Page(path, _time(connection, browser, path, rounds)) for path in addresses.every(app)]
    server.drop_database(name)
    return sorted(pages, key=lambda page: -page.milliseconds)


def fill(url: str, size: int) -> None:
    """An account of that many generations, with a Stripe account, folded."""
    customers = size // GENERATIONS_EACH
    polls.fill(url, size, days=DAYS, customers=customers, house=HOUSE)
    with database.connect(url) as connection:
        connection.execute(LEDGER)
    sales.fill(url, days=DAYS, customers=customers)
    polls.fold(url)
    sales.fold(url)
    with database.connect(url) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def _console(url: str) -> Iterator[tuple[Flask, FlaskClient]]:
    """The console with an admin who has logged in."""
    app = create_app({**database.ENVIRONMENT, "ENVIRONMENT": "test", "DATABASE_URL": url})
    browser = app.test_client()
    with app.app_context():
        operators.create(db.session(), EMAIL, "admin", PASSWORD, actor="benchmark")
        db.session.commit()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/login").text)
    assert token is not None
    browser.post("/login", data={"csrf_token": token[1], "email": EMAIL, "password": PASSWORD})
    try:
        yield app, browser
    finally:
        app.extensions["unrecorded"].stop()
        with app.app_context():
            db.engine.dispose()


def _time(connection: Connection[Any], browser: FlaskClient, path: str, rounds: int) -> float:
    """The median of so many requests after one that warms everything up; of none, that one's time."""
    connection.execute("DELETE FROM throttles")  # one operator does not look at so many pages at once
    taken = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        answer = browser.get(path)
        taken.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code in (200, 303), (path, answer.status)
    return median(taken[1:] or taken)
