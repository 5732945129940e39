"""The callbacks inbox: every delivery, one delivery as it came, and applying one again."""

from __future__ import annotations

from uuid import UUID

from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access, formats
from blueprints.admin import blueprint, exports, filters, newer
from extensions import db
from makegood import inbox
from makegood.errors import Conflict
from makegood.inbox import InboxFilters, Listed
from makegood.models.callbacks import CALLBACK_STATES
from makegood.pages import Page
from makegood.stats import begin_snapshot

NAMES = ("provider", "state", "generation")
LABELS = {
    "provider": "Provider",
    "state": "State",
    "generation": "Generation",
    "from": "From",
    "to": "Until",
}
STATES = {state: formats.words(state) for state in (*CALLBACK_STATES, inbox.LATE)}
MOST_TEXT = 100_000
"""So many characters of a body are shown; it is kept whole."""


@blueprint.get("/callbacks")
def callbacks() -> str:
    """Deliveries, newest first, as the filters in the URL say."""
    asked = filters.read(NAMES)
    begin_snapshot(db.session())
    page = _read(asked, filters.page_size())
    return render_template(
        "admin/callbacks.html",
        filters=asked,
        page=page,
        counts=inbox.counts(db.session()),
        long_wait=inbox.LONG_WAIT,
        chips=filters.chips(asked, LABELS, {"state": STATES}),
        providers=filters.provider_choices(),
        states=STATES,
    )


@blueprint.get("/callbacks/<uuid:callback_id>")
def callback(callback_id: UUID) -> str:
    """One delivery: its headers and body as they were kept, what was read from it, and what became of it."""
    begin_snapshot(db.session())
    delivery = inbox.read(db.session(), current_app.extensions["providers"], callback_id)
    kind, text = formats.body_view(delivery.callback.body)
    return render_template(
        "admin/callback.html", delivery=delivery, body_kind=kind, body=text[:MOST_TEXT], cut=len(text) > MOST_TEXT
    )


@blueprint.post("/callbacks/<uuid:callback_id>/apply")
@access.requires("apply_callback")
def apply_callback(callback_id: UUID) -> Response:
    """Apply a delivery again, and say on its page what came of it."""
    try:
        applied = inbox.apply_again(
            db.session(),
            current_app.extensions["providers"],
            current_app.config["SETTINGS"].terms,
            callback_id,
            actor=access.actor(),
            address=access.client_address(),
        )
        db.session.commit()
        flash(applied.message, "ok" if applied.state == "applied" else "info")
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "error")
    return redirect(url_for("admin.callback", callback_id=callback_id), 303)


def _read(asked: filters.Filters, limit: int) -> Page[Listed]:
    return inbox.listed(db.session(), _wanted(asked), before=asked.before, after=asked.after, limit=limit)


def _wanted(asked: filters.Filters) -> InboxFilters:
    generation_id = _generation(asked)  # first: what is no id is taken out of the filters
    return InboxFilters(asked["provider"], asked["state"], generation_id, asked.start, asked.end)


def _generation(asked: filters.Filters) -> UUID | None:
    """The generation to list the deliveries of. What is no id is left out of the filters and said so."""
    text = asked["generation"]
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        del asked.values["generation"]
        asked.problems.append(f"“{text[:40]}” is no generation's id. It looks like 01931a2b-….")
        return None


newer.add("admin.callbacks", lambda most: _read(filters.read(NAMES), most))
exports.add(
    exports.Table(
        "callbacks",
        "Callbacks",
        "admin.callbacks",
        lambda: inbox.every(_wanted(filters.read(NAMES))),
        tuple(exports.column(name) for name in inbox.Listed.__annotations__),
    )
)
