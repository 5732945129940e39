"""What the worker does, by subject. Like a route, a task calls one rule and commits; it holds no rules."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from extensions import db
from makegood.terms import Terms


def terms(app: Flask) -> Terms:
    """The terms of this deployment."""
    found: Terms = app.config["SETTINGS"].terms
    return found


def in_batches(batch: Callable[[], int]) -> None:
    """Repeat and commit until a batch has nothing left to do."""
    while batch():
        db.session.commit()
    db.session.commit()
