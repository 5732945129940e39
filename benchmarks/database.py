"""A durable PostgreSQL of the benchmarks' own, databases on it, and the programs that load them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg
from flask_migrate import upgrade
from psycopg import ClientCursor
from sqlalchemy import make_url

import embedded
from app import create_app
from embedded.account import server_account
from embedded.binaries import installed
from extensions import db

SECRET_KEY = "only-for-benchmarks-0123456789-abcdefghij"
WEBHOOK_SECRET = "whsec_b25seS1mb3ItYmVuY2htYXJrcw=="
ENVIRONMENT = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": SECRET_KEY,
    "PUBLIC_URL": "http://127.0.0.1:9",
    "WAVESPEED_API_KEY": "nothing-is-submitted",
    "WAVESPEED_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "WAVESPEED_BASE_URL": "http://127.0.0.1:9",
}
# PostgreSQL has had its own since 18. Measured are servers that have it; older ones only run.
UUIDV7 = """
    CREATE FUNCTION uuidv7(shift interval DEFAULT '0') RETURNS uuid LANGUAGE sql VOLATILE AS $$
        SELECT encode(overlay(uuid_send(make_uuid7())
            PLACING substring(int8send((extract(epoch FROM clock_timestamp() + shift) * 1000)::bigint) FROM 3)
            FROM 1 FOR 6), 'hex')::uuid
    $$
"""
HAS_UUIDV7 = 180_000
CUSTOMERS = """
    CREATE TEMPORARY TABLE new AS
        SELECT 'customer-' || number AS id, make_uuid7() AS grant_id, make_uuid7() AS transaction_id,
               (ARRAY['free', 'plus', 'pro'])[1 + number %% 3] AS tier
          FROM generate_series(1, %(count)s) AS number;
    INSERT INTO customers (id, tier) SELECT id, tier FROM new;
    INSERT INTO balances (customer_id) SELECT id FROM new;
    INSERT INTO grants (id, customer_id, source, credits, reason, created_at)
        SELECT grant_id, id, 'purchase', %(credits)s, 'benchmark', now() FROM new;
    INSERT INTO credit_transactions (id, customer_id, kind, amount, actor, reason, occurred_at)
        SELECT transaction_id, id, 'grant', %(credits)s, 'benchmark', 'benchmark', now() FROM new;
    INSERT INTO movements (transaction_id, grant_id, credits)
        SELECT transaction_id, grant_id, %(credits)s FROM new;
    INSERT INTO events (at, type, customer_id, tier, customers, holders, credits)
        SELECT now(), 'customer', id, tier, 1, 1, %(credits)s FROM new;
    DROP TABLE new;
"""


class Server(Protocol):
    """Where databases are made: a PostgreSQL of our own."""

    def create_database(self, name: str, /) -> None:
        """Make an empty one, or one that has been migrated."""

    def drop_database(self, name: str, /) -> None:
        """Drop it, whoever is connected."""

    def url(self, database: str, /) -> str:
        """Its URL."""


@contextmanager
def server() -> Iterator[embedded.EmbeddedServer]:
    """A new server, with fsync and synchronous_commit on, as in production."""
    with embedded.temporary(durable=True) as started:
        yield started


def make(server: Server, name: str) -> str:
    """A migrated database. Returns its URL."""
    server.create_database(name)
    url = server.url(name)
    app = create_app({**ENVIRONMENT, "ENVIRONMENT": "test", "DATABASE_URL": url})  # which logs nothing
    with app.app_context():
        upgrade()
        db.engine.dispose()
    with connect(url) as connection:
        if connection.info.server_version < HAS_UUIDV7:
            connection.execute(UUIDV7)
    return url


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection in autocommit mode."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(address, autocommit=True)


def add_customers(url: str, count: int, credits: int = 1_000_000) -> None:
    """`customer-1` to `customer-<count>` in three tiers, each with one purchased grant."""
    with connect(url) as connection, ClientCursor(connection) as cursor:
        cursor.execute(CUSTOMERS, {"count": count, "credits": credits})
        connection.execute("VACUUM ANALYZE")


def pgbench(url: str, script: str, *, clients: int, seconds: float, setup: str = "") -> float:
    """Transactions per second of a script in pgbench's language, prepared. In no time, each client has one."""
    length = f"--time={max(1, round(seconds))}" if seconds else "--transactions=1"
    program = next(installed(server_account())).program("pgbench")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "script.sql"
        path.write_text(script)
        address = make_url(url)
        command = [str(program), "--no-vacuum", "--protocol=prepared", f"--file={path}", f"--client={clients}"]
        command += [f"--jobs={min(clients, 2)}", length]
        command += [f"--host={address.query['host']}", f"--username={address.username}", str(address.database)]
        options = {"PGOPTIONS": setup, "PATH": os.environ["PATH"]}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=options)
    found = re.search(r"tps = ([\d.]+) \(without", result.stdout)
    if result.returncode != 0 or not found:
        raise RuntimeError(result.stdout + result.stderr)
    return float(found[1])
