"""Logging in, in one step or two, proving once more who sits there, and logging out.

Without a second factor the password begins a session. With one it only earns a challenge, which opens nothing;
a code of the app, or a recovery code, turns that into a session. Whatever is tried is counted before, by
`throttles`, and audited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from makegood import audit, passwords, second_factor, sessions, throttles
from makegood.errors import Invalid
from makegood.ids import hash_token, new_token
from makegood.models import LoginChallenge, Operator
from makegood.operators import normal_email, set_password
from makegood.secrets_at_rest import Vault

CHALLENGE_LIVES = timedelta(minutes=10)


@dataclass(frozen=True)
class Browser:
    """Where a log-in comes from. `old_token` is of the session that this browser had before, which ends."""

    address: str
    user_agent: str = ""
    old_token: str = ""


@dataclass(frozen=True)
class Admitted:
    """What a right password earned: a session's token, or that of a challenge when a code is to follow."""

    token: str
    needs_code: bool


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


def log_in(session: Session, email: str, password: str, *, browser: Browser, now: datetime) -> Admitted | None:
    """Begin a session, or the wait for a code; None when e-mail or password is wrong. All of it is audited.

    The attempt was counted with `throttles.count_login` at `now`. Raises Throttled as `authenticate`.
    """
    operator = authenticate(session, email, password)
    subject = operator.email if operator else normal_email(email) or "no e-mail address"
    if operator is None:
        audit.record(session, actor="stranger", action="login.failed", subject=subject, address=browser.address)
        return None
    throttles.give_back_login(session, email, browser.address, now=now)
    if operator.totp_since is None:
        return Admitted(_begin(session, operator, browser, {}, now), needs_code=False)
    token = new_token()
    session.add(LoginChallenge(operator_id=operator.id, token_hash=hash_token(token), created_at=now))
    session.flush()
    return Admitted(token, needs_code=True)


def challenged(session: Session, token: str, *, now: datetime) -> UUID | None:
    """Whose code is awaited under this token, or None: unknown, used, ended, or too long ago."""
    return session.scalar(
        select(LoginChallenge.operator_id).where(
            LoginChallenge.token_hash == hash_token(token), LoginChallenge.created_at > now - CHALLENGE_LIVES
        )
    )


def log_in_with_code(
    session: Session, vault: Vault, token: str, typed: str, *, browser: Browser, now: datetime
) -> str | None:
    """Turn a challenge into a session. Returns its token; None when the code is not right. Either is audited.

    The attempt was counted with `throttles.count_proof` at `now`.
    """
    operator_id = challenged(session, token, now=now)
    if operator_id is None:
        return None
    # The lock that disabling and a new password take too: they end challenges, and none slips through meanwhile.
    operator = session.get_one(Operator, operator_id, with_for_update={"key_share": True}, populate_existing=True)
    means = "app"
    right = second_factor.accepts(session, vault, operator_id, typed, now=now)
    if not right:
        means = "recovery code"
        right = second_factor.redeem(session, operator_id, typed, now=now)
    if not right:
        _record(session, operator, "login.code_failed", browser.address)
        return None
    ended = session.scalar(
        delete(LoginChallenge)
        .where(LoginChallenge.token_hash == hash_token(token))
        .returning(LoginChallenge.operator_id)
    )
    if ended is None or operator.disabled_at is not None:
        return None
    throttles.give_back_proof(session, throttles.CODES, operator_id, now=now)
    return _begin(session, operator, browser, {"second_factor": means}, now)


def confirm(
    session: Session, vault: Vault, session_id: UUID, email: str, typed: str, *, address: str, now: datetime
) -> bool:
    """Whether who sits at this session proved again to be its operator: by password, or by a code of the app.

    Counted with `throttles.count_proof` at `now`, and audited. Raises Throttled as `authenticate`.
    """
    operator = session.scalar(select(Operator).where(Operator.email == email, Operator.disabled_at.is_(None)))
    if operator is None:
        return False
    proven = second_factor.accepts(session, vault, operator.id, typed, now=now)
    if not proven and not second_factor.is_code(typed):
        proven = authenticate(session, email, typed) is not None
    if not proven:
        _record(session, operator, "confirmation.failed", address)
        return False
    throttles.give_back_proof(session, throttles.CONFIRMATIONS, operator.id, now=now)
    sessions.confirm(session, session_id, now=now)
    _record(session, operator, "confirmation.succeeded", address)
    return True


def change_password(
    session: Session, session_id: UUID, email: str, current: str, new: str, *, address: str, now: datetime
) -> None:
    """Give oneself a new password, knowing the present one. All other sessions end.

    Counted with `throttles.count_proof` at `now`. Raises Invalid, and Throttled as `authenticate`.
    """
    operator = authenticate(session, email, current)
    if operator is None:
        raise Invalid("The present password is wrong.", fields={"current": "is not your present password"})
    throttles.give_back_proof(session, throttles.CONFIRMATIONS, operator.id, now=now)
    set_password(session, email, new, actor=email, now=now, keep=session_id, address=address)
    sessions.confirm(session, session_id, now=now)


def log_out(session: Session, token: str, *, address: str, now: datetime) -> None:
    """End the session of this token, if it is running."""
    operator_id = sessions.end(session, token, now=now)
    if operator_id is not None:
        _record(session, session.get_one(Operator, operator_id), "logout", address)


def clean(session: Session, *, before: datetime) -> int:
    """Delete the challenges that began before this time. Returns how many."""
    gone = session.scalars(
        delete(LoginChallenge).where(LoginChallenge.created_at < before).returning(LoginChallenge.id)
    )
    return len(gone.all())


def _begin(session: Session, operator: Operator, browser: Browser, details: dict[str, str], now: datetime) -> str:
    sessions.end(session, browser.old_token, now=now)
    token = sessions.start(session, operator.id, address=browser.address, user_agent=browser.user_agent, now=now)
    audit.record(
        session,
        actor=operator.email,
        action="login.succeeded",
        subject=operator.email,
        details=details,
        address=browser.address,
    )
    return token


def _record(session: Session, operator: Operator, action: str, address: str) -> None:
    audit.record(session, actor=operator.email, action=action, subject=operator.email, address=address)
