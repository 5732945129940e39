"""`flask rollups rebuild`."""

from __future__ import annotations

import threading

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

import commands.rollups
from extensions import db
from makegood import rollups, stats
from tests.conftest import MakeApp
from tests.making import make_customer, make_generation


def run(app: Flask) -> tuple[int, str]:
    """Run the command; its exit code and what it printed."""
    result = app.test_cli_runner().invoke(args=["rollups", "rebuild"])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_a_rebuild_counts_all_events_for_the_reporting_time_zone(make_app: MakeApp) -> None:
    app = make_app(REPORTING_TIMEZONE="Asia/Kathmandu")
    terms = app.config["SETTINGS"].terms
    with app.app_context():
        make_generation(db.session, make_customer(db.session), status="failed")
        db.session.commit()
        assert not rollups.state(db.session, terms.timezone).valid
        db.session.rollback()
    assert run(app) == (0, "Rebuilt the rollups from 7 events in the time zone Asia/Kathmandu.\n")
    with app.app_context():
        assert rollups.state(db.session, terms.timezone).valid
        stats.begin_snapshot(db.session())
        assert stats.overview(db.session, terms).today.failed == 1
        db.session.rollback()


def test_a_rebuild_waits_for_a_writer_to_finish(app: Flask, database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as writer:
        make_customer(writer)
        end = threading.Timer(1.0, writer.commit)
        end.start()
        assert run(app) == (0, "Rebuilt the rollups from 3 events in the time zone UTC.\n")
        end.join()
    engine.dispose()


def test_a_rebuild_that_never_gets_its_turn_says_so(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands.rollups, "PATIENCE_SECONDS", 0.0)
    engine = create_engine(database)
    with Session(engine) as writer:
        make_customer(writer)
        code, output = run(app)
    engine.dispose()
    assert code == 1
    assert output.startswith("Error: Nothing was rebuilt: some transaction kept the ledger locked")
    assert run(app)[0] == 0


def test_a_database_without_tables_is_said_in_one_sentence(app: Flask) -> None:
    with app.app_context():
        db.session.execute(text("DROP TABLE rollup_state"))
        db.session.commit()
    assert run(app) == (1, "Error: The database has no tables yet; run: flask --app app db upgrade\n")
