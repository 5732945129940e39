"""`flask books check`, and the commands that mend what it finds."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

import commands.books
from extensions import db
from makegood import books
from makegood.rollup_tables import FOLDS
from tests.making import make_customer, make_generation


def run(app: Flask, *args: str) -> tuple[int, str]:
    """Run a command; its exit code and what it printed."""
    result = app.test_cli_runner().invoke(args=list(args))
    assert "Traceback" not in result.output
    return result.exit_code, result.output


@pytest.fixture
def folded(app: Flask) -> Flask:
    """A customer whose generation failed, in the rollups."""
    with app.app_context():
        make_generation(db.session(), make_customer(db.session()), status="failed")
        db.session.commit()
    assert run(app, "rollups", "rebuild")[0] == 0
    return app


def change(app: Flask, statement: str) -> None:
    """By hand, past every trigger."""
    with app.app_context():
        db.session.execute(text("SET LOCAL session_replication_role = replica"))
        db.session.execute(text(statement))
        db.session.commit()


def test_a_rollup_that_is_off_is_named_with_what_mends_it(folded: Flask) -> None:
    code, output = run(folded, "books", "check")
    assert (code, output.count("\n")) == (0, 1)
    assert output.startswith("ok      the rollups since ")
    change(folded, "UPDATE rollup_days SET failed = failed + 1")
    code, output = run(folded, "books", "check", "--days", "2")
    assert code == 1
    assert output.startswith("BROKEN  rollup_days is the sum of its events\n")
    assert output.endswith("Rollups are made anew by: flask --app app rollups rebuild\n")
    assert run(folded, "rollups", "rebuild")[0] == 0
    assert run(folded, "books", "check")[0] == 0


def test_everything_is_checked_when_asked_and_the_ledger_has_no_remedy(folded: Flask) -> None:
    code, output = run(folded, "books", "check", "--all")
    assert (code, output.count("ok  ")) == (0, len(books.CHECKS) + 1)
    change(folded, "UPDATE balances SET balance = balance + 1")
    code, output = run(folded, "books", "check", "--all")
    assert code == 1
    assert "BROKEN  a balance is the sum of its ledger rows" in output
    assert "Rows of the ledger are never changed" in output


def test_the_sums_of_revenue_are_made_anew(folded: Flask) -> None:
    change(
        folded,
        "WITH m AS (INSERT INTO payment_months (month, customer_id, currency, cash)"
        " VALUES ('2026-11-01', 'c', 'usd', 1)),"
        " c AS (INSERT INTO payers (customer_id, payments) VALUES ('c', 1)),"
        " p AS (INSERT INTO payments (id, source, created_at, currency, amount, fee, for_credits)"
        " VALUES ('txn_1', 'ch_1', now(), 'usd', 1, 0, false)),"
        " d AS (INSERT INTO recognised_days (day, provider, model, tier, currency, price_amount, price_credits)"
        " VALUES ('2026-11-15', '', '', '', 'usd', 9, 4))"
        " INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)"
        " VALUES ('2026-11-10T12:00:00Z', 'usd', 'charge', 1, 1000, 59)",
    )
    code, output = run(folded, "books", "check", "--all")
    assert (code, output.count("BROKEN")) == (1, 5)
    assert "flask --app app rollups rebuild --revenue" in output
    assert run(folded, "rollups", "rebuild", "--revenue") == (
        0,
        "Rebuilt the sums of revenue in the time zone UTC.\n",
    )
    assert run(folded, "books", "check", "--all")[0] == 0


def test_no_more_than_some_rows_are_shown(folded: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.books, "SHOWN", 0)
    change(folded, "DELETE FROM rollup_days")
    assert "events\n        and more\n" in run(folded, "books", "check")[1]


def test_rollups_of_another_server_are_not_compared(folded: Flask) -> None:
    for table in FOLDS:
        change(folded, f"DELETE FROM {table}")
    change(folded, "UPDATE rollup_state SET system_identifier = 1")
    code, output = run(folded, "books", "check")
    assert (code, output.startswith("The rollups are not of this server or time zone.")) == (0, True)
