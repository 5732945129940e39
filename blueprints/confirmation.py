"""Asking operators once more who they are, before what a stolen session must not do.

Routes use `@access.confirmed` and `access.needs_confirmation()`. A log-in counts as proof too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from flask import current_app, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from blueprints.admin.dialogs import in_place, leave
from blueprints.way_back import inner_path, page_at
from extensions import db
from makegood import logins, throttles
from makegood.errors import Throttled

LASTS = timedelta(minutes=10)
FIELD = "confirmation"
WRONG = "That is not right. Nothing was changed."


class Proven(Protocol):
    """The operator of a session that may have to prove it."""

    session_id: UUID
    operator_id: UUID
    email: str
    has_second_factor: bool
    confirmed_at: datetime


def ask(operator: Proven, address: str) -> ResponseReturnValue | None:
    """None when the session's operator has proved it in time, or does so with this form; else what asks for it."""
    now = datetime.now(UTC)
    if now - operator.confirmed_at < LASTS:
        return None
    if request.method in ("GET", "HEAD"):
        return leave(url_for("admin.confirm", next=_here()))
    if FIELD not in request.form:
        return form(kept=True)
    return check(operator, address, now, kept=True)


def check(operator: Proven, address: str, now: datetime, *, kept: bool) -> ResponseReturnValue | None:
    """None when what was typed proves it, else the form again. Two commits: the count stands before the hash."""
    with Session(db.engine) as session:
        try:
            throttles.count_proof(session, throttles.CONFIRMATIONS, operator.operator_id, now=now)
            session.commit()
            typed = request.form.get(FIELD, "")
            vault = current_app.extensions["vault"]
            proven = logins.confirm(
                session, vault, operator.session_id, operator.email, typed, address=address, now=now
            )
            session.commit()
        except Throttled as throttled:
            again = make_response(
                form(kept=kept, error=f"{throttled.message} Nothing was changed."), throttled.status
            )
            again.headers["Retry-After"] = str(throttled.details["retry_after"])
            return again
    return None if proven else (form(kept=kept, error=WRONG), 422)


def form(*, kept: bool, error: str | None = None) -> str:
    """The form that asks. `kept`: it carries what was typed to the address where that was sent."""
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in (FIELD, "csrf_token") and "password" not in name
    ]
    fragment = in_place()
    return render_template(
        "admin/_confirm_form.html" if fragment else "admin/confirm.html",
        fragment=fragment,
        action=_here() if kept else url_for("admin.confirm"),
        fields=fields if kept else [("next", inner_path(request.values.get("next")))],
        back=page_at(request.referrer),
        error=error,
    )


def _here() -> str:
    return request.full_path if request.query_string else request.path
