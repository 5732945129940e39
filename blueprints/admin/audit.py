"""The audit log: who did what, when and from where, and what it was before and after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import Flask, render_template

from blueprints import access, formats, times
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import audit_log, operators
from makegood.audit_log import AuditFilters

LABELS = {"actor": "Who", "action": "What", "subject": "About"}
SHOWN_ITEMS = 10
LONGEST = 300
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@blueprint.get("/audit", endpoint="audit")
@access.requires("read_audit")
def show_audit() -> str:
    """Entries, newest first, as the filters in the URL say."""
    actions = {action: said(action) for action in audit_log.actions(db.session())}
    return render_template(
        "admin/audit.html",
        **LIST.shown(choices={"action": actions}),
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
    if isinstance(value, Mapping):
        return _told(value)
    if isinstance(value, list):
        more = f" and {formats.number(len(value) - SHOWN_ITEMS)} more" if len(value) > SHOWN_ITEMS else ""
        between = "; " if value and isinstance(value[0], Mapping) else ", "
        return between.join(map(plain, value[:SHOWN_ITEMS])) + more
    written = str(value)
    if INSTANT.fullmatch(written):
        with suppress(ValueError, OverflowError):  # it looks like one, and there is no such day here
            return times.exact(datetime.fromisoformat(written))
    return written if len(written) <= LONGEST else f"{written[:LONGEST]}…"


def _told(value: Mapping[str, Any]) -> str:
    """One of several things that an entry names: 2026-11-20 eur: 1.15 → 1.16."""
    named = " ".join(plain(part) for key, part in value.items() if key not in audit_log.PAIRS)
    if not set(audit_log.PAIRS) & set(value):
        return named
    return f"{named}: {plain(value.get('before'))} → {plain(value.get('after'))}"


def _wanted(asked: filters.Filters) -> AuditFilters:
    return AuditFilters(asked["actor"], asked["action"], asked["subject"], asked.start, asked.end)


def init_app(app: Flask) -> None:
    """Give the templates `said` and `plain`."""
    app.add_template_filter(said)
    app.add_template_filter(plain)


LIST = lists.add(
    lists.ListPage("admin.audit", audit_log.ENTRIES, LABELS, _wanted),
    "audit",
    "Audit log",
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
    of_customer=lambda asked: audit_log.customer_of(asked.get("subject")),
)
