"""Says on every page that no worker is at work: what looks fine may not be, and nothing that waits goes on."""

from __future__ import annotations

from datetime import datetime

from flask import Flask, g

from extensions import db
from makegood import presence


def init_app(app: Flask) -> None:
    """Give the templates `worker_away_since()`."""
    app.add_template_global(worker_away_since)


def worker_away_since() -> datetime | None:
    """When a worker was last at work, if none is. Read once for a page; an error's page does not ask."""
    if g.get("answering_error"):
        return None
    if "worker_away_since" not in g:
        g.worker_away_since = presence.away_since(db.session())
    found: datetime | None = g.worker_away_since
    return found
