"""The refund policy: what comes back for which failure, its versions, and a new one after a look at its effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from blueprints import access
from blueprints.admin import blueprint, exports, filters, unmapped_errors
from extensions import db
from makegood import policies
from makegood.errors import Conflict, Invalid
from makegood.models import RefundPolicy
from makegood.policies import CLASSES, Version

MEANINGS = {
    "content_policy_violation": "The provider refused the input or the result",
    "internal_error": "Something broke at the provider",
    "generation_failed": "The provider tried and gave up",
    "storage_error": "The result could not be kept",
    "timeout": "No result in time",
    "provider_unavailable": "The provider did not answer",
    "provider_account": "The provider refused your key or your balance",
    "invalid_input": "The request itself was wrong",
    "unknown_error": "Nobody has said yet what the message means",
    "cancelled": "The customer gave up after the job was submitted",
}
SHOWN_VERSIONS = 20


@dataclass(frozen=True)
class PolicyForm:
    """The form as it is shown: what was typed, what is wrong with it, and whether its effect was looked at."""

    values: dict[str, str]
    note: str = ""
    based_on: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    previewed: str = ""

    @property
    def shares(self) -> dict[str, int | None]:
        """The percentages as numbers; None for what is none."""
        return {code: _percent(text) for code, text in self.values.items()}

    @property
    def fingerprint(self) -> str:
        """What was typed, to notice what changed after the preview."""
        return ",".join(str(self.shares[code]) for code in CLASSES)


@blueprint.get("/policies", endpoint="policies")
@access.requires("view")
def show_policies() -> str:
    """The policy that holds, what it did lately, and the versions before."""
    versions = policies.versions(db.session())
    current = versions[0]
    return render_template(
        "admin/policies.html",
        filters=filters.read(()),
        current=current,
        versions=versions[:SHOWN_VERSIONS],
        effects=policies.effects(policies.ended(db.session(), since=_since()), current.shares),
        classes=CLASSES,
        meanings=MEANINGS,
        share_of=policies.share_of,
        unknown_errors_wait=unmapped_errors.some_wait(),
    )


@blueprint.get("/policies/change")
@access.requires("edit_policies")
def policy_form() -> ResponseReturnValue:
    """The form, with the shares that hold."""
    current = policies.versions(db.session())[0]
    values = {code: str(policies.share_of(current.shares, code)) for code in CLASSES}
    return _form(PolicyForm(values, based_on=current.number), current)


@blueprint.post("/policies/change")
@access.requires("edit_policies")
def change_policy() -> ResponseReturnValue:
    """Show what the new shares would have done lately; publish them when that was looked at."""
    form = _sent()
    publishing = request.form.get("step") == "publish" and form.previewed == form.fingerprint
    if publishing and (asked := access.needs_confirmation()) is not None:
        return asked
    try:
        if publishing:
            version = policies.publish(
                db.session(),
                form.shares,
                based_on=form.based_on,
                note=form.note,
                actor=access.actor(),
                address=access.client_address(),
            )
            db.session.commit()
            flash(f"Version {version} holds for failures from now on. No credits moved.", "ok")
            return redirect(url_for("admin.policies"), 303)
        policies.check(form.shares, form.note)
    except (Invalid, Conflict) as error:
        db.session.rollback()
        form = PolicyForm(
            form.values, form.note, form.based_on, error.details.get("fields", {}), error.message, form.previewed
        )
        return _form(form, policies.versions(db.session())[0], error.status)
    previewed = PolicyForm(form.values, form.note, form.based_on, previewed=form.fingerprint)
    return _form(previewed, policies.versions(db.session())[0])


def _form(form: PolicyForm, current: Version, status: int = 200) -> ResponseReturnValue:
    ended = policies.ended(db.session(), since=_since())
    shares = {code: percent for code, percent in form.shares.items() if percent is not None}
    return render_template(
        "admin/policy_form.html",
        form=form,
        current=current,
        now_effects=policies.effects(ended, current.shares),
        new_effects=policies.effects(ended, shares) if len(shares) == len(CLASSES) else None,
        classes=CLASSES,
        meanings=MEANINGS,
        share_of=policies.share_of,
        lowered=[code for code in CLASSES[:-1] if shares.get(code, 100) < 100],
    ), status


def _sent() -> PolicyForm:
    based_on = request.form.get("based_on", "")
    return PolicyForm(
        {code: request.form.get(code, "").strip()[:10] for code in CLASSES},
        request.form.get("note", "").replace("\r\n", "\n"),
        int(based_on) if based_on.isascii() and based_on.isdigit() and len(based_on) < 10 else 0,
        previewed=request.form.get("previewed", "")[:200],
    )


def _percent(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else None


def _since() -> datetime:
    return datetime.now(UTC) - policies.LOOK_BACK


exports.add(
    exports.Table(
        "refund-policies",
        "Refund policies",
        "admin.policies",
        lambda: select(*RefundPolicy.__table__.columns).order_by(
            RefundPolicy.version.desc(), RefundPolicy.error_class
        ),
        (
            exports.column("version"),
            exports.column("error_class"),
            exports.column("percent"),
            exports.column("author", "actor"),
            exports.column("note"),
            exports.column("published_at", "created_at"),
        ),
    )
)
