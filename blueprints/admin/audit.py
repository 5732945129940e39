"""The audit log: who did what, when and from where, and what it was before and after."""

from __future__ import annotations

from typing import Any

from flask import Flask, render_template

from blueprints import access, formats
from blueprints.admin import blueprint, exports, filters, newer
from extensions import db
from makegood import audit_log, operators
from makegood.audit_log import AuditFilters
from makegood.models import AuditEntry
from makegood.pages import Page

NAMES = ("actor", "action", "subject")
LABELS = {"actor": "Who", "action": "What", "subject": "About"}
SHOWN_ITEMS = 10
LONGEST = 300


@blueprint.get("/audit", endpoint="audit")
@access.requires("read_audit")
def show_audit() -> str:
    """Entries, newest first, as the filters in the URL say."""
    asked = filters.read(NAMES)
    actions = {action: said(action) for action in audit_log.actions(db.session())}
    return render_template(
        "admin/audit.html",
        filters=asked,
        page=_read(asked, filters.page_size()),
        chips=filters.chips(asked, LABELS, {"action": actions}),
        actions=actions,
        people=[operator.email for operator in operators.listed(db.session())],
        changes=audit_log.changes,
        facts=audit_log.facts,
    )


def said(action: str) -> str:
    """An action in words: refund.issued -> Refund issued, api_key.created -> API key created."""
    return formats.words(action.replace(".", " ")).replace("Api key", "API key")


def plain(value: Any) -> str:
    """A value of an entry, short enough to be read: long lists by their first items and their number."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return formats.number(value)
    if isinstance(value, list):
        more = f" and {formats.number(len(value) - SHOWN_ITEMS)} more" if len(value) > SHOWN_ITEMS else ""
        return ", ".join(map(plain, value[:SHOWN_ITEMS])) + more
    written = str(value)
    return written if len(written) <= LONGEST else f"{written[:LONGEST]}…"


def _read(asked: filters.Filters, most: int) -> Page[AuditEntry]:
    return audit_log.listed(db.session(), _wanted(asked), before=asked.before, after=asked.after, limit=most)


def _wanted(asked: filters.Filters) -> AuditFilters:
    return AuditFilters(asked["actor"], asked["action"], asked["subject"], asked.start, asked.end)


def init_app(app: Flask) -> None:
    """Give the templates `said` and `plain`."""
    app.add_template_filter(said)
    app.add_template_filter(plain)


newer.add("admin.audit", lambda most: _read(filters.read(NAMES), most))
exports.add(
    exports.Table(
        "audit",
        "Audit log",
        "admin.audit",
        lambda: audit_log.every(_wanted(filters.read(NAMES))),
        (
            exports.column("at", "created_at"),
            exports.column("entry_id", "id"),
            exports.column("who", "actor"),
            exports.column("what", "action"),
            exports.column("about", "subject"),
            exports.column("from_address", "address"),
            exports.column("details"),
        ),
        action="read_audit",
    )
)
