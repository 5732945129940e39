"""Adding, changing, correcting and ending a price: plain forms that open in a dialog where there is JavaScript."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from flask import current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place, leave
from extensions import db
from makegood.errors import Conflict, Invalid
from makegood.models import Price
from makegood.models.prices import CERTAINTIES
from makegood.prices import book, changes, reading
from makegood.prices.lines import CURRENCIES, PROVIDERS, UNITS, Line, entry_of, fields_of, line_of

NAMES = ("provider", "model", "unit", "qualifier")
FIELDS = (*NAMES, "per", "currency", "amount", "rate", "source", "certainty", "effective_from", "effective_to")
LONGEST = 1000
TITLES = {"add": "Add a price", "change": "New price", "correct": "Correct a price", "end": "End a price"}
SAVED = {"add": "Added", "change": "Changed", "correct": "Corrected", "end": "Ended"}
EMPTY = dict.fromkeys(FIELDS, "") | {"per": "1", "currency": "USD", "unit": "image", "certainty": "documented"}


@dataclass(frozen=True)
class PriceForm:
    """The form as it is shown: what it is for, what was typed, and what is wrong with it."""

    mode: str
    values: dict[str, str]
    state: str
    price: Price | None = None
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    changed: bool = False
    leap: str = ""

    @property
    def action(self) -> str:
        """Where the form is sent."""
        if self.price is None:
            return url_for("admin.add_price")
        return url_for(f"admin.{self.mode}_price", price_id=self.price.id)

    @property
    def title(self) -> str:
        """What the form is for."""
        return TITLES[self.mode]


@blueprint.get("/prices/add")
@access.requires("edit_prices")
def add_price_form() -> ResponseReturnValue:
    """The form for a new line. The URL may say which."""
    given = {name: request.args.get(name, "")[:200] for name in NAMES if request.args.get(name)}
    values = EMPTY | given
    state = book.line(db.session(), _line(values)).state
    return _shown(PriceForm("add", values, state))


@blueprint.post("/prices/add")
@access.requires("edit_prices")
def add_price() -> ResponseReturnValue:
    """Add a line's price."""
    return _saved("add", None)


@blueprint.get("/prices/<uuid:price_id>/change")
@access.requires("edit_prices")
def change_price_form(price_id: UUID) -> ResponseReturnValue:
    """The form for a new price from a date on."""
    return _begun("change", price_id)


@blueprint.post("/prices/<uuid:price_id>/change")
@access.requires("edit_prices")
def change_price(price_id: UUID) -> ResponseReturnValue:
    """Let a new price hold from a date on."""
    return _saved("change", book.get(db.session(), price_id))


@blueprint.get("/prices/<uuid:price_id>/correct")
@access.requires("edit_prices")
def correct_price_form(price_id: UUID) -> ResponseReturnValue:
    """The form for what a version should have said."""
    return _begun("correct", price_id)


@blueprint.post("/prices/<uuid:price_id>/correct")
@access.requires("edit_prices")
def correct_price(price_id: UUID) -> ResponseReturnValue:
    """Put another version in the place of one that was wrong."""
    return _saved("correct", book.get(db.session(), price_id))


@blueprint.get("/prices/<uuid:price_id>/end")
@access.requires("edit_prices")
def end_price_form(price_id: UUID) -> ResponseReturnValue:
    """The form for when a version ends."""
    return _begun("end", price_id)


@blueprint.post("/prices/<uuid:price_id>/end")
@access.requires("edit_prices")
def end_price(price_id: UUID) -> ResponseReturnValue:
    """Let a version end."""
    return _saved("end", book.get(db.session(), price_id))


def _begun(mode: str, price_id: UUID) -> ResponseReturnValue:
    """The form with what the version says."""
    price = book.get(db.session(), price_id)
    values = fields_of(entry_of(price)) | {"effective_from": "", "effective_to": ""}
    state = book.line(db.session(), line_of(price)).state
    return _shown(PriceForm(mode, values, state, price))


def _saved(mode: str, price: Price | None) -> ResponseReturnValue:
    values = {name: request.form.get(name, "")[:LONGEST] for name in FIELDS}
    if price is not None:
        values |= {name: getattr(price, name) for name in NAMES}
    state = request.form.get("state", "")
    form = PriceForm(mode, values, state, price)
    try:
        line = _save(form)
    except changes.Unconfirmed as unconfirmed:
        fields = unconfirmed.details["fields"]
        return _again(form, 422, summary=unconfirmed.message, leap=fields["amount"])
    except Invalid as invalid:
        return _again(form, 422, summary=invalid.message, problems=invalid.details.get("fields", {}))
    except Conflict as conflict:
        return _again(form, 409, summary=conflict.message, changed=True)
    db.session.commit()
    flash(f"{SAVED[mode]}: {line}. Costs of the past stay as they are until they are recomputed.", "ok")
    target = url_for("admin.price_line", **vars(line))
    return leave(target)


def _save(form: PriceForm) -> Line:
    who = {"state": form.state, "actor": access.actor(), "address": access.client_address()}
    confirmed = request.form.get("confirmed") == "yes"
    now = datetime.now(UTC)
    texts = form.values | {"effective_to": ""}
    if form.mode == "end" and form.price is not None:
        ends = instant(form.values["effective_to"], now)
        found = reading.Reading({"effective_from": ends})
        at, _ = found.period()
        if at is None:
            raise Invalid("Nothing was saved.", fields={"effective_to": found.problems["effective_from"]})
        return line_of(changes.end(db.session(), form.price.id, ends=at, **who))
    if form.mode == "correct" and form.price is not None:
        quote = reading.read(texts | {"effective_from": "2000-01-01"}).quote
        corrected = changes.correct(db.session(), form.price.id, quote, confirmed=confirmed, at=now, **who)
        return line_of(corrected)
    entry = reading.read(texts | {"effective_from": instant(texts["effective_from"], now)})
    return line_of(changes.place(db.session(), entry, confirmed=confirmed, **who))


def _again(
    form: PriceForm,
    status: int,
    *,
    summary: str,
    problems: dict[str, str] | None = None,
    changed: bool = False,
    leap: str = "",
) -> ResponseReturnValue:
    db.session.rollback()
    state = form.state
    if changed or form.mode == "add":
        state = book.line(db.session(), _line(form.values)).state
    price = book.get(db.session(), form.price.id) if form.price is not None else None
    shown = PriceForm(form.mode, form.values, state, price, problems or {}, summary, changed, leap)
    return _shown(shown, status)


def _shown(form: PriceForm, status: int = 200) -> ResponseReturnValue:
    template = "admin/prices_form.html"
    if in_place():
        template = "admin/_prices_form.html" if request.method == "POST" else "admin/prices_dialog.html"
    running = book.line(db.session(), _line(form.values)).running(datetime.now(UTC))
    choices = {"providers": PROVIDERS, "units": UNITS, "currencies": CURRENCIES, "certainties": CERTAINTIES}
    return render_template(template, form=form, running=running, **choices), status


def _line(values: dict[str, str]) -> Line:
    return Line(*(values[name].strip().replace("\0", "")[:200] for name in NAMES))


def instant(text: str, now: datetime) -> str:
    """What a form's date and time say, which are in the reporting time zone; nothing means now. What is no date is
    left as it is, for the rules to name."""
    if not text.strip():
        return now.isoformat()
    try:
        at = datetime.fromisoformat(text.strip())
        zone = current_app.config["SETTINGS"].terms.timezone
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return text
