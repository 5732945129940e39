"""`flask customers show` and `flask grants add`."""

from __future__ import annotations

import pytest
from flask import Flask

from app import create_app
from extensions import db
from makegood import ledger
from tests.conftest import environment
from tests.making import make_customer, make_generation


@pytest.fixture
def customer(app: Flask) -> str:
    """A customer with 5 credits of the free tier and 20 purchased ones."""
    with app.app_context():
        customer_id = make_customer(db.session, 20)
        db.session.commit()
    return customer_id


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    """Run a command; its exit code and what it printed."""
    result = app.test_cli_runner().invoke(args=list(arguments))
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def balance(app: Flask, customer_id: str) -> int:
    """The customer's credits."""
    with app.app_context():
        return ledger.balance(db.session, customer_id)


def test_granted_credits_are_in_the_ledger_with_their_reason(app: Flask, customer: str) -> None:
    code, output = run(app, "grants", "add", customer, "1000", "--reason", "sorry for the outage")
    assert (code, output) == (0, f"Gave 1,000 credits (bonus) to {customer}. Balance: 1,025 credits.\n")
    assert balance(app, customer) == 1025
    assert "sorry for the outage" in run(app, "customers", "show", customer)[1]


@pytest.mark.parametrize("source", ["purchase", "adjustment"])
def test_the_source_can_be_chosen(app: Flask, customer: str, source: str) -> None:
    code, output = run(app, "grants", "add", customer, "3", "--reason", "x", "--source", source)
    assert code == 0
    assert f"({source})" in output
    assert balance(app, customer) == 28


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nobody", "5", "--reason", "x"), "There is no customer 'nobody'."),
        (("ID", "0", "--reason", "x"), "0 is not in the range"),
        (("ID", "1000000001", "--reason", "x"), "is not in the range"),
        (("ID", "1.5", "--reason", "x"), "is not a valid integer"),
        (("ID", "5"), "Missing option '--reason'"),
        (("ID", "5", "--reason", "  "), "must be printable text"),
        (("ID", "5", "--reason", "a\nb"), "must be printable text"),
        (("ID", "5", "--reason", "x" * 501), "at most 500 characters"),
        (("ID", "5", "--reason", "x", "--source", "allowance"), "is not one of"),
        (("\udcff", "5", "--reason", "x"), "must be printable text"),
    ],
)
def test_a_grant_that_makes_no_sense_is_one_sentence(
    app: Flask, customer: str, arguments: tuple[str, ...], sentence: str
) -> None:
    given = [customer if argument == "ID" else argument for argument in arguments]
    code, output = run(app, "grants", "add", *given)
    assert code != 0
    assert sentence in output
    assert balance(app, customer) == 25


def test_a_customer_is_shown_with_grants_and_ledger(app: Flask, customer: str) -> None:
    with app.app_context():
        make_generation(db.session, customer, status="failed", credits=6)
        make_generation(db.session, customer, credits=4)
        db.session.commit()
    code, output = run(app, "customers", "show", customer)
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == f"{customer}  free  no e-mail address"
    assert lines[1] == "Balance: 21 credits"
    assert lines[2] == "This month: 10 charged, 6 refunded, 4 net"
    assert lines[3].startswith("  1 of 5 from allowance, until ")
    assert lines[4] == "  20 of 20 from purchase: order 1"
    assert [line.split()[2] for line in lines[5:]] == ["charge", "refund", "charge", "grant", "grant"]


def test_an_unknown_customer_is_one_sentence(app: Flask) -> None:
    assert run(app, "customers", "show", "nobody") == (1, "Error: There is no customer 'nobody'.\n")


def test_an_unreachable_database_is_one_sentence() -> None:
    app = create_app(environment("postgresql://nobody@127.0.0.1:9/nothing"))
    code, output = run(app, "customers", "show", "x")
    assert code == 1
    assert output.startswith("Error: The database cannot be used")
    assert len(output.splitlines()) == 1
