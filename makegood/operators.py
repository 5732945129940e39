"""Operators: the people who log in to the console, and what each role may do."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit, passwords, sessions, throttles
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import Operator
from makegood.models.operators import ROLES

ACTIONS = frozenset(
    {
        "view",
        "refund",
        "reverse_refund",
        "bulk_refund",
        "acknowledge",
        "apply_callback",
        "write_note",
        "adjust_credits",
        "switch_provider",
        "edit_prices",
        "check_bills",
    }
)
PERMISSIONS: dict[str, frozenset[str]] = {
    "viewer": frozenset({"view"}),
    "support": frozenset({"view", "refund", "reverse_refund", "acknowledge", "apply_callback", "write_note"}),
    "admin": ACTIONS,
}
EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,189}")


class HasRole(Protocol):
    """Whoever acts: an operator's row, or the operator of a session."""

    @property
    def role(self) -> str:
        """One of ROLES."""


def may(operator: HasRole, action: str) -> bool:
    """Whether the operator's role allows the action. Raises ValueError for an action that does not exist."""
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action}")
    return action in PERMISSIONS[operator.role]


def create(session: Session, email: str, role: str, password: str, *, actor: str) -> Operator:
    """Add an operator. Raises Invalid (e-mail, role, password) and Conflict (the e-mail is taken)."""
    address = normal_email(email)
    if address is None:
        raise Invalid("That is no e-mail address.", fields={"email": "must look like name@example.com"})
    if role not in ROLES:
        choices = f"must be one of {', '.join(ROLES)}"
        raise Invalid(f"There is no role {role!r}: it {choices}.", fields={"role": choices})
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


def authenticate(session: Session, email: str, password: str) -> Operator | None:
    """The operator with this e-mail and password, or None.

    An unknown and a disabled operator cost the same hash as a known one: neither the answer nor its time
    tells which e-mails exist. The turn is waited for before the first read: a queue holds no connections.
    Raises Throttled when the turn does not come.
    """
    with passwords.turn():
        operator = session.scalar(
            select(Operator).where(Operator.email == normal_email(email), Operator.disabled_at.is_(None))
        )
        checked = operator.password_hash if operator else None
        if not passwords.matches(checked, password) or operator is None:
            return None
        session.refresh(operator, with_for_update={"key_share": True})
        if operator.password_hash != checked or operator.disabled_at is not None:
            return None  # changed while the hash ran: a session must not outlive its password
        if passwords.is_outdated(operator.password_hash):
            operator.password_hash = passwords.make_hash(password)
        return operator


def log_in(
    session: Session,
    email: str,
    password: str,
    *,
    old_token: str,
    address: str,
    user_agent: str,
    now: datetime,
) -> str | None:
    """Begin a session and return its token; None when e-mail or password is wrong. Either is audited.

    The attempt was counted with `throttles.count_login` at `now`. A session this browser had before ends.
    Raises Throttled as `authenticate`.
    """
    operator = authenticate(session, email, password)
    subject = operator.email if operator else normal_email(email) or "no e-mail address"
    if operator is None:
        audit.record(session, actor="stranger", action="login.failed", subject=subject, address=address)
        return None
    throttles.give_back_login(session, email, address, now=now)
    sessions.end(session, old_token, now=now)
    token = sessions.start(session, operator.id, address=address, user_agent=user_agent, now=now)
    audit.record(session, actor=subject, action="login.succeeded", subject=subject, address=address)
    return token


def confirm(session: Session, session_id: UUID, email: str, typed: str, *, address: str, now: datetime) -> bool:
    """Whether who sits at this session proved again to be its operator, with the password. Either is audited.

    The attempt was counted with `throttles.count_confirmation` at `now`. Raises Throttled as `authenticate`.
    """
    operator = authenticate(session, email, typed)
    outcome = "failed" if operator is None else "succeeded"
    audit.record(session, actor=email, action=f"confirmation.{outcome}", subject=email, address=address)
    if operator is None:
        return False
    throttles.give_back_confirmation(session, operator.id, now=now)
    sessions.confirm(session, session_id, now=now)
    return True


def log_out(session: Session, token: str, *, address: str, now: datetime) -> None:
    """End the session of this token, if it is running."""
    operator_id = sessions.end(session, token, now=now)
    if operator_id is not None:
        email = session.get_one(Operator, operator_id).email
        audit.record(session, actor=email, action="logout", subject=email, address=address)


def set_password(session: Session, email: str, password: str, *, actor: str, now: datetime) -> Operator:
    """Give an operator a new password, which ends all sessions. Raises NotFound and Invalid."""
    operator = _locked(session, email)
    operator.password_hash = passwords.make_hash(password)
    sessions.end_all(session, operator.id, now=now)
    audit.record(session, actor=actor, action="operator.password_changed", subject=operator.email)
    return operator


def disable(session: Session, email: str, *, actor: str, now: datetime) -> Operator:
    """Shut an operator out at once: no log-in, and all sessions end. Raises NotFound."""
    operator = _locked(session, email)
    if operator.disabled_at is None:
        operator.disabled_at = now
        sessions.end_all(session, operator.id, now=now)
        audit.record(session, actor=actor, action="operator.disabled", subject=operator.email)
    return operator


def enable(session: Session, email: str, *, actor: str) -> Operator:
    """Let a disabled operator log in again. Raises NotFound."""
    operator = _locked(session, email)
    if operator.disabled_at is not None:
        operator.disabled_at = None
        audit.record(session, actor=actor, action="operator.enabled", subject=operator.email)
    return operator


def listed(session: Session) -> list[Operator]:
    """All operators by e-mail, the disabled ones too."""
    return list(session.scalars(select(Operator).order_by(Operator.email)))


def normal_email(email: str) -> str | None:
    """The e-mail address as stored (lower case, ASCII), or None when it cannot be one."""
    candidate = email.strip(" \t\r\n").lower()
    return candidate if EMAIL.fullmatch(candidate) else None


def _locked(session: Session, email: str) -> Operator:
    operator = session.scalar(select(Operator).where(Operator.email == normal_email(email)).with_for_update())
    if operator is None:
        raise NotFound(f"There is no operator {email}.")
    return operator
