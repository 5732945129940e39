"""A platform's backend for tests, and a way to take its database away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url, text
from werkzeug.test import TestResponse

from extensions import db
from makegood.ids import uuid7
from tests.making import MODEL, FakeProvider


@dataclass
class Platform:
    """The platform's backend, talking to the application."""

    app: Flask
    client: FlaskClient
    key: str
    provider: FakeProvider

    def send(self, method: str, path: str, body: Any = None, *, idempotency: str | None = None) -> TestResponse:
        """A request as the platform sends it."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        return self.client.open(f"/api/v1{path}", method=method, json=body, headers=headers)

    def send_raw(self, method: str, path: str, raw: bytes, **headers: str) -> TestResponse:
        """A request whose body is not what our own encoder would write."""
        sent = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(f"/api/v1{path}", method=method, data=raw, headers=sent)

    def make_customer(self, credits: int = 0, customer_id: str | None = None) -> str:
        """A customer with this many purchased credits beside the 5 of the free tier."""
        customer_id = customer_id or f"cus_{uuid7().hex}"
        assert self.send("PUT", f"/customers/{customer_id}", {"tier": "free"}).status_code == 200
        if credits:
            body = {"credits": credits, "source": "purchase", "reason": "order 7"}
            answer = self.send("POST", f"/customers/{customer_id}/grants", body, idempotency=uuid7().hex)
            assert answer.status_code == 201
        return customer_id

    def start(self, customer_id: str, *, idempotency: str | None = None, **fields: Any) -> TestResponse:
        """Start a generation."""
        body = {
            "customer_id": customer_id,
            "provider": self.provider.name,
            "model": MODEL,
            "kind": "image",
            "input": {"prompt": "a red mug"},
        } | fields
        return self.send("POST", "/generations", body, idempotency=idempotency or uuid7().hex)

    def balance(self, customer_id: str) -> int:
        """The customer's credits, as the database has them."""
        return int(self.sql("SELECT balance FROM balances WHERE customer_id = :id", id=customer_id))

    def sql(self, statement: str, **values: Any) -> Any:
        """The first value of the first row, in a transaction of its own, committed."""
        with self.app.app_context(), db.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.scalar() if result.returns_rows else None


def unplug(platform: Platform, *, connect: bool) -> None:
    """Let nobody connect to the test's database, and end the connections that there are; or let them again."""
    address = make_url(platform.app.config["SQLALCHEMY_DATABASE_URI"])
    server = address.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {address.database} ALLOW_CONNECTIONS {connect}".encode())
        if not connect:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [address.database]
            )


@contextmanager
def plugged_in_again(platform: Platform) -> Iterator[None]:
    """Whatever happens inside, the database answers afterwards."""
    try:
        yield
    finally:
        unplug(platform, connect=True)
