"""The callbacks inbox: every delivery, one delivery as it came, and applying one again."""

from __future__ import annotations

from uuid import UUID

from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access, bodies, formats
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import inbox
from makegood.errors import Conflict
from makegood.inbox import InboxFilters
from makegood.models.callbacks import CALLBACK_STATES
from makegood.stats import begin_snapshot

LABELS = {
    "provider": "Provider",
    "state": "State",
    "generation": "Generation",
}
STATES = {state: formats.words(state) for state in (*CALLBACK_STATES, inbox.LATE)}
MOST_TEXT = 100_000
"""So many characters of a body are shown; it is kept whole."""


@blueprint.get("/callbacks")
def callbacks() -> str:
    """Deliveries, newest first, as the filters in the URL say."""
    begin_snapshot(db.session())
    return render_template(
        "admin/callbacks.html",
        **LIST.shown(),
        counts=inbox.counts(db.session()),
        long_wait=inbox.LONG_WAIT,
        providers=filters.provider_choices(),
        states=STATES,
    )


@blueprint.get("/callbacks/<uuid:callback_id>")
def callback(callback_id: UUID) -> str:
    """One delivery: its headers and body as they were kept, what was read from it, and what became of it."""
    begin_snapshot(db.session())
    delivery = inbox.read(db.session(), current_app.extensions["providers"], callback_id)
    kind, text = bodies.body_view(delivery.callback.body)
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


LIST = lists.add(
    lists.ListPage("admin.callbacks", inbox.DELIVERIES, LABELS, _wanted, {"state": STATES}),
    "callbacks",
    "Callbacks",
    tuple(exports.column(name) for name in inbox.Listed.__annotations__),
)
