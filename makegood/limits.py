"""Limits: what an operator may refund alone, in credits, and what a second operator has to approve.

They are data, one row for each role and version, and hold for whoever's e-mail acts: `refunds.issue_manual` asks
here, so that no caller can forget to. The operator's row is locked first, before any generation, so that the sum
of a day is exact however many refunds an operator sends at once. A day is one of the reporting time zone. A refund
that a second operator approved counts for the one who approved it; refunds in bulk have a limit of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit, operators
from makegood.calendars import local_day, start_of
from makegood.errors import Conflict, Forbidden, Invalid, NeedsApproval
from makegood.models import Approval, Operator, Refund, RefundLimit
from makegood.terms import Terms

ROLES = ("support", "admin")
AMOUNTS = ("per_refund", "per_day", "per_bulk", "confirm_from")
MOST = 10**12
MAX_NOTE = 1000


@dataclass(frozen=True)
class Limits:
    """What a role may do alone, in credits; None is no limit. `confirm_from` asks anew who it is."""

    per_refund: int | None
    per_day: int | None
    per_bulk: int | None
    confirm_from: int | None


NOTHING = Limits(0, 0, 0, 0)


@dataclass(frozen=True)
class Room:
    """What an operator may refund alone now: the role's limits, and the credits refunded today."""

    limits: Limits
    refunded_today: int

    @property
    def left_today(self) -> int | None:
        """Credits that today's limit leaves; None without one."""
        return None if self.limits.per_day is None else max(0, self.limits.per_day - self.refunded_today)

    @property
    def most(self) -> int | None:
        """The largest refund; None: any."""
        bounds = [bound for bound in (self.limits.per_refund, self.left_today) if bound is not None]
        return min(bounds, default=None)


def of(session: Session, role: str) -> Limits:
    """A role's limits now. A role without a row may refund nothing."""
    row = session.scalar(
        select(RefundLimit).where(RefundLimit.role == role).order_by(RefundLimit.version.desc()).limit(1)
    )
    return Limits(*(getattr(row, name) for name in AMOUNTS)) if row else NOTHING


def room(session: Session, email: str, role: str, timezone: ZoneInfo, *, at: datetime) -> Room:
    """What this operator may still refund alone on the day of `at`."""
    return Room(of(session, role), refunded_on_the_day(session, email, timezone, at=at))


def refunded_on_the_day(session: Session, email: str, timezone: ZoneInfo, *, at: datetime) -> int:
    """Credits that count against an operator's limit of the day: refunds of their own, and those they approved."""
    day = local_day(at, timezone)
    start, end = start_of(day, timezone), start_of(day + timedelta(days=1), timezone)
    second = select(Approval.id).where(Approval.result_id == Refund.id)
    own = select(func.coalesce(func.sum(Refund.credits), 0)).where(
        Refund.origin == "manual",
        Refund.actor == email,
        Refund.issued_at >= start,
        Refund.issued_at < end,
        ~second.exists(),
    )
    approved = select(func.coalesce(func.sum(Approval.credits), 0)).where(
        Approval.state == "approved",
        Approval.kind == "refund",
        Approval.decided_by == email,
        Approval.decided_at >= start,
        Approval.decided_at < end,
    )
    return int(session.scalar(select(own.scalar_subquery() + approved.scalar_subquery())) or 0)


def lock(session: Session, actor: str) -> Operator | None:
    """The operator with this e-mail, locked until the transaction ends; None for an actor that is no operator.

    Take it before any other lock. Raises Forbidden for one who was disabled.
    """
    operator = session.scalar(
        select(Operator)
        .where(Operator.email == actor)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if operator is not None and operator.disabled_at is not None:
        raise Forbidden("This operator is disabled. No credits moved.")
    return operator


def check(session: Session, operator: Operator | None, credits: int, terms: Terms, *, at: datetime) -> None:
    """Whether a locked operator may refund so many credits alone. Who is no operator has no limits.

    Raises Forbidden (the role refunds nothing) and NeedsApproval.
    """
    if operator is None:
        return
    if not operators.may(operator, "refund"):
        raise Forbidden("Your role does not allow refunds. No credits moved.")
    now = room(session, operator.email, operator.role, terms.timezone, at=at)
    if now.most is None or credits <= now.most:
        return
    limits = now.limits
    if limits.per_refund is not None and credits > limits.per_refund:
        why = f"Your limit is {limits.per_refund:,} credits for one refund"
    else:
        why = f"You have refunded {now.refunded_today:,} of the {limits.per_day:,} credits of your limit today"
    raise NeedsApproval(
        f"{why}. A second operator has to approve a refund of {credits:,}. No credits moved.", most=now.most
    )


def admit(session: Session, actor: str, credits: int, terms: Terms, *, at: datetime) -> None:
    """`lock` and `check` in one, before the caller takes any other lock. Raises Forbidden and NeedsApproval."""
    check(session, lock(session, actor), credits, terms, at=at)


def bulk_needs_approval(session: Session, actor: str, credits: int) -> bool:
    """Whether a refund in bulk of so many credits in all has to wait for a second operator."""
    operator = lock(session, actor)
    most = None if operator is None else of(session, operator.role).per_bulk
    return most is not None and credits > most


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
    address: str | None = None,
) -> int:
    """New limits for every role, from now on; their version. `based_on` is the version that was looked at.

    Raises Invalid, and Conflict when another version was published meanwhile.
    """
    _check_amounts(wanted, note)
    before = versions(session)[0]
    if before[0].version != based_on:
        raise Conflict(f"{before[0].actor} changed the limits meanwhile. Nothing was saved. Look at them again.")
    now = {role: {name: getattr(wanted[role], name) for name in AMOUNTS} for role in ROLES}
    was = {row.role: {name: getattr(row, name) for name in AMOUNTS} for row in before}
    if now == was:
        raise Invalid("Nothing is different. Nothing was saved.")
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
        details={"before": was, "after": now, "note": note.strip()},
        address=address,
    )
    return based_on + 1


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
