"""Log in, with a code where the operator has a second factor, and log out.

Who has given the password and not yet the code holds a challenge in the form's cookie. It opens nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import (
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from blueprints import access
from blueprints.auth import blueprint
from blueprints.way_back import HOME, inner_path
from extensions import db
from makegood import logins, second_factor, throttles
from makegood.errors import Throttled

CHALLENGE = "challenge"
WRONG = "The e-mail address or the password is wrong."
WRONG_CODE = "That code is wrong, or was used before. Wait for the next one and type that."
TOO_LATE = "The log-in took too long. Begin again."
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
    admitted = logins.log_in(db.session, email, password, browser=_browser(), now=now)
    db.session.commit()
    if admitted is None:
        return _form(error=WRONG, status=401)
    if not admitted.needs_code:
        return _enter(admitted.token)
    session[CHALLENGE] = admitted.token
    return redirect(url_for("auth.code", next=inner_path(request.form.get("next"))), 303)


@blueprint.get("/login/code")
def code() -> Response:
    """The second step's form: a code of the app, or a recovery code."""
    if logins.challenged(db.session, _challenge(), now=datetime.now(UTC)) is None:
        return redirect(url_for("auth.login", next=inner_path(request.args.get("next"))), 303)
    return _code_form()


@blueprint.post("/login/code")
def send_code() -> Response:
    """Check the code, and begin the session. Two commits, as above."""
    now = datetime.now(UTC)
    operator_id = logins.challenged(db.session, _challenge(), now=now)
    if operator_id is None:
        return _form(error=TOO_LATE, status=401)
    try:
        throttles.count_proof(db.session, throttles.CODES, operator_id, now=now)
    except Throttled as throttled:
        db.session.rollback()
        return _throttled(throttled, _code_form(error=throttled.message, status=throttled.status))
    db.session.commit()
    typed, vault = request.form.get("code", ""), current_app.extensions["vault"]
    token = logins.log_in_with_code(db.session, vault, _challenge(), typed, browser=_browser(), now=now)
    left = second_factor.codes_left(db.session, operator_id)
    db.session.commit()
    if token is None:
        return _code_form(error=WRONG_CODE, status=401)
    response = _enter(token)
    if not second_factor.is_code(typed):
        flash(
            f"You used a recovery code; {left} of them are left. New ones are made on your account's page.", "info"
        )
    return response


@blueprint.post("/logout")
def logout() -> Response:
    """End the session at once, and let the browser forget the pages it kept."""
    logins.log_out(db.session, _token(), address=access.client_address(), now=datetime.now(UTC))
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
    return _throttled(error, _form(error=error.message, status=error.status))


@blueprint.errorhandler(CSRFError)
def form_expired(error: CSRFError) -> Response:
    """A form without its token: here the way out is the form itself. A log-out has nothing to ask again."""
    return _form(error=NO_COOKIE, status=error.code)


def _form(*, error: str | None = None, notice: str | None = None, status: int | None = 200) -> Response:
    page = render_template(
        "auth/login.html",
        error=error,
        notice=notice,
        email=request.values.get("email", "")[:254],
        next=inner_path(request.values.get("next")),
    )
    return make_response(page, status)


def _code_form(*, error: str | None = None, status: int = 200) -> Response:
    after = inner_path(request.values.get("next"))
    return make_response(render_template("auth/code.html", error=error, next=after), status)


def _throttled(error: Throttled, response: Response) -> Response:
    response.headers["Retry-After"] = str(error.details["retry_after"])
    return response


def _enter(token: str) -> Response:
    """On to the console with this session."""
    session.clear()  # a new CSRF token for the new session
    response = redirect(inner_path(request.form.get("next")), 303)
    _set_cookie(response, token)
    return response


def _browser() -> logins.Browser:
    return logins.Browser(access.client_address(), request.headers.get("User-Agent", ""), _token())


def _challenge() -> str:
    return str(session.get(CHALLENGE, ""))


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
