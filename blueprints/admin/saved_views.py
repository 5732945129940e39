"""Saved views of the pages with filters: the macro `views()` of `_views.html` lists and saves them.

A page opens with its default view from the navigation; its plain address stays without filters.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from flask import current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint
from extensions import db
from makegood import saved_views
from makegood.errors import Invalid, NotFound
from makegood.models import SavedView

PLACE = ("older", "newer", "before", "after", "notes", "page")
"""What says where in a list somebody is; a view begins at its beginning."""


@blueprint.post("/views")
@access.requires("view")
def save_view() -> Response:
    """Keep the filters of a page under a name, and go back to it."""
    page, query = _page(request.form.get("page", "")), _tidy(request.form.get("query", ""))
    name, is_default = request.form.get("name", ""), request.form.get("is_default") == "yes"
    try:
        view = saved_views.save(db.session(), current_user.operator_id, page, name, query, is_default=is_default)
    except Invalid as invalid:
        db.session.rollback()
        flash(invalid.message, "error")
    else:
        flash(f"The view “{view.name}” was saved.", "ok")
        db.session.commit()
    return redirect(_address(page, query), 303)


@blueprint.post("/views/<uuid:view_id>/default")
@access.requires("view")
def default_view(view_id: UUID) -> Response:
    """Let the navigation open a page with this view, or no longer."""
    chosen = request.form.get("is_default") == "yes"
    page = saved_views.make_default(db.session(), current_user.operator_id, view_id, is_default=chosen)
    return _back(page, "The page opens with this view now." if chosen else "The page opens without filters now.")


@blueprint.post("/views/<uuid:view_id>/delete")
@access.requires("view")
def delete_view(view_id: UUID) -> Response:
    """Delete a view."""
    page = saved_views.remove(db.session(), current_user.operator_id, view_id)
    return _back(page, "The view was deleted.")


@blueprint.app_template_global()
def views_of_page() -> list[tuple[SavedView, str, bool]]:
    """The operator's views of this page: each with its address, and whether it is what is shown."""
    found = saved_views.listed(db.session(), current_user.operator_id, request.endpoint or "")
    shown = view_query()
    return [(view, _address(view.page, view.query), view.query == shown) for view in found]


@blueprint.app_template_global()
def view_query() -> str:
    """The filters of this request, as a view keeps them."""
    return _tidy(request.query_string.decode(errors="replace"))


def _back(page: str | None, message: str) -> Response:
    if page is None:
        raise NotFound("There is no such view any more.")
    db.session.commit()
    flash(message, "ok")
    return redirect(_address(_page(page), _tidy(request.form.get("query", ""))), 303)


def _page(endpoint: str) -> str:
    """The endpoint, if it is a page of the console without arguments of its own. Raises NotFound."""
    ours = endpoint.startswith(f"{blueprint.name}.") and endpoint in current_app.view_functions
    rules = current_app.url_map.iter_rules(endpoint) if ours else ()
    if not any("GET" in (rule.methods or ()) and not rule.arguments for rule in rules):
        raise NotFound("There is no such page.")
    return endpoint


def _address(page: str, query: str) -> str:
    return f"{url_for(page)}?{query}" if query else url_for(page)


def _tidy(query: str) -> str:
    """The query string without empty values and without a place in the list, in a stable order."""
    given = parse_qsl(query[: saved_views.MAX_QUERY * 2])
    return urlencode(sorted((name, value) for name, value in given if name not in PLACE and "\0" not in value))
