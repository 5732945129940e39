"""That each part of the benchmark runs and finds something to measure; nothing is said of speed."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url

from benchmarks import __main__ as benchmark
from benchmarks import addresses, database
from tests.conftest import administer, template_database

TINY = argparse.Namespace(rounds=1, seconds=0.0, sizes=[2_000], customers=40)


@dataclass(frozen=True)
class Server:
    """The tests' PostgreSQL, whose new databases have been migrated."""

    address: str

    def create_database(self, name: str) -> None:
        """A clone of the template database."""
        administer(self.address, f"CREATE DATABASE {name} TEMPLATE {template_database()} STRATEGY file_copy")

    def drop_database(self, name: str) -> None:
        """As the benchmark's own server does."""
        administer(self.address, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        """The address of a database."""
        return make_url(self.address).set(database=name).render_as_string(hide_password=False)


@pytest.mark.parametrize("part", benchmark.PARTS)
def test_every_part_runs(
    part: str, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each raises where the schema, a statement or a page is no longer what it measures."""
    # In production, the web server refuses a database that could lose what it said, as the tests' is.
    monkeypatch.setitem(database.ENVIRONMENT, "ENVIRONMENT", "test")
    # Ranges, zones and filters are asked for by the tests of their pages.
    for asked in ("RANGES", "ZONES"):
        monkeypatch.setattr(addresses, asked, getattr(addresses, asked)[:1])
    for asked in ("FILTERED", "NOTHING"):
        monkeypatch.setattr(addresses, asked, ())
    benchmark.PARTS[part](Server(server), TINY)
    printed = capsys.readouterr().out
    assert "(at " in printed, printed
    assert "not what they should be" not in printed
