"""A new bulk refund: which generations, what that would return, and the number that confirms it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint, filters, rooms
from blueprints.admin.dialogs import leave
from extensions import db
from makegood import bulk_refunds, generation_log, ids, throttles
from makegood.bulk_refunds import Preview, Scope
from makegood.calendars import start_of
from makegood.errors import Conflict, Invalid
from makegood.providers.protocol import ErrorClass
from makegood.refunds import REASONS
from makegood.rooms import BULK
from makegood.stats import begin_snapshot

NAMES = ("provider", "model", "error", "status", "since", "until")
STATUSES = ("succeeded", "failed", "cancelled")
MINUTE = "%Y-%m-%dT%H:%M"
MOST_DIGITS = 12


@dataclass(frozen=True)
class Window:
    """The time window as it is typed, in the zone of the page, and as instants; None for what is no time."""

    since: datetime | None
    until: datetime | None
    zone: ZoneInfo

    def typed(self, at: datetime | None) -> str:
        """As the browser's field for a local time has it."""
        return at.astimezone(self.zone).strftime(MINUTE) if at else ""


@dataclass(frozen=True)
class Confirmation:
    """The confirming form as it is shown: what was typed, and what is wrong with it."""

    reason: str = "outage"
    note: str = ""
    count: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    summary: str = ""
    changed: bool = False
    problems: dict[str, str] = field(default_factory=dict)


@blueprint.get("/bulk-refunds/new")
@access.requires("bulk_refund")
def new_bulk_refund() -> str:
    """Which generations, and what would be refunded."""
    begin_snapshot(db.session())
    return _page(_read(), Confirmation())


@blueprint.post("/bulk-refunds/new")
@access.requires("bulk_refund")
@access.confirmed
@access.throttled(throttles.REFUNDS)
def start_bulk_refund() -> ResponseReturnValue:
    """Confirm what was previewed; the form again with what is wrong, or with a new preview if it changed."""
    asked = _read()
    sent = _sent()
    scope = _scope(asked)
    try:
        if scope is None:
            raise Invalid("Choose a provider and a time window. No credits moved.")
        begun = bulk_refunds.start(
            db.session(),
            scope,
            rooms.terms(),
            fingerprint=request.form.get("fingerprint", ""),
            count=_whole(sent.count),
            reason=sent.reason,
            note=sent.note,
            actor=access.actor(),
            idempotency_key=sent.key,
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        changed = isinstance(error, Conflict)
        again = Confirmation(
            sent.reason,
            sent.note,
            "" if changed else sent.count,
            sent.key,
            error.message,
            changed,
            error.details.get("fields", {}),
        )
        return _page(asked, again), error.status
    what = f"{formats.counted(begun.generations, 'generation')}, {formats.counted(begun.credits, 'credit')}"
    waits = begun.state == "waiting"
    target = url_for("admin.bulk_refund", bulk_refund_id=begun.id)
    db.session.commit()
    flash(f"{'Waiting for a second operator' if waits else 'Refunding'}: {what}.", "ok")
    return leave(target)


def _read() -> filters.Filters:
    asked = filters.read(NAMES)
    for name, known in (("status", STATUSES), ("error", tuple(ErrorClass))):
        if asked[name] is not None and asked[name] not in known:
            del asked.values[name]
    return asked


def _window(asked: filters.Filters) -> Window:
    """What was typed here, else the range of the page that led here."""
    return Window(
        _local(asked, "since") or asked.start,
        _local(asked, "until") or asked.end,
        asked.zone,
    )


def _local(asked: filters.Filters, name: str) -> datetime | None:
    text = asked[name]
    if text is None:
        return None
    try:
        found = datetime.strptime(text[:16], MINUTE).replace(tzinfo=asked.zone).astimezone(UTC)
        if not 2000 <= found.year <= 2999:
            raise ValueError
    except (ValueError, OverflowError):
        del asked.values[name]
        asked.problems.append(f"“{text[:40]}” is no time. Write times as 2026-11-21T14:05.")
        return None
    return found


def _scope(asked: filters.Filters) -> Scope | None:
    window = _window(asked)
    if asked["provider"] is None or window.since is None or window.until is None:
        return None
    return Scope(asked["provider"], window.since, window.until, asked["model"], asked["error"], asked["status"])


def _preview(asked: filters.Filters) -> Preview | None:
    """What would be refunded; a window that cannot be is said to be none."""
    scope = _scope(asked)
    try:
        return bulk_refunds.preview(db.session(), scope) if scope else None
    except Invalid as invalid:
        asked.problems.append(invalid.message)
        return None


def _page(asked: filters.Filters, confirmation: Confirmation) -> str:
    return render_template(
        "admin/bulk_refund_new.html",
        filters=asked,
        window=_window(asked),
        preview=_preview(asked),
        confirmation=confirmation,
        room=rooms.room(BULK),
        most=bulk_refunds.MOST,
        providers=filters.provider_choices(),
        errors={code.value: formats.words(code) for code in ErrorClass},
        statuses=STATUSES,
        models=generation_log.choices(db.session()).models,
        shortcuts=_shortcuts(asked.zone),
        reasons=REASONS,
    )


def _shortcuts(zone: ZoneInfo) -> list[tuple[str, str, str]]:
    """Windows in which incidents usually lie: what each is called, its beginning and its end as they are typed."""
    now = datetime.now(UTC).astimezone(zone)
    today = start_of(now.date(), zone).astimezone(zone)
    yesterday = start_of(now.date() - timedelta(days=1), zone).astimezone(zone)
    soon = now + timedelta(minutes=1)
    windows = (
        ("in the last hour", now - timedelta(hours=1), soon),
        ("in the last 6 hours", now - timedelta(hours=6), soon),
        ("today", today, soon),
        ("yesterday", yesterday, today),
    )
    return [(label, since.strftime(MINUTE), until.strftime(MINUTE)) for label, since, until in windows]


def _sent() -> Confirmation:
    try:
        key = str(UUID(request.form.get("idempotency_key", "")))
    except ValueError:
        key = str(ids.uuid7())
    return Confirmation(
        reason=request.form.get("reason", ""),
        note=request.form.get("note", "").replace("\r\n", "\n"),
        count=request.form.get("count", "").strip(),
        key=key,
    )


def _whole(text: str) -> int | None:
    digits = text.replace(",", "")
    valid = digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS
    return int(digits) if valid else None
