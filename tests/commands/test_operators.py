from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from app import create_app
from extensions import db
from makegood import logins
from makegood.models import Operator
from tests.conftest import environment
from tests.people import EMAIL, PASSWORD, add_second_factor, log_in


def run(app: Flask, *arguments: str, typed: str = "") -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["operators", *arguments], input=typed)
    return result.exit_code, result.output


def test_an_operator_is_made_with_a_password_from_standard_input(app: Flask) -> None:
    assert run(app, "create", "Ana@Example.com", "--role", "support", typed=f"{PASSWORD}\n") == (
        0,
        "Added ana@example.com as support.\n",
    )
    with app.app_context():
        operator = logins.authenticate(db.session, EMAIL, PASSWORD)
        assert operator
        assert operator.role == "support"


def test_a_password_at_a_terminal_is_asked_for_twice_and_unseen(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.operators._at_terminal", lambda: True)
    code, output = run(
        app, "create", EMAIL, "--role", "admin", typed=f"{PASSWORD}\nmistyped it\n{PASSWORD}\n{PASSWORD}\n"
    )
    assert code == 0
    assert "do not match" in output
    assert PASSWORD not in output


@pytest.mark.parametrize(
    ("email", "typed", "sentence"),
    [
        ("ana", f"{PASSWORD}\n", "Error: That is no e-mail address.\n"),
        (EMAIL, "short\n", "Error: A password needs at least 12 characters, and at most 1,024 bytes.\n"),
        (EMAIL, "", "Error: A password needs at least 12 characters, and at most 1,024 bytes.\n"),
    ],
)
def test_what_is_wrong_is_one_sentence(app: Flask, email: str, typed: str, sentence: str) -> None:
    assert run(app, "create", email, "--role", "viewer", typed=typed) == (1, sentence)


def test_the_same_address_twice_is_one_sentence(app: Flask) -> None:
    run(app, "create", EMAIL, "--role", "viewer", typed=f"{PASSWORD}\n")
    assert run(app, "create", EMAIL, "--role", "viewer", typed=f"{PASSWORD}\n") == (
        1,
        "Error: There is already an operator ana@example.com.\n",
    )


def test_operators_are_disabled_enabled_listed_and_given_passwords(app: Flask) -> None:
    run(app, "create", EMAIL, "--role", "viewer", typed=f"{PASSWORD}\n")
    assert run(app, "disable", EMAIL) == (0, f"{EMAIL} is disabled; running sessions have ended.\n")
    assert f"{EMAIL}  viewer  disabled 20" in run(app, "list")[1]
    assert run(app, "enable", EMAIL) == (0, f"{EMAIL} may log in again.\n")
    assert run(app, "list") == (0, f"{EMAIL}  viewer\n")
    assert run(app, "password", EMAIL, typed="another good password\n")[0] == 0
    with app.app_context():
        assert logins.authenticate(db.session, EMAIL, "another good password")


def test_an_unknown_operator_is_one_sentence(app: Flask) -> None:
    assert run(app, "disable", "nobody@example.com") == (
        1,
        "Error: There is no operator nobody@example.com.\n",
    )


def test_somebody_is_invited_with_a_path_on_standard_output(app: Flask) -> None:
    code, output = run(app, "invite", "Zoe@example.com", "--role", "support")
    assert code == 0
    found = re.search(r"^(/invitations/[\w-]{43})$", output, re.MULTILINE)
    assert found
    assert "zoe@example.com" in app.test_client().get(found[1]).text


def test_a_role_is_changed_but_not_that_of_the_last_admin(app: Flask) -> None:
    run(app, "create", EMAIL, "--role", "admin", typed=f"{PASSWORD}\n")
    sentence = (
        f"Error: {EMAIL} is the last active admin: nobody could manage the console. Add another admin first.\n"
    )
    assert run(app, "role", EMAIL, "viewer") == (1, sentence)
    assert run(app, "disable", EMAIL) == (1, sentence)
    run(app, "create", "bea@example.com", "--role", "admin", typed=f"{PASSWORD}\n")
    assert run(app, "role", EMAIL, "viewer") == (0, f"{EMAIL} is viewer now.\n")


def test_a_lost_second_factor_is_reset(app: Flask) -> None:
    run(app, "create", EMAIL, "--role", "admin", typed=f"{PASSWORD}\n")
    assert run(app, "reset-second-factor", EMAIL) == (0, f"{EMAIL} had none.\n")
    add_second_factor(app)
    assert "has no second factor any more" in run(app, "reset-second-factor", EMAIL)[1]
    assert log_in(app.test_client()).location == "/admin/"


def test_a_refused_command_leaves_nothing_behind(app: Flask) -> None:
    run(app, "create", EMAIL, "--role", "viewer", typed="short\n")
    with app.app_context():
        assert db.session.scalars(select(Operator)).all() == []


def test_an_unreachable_database_is_one_sentence() -> None:
    app = create_app(environment("postgresql://nobody@127.0.0.1:1/nothing"))
    code, output = run(app, "list")
    assert code == 1
    assert output.count("\n") == 1
    assert "DATABASE_URL" in output
