"""A database that could forget confirmed credits is refused."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import embedded
from app import create_app
from makegood.database import UnsafeDatabase, check_durability, check_server
from tests.conftest import environment


def test_an_ordinary_server_is_accepted_and_one_without_synchronous_commit_refused() -> None:
    with embedded.temporary() as server:
        engine = create_engine(server.url())
        with Session(engine) as session:
            check_durability(session)
            for harmless in ("local", "remote_apply"):
                session.execute(text(f"SET synchronous_commit = {harmless}"))
                check_durability(session)
            session.execute(text("SET synchronous_commit = off"))
            with pytest.raises(UnsafeDatabase, match="runs with synchronous_commit = off: a crash would lose"):
                check_durability(session)
        engine.dispose()


def test_every_setting_that_is_off_is_named() -> None:
    with embedded.temporary(durable=False) as server:
        engine = create_engine(server.url())
        with Session(engine) as session, pytest.raises(UnsafeDatabase) as caught:
            check_durability(session)
        engine.dispose()
    assert caught.value.details["settings"] == ["fsync", "full_page_writes", "synchronous_commit"]
    assert "fsync = off and full_page_writes = off and synchronous_commit = off" in caught.value.message


def test_the_start_refuses_an_unsafe_server_in_production_with_one_sentence() -> None:
    with embedded.temporary(durable=False) as server:
        environ = environment(server.url(), ENVIRONMENT="production")
        with pytest.raises(SystemExit, match=r"^Error: The database runs with fsync = off"):
            create_app(environ)
        create_app(environ | {"ENVIRONMENT": "demo"})
    logging.getLogger().handlers.clear()


def test_a_server_that_does_not_answer_does_not_keep_the_application_from_starting() -> None:
    check_server("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
