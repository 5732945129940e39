"""What customers pay: the credit prices, and a new one from a date on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats, times
from blueprints.admin import blueprint, exports, filters
from blueprints.admin.dialogs import in_place, leave
from blueprints.admin.prices_forms import instant
from extensions import db
from makegood.errors import Conflict, Invalid
from makegood.prices import credits
from makegood.prices.lines import PROVIDERS

FIELDS = ("provider", "model", "credits", "effective_from")
MOST_DIGITS = 12


@dataclass(frozen=True)
class CreditForm:
    """The form as it is shown."""

    values: dict[str, str]
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@blueprint.get("/prices/credits")
def credit_prices() -> str:
    """Every model's price in credits."""
    asked = filters.read(("provider",))
    return render_template(
        "admin/prices_credits.html",
        filters=asked,
        priced=credits.listed(db.session(), provider=asked["provider"]),
        chips=filters.chips(asked, {"provider": "Provider", "from": "From", "to": "Until"}, {}),
        providers=PROVIDERS,
        at=datetime.now(UTC),
    )


@blueprint.get("/prices/credits/add")
@access.requires("edit_prices")
def credit_price_form() -> ResponseReturnValue:
    """The form. The URL may say for which model."""
    return _shown(CreditForm({name: request.args.get(name, "")[:200] for name in FIELDS}))


@blueprint.post("/prices/credits/add")
@access.requires("edit_prices")
def add_credit_price() -> ResponseReturnValue:
    """Add a price."""
    values = {name: request.form.get(name, "").strip()[:300] for name in FIELDS}
    typed = values["credits"]
    valid = typed.isascii() and typed.isdigit() and len(typed) <= MOST_DIGITS
    now = datetime.now(UTC)
    try:
        added = credits.add(
            db.session(),
            values["provider"],
            values["model"],
            int(typed) if valid else None,
            start=_start(values["effective_from"], now),
            actor=access.actor(),
            at=now,
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        return _shown(CreditForm(values, error.details.get("fields", {}), error.message), error.status)
    price = formats.counted(added.credits, "credit")
    message = f"{added.model} costs {price} from {times.exact(added.effective_from)} on."
    db.session.commit()
    flash(message, "ok")
    target = url_for("admin.credit_prices")
    return leave(target)


def _start(text: str, now: datetime) -> datetime:
    try:
        start = datetime.fromisoformat(instant(text, now))
        if not 2000 <= start.year <= 2099:
            raise ValueError
    except ValueError:
        problem = "must be a date and time such as 2026-11-21T09:00"
        raise Invalid("The price was not saved.", fields={"effective_from": problem}) from None
    return start


def _shown(form: CreditForm, status: int = 200) -> ResponseReturnValue:
    template = "admin/prices_credit_form.html"
    if in_place():
        template = "admin/_prices_credit_form.html" if status != 200 else "admin/prices_credit_dialog.html"
    return render_template(template, form=form, providers=PROVIDERS), status


exports.add(
    exports.Table(
        "credit_prices",
        "Credit prices",
        "admin.credit_prices",
        lambda: credits.every(filters.read(("provider",))["provider"]),
        tuple(exports.column(name) for name in ("provider", "model", "effective_from", "credits")),
    )
)
