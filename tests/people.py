"""Operators for tests, and the way they log in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from extensions import db
from makegood import api_keys, operators, second_factor
from makegood.models import Operator

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


def add_second_factor(app: Flask, email: str = EMAIL) -> pyotp.TOTP:
    """Give an operator a second factor, an hour ago, and return their phone."""
    with app.app_context():
        vault, now = app.extensions["vault"], datetime.now(UTC) - timedelta(hours=1)
        operator_id = db.session.scalars(select(Operator.id).where(Operator.email == email)).one()
        sealed = second_factor.propose(vault, operator_id)
        phone = pyotp.TOTP(second_factor.proposed(vault, operator_id, sealed) or "")
        second_factor.begin(db.session(), vault, operator_id, sealed, phone.at(now), address="192.0.2.1", now=now)
        db.session.commit()
    return phone
