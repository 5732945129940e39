"""Who may ask for JSON: an API key's holder, or the operator of a session."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from flask import g, request
from flask_login import current_user
from sqlalchemy.orm import Session

from blueprints import access
from extensions import db
from makegood import api_keys, throttles
from makegood.errors import Forbidden, MakegoodError

BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]{1,200})")


class Unauthenticated(MakegoodError):
    """Nobody is logged in, or the API key is not one of ours."""

    code = "unauthenticated"
    status = 401


def require_operator() -> None:
    """For JSON: raise Unauthenticated unless an operator is logged in."""
    if not current_user.is_authenticated:
        raise Unauthenticated("Log in, or send an API key as a bearer token.")
    if access.lacks_second_factor():
        raise Forbidden("Set up your second factor in the console first.")


def require_api_key(scope: str) -> None:
    """Raise unless the request carries an API key with this scope; then `g.api_key` is its holder.

    Raises Unauthenticated (no key, malformed, unknown, revoked), Throttled (too many of those from one
    address) and Forbidden (the key lacks the scope). A good key is never throttled. The key is read in the
    route's own transaction.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        raise Unauthenticated("Send an API key: Authorization: Bearer mg_...")
    bearer = BEARER.fullmatch(header)
    holder = api_keys.find(db.session, bearer[1]) if bearer else None
    if holder is None:
        db.session.rollback()
        with Session(db.engine) as session, session.begin():
            throttles.count_failed_key(session, access.client_address(), now=datetime.now(UTC))
        raise Unauthenticated("This API key is not valid.")
    if scope not in holder.scopes:
        raise Forbidden(f"This API key lacks the scope {scope!r}.", required_scope=scope)
    now = datetime.now(UTC)
    if holder.is_unnoted(now):
        with Session(db.engine) as session, session.begin():
            api_keys.use(session, holder.key_id, now=now)
    g.api_key = holder


def require_operator_or_api_key(scope: str) -> None:
    """Admit an API key with this scope where one is sent, else an operator's session. Raises as those two."""
    if request.headers.get("Authorization"):
        require_api_key(scope)
    else:
        require_operator()
