"""What the limits leave the operator who is looking, and from when on a form asks anew who they are."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints import access
from extensions import db
from makegood import limits, rooms
from makegood.rooms import Purpose, Room
from makegood.terms import Terms


def terms() -> Terms:
    """The terms of this deployment."""
    found: Terms = current_app.config["SETTINGS"].terms
    return found


def room(purpose: Purpose) -> Room:
    """What they may still move alone today, for this purpose."""
    user = current_user
    return rooms.room(db.session(), user.email, user.role, purpose, terms().timezone, at=datetime.now(UTC))


def confirmation(credits: int) -> ResponseReturnValue | None:
    """The page that asks who they are, for so many credits; None where nobody has to be asked."""
    large = limits.of(db.session(), current_user.role).confirm_from
    return access.needs_confirmation() if large is not None and credits >= large else None
