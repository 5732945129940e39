"""Errors as answers: JSON for programs, a page for people, the sentence for fragments. Never a traceback."""

from __future__ import annotations

import re
from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from extensions import db
from makegood.errors import Invalid, MakegoodError

PROGRAM_PATHS = re.compile(r"/(api|callbacks|webhooks|metrics|healthz)(/|$)")
MONEY_FACTS = frozenset(
    {"refunded", "credits_refunded", "credits_charged", "balance", "required", "generation_id", "status"}
)
DATABASE_AWAY = "The database does not answer. Try again in a few seconds."
MESSAGES = {
    400: "The server cannot understand this request.",
    404: "There is nothing at this address.",
    405: "This address does not answer to this method.",
    413: "The request is larger than allowed.",
    415: "The request's content type is not supported here.",
}
FORM_EXPIRED = "This form has expired. Go back, reload the page and send it again."
UNEXPECTED = "Something went wrong here. It has been logged under the request id."
TITLES = {
    400: "This request cannot be read",
    401: "Log in first",
    403: "Not allowed",
    404: "Not found",
    409: "Changed meanwhile",
    429: "Too many requests",
    503: "Not available right now",
}

log = structlog.get_logger("makegood.errors")


def register(app: Flask) -> None:
    """Wire the handlers into the application."""
    app.register_error_handler(MakegoodError, refuse)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(CSRFError, answer_form_expired)
    app.register_error_handler(DataError, answer_unstorable)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, answer_database_away)
    app.register_error_handler(Exception, answer_unexpected)


def refuse(error: MakegoodError) -> Response:
    """A rule said no. Facts about money stand beside the error, everything else inside it."""
    facts = {name: value for name, value in error.details.items() if name in MONEY_FACTS}
    details = {name: value for name, value in error.details.items() if name not in MONEY_FACTS}
    headers = {}
    if "retry_after" in details:
        headers["Retry-After"] = str(details["retry_after"])
    return _answer(error.status, error.code, error.message, details, facts, headers)


def answer_http(error: HTTPException) -> Response:
    """What Flask itself refuses: no such path, wrong method, too large, a form without its token."""
    ready = error.get_response()
    if error.code is None or error.code < 400 or error.response is not None:
        return ready  # type: ignore[return-value]
    code = re.sub(r"[^a-z]+", "_", error.name.lower()).strip("_")
    kept = {name: value for name, value in ready.headers.items() if name in ("Allow", "Retry-After")}
    given = error.description if error.description != type(error).description else None
    return _answer(error.code, code, given or MESSAGES.get(error.code, error.name), {}, {}, kept)


def answer_form_expired(error: CSRFError) -> Response:
    """A form without a valid token: too old, or not ours."""
    return _answer(error.code or 400, "form_expired", FORM_EXPIRED, {}, {}, {})


def answer_unstorable(error: DataError) -> Response:
    """A value that PostgreSQL cannot hold (a NUL character, a number out of range) slipped past validation."""
    log.warning("unstorable value", exc_info=error)
    return refuse(Invalid("The request holds a value that cannot be stored."))


def answer_database_away(error: SQLAlchemyError) -> Response:
    """No connection, a lost one, or one that waited too long. What was asked may or may not have happened."""
    log.error("database away", exc_info=error)
    return _answer(503, "database_unavailable", DATABASE_AWAY, {}, {}, {"Retry-After": "5"})


def answer_unexpected(error: Exception) -> Response:
    """Anything else is our mistake. The log has it, the answer only its request id."""
    log.error("unexpected error", exc_info=error)
    return _answer(500, "internal_error", UNEXPECTED, {}, {}, {})


def _answer(
    status: int,
    code: str,
    message: str,
    details: dict[str, Any],
    facts: dict[str, Any],
    headers: dict[str, str],
) -> Response:
    _roll_back()
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if PROGRAM_PATHS.match(request.path):
        error = {"code": code, "message": message, "request_id": g.request_id, **details}
        response = jsonify({"error": error, **facts})
    elif request.headers.get("HX-Request") == "true":
        # htmx swaps no error in; `console.js` shows the sentence.
        response = Response(message, mimetype="text/plain")
    else:
        response = make_response(_page(status, message))
    response.status_code = status
    response.headers.update(headers)
    return response


def _roll_back() -> None:
    # From here on nobody asks the database who is logged in: it may be the one that failed.
    g.answering_error = True
    try:
        db.session.rollback()
    except SQLAlchemyError as error:
        log.warning("rollback failed", exc_info=error)


def _page(status: int, message: str) -> str:
    title = TITLES.get(status, "Something went wrong" if status >= 500 else "This cannot be done")
    return render_template("error.html", status=status, title=title, message=message, request_id=g.request_id)
