"""Unknown errors seen lately, and what operators said that a provider's message means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint, exports, filters, navigation
from extensions import db
from makegood import error_mappings
from makegood.errors import Conflict, Invalid

LOOK_BACK = timedelta(days=30)
CHOICES = {code: formats.words(code) for code in error_mappings.MAPPABLE}


@blueprint.get("/policies/errors")
@access.requires("view")
def unmapped_errors() -> ResponseReturnValue:
    """What waits to be mapped, and the mappings that hold."""
    return _page()


@blueprint.post("/policies/errors")
@access.requires("edit_policies")
def map_error() -> ResponseReturnValue:
    """Say what a message means, or take that back."""
    chosen = request.form.get("error_class", "")
    taken_back = request.form.get("step") == "unmap"
    try:
        error_mappings.change(
            db.session(),
            request.form.get("provider", "")[:300],
            request.form.get("message", "")[:1000],
            None if taken_back else chosen,
            before=request.form.get("before") or None,
            actor=access.actor(),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        problem = " ".join([error.message, *map(formats.sentence, error.details.get("fields", {}).values())])
        return _page(problem, error.status)
    db.session.commit()
    said = "is an unknown error again" if taken_back else f"means “{CHOICES[chosen]}”"
    flash(f"From now on that message {said}. What failed before keeps its class.", "ok")
    return redirect(url_for("admin.unmapped_errors"), 303)


def some_wait() -> bool:
    """Whether some wait to be mapped by this operator. Read once for a page."""
    if "unknown_errors_wait" not in g:
        may_map = access.may("edit_policies")
        g.unknown_errors_wait = may_map and error_mappings.some_wait(db.session(), since=_since())
    return bool(g.unknown_errors_wait)


def _page(problem: str = "", status: int = 200) -> ResponseReturnValue:
    return render_template(
        "admin/unmapped_errors.html",
        filters=filters.read(()),
        unmapped=error_mappings.seen_lately(db.session(), since=_since()),
        rules=list(db.session.scalars(error_mappings.rules())),
        choices=CHOICES,
        problem=problem,
    ), status


def _since() -> datetime:
    return datetime.now(UTC) - LOOK_BACK


navigation.mark("admin.policies", "messages wait to be mapped", some_wait)
exports.add(
    exports.Table(
        "unknown-errors",
        "Unknown errors",
        "admin.unmapped_errors",
        lambda: error_mappings.unmapped(_since()),
        (
            exports.column("provider"),
            exports.column("message"),
            exports.column("generations"),
            exports.column("last_at"),
            exports.column("example_generation_id", "example_id"),
            exports.column("example"),
        ),
    )
)
