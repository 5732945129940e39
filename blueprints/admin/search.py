"""Finding one thing by its exact id."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint
from extensions import db
from makegood import finding, throttles


@blueprint.get("/search")
@access.throttled(throttles.SEARCHES)
def search() -> str | Response:
    """Lead to the generation, provider job or customer that has this id; else say that there is none."""
    query = request.args.get("q", "").strip()
    found = finding.find(db.session(), query) if query else None
    if found is None:
        return render_template("admin/search.html", query=query)
    if found.generation_id is not None:
        return redirect(url_for("admin.generation", generation_id=found.generation_id), 303)
    return redirect(url_for("admin.customer", customer_id=found.customer_id), 303)
