"""The application: settings, extensions, blueprints, commands. Wiring only."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Flask

import commands.api_keys
import commands.books
import commands.customers
import commands.demo
import commands.grants
import commands.operators
import commands.providers
import commands.rollups
import commands.stripe
import commands.worker
import demo.database
import demo.state
import logs
import settings as settings_module
from blueprints import (
    admin,
    api,
    assets,
    auth,
    bodies,
    callbacks,
    entrance,
    errors,
    formats,
    health,
    security,
    stripe,
    times,
)
from blueprints.admin import audit, codes, navigation, presence, subjects
from blueprints.api import admin_stats
from blueprints.api.unrecorded import Unrecorded
from extensions import csrf, db, login, migrate
from makegood.database import UnsafeDatabase, alone, check_server
from makegood.providers import registry
from makegood.secrets_at_rest import Vault
from makegood.stripe.client import Client


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Make the application from environment variables (the process's own unless given)."""
    settings = _own_settings() if environ is None else settings_module.load(environ)
    app = Flask(__name__)
    app.config.update(
        SETTINGS=settings,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url or demo.database.ADDRESS,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_pre_ping": True,
            "hide_parameters": True,
            "pool_events": [(alone, "connect")],
        },
        WTF_CSRF_TIME_LIMIT=None,
        MAX_CONTENT_LENGTH=1_000_000,
    )
    app.extensions["providers"] = registry.build(settings.providers)
    app.extensions["stripe"] = _stripe(settings.stripe)
    app.extensions["vault"] = Vault(settings.secret_key)
    app.extensions["unrecorded"] = Unrecorded(app)
    logs.configure(settings.environment)
    security.register(app)  # before CSRF protection, whose refusals carry a request id too
    entrance.register(app)
    _init_extensions(app)
    _register_blueprints(app)
    _register_commands(app)
    if settings.environment == "production":
        _refuse_unsafe_database(app)
    return app


def _own_settings() -> settings_module.Settings:
    """This process's settings; a wrong one ends the process with one sentence."""
    try:
        return settings_module.load(demo.state.complete(os.environ))
    except settings_module.SettingsError as error:
        raise SystemExit(f"Error: {error}") from None


def _stripe(values: settings_module.StripeSettings) -> Client | None:
    return Client(values.api_key, values.base_url) if values.api_key else None


def _refuse_unsafe_database(app: Flask) -> None:
    """A server that may forget confirmed credits ends the process with one sentence."""
    try:
        check_server(app.config["SQLALCHEMY_DATABASE_URI"])
    except UnsafeDatabase as error:
        raise SystemExit(f"Error: {error}") from None


def _init_extensions(app: Flask) -> None:
    db.init_app(app)
    if app.config["SETTINGS"].database_url is None:
        with app.app_context():
            demo.database.connect_to_embedded(db.engine)
    migrate.init_app(app, db, directory="migrations")
    login.init_app(app)
    csrf.init_app(app)


def _register_blueprints(app: Flask) -> None:
    errors.register(app)
    health.register(app)
    assets.init_app(app)
    formats.init_app(app)
    times.init_app(app)
    bodies.init_app(app)
    subjects.init_app(app)
    audit.init_app(app)
    codes.init_app(app)
    navigation.init_app(app)
    presence.init_app(app)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(api.blueprint)  # before the console, whose paths hold identifiers as well
    app.register_blueprint(admin.blueprint)
    app.register_blueprint(admin_stats.blueprint)
    app.register_blueprint(callbacks.blueprint)
    app.register_blueprint(stripe.blueprint)


def _register_commands(app: Flask) -> None:
    app.cli.add_command(commands.operators.group)
    app.cli.add_command(commands.api_keys.group)
    app.cli.add_command(commands.customers.group)
    app.cli.add_command(commands.grants.group)
    app.cli.add_command(commands.providers.group)
    app.cli.add_command(commands.rollups.group)
    app.cli.add_command(commands.books.group)
    app.cli.add_command(commands.stripe.group)
    app.cli.add_command(commands.worker.command)
    app.cli.add_command(commands.demo.command)
