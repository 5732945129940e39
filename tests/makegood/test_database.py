"""A database that could forget confirmed credits is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import embedded
from makegood.database import UnsafeDatabase, check_durability


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
