"""What currencies are worth in US dollars: the dated table, a rate more or corrected, and rates from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats, times
from blueprints.admin import blueprint, exports, filters, lists
from blueprints.admin.dialogs import in_place, leave
from extensions import db
from makegood.errors import Conflict, Invalid, MakegoodError
from makegood.revenue import rate_changes, rate_sheet
from makegood.revenue.rate_changes import RateFilters

FIELDS = ("currency", "day", "usd_per_unit", "source")


@dataclass(frozen=True)
class RateForm:
    """The form as it is shown."""

    values: dict[str, str]
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@blueprint.get("/revenue/rates")
def exchange_rates() -> str:
    """The table, the latest day first."""
    return render_template(
        "admin/exchange_rates.html",
        **LIST.shown(),
        newest=rate_changes.newest(db.session()),
        today=_today(),
    )


@blueprint.get("/revenue/rates/add")
@access.requires("edit_prices")
def exchange_rate_form() -> ResponseReturnValue:
    """The form. The URL may say for which currency and day."""
    values = {name: request.args.get(name, "")[:200] for name in FIELDS}
    return _shown(RateForm({**values, "day": values["day"] or _today().isoformat()}))


@blueprint.post("/revenue/rates/add")
@access.requires("edit_prices")
def add_exchange_rate() -> ResponseReturnValue:
    """Add a rate, or correct the one of that day."""
    values = {name: request.form.get(name, "").strip()[:300] for name in FIELDS}
    try:
        rate = rate_sheet.read(values["currency"], values["day"], values["usd_per_unit"], today=_today())
        [change] = rate_changes.save(
            db.session(),
            [rate],
            source=values["source"],
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        return _shown(RateForm(values, error.details.get("fields", {}), error.message), error.status)
    db.session.commit()
    was = f" It was ${formats.rate(change.before)}." if change.before is not None else ""
    worth = formats.rate(rate.usd_per_unit)
    flash(f"1 {rate.currency.upper()} was ${worth} on {times.long_day(rate.day)}.{was}", "ok")
    return leave(url_for("admin.exchange_rates"))


@blueprint.get("/revenue/rates/import")
@access.requires("edit_prices")
def import_rates_form() -> str:
    """Where a file is chosen or pasted."""
    return _import_page()


@blueprint.post("/revenue/rates/import")
@access.requires("edit_prices")
def import_rates() -> ResponseReturnValue:
    """Save the rates of a file: all of them, or none."""
    content = ""
    try:
        content = _sent()
        changes = rate_changes.save(
            db.session(),
            rate_sheet.parse(content, today=_today()),
            source=request.form.get("source", ""),
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        return _import_page(error, content), error.status
    db.session.commit()
    corrected = sum(change.before is not None for change in changes)
    flash(f"Saved {formats.counted(len(changes), 'rate')}, {corrected} of them corrections.", "ok")
    return redirect(url_for("admin.exchange_rates"), 303)


def _sent() -> str:
    """The text of the chosen file or, without one, what was pasted. Raises Invalid."""
    file = request.files.get("file")
    content = file.read(rate_sheet.MOST_BYTES + 1) if file is not None and file.filename else b""
    content = content or request.form.get("text", "").encode()
    if len(content) > rate_sheet.MOST_BYTES:
        raise Invalid("Nothing was imported.", fields={"file": "is too large. Import it in parts"})
    try:
        return content.decode("utf-8-sig").replace("\0", "\N{REPLACEMENT CHARACTER}")
    except UnicodeDecodeError:
        raise Invalid("Nothing was imported.", fields={"file": "is not UTF-8"}) from None


def _import_page(problem: MakegoodError | None = None, content: str = "") -> str:
    return render_template(
        "admin/exchange_rates_import.html",
        problem=problem,
        text=content,
        source=request.form.get("source", "")[:200],
        header=",".join(rate_sheet.HEADER),
        most_rows=rate_sheet.MOST_ROWS,
    )


def _shown(form: RateForm, status: int = 200) -> ResponseReturnValue:
    template = "admin/exchange_rate_form.html"
    if in_place():
        template = "admin/_exchange_rate_form.html" if status != 200 else "admin/exchange_rate_dialog.html"
    return render_template(template, form=form, today=_today()), status


def _today() -> date:
    return datetime.now(filters.reporting_zone()).date()


def _wanted(asked: filters.Filters) -> RateFilters:
    return RateFilters(asked.currency)


LIST = lists.add(
    lists.ListPage("admin.exchange_rates", rate_changes.RATES, {"currency": "Currency"}, _wanted),
    "exchange-rates",
    "Exchange rates",
    (
        exports.column("currency"),
        exports.column("day"),
        exports.column("usd_per_unit"),
        exports.column("source"),
        exports.column("by", "actor"),
        exports.column("saved_at", "created_at"),
        exports.column("replaced_at"),
    ),
    every=rate_changes.every,
)
