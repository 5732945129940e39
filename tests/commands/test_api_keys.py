from __future__ import annotations

from flask import Flask

from extensions import db
from makegood import api_keys


def run(app: Flask, *arguments: str) -> tuple[int, str, str]:
    result = app.test_cli_runner().invoke(args=["api-keys", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_key_is_shown_once_alone_on_standard_output(app: Flask) -> None:
    code, output, notes = run(app, "create", "backend", "--scope", "platform", "--scope", "stats")
    plain = output.strip()
    assert code == 0
    assert api_keys.KEY.fullmatch(plain)
    assert "backend (platform, stats)" in notes
    assert plain not in notes
    with app.app_context():
        found = api_keys.find(db.session, plain)
        assert found
        assert found.scopes == {"platform", "stats"}
    assert plain not in run(app, "list")[1]


def test_a_key_is_revoked_by_its_first_characters(app: Flask) -> None:
    plain = run(app, "create", "backend", "--scope", "stats")[1].strip()
    code, output, _ = run(app, "revoke", plain[:11])
    assert (code, output) == (0, f"Revoked backend ({plain[:11]}).\n")
    assert "revoked 20" in run(app, "list")[1]
    code, _, notes = run(app, "revoke", plain[:11])
    assert (code, notes) == (1, f"Error: No running key begins with '{plain[:11]}'.\n")
    with app.app_context():
        assert api_keys.find(db.session, plain) is None


def test_a_key_needs_a_scope_that_exists(app: Flask) -> None:
    assert run(app, "create", "backend")[0] == 2
    assert run(app, "create", "backend", "--scope", "everything")[0] == 2


def test_a_bad_name_is_one_sentence(app: Flask) -> None:
    code, _, notes = run(app, "create", " ", "--scope", "stats")
    assert (code, notes) == (1, "Error: A key's name must have 1 to 100 printable characters.\n")
