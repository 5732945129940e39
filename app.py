"""The application: settings, extensions, blueprints, commands. Wiring only."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Flask

import settings as settings_module
from extensions import csrf, db, login, migrate


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Make the application from environment variables (the process's own unless given)."""
    settings = settings_module.load(os.environ if environ is None else environ)
    app = Flask(__name__)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True, "hide_parameters": True},
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=1_000_000,
    )
    db.init_app(app)
    migrate.init_app(app, db, directory="migrations")
    login.init_app(app)
    csrf.init_app(app)
    return app
