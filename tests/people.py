"""Operators for tests, and the way they log in."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from extensions import db
from makegood import api_keys, operators

EMAIL = "ana@example.com"
PASSWORD = "correct horse battery staple"


def add_operator(app: Flask, email: str = EMAIL, role: str = "admin", password: str = PASSWORD) -> None:
    """Add an operator to the application's database."""
    with app.app_context():
        operators.create(db.session, email, role, password, actor="tests")
        db.session.commit()


def add_key(app: Flask, *scopes: str) -> str:
    """Make an API key and return it."""
    with app.app_context():
        _, plain = api_keys.create(db.session, "tests", scopes, actor="tests")
        db.session.commit()
    return plain


def form_token(client: FlaskClient, path: str = "/login") -> str:
    """The CSRF token of a page's forms."""
    page = client.get(path, follow_redirects=True).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, f"{path} has no form"
    return found[1]


def log_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD, **form: str) -> TestResponse:
    """Send the log-in form, as a browser does."""
    fields = {"csrf_token": form_token(client), "email": email, "password": password, **form}
    return client.post("/login", data=fields)
