"""Who is asking, what they may do, and what a stranger is told.

Every endpoint is refused unless it stands in PUBLIC or belongs to a blueprint of GUARDED, whose own
before_request decides: with `admit_operator`, or as `blueprints.api_access` does for JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from flask import Flask, Request, Response, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import UserMixin, current_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from blueprints.way_back import login_path
from extensions import db, login
from makegood import api_keys, permissions, sessions, throttles
from makegood.errors import Forbidden

PUBLIC = frozenset(
    {
        "static",
        "auth.home",
        "auth.login",
        "auth.log_in",
        "auth.code",
        "auth.send_code",
        "auth.logout",
        "auth.invitation",
        "auth.accept_invitation",
        "callbacks.receive",
        "stripe.receive",
        "health.healthz",
        "api.openapi",
    }
)
BEFORE_SECOND_FACTOR = frozenset(
    {
        "admin.second_factor",
        "admin.set_up_second_factor",
        "admin.confirm",
        "admin.confirm_sent",
        "admin.theme",
    }
)
"""What an operator may reach who has to set up a second factor first."""
GUARDED = frozenset({"admin", "api", "api_admin", "health"})

View = TypeVar("View", bound=Callable[..., Any])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CurrentOperator(UserMixin):
    """The operator of this request, as the session's row and the operator's row say now."""

    def __init__(self, found: sessions.Found) -> None:
        self.session_id: UUID = found.session_id
        self.operator_id: UUID = found.operator_id
        self.email = found.email
        self.role = found.role
        self.timezone = found.timezone
        self.page_size = found.page_size
        self.single_keys = found.single_keys
        self.has_second_factor = found.has_second_factor
        self.confirmed_at = found.confirmed_at

    def get_id(self) -> str:
        """The operator's id."""
        return str(self.operator_id)


def register(app: Flask) -> None:
    """Refuse what nobody decided on, and let templates ask `may("refund")`."""
    https = app.config["SETTINGS"].public_url.startswith("https://")
    app.config["OPERATOR_COOKIE"] = "__Host-makegood_session" if https else "makegood_session"
    # Flask-Login must find neither its own remember cookie nor its own marks in the form's session.
    app.config["REMEMBER_COOKIE_NAME"] = "makegood_not_used"
    app.config["SESSION_PROTECTION"] = None
    app.before_request(refuse_undecided)
    app.jinja_env.globals["may"] = may


def refuse_undecided() -> None:
    """Deny by default: an endpoint that nobody put into PUBLIC or under a guard does not exist."""
    decided = request.endpoint in PUBLIC or not GUARDED.isdisjoint(request.blueprints)
    if request.endpoint is not None and not decided:
        raise NotFound


@login.request_loader
def load_operator(request: Request) -> CurrentOperator | None:
    """The operator of the session's cookie, in a transaction of its own: the route's is untouched."""
    token = request.cookies.get(current_app.config["OPERATOR_COOKIE"], "")
    if not token or g.get("answering_error"):
        return None
    settings = current_app.config["SETTINGS"]
    with Session(db.engine) as session, session.begin():
        found = sessions.find(
            session,
            token,
            idle=settings.session_idle,
            lifetime=settings.session_lifetime,
            now=datetime.now(UTC),
            activity=not is_poll(),
        )
    return CurrentOperator(found) if found else None


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


def admit_operator() -> Response | None:
    """For the console: None for an operator, else the way to the log-in page, or to a second factor's set-up.

    A page redirects; a fragment answers 401 with `HX-Redirect`: a redirect would land inside the panel.
    A view that changes things has to say what permission it needs, else it is refused to everybody.
    """
    if not current_user.is_authenticated:
        return _to_login()
    if lacks_second_factor() and request.endpoint not in BEFORE_SECOND_FACTOR:
        return _to(url_for("admin.second_factor"))
    view = current_app.view_functions.get(request.endpoint or "")
    undecided = view is not None and not hasattr(view, "required_action")
    if undecided and request.method not in SAFE_METHODS:
        raise Forbidden("Nobody may do this: the route names no permission.")
    return None


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


def _to_login() -> Response:
    if request.headers.get("HX-Request") == "true":
        return _to(login_path(request.headers.get("HX-Current-URL")))
    return _to(login_path(request.url if request.method in ("GET", "HEAD") else request.referrer))


def _to(target: str) -> Response:
    """On to that page, from a fragment as from a page."""
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": target})
    return redirect(target, 303)  # type: ignore[return-value]
