"""Who gets in, and what a stranger is told.

Every endpoint is refused unless it stands in PUBLIC or belongs to a blueprint of GUARDED, whose own
before_request decides: with `admit_operator`, or as `blueprints.api_access` does for JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import Flask, Request, Response, current_app, g, redirect, request, url_for
from flask_login import UserMixin, current_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from blueprints.access import SAFE_METHODS, is_poll, lacks_second_factor, may
from blueprints.way_back import login_path
from extensions import db, login
from makegood import sessions
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


def _to_login() -> Response:
    if request.headers.get("HX-Request") == "true":
        return _to(login_path(request.headers.get("HX-Current-URL")))
    return _to(login_path(request.url if request.method in ("GET", "HEAD") else request.referrer))


def _to(target: str) -> Response:
    """On to that page, from a fragment as from a page."""
    if request.headers.get("HX-Request") == "true":
        return Response(status=401, headers={"HX-Redirect": target})
    return redirect(target, 303)  # type: ignore[return-value]
