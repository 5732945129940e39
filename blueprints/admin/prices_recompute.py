"""Recomputing past costs by the price book: previewed, confirmed by typing how many, done by the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.access import poll
from blueprints.admin import blueprint, filters
from extensions import db
from makegood.errors import Conflict, Invalid
from makegood.prices import recompute
from makegood.prices.lines import PROVIDERS

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MOST_DIGITS = 12


@dataclass(frozen=True)
class Confirmation:
    """The confirming form as it is shown."""

    count: str = ""
    summary: str = ""
    problems: dict[str, str] = field(default_factory=dict)


@blueprint.get("/prices/recompute")
def recompute_costs() -> str:
    """Which costs are to follow the book; what would change; and what was recomputed before."""
    return _page(_read(), Confirmation())


@blueprint.post("/prices/recompute")
@access.requires("edit_prices")
def start_recompute() -> ResponseReturnValue:
    """Ask for what was previewed."""
    asked = _read()
    scope = _scope(asked)
    typed = request.form.get("count", "").strip().replace(",", "")
    valid = typed.isascii() and typed.isdigit() and len(typed) <= MOST_DIGITS
    try:
        if scope is None:
            raise Invalid("Nothing was recomputed. Choose a provider.")
        begun = recompute.start(
            db.session(),
            scope,
            fingerprint=request.form.get("fingerprint", ""),
            count=int(typed) if valid else None,
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        problems = error.details.get("fields", {})
        return _page(asked, Confirmation(typed, error.message, problems)), error.status
    message = f"Recomputing {formats.counted(begun.generations, 'generation')} of {begun.provider}."
    db.session.commit()
    flash(message, "ok")
    return redirect(url_for("admin.recompute_costs"), 303)


@blueprint.get("/prices/recompute/progress")
@poll
def recompute_progress() -> str:
    """The recomputes and how far they are."""
    return render_template("admin/_prices_progress.html", recent=recompute.recent(db.session()))


def _read() -> filters.Filters:
    return filters.read(("provider", "model"))


def _scope(asked: filters.Filters) -> recompute.Scope | None:
    if asked["provider"] is None:
        return None
    until = asked.end or datetime.now(UTC)
    return recompute.Scope(asked["provider"], asked["model"], asked.start or BEGINNING, until)


def _preview(asked: filters.Filters) -> recompute.Preview | None:
    """What would change; a period that cannot be is said to be none."""
    scope = _scope(asked)
    try:
        return recompute.preview(db.session(), scope) if scope else None
    except Invalid as invalid:
        asked.problems.append(invalid.message)
        return None


def _page(asked: filters.Filters, confirmation: Confirmation) -> str:
    return render_template(
        "admin/prices_recompute.html",
        filters=asked,
        preview=_preview(asked),
        confirmation=confirmation,
        recent=recompute.recent(db.session()),
        providers=PROVIDERS,
    )
