"""Switching a provider or one of its models off for new generations, and on again.

The form is a plain one: it works without JavaScript. With it, the same form opens in a dialog and is answered in
place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place, leave
from extensions import db
from makegood import switches
from makegood.errors import Conflict, Invalid, NotFound


@dataclass(frozen=True)
class SwitchForm:
    """The form as it is shown: what was chosen and typed, and what is wrong with it."""

    model: str
    reason: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@blueprint.get("/providers/<name>/switch-off")
@access.requires("switch_provider")
def switch_off_form(name: str) -> ResponseReturnValue:
    """The form: a dialog for htmx, else a page. `model` in the URL proposes one."""
    form = SwitchForm(request.args.get("model", switches.ALL_MODELS)[: switches.MAX_MODEL])
    return _show(name, form, "admin/switch_dialog.html" if in_place() else "admin/switch.html")


@blueprint.post("/providers/<name>/switch-off")
@access.requires("switch_provider")
def switch_off(name: str) -> ResponseReturnValue:
    """Switch off: back to the provider's page, or the form again with what is wrong."""
    form = SwitchForm(request.form.get("model", ""), request.form.get("reason", "").replace("\r\n", "\n"))
    again = "admin/_switch_form.html" if in_place() else "admin/switch.html"
    try:
        switches.switch_off(
            db.session(),
            current_app.extensions["providers"],
            name,
            form.model,
            reason=form.reason,
            actor=access.actor(),
            address=access.client_address(),
        )
    except Invalid as invalid:
        found: dict[str, str] = invalid.details["fields"]
        return _show(name, SwitchForm(form.model, form.reason, found, invalid.message), again), 422
    except Conflict as conflict:
        db.session.rollback()
        return _show(name, SwitchForm(form.model, form.reason, summary=conflict.message), again), 409
    db.session.commit()
    flash(f"{switches.described(name, form.model)} takes no new generations. What is under way goes on.", "ok")
    target = url_for("admin.provider", name=name)
    return leave(target)


@blueprint.post("/providers/<name>/switch-on")
@access.requires("switch_provider")
def switch_on(name: str) -> ResponseReturnValue:
    """Take new generations again."""
    model = request.form.get("model", "")
    gone = switches.switch_on(db.session(), name, model, actor=access.actor(), address=access.client_address())
    db.session.commit()
    what = switches.described(name, model)
    flash(
        f"{what} takes new generations again." if gone else f"{what} was not switched off. Nothing changed.", "ok"
    )
    return redirect(url_for("admin.provider", name=name), 303)


def _show(name: str, form: SwitchForm, template: str) -> str:
    if name not in current_app.extensions["providers"]:
        raise NotFound("There is no such provider.")
    models = switches.models(db.session(), name)
    off = {switch.model for switch in switches.listed(db.session(), name)}
    proposed = [form.model] if form.model not in (switches.ALL_MODELS, "", *models) else []
    return render_template(
        template, name=name, form=form, models=[*models, *proposed], off=off, all_models=switches.ALL_MODELS
    )
