"""Invitations: a link with which somebody becomes an operator and sets the password themselves.

The link is shown once and stored as a hash. It works once, for seven days, unless it is withdrawn, by an admin or
by a newer invitation of the same person. While whoever sent it is disabled or no admin, it does not work either;
nor does one that makes an admin, sent by the only one, as soon as there is another: it takes two then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import admins, audit, operators
from makegood.errors import Conflict, NotFound
from makegood.ids import hash_token, new_token
from makegood.models import Invitation, Operator

LIVES = timedelta(days=7)
GONE = "This invitation is not valid any more: it was used, withdrawn or has expired. Ask for a new one."
TAKES_TWO = (
    "This invitation is not valid any more: it makes an admin, there is another admin since it was sent, and it "
    "takes two to make one. Ask to be invited as support, and to be made an admin when you are there."
)
OPEN: ColumnElement[bool] = and_(Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None))
SENDER_MAY: ColumnElement[bool] = ~exists().where(
    Operator.email == Invitation.invited_by, or_(Operator.disabled_at.is_not(None), Operator.role != "admin")
)


def send(
    session: Session, email: str, role: str, *, actor: str, now: datetime, address: str | None = None
) -> tuple[Invitation, str]:
    """Invite somebody, in place of an earlier invitation. Returns the row and the link's token, shown only now.

    Raises Invalid (e-mail, role) and Conflict (an operator already; an admin, whom two admins have to make).
    """
    invited = operators.checked(email, role)
    if role == "admin" and admins.others(session, actor, at=now):
        raise Conflict(
            "It takes two admins to make another one. Invite them as support, and make them an admin when they "
            "are there: then a second admin is asked."
        )
    if session.scalar(select(Operator.id).where(Operator.email == invited)) is not None:
        raise Conflict(f"There is already an operator {invited}.")
    session.execute(update(Invitation).where(OPEN, Invitation.email == invited).values(withdrawn_at=now))
    token = new_token()
    invitation = Invitation(
        email=invited, role=role, token_hash=hash_token(token), invited_by=actor, expires_at=now + LIVES
    )
    session.add(invitation)
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError:
        raise Conflict(f"Somebody else has just invited {invited}.") from None
    _record(session, invitation, "operator.invited", actor, address)
    return invitation, token


def find(session: Session, token: str, *, now: datetime) -> Invitation:
    """The open invitation of this link. Raises NotFound, also when it takes two admins by now."""
    found = session.scalar(
        select(Invitation).where(
            Invitation.token_hash == hash_token(token), OPEN, SENDER_MAY, Invitation.expires_at > now
        )
    )
    if found is None:
        raise NotFound(GONE)
    if found.role == "admin" and admins.others(session, found.invited_by, at=now):
        raise NotFound(TAKES_TWO)
    return found


def accept(session: Session, token: str, password: str, *, now: datetime, address: str) -> Operator:
    """Become the operator that the link invites, with this password. The link works no more.

    Raises NotFound, Invalid (the password) and Conflict (an operator already).
    """
    invitation = find(session, token, now=now)
    taken = session.scalar(
        update(Invitation)
        .where(Invitation.id == invitation.id, OPEN)
        .values(accepted_at=now)
        .returning(Invitation.id)
    )
    if taken is None:
        raise NotFound(GONE)
    operator = operators.create(session, invitation.email, invitation.role, password, actor=invitation.email)
    _record(session, invitation, "operator.invitation_accepted", invitation.email, address)
    return operator


def withdraw(
    session: Session, invitation_id: UUID, *, actor: str, now: datetime, address: str | None = None
) -> Invitation:
    """End an open invitation. Raises NotFound when it is not open any more."""
    invitation: Invitation | None = session.scalar(
        update(Invitation)
        .where(Invitation.id == invitation_id, OPEN)
        .values(withdrawn_at=now)
        .returning(Invitation)
    )
    if invitation is None:
        raise NotFound("This invitation is not open any more.")
    _record(session, invitation, "operator.invitation_withdrawn", actor, address)
    return invitation


def listed(session: Session, *, now: datetime) -> list[Invitation]:
    """The invitations that can still be accepted, by e-mail."""
    takes_two = and_(Invitation.role == "admin", admins.beside(Invitation.invited_by, at=now))
    valid = (OPEN, SENDER_MAY, Invitation.expires_at > now, not_(takes_two))
    return list(session.scalars(select(Invitation).where(*valid).order_by(Invitation.email)))


def _record(session: Session, invitation: Invitation, action: str, actor: str, address: str | None) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=invitation.email,
        details={"role": invitation.role, "invited_by": invitation.invited_by},
        address=address,
    )
