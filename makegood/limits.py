"""Limits: how many credits an operator may give and take alone; above them a second operator has to approve.

They are data, one row for each role and version; the newest version holds. Given by hand: one refund, one
adjustment, and both of a day. Taken: one adjustment or reversal, and those of a day. Refunds in bulk have limits
of their own. `rooms` says what they leave. An admin raises none of them alone where another one is
(`limit_approvals`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import admins, alerts, audit
from makegood.errors import Conflict, Invalid, NeedsApproval
from makegood.models import RefundLimit

ROLES = ("support", "admin")
AMOUNTS = (
    "per_refund",
    "per_adjustment",
    "per_day",
    "per_taking",
    "per_taking_day",
    "per_bulk",
    "per_bulk_day",
    "confirm_from",
)
MOST = 10**12
MAX_NOTE = 1000
RAISED_ALONE = "limits_raised"
"""The alert that an admin raised limits whom no other one could be asked about."""
Amounts = Mapping[str, Mapping[str, int | None]]
"""By role, by name of the limit: credits; None is no limit."""


@dataclass(frozen=True)
class Limits:
    """What a role may do alone, in credits; None is no limit. `confirm_from` asks anew who it is."""

    per_refund: int | None
    per_day: int | None
    per_bulk: int | None
    confirm_from: int | None
    per_adjustment: int | None = None
    per_taking: int | None = None
    per_taking_day: int | None = None
    per_bulk_day: int | None = None


NOTHING = Limits(**dict.fromkeys(AMOUNTS, 0))


def of(session: Session, role: str) -> Limits:
    """A role's limits now. A role without a row may do nothing."""
    row = session.scalar(
        select(RefundLimit).where(RefundLimit.role == role).order_by(RefundLimit.version.desc()).limit(1)
    )
    return Limits(**{name: getattr(row, name) for name in AMOUNTS}) if row else NOTHING


def versions(session: Session) -> list[list[RefundLimit]]:
    """Every version, the newest first: a row for each role."""
    rows = session.scalars(select(RefundLimit).order_by(RefundLimit.version.desc()))
    found: dict[int, list[RefundLimit]] = {}
    for row in rows:
        found.setdefault(row.version, []).append(row)
    return [sorted(roles, key=lambda row: ROLES.index(row.role)) for roles in found.values()]


def publish(
    session: Session,
    wanted: Mapping[str, Limits],
    *,
    based_on: int,
    note: str,
    actor: str,
    approved_by: str | None = None,
    at: datetime | None = None,
    address: str | None = None,
) -> int:
    """New limits for every role, from now on; their version. `based_on` is the version that was looked at.

    Raises Invalid; Conflict when another version was published meanwhile; NeedsApproval when a limit is raised,
    by an admin who is not the only one, and no other one has approved it.
    """
    _check_amounts(wanted, note)
    before = versions(session)[0]
    if before[0].version != based_on:
        raise Conflict(f"{before[0].actor} changed the limits meanwhile. Nothing was saved. Look at them again.")
    now = {role: {name: getattr(wanted[role], name) for name in AMOUNTS} for role in ROLES}
    was = {row.role: {name: getattr(row, name) for name in AMOUNTS} for row in before}
    if now == was:
        raise Invalid("Nothing is different. Nothing was saved.")
    raised = raises(was, now)
    if raised and approved_by is None and admins.others(session, actor, at=at or datetime.now(UTC)):
        raise NeedsApproval("A second admin has to approve limits that are higher. Nothing was saved.")
    made = {"version": based_on + 1, "actor": actor, "note": note.strip()}
    rows = [{"role": role, **made, **now[role]} for role in ROLES]
    added = session.execute(insert(RefundLimit).values(rows).on_conflict_do_nothing().returning(RefundLimit.role))
    if len(added.all()) != len(rows):
        raise Conflict("Somebody changed the limits at this moment. Nothing was saved. Look at them again.")
    audit.record(
        session,
        actor=actor,
        action="limits.changed",
        subject=f"limits:{based_on + 1}",
        details={"before": was, "after": now, "note": note.strip()} | admins.approved(approved_by),
        address=address,
    )
    if raised and approved_by is None and admins.is_one(session, actor):
        message = f"{actor} raised the limits alone, as the only admin: {note.strip()}"
        alerts.raise_alert(session, RAISED_ALONE, f"limits:{based_on + 1}", message)
    return based_on + 1


def raises(before: Amounts, after: Amounts) -> bool:
    """Whether anybody may do more alone after it, or has to prove less who they are."""
    return any(
        was is not None and (amount is None or amount > was)
        for role in ROLES
        for was, amount in ((before[role][name], after[role][name]) for name in AMOUNTS)
    )


def lower(before: Mapping[str, Limits], wanted: Mapping[str, Limits]) -> dict[str, Limits]:
    """What holds of `wanted` without anybody's approval: each role's lower amount of the two, in credits."""
    return {
        role: Limits(
            **{
                name: min((was, amount), key=lambda credits: inf if credits is None else credits)
                for name in AMOUNTS
                for was, amount in [(getattr(before[role], name), getattr(wanted[role], name))]
            }
        )
        for role in ROLES
    }


def _check_amounts(wanted: Mapping[str, Limits], note: str) -> None:
    fields = {}
    for role in ROLES:
        for name in AMOUNTS:
            amount = getattr(wanted[role], name)
            if amount is not None and not 0 <= amount <= MOST:
                fields[f"{role}_{name}"] = f"must be a whole number from 0 to {MOST:,}, or empty for no limit"
    if not note.strip():
        fields["note"] = "say in a few words why"
    elif len(note) > MAX_NOTE or "\0" in note:
        fields["note"] = f"must be at most {MAX_NOTE} characters of text"
    if fields:
        raise Invalid("The limits were not saved.", fields=fields)
