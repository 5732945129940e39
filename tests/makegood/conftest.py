"""Fixtures for the rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from makegood import books


@pytest.fixture
def balanced_books(session: Session) -> Iterator[None]:
    """After the test everything adds up, and what the database checks at commit holds."""
    yield
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert books.violations(session) == []


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """Connections to a fresh database."""
    engine = create_engine(database)
    yield engine
    engine.dispose()
