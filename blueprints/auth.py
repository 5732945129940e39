"""Log in and log out."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
)
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from blueprints import access
from blueprints.way_back import HOME, inner_path
from extensions import db
from makegood import operators, throttles
from makegood.errors import Throttled

blueprint = Blueprint("auth", __name__)

WRONG = "The e-mail address or the password is wrong."
ENDED = "Your session has ended. Log in again to go on."
NO_COOKIE = "The form had expired, or your browser keeps no cookies for this site. Please try again."


@blueprint.get("/")
def home() -> Response:
    """Lead people who type the bare address to the console."""
    return redirect(HOME, 303)


@blueprint.get("/login")
def login() -> Response:
    """The log-in form; whoever is logged in already goes on."""
    if current_user.is_authenticated:
        return redirect(inner_path(request.args.get("next")), 303)
    return _form(notice=ENDED if _token() else None)


@blueprint.post("/login")
def log_in() -> Response:
    """Check e-mail and password, and begin a session.

    Two commits: the count of the attempt stands before the hash runs, whatever happens after.
    """
    email, password = request.form.get("email", ""), request.form.get("password", "")
    address, now = access.client_address(), datetime.now(UTC)
    throttles.count_login(db.session, email, address, now=now)
    db.session.commit()
    token = operators.log_in(
        db.session,
        email,
        password,
        old_token=_token(),
        address=address,
        user_agent=request.headers.get("User-Agent", ""),
        now=now,
    )
    db.session.commit()
    if token is None:
        return _form(error=WRONG, status=401)
    session.clear()  # a new CSRF token for the new session
    response = redirect(inner_path(request.form.get("next")), 303)
    _set_cookie(response, token)
    return response


@blueprint.post("/logout")
def logout() -> Response:
    """End the session at once, and let the browser forget the pages it kept."""
    operators.log_out(db.session, _token(), address=access.client_address(), now=datetime.now(UTC))
    db.session.commit()
    session.clear()
    flash("You are logged out.", "info")
    response = redirect("/login", 303)
    _set_cookie(response, None)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@blueprint.errorhandler(Throttled)
def too_many(error: Throttled) -> Response:
    """Say when the next attempt is welcome, beside the form with the e-mail kept."""
    db.session.rollback()
    response = _form(error=error.message, status=error.status)
    response.headers["Retry-After"] = str(error.details["retry_after"])
    return response


@blueprint.errorhandler(CSRFError)
def form_expired(error: CSRFError) -> Response:
    """A form without its token: here the way out is the form itself. A log-out has nothing to ask again."""
    return _form(error=NO_COOKIE, status=error.code)


def _form(*, error: str | None = None, notice: str | None = None, status: int | None = 200) -> Response:
    page = render_template(
        "auth/login.html",
        error=error,
        notice=notice,
        email=request.form.get("email", "")[:254],
        next=inner_path(request.values.get("next")),
    )
    return make_response(page, status)


def _token() -> str:
    return request.cookies.get(current_app.config["OPERATOR_COOKIE"], "")


def _set_cookie(response: Response, token: str | None) -> None:
    """Give the browser the session's token, or take it back."""
    response.set_cookie(
        current_app.config["OPERATOR_COOKIE"],
        token or "",
        max_age=None if token else 0,
        path="/",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
