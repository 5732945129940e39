"""Operators: the people who log in to the console. What each role may do is in `makegood.permissions`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import admins, audit, passwords, second_factor, sessions
from makegood.errors import Conflict, Invalid, NeedsApproval, NotFound
from makegood.models import Operator
from makegood.models.operators import ROLES

EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}")


def create(session: Session, email: str, role: str, password: str, *, actor: str) -> Operator:
    """Add an operator. Raises Invalid (e-mail, role, password) and Conflict (the e-mail is taken)."""
    address = checked(email, role)
    operator: Operator | None = session.scalar(
        insert(Operator)
        .values(email=address, role=role, password_hash=passwords.make_hash(password))
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(Operator)
    )
    if operator is None:
        raise Conflict(f"There is already an operator {address}.")
    audit.record(session, actor=actor, action="operator.created", subject=address, details={"role": role})
    return operator


def set_password(
    session: Session,
    email: str,
    password: str,
    *,
    actor: str,
    now: datetime,
    keep: UUID | None = None,
    address: str | None = None,
) -> Operator:
    """Give an operator a new password; all sessions but the one to `keep` end. Raises NotFound and Invalid."""
    hashed = passwords.make_hash(password)  # before the lock: it takes its time
    operator = _locked(session, email)
    operator.password_hash = hashed
    sessions.end_all(session, operator.id, now=now, keep=keep)
    audit.record(session, actor=actor, action="operator.password_changed", subject=operator.email, address=address)
    return operator


def set_role(
    session: Session,
    email: str,
    role: str,
    *,
    actor: str,
    approved_by: str | None = None,
    at: datetime | None = None,
    address: str | None = None,
) -> Operator:
    """Change what an operator may, at once.

    Raises NotFound; Invalid; Conflict (yourself, the last admin); NeedsApproval when it makes an admin, by one who
    is not the only one, and no other one has approved it.
    """
    _check_role(role)
    operator = _locked(session, email)
    if operator.email == actor:
        raise Conflict("You cannot change your own role. Ask another admin to do it.")
    before = operator.role
    if before == role:
        return operator
    if role == "admin":
        _require_second_admin(session, actor, approved_by, at)
    with _unless_last_admin(session, operator):
        operator.role = role
    audit.record(
        session,
        actor=actor,
        action="operator.role_changed",
        subject=operator.email,
        details={"before": {"role": before}, "after": {"role": role}} | admins.approved(approved_by),
        address=address,
    )
    return operator


def disable(session: Session, email: str, *, actor: str, now: datetime, address: str | None = None) -> Operator:
    """Shut an operator out at once: no log-in, and all sessions end. Raises NotFound and Conflict."""
    operator = _locked(session, email)
    if operator.email == actor:
        raise Conflict("You cannot disable yourself. Ask another admin to do it.")
    if operator.disabled_at is None:
        with _unless_last_admin(session, operator):
            operator.disabled_at = now
        sessions.end_all(session, operator.id, now=now)
        audit.record(
            session,
            actor=actor,
            action="operator.disabled",
            subject=operator.email,
            details={"before": {"active": True}, "after": {"active": False}},
            address=address,
        )
    return operator


def enable(
    session: Session,
    email: str,
    *,
    actor: str,
    approved_by: str | None = None,
    at: datetime | None = None,
    address: str | None = None,
) -> Operator:
    """Let a disabled operator log in again. Raises NotFound, and NeedsApproval for an admin as `set_role`."""
    operator = _locked(session, email)
    if operator.disabled_at is not None:
        if operator.role == "admin":
            _require_second_admin(session, actor, approved_by, at)
        operator.disabled_at = None
        audit.record(
            session,
            actor=actor,
            action="operator.enabled",
            subject=operator.email,
            details={"before": {"active": False}, "after": {"active": True}} | admins.approved(approved_by),
            address=address,
        )
    return operator


def reset_second_factor(
    session: Session, email: str, *, actor: str, now: datetime, address: str | None = None
) -> bool:
    """Take a lost second factor away, and end all sessions. Returns whether there was one.

    Raises NotFound, and Conflict (yourself: a session and its password alone are no second factor).
    """
    operator = _locked(session, email)
    if operator.email == actor:
        raise Conflict("You cannot reset your own second factor. Replace it under “Your account”.")
    removed = second_factor.remove(session, operator.id, actor=actor, address=address)
    if removed:
        sessions.end_all(session, operator.id, now=now)
    return removed


def get(session: Session, operator_id: UUID) -> Operator:
    """One operator. Raises NotFound."""
    operator = session.get(Operator, operator_id)
    if operator is None:
        raise NotFound("There is no such operator.")
    return operator


def listed(session: Session) -> list[Operator]:
    """All operators by e-mail, the disabled ones too."""
    return list(session.scalars(select(Operator).order_by(Operator.email)))


def normal_email(email: str) -> str | None:
    """The e-mail address as stored (lower case, ASCII), or None when it cannot be one."""
    candidate = email.strip(" \t\r\n").lower()
    return candidate if EMAIL.fullmatch(candidate) else None


def checked(email: str, role: str) -> str:
    """The e-mail address as stored. Raises Invalid when it is none, or there is no such role."""
    address = normal_email(email)
    if address is None:
        raise Invalid("That is no e-mail address.", fields={"email": "must look like name@example.com"})
    _check_role(role)
    return address


def _check_role(role: str) -> None:
    if role not in ROLES:
        choices = f"must be one of {', '.join(ROLES)}"
        raise Invalid(f"There is no role {role!r}: it {choices}.", fields={"role": choices})


def _require_second_admin(session: Session, actor: str, approved_by: str | None, at: datetime | None) -> None:
    if approved_by is None and admins.others(session, actor, at=at or datetime.now(UTC)):
        raise NeedsApproval("A second admin has to approve that somebody becomes one. Nothing changed.")


@contextmanager
def _unless_last_admin(session: Session, operator: Operator) -> Iterator[None]:
    """Make a change that the database refuses when no active admin would be left. Raises Conflict then."""
    try:
        with session.begin_nested():
            yield
    except IntegrityError as refused:
        if "last active admin" not in str(refused.orig):
            raise
        raise Conflict(
            f"{operator.email} is the last active admin: nobody could manage the console. Add another admin first."
        ) from None


def _locked(session: Session, email: str) -> Operator:
    operator = session.scalar(
        select(Operator)
        .where(Operator.email == normal_email(email))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if operator is None:
        raise NotFound(f"There is no operator {email}.")
    return operator
