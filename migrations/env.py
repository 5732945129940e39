"""Alembic's environment: runs migrations on the application's database."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy.dialects.postgresql.base import ischema_names

from commands import one_sentence
from extensions import db
from makegood.models.base import XID8

ischema_names["xid8"] = XID8  # so that the comparison of models and tables can read it


def ours(obj: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Leave procrastinate's tables to procrastinate."""
    return not (kind == "table" and reflected and (name or "").startswith("procrastinate_"))


def run() -> None:
    """Run the migrations in one transaction each, waiting at most ten seconds for a lock."""
    with current_app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '10s'")
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            include_object=ours,
            compare_type=True,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


with one_sentence():
    run()
