"""The bill check: the imports of bills, and the ways to start one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access
from blueprints.admin import blueprint, exports, filters
from extensions import db
from makegood import bills, calendars
from makegood.bills import imports
from makegood.errors import Conflict, Invalid
from makegood.models import Bill
from settings import PROVIDER_NAMES

UNDER_WAY = ("waiting", "running")
INSTANT = timedelta(microseconds=1)


@blueprint.get("/bills", endpoint="bills")
def show_bills() -> str:
    """Every import, newest first, and the ways to start one."""
    return list_page()


@blueprint.get("/bills/progress")
@access.poll
def bills_progress() -> str:
    """The newest imports again, while one is under way."""
    return render_template("admin/bill_imports.html", **_imports())


@blueprint.post("/bills")
@access.requires("check_bills")
def start_bill() -> ResponseReturnValue:
    """Start an import from a provider's billing API."""
    form = {name: request.form.get(name, "").strip()[:200] for name in ("provider", "from", "to")}
    try:
        bill = bills.start(
            db.session(),
            current_app.extensions["providers"].get(form["provider"]),
            *days(form),
            current_app.config["SETTINGS"].terms.timezone,
            actor=access.actor(),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as refusal:
        db.session.rollback()
        return list_page(api=form, refusal=refusal), refusal.status
    flash(f"The bill of {bill.provider} is being imported.", "ok")
    db.session.commit()
    return redirect(url_for("admin.bills"), 303)


@blueprint.post("/bills/<uuid:bill_id>/again")
@access.requires("check_bills")
def start_bill_again(bill_id: UUID) -> ResponseReturnValue:
    """Read a failed import anew."""
    bills.start_again(db.session(), bill_id, actor=access.actor(), address=access.client_address())
    db.session.commit()
    flash("The import was started again.", "ok")
    return redirect(url_for("admin.bills"), 303)


@blueprint.post("/bills/<uuid:bill_id>/withdraw")
@access.requires("check_bills")
def withdraw_bill(bill_id: UUID) -> ResponseReturnValue:
    """Take back an import that was a mistake."""
    bill = bills.withdraw(db.session(), bill_id, actor=access.actor(), address=access.client_address())
    flash(f"The import of {bill.provider} was withdrawn: its lines count no more.", "ok")
    db.session.commit()
    return redirect(url_for("admin.bills"), 303)


@blueprint.app_template_filter()
def days_of_bill(bill: Bill) -> tuple[date, date]:
    """The first and the last day of an import, in the reporting time zone."""
    zone = current_app.config["SETTINGS"].terms.timezone
    return calendars.local_day(bill.period_start, zone), calendars.local_day(bill.period_end - INSTANT, zone)


def list_page(
    *, api: dict[str, str] | None = None, upload: dict[str, str] | None = None, refusal: Any = None
) -> str:
    """The list of imports with its two forms, as typed where one was refused."""
    adapters = current_app.extensions["providers"]
    today = calendars.local_day(datetime.now(UTC), current_app.config["SETTINGS"].terms.timezone)
    yesterday = (today - timedelta(days=1)).isoformat()
    month_end = calendars.month_of(today) - timedelta(days=1)
    month = {"from": calendars.month_of(month_end).isoformat(), "to": month_end.isoformat()}
    return render_template(
        "admin/bills.html",
        askable=sorted(name for name, provider in adapters.items() if imports.billing(provider)),
        all_providers=providers(),
        api=api or {"provider": "", "from": yesterday, "to": yesterday},
        upload=upload or {"provider": "", **month},
        refusal=refusal,
        refused="upload" if upload else "api",
        **_imports(),
    )


def providers() -> list[str]:
    """The providers whose bill can be uploaded: all that there is an adapter for, and those called directly."""
    return sorted({*PROVIDER_NAMES, *current_app.extensions["providers"]})


def days(form: dict[str, str]) -> tuple[date, date]:
    """The first and the last day that a form names. Raises Invalid."""
    problems, found = {}, []
    for name in ("from", "to"):
        try:
            found.append(date.fromisoformat(form[name]))
            if not 2000 <= found[-1].year <= 2999:
                raise ValueError
        except ValueError:
            problems[name] = "must be a date such as 2026-11-21"
    if problems:
        raise Invalid("The period is not valid. Nothing was imported.", fields=problems)
    return found[0], found[1]


def _imports() -> dict[str, Any]:
    before, after = filters.place()
    page = bills.IMPORTS.page(db.session(), before=before, after=after)
    return {"page": page, "under_way": any(one.state in UNDER_WAY for one in page.rows), "paged": before or after}


exports.add(
    exports.Table(
        "bills",
        "Imports of bills",
        "admin.bills",
        bills.IMPORTS.every,
        (
            exports.column("created_at"),
            exports.column("bill_id", "id"),
            exports.column("provider"),
            exports.column("period_start"),
            exports.column("period_end"),
            exports.column("origin"),
            exports.column("file_name"),
            exports.column("state"),
            exports.column("lines_added"),
            exports.column("lines_known"),
            exports.column("lines_pending"),
            exports.column("problem"),
            exports.column("by", "actor"),
        ),
    )
)
