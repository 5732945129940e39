"""One application for the tests of a process: as new for each, on that test's database.

To make an application is dear: 240 routes to compile, then each template and each statement at its first use.
None of that is a test's own. What a test can change is put back; a route it cannot add (`make_app` makes an
application for that).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from sqlalchemy import event, make_url

import logs
import settings
from app import create_app
from blueprints.api.unrecorded import Unrecorded
from extensions import db
from makegood.providers import registry


class OneApp:
    """The application, and what it was when it was new."""

    def __init__(self, environ: Mapping[str, str], templates: BytecodeCache) -> None:
        self._environ = dict(environ)
        self._app = create_app(environ)
        self._app.jinja_env.bytecode_cache = templates
        self._app._got_first_request = True  # from now on Flask refuses another route
        self._config, self._extensions = dict(self._app.config), dict(self._app.extensions)
        with self._app.app_context():
            event.listen(db.engine, "do_connect", self._lead)

    def on(self, database: str) -> Flask:
        """The application as new, on this database of the same server. `leave` ends it."""
        self._environ["DATABASE_URL"] = database
        values = settings.load(self._environ)
        self._app.config.clear()
        self._app.config.update(self._config, SETTINGS=values, SQLALCHEMY_DATABASE_URI=values.database_url)
        self._app.extensions.clear()
        self._app.extensions.update(
            self._extensions, providers=registry.build(values.providers), unrecorded=Unrecorded(self._app)
        )
        logs.configure(values.environment)
        return self._app

    def leave(self) -> None:
        """Keep no thread and no connection of the last test."""
        leave(self._app)

    def _lead(self, dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        """Connect the engine, which keeps the compiled statements, to the test's database."""
        parameters["dbname"] = make_url(self._environ["DATABASE_URL"]).database


def leave(app: Flask) -> None:
    """End what an application has begun."""
    app.extensions["unrecorded"].stop()
    with app.app_context():
        db.engine.dispose()
