"""Forms that open as a dialog over a page, and as a page of their own without JavaScript."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from blueprints import access
from blueprints.way_back import HOME, inner_path


def in_place() -> bool:
    """Whether htmx asks for a fragment rather than the browser for a page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Request-Type") != "full"


def opened_from(otherwise: str) -> str:
    """The page of the console that the form's link named as `back`, to go back to; without one, `otherwise`."""
    path = inner_path(request.values.get("back"))
    return otherwise if path == HOME else path


def tell(message: str, address: str, label: str) -> None:
    """Say on the next page what was done, with the way to it."""
    flash(Markup('{} <a href="{}">{}</a>').format(message, address, label), "ok")


def leave(target: str) -> ResponseReturnValue:
    """On to that page, from the dialog as from the page: a redirect alone would land inside the dialog."""
    return ("", 200, {"HX-Redirect": target}) if in_place() else redirect(target, 303)


def given(note: str, key: str, **typed: str) -> dict[str, Any]:
    """What a form that moves credits hands on: what was `typed`, the note, its idempotency key, and who sent it,
    from where and when."""
    return {
        **typed,
        "note": note,
        "idempotency_key": key,
        "actor": access.actor(),
        "address": access.client_address(),
        "at": datetime.now(UTC),
    }
