"""Finding things by id, and pages by their words: the search page, and what the palette proposes while somebody
types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import current_app, jsonify, redirect, render_template, request, url_for
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint, places_found
from extensions import db
from makegood import finding, throttles
from makegood.hits import API_KEY, OPERATOR, Hit

PROPOSED = 8
SHORTEST = 2
ENDPOINTS = {
    "customer": "admin.customer",
    "generation": "admin.generation",
    "refund": "admin.generation",
    "reversal": "admin.generation",
    "notification": "admin.generation",
    "callback": "admin.callback",
    "bill": "admin.bill",
    "bill line": "admin.bill_line",
    "recompute": "admin.recompute_costs",
    "bulk refund": "admin.bulk_refund",
    "approval": "admin.approval",
    "purchase": "admin.purchase",
    "Stripe event": "admin.stripe_event",
    **dict.fromkeys(("Stripe customer", "payment", "subscription", "invoice", "checkout"), "admin.customer"),
    **dict.fromkeys(
        [f"{kind} to link" for kind in ("Stripe customer", "payment", "subscription", "invoice", "checkout")],
        "admin.unlinked",
    ),
    OPERATOR: "admin.operator",
}
"""The pages whose arguments are the hit's place as it is."""


STAFF = {OPERATOR: "manage_operators", API_KEY: "manage_keys"}
"""What not everybody may see, and what the role must allow for it."""


@dataclass(frozen=True)
class Lead:
    """A hit, or a place of the console, with the address that it leads to."""

    kind: str
    title: str
    note: str
    at: datetime | None
    address: str
    symbol: str = "search"


@blueprint.get("/search")
@access.throttled(throttles.SEARCHES)
def search() -> str | Response:
    """Lead to the one thing that has this id; else to the one that begins so or the page of these words; list
    several; else say that there is none."""
    query = request.args.get("q", "").strip()
    found = finding.sought(db.session(), query, staff=_staff())
    leads = _leads(found.hits)
    if not found.exactly:
        leads += _places(query)
    if len(leads) == 1:
        return redirect(leads[0].address, 303)
    return render_template("admin/search.html", query=query, leads=leads, more=found.more, most=finding.LISTED)


@blueprint.get("/search/suggest")
@access.poll
@access.throttled(throttles.SEARCHES)
def suggest() -> Response:
    """What has this id or begins so, then places of these words, as JSON:
    `{"hits": [{"kind", "title", "note", "url", "symbol"}]}`."""
    query = request.args.get("q", "").strip()
    if len(query) < SHORTEST:
        return jsonify(hits=[])
    found = finding.suggest(db.session(), query, staff=_staff(), limit=PROPOSED)
    return jsonify(
        hits=[
            {
                "kind": lead.kind,
                "title": lead.title,
                "note": lead.note,
                "url": lead.address,
                "symbol": lead.symbol,
            }
            for lead in _leads(found) + _places(query)[:PROPOSED]
        ]
    )


def _staff() -> list[str]:
    return [kind for kind, action in STAFF.items() if access.may(action)]


def _leads(found: list[Hit]) -> list[Lead]:
    """The hits whose pages are there, and open to this operator."""
    leads = [(hit, _address(hit)) for hit in found]
    return [
        Lead(hit.kind, hit.title, hit.note, hit.at, address, "customers" if hit.kind == "customer" else "search")
        for hit, address in leads
        if address
    ]


def _places(query: str) -> list[Lead]:
    return [
        Lead(entry.kind, entry.label, entry.note, None, entry.address, entry.symbol)
        for entry in places_found.found(query)
    ]


def _address(hit: Hit) -> str | None:
    endpoint, arguments, anchor = _page(hit)
    view = current_app.view_functions.get(endpoint)
    if view is None or not access.may(getattr(view, "required_action", "view")):
        return None
    return url_for(endpoint, **arguments, _anchor=anchor)


def _page(hit: Hit) -> tuple[str, dict[str, object], str | None]:
    """The endpoint of a hit's page, its arguments, and the place on it."""
    place = dict(hit.place)
    if hit.kind == "ledger":
        entry = int(str(place.pop("entry")))
        return "admin.customer", {**place, "before": entry + 1}, f"entry-{entry}"
    if hit.kind == "grant":
        return "admin.customer", {"customer_id": place["customer_id"]}, f"grant-{place['grant_id']}"
    if hit.kind == "note":
        note_id = UUID(str(place.pop("note_id")))
        return "admin.customer", {**place, "notes": UUID(int=note_id.int + 1)}, f"note-{note_id}"
    if hit.kind == API_KEY:
        return "admin.api_keys", {}, f"key-{place['key_id']}"
    if hit.kind == "price":
        version = place.pop("version")
        return "admin.price_line", place, f"version-{version}"
    return ENDPOINTS[hit.kind], place, None
