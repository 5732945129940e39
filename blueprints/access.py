"""Who is asking, and what they may do: what a view says of itself, and what it asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, g, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from extensions import db
from makegood import api_keys, permissions, throttles
from makegood.errors import Forbidden

View = TypeVar("View", bound=Callable[..., Any])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def poll(view: View) -> View:
    """Mark a view that a page calls by itself: it does not keep the session alive, and is logged at debug."""
    view.is_poll = True  # type: ignore[attr-defined]
    return view


def is_poll() -> bool:
    """Whether the view of this request is marked as a poll. The client's headers have no say."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "is_poll", False)


def requires(action: str) -> Callable[[View], View]:
    """Let only roles with this permission into a view: `@requires("refund")`, below the route's decorator."""
    if action not in permissions.ACTIONS:
        raise ValueError(f"no such action: {action}")

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if not may(action):
                raise Forbidden("Your role does not allow this.")
            return view(*args, **kwargs)

        checked.required_action = action  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def throttled(limit: throttles.Limit) -> Callable[[View], View]:
    """Count the requests of an operator or API key to a view: `@throttled(throttles.SEARCHES)`, the innermost.

    One too many is answered 429 with `Retry-After`, before the view does anything.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def counted(*args: Any, **kwargs: Any) -> Any:
            holder: api_keys.Holder | None = g.get("api_key")
            who = holder.key_id if holder else current_user.operator_id
            with Session(db.engine) as session, session.begin():
                throttles.count(session, limit, str(who), now=datetime.now(UTC))
            return view(*args, **kwargs)

        return counted  # type: ignore[return-value]

    return decorate


def may(action: str) -> bool:
    """Whether the operator of this request may do it. A stranger may nothing."""
    return bool(current_user.is_authenticated) and permissions.may(current_user, action)


def confirmed(view: View) -> View:
    """Ask who it is once more, unless this session proved it in the last minutes: below `@requires(...)`.

    A GET is led to the page that asks, and back. A POST is answered with a form that asks and, when sent, brings
    everything that was typed to the same view again; inside a dialog it takes the place of the dialog's form.
    """

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        asked = needs_confirmation()
        return view(*args, **kwargs) if asked is None else asked

    return checked  # type: ignore[return-value]


def needs_confirmation() -> ResponseReturnValue | None:
    """The same where only some of what a view does needs it: None to go on, else what the view has to return.

    Call it before the route's first write: it checks the password in a transaction of its own.
    """
    from blueprints import confirmation

    return confirmation.ask(current_user, client_address())


def requires_second_factor() -> bool:
    """Whether this operator's role has to have a second factor here."""
    required = current_app.config["SETTINGS"].require_second_factor
    return bool(required == "all" or (required == "admin" and current_user.role == "admin"))


def lacks_second_factor() -> bool:
    """Whether this operator has to set up a second factor before anything else."""
    return requires_second_factor() and not current_user.has_second_factor


def actor() -> str:
    """Who acts, for ledgers and the audit log: an operator's e-mail, or an API key by name and hint."""
    holder: api_keys.Holder | None = g.get("api_key")
    if holder is not None:
        return f"API key {holder.name} ({holder.hint})"
    email: str = current_user.email
    return email


def client_address() -> str:
    """The client's address, as far as the trusted proxies tell it."""
    return request.remote_addr or "unknown"
