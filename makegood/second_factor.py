"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for a lost phone.

A code works once: the time step of the last one is kept, and one UPDATE moves it forward. A recovery code works
once too. Who may guess how often is counted before, by `throttles`.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from datetime import datetime
from uuid import UUID

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.ids import hash_token
from makegood.models import Operator, RecoveryCode
from makegood.secrets_at_rest import Unreadable, Vault

ISSUER = "Makegood"
STEP = 30
"""Seconds."""
DRIFT = 1
"""Steps that a phone's clock may be off, either way."""
CODE = re.compile(r"[0-9]{6}")
RECOVERY_CODES = 10
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's: what looks alike is one character."""
LOOKALIKES = str.maketrans("oil", "011")
RECOVERY_LENGTH = 16
"""Characters of five bits each: too many to guess, so a plain hash is enough."""


def propose(vault: Vault, operator_id: UUID) -> str:
    """A new secret, sealed for this operator's set-up form. Nothing is stored until a code fits."""
    secret = base64.b32decode(pyotp.random_base32())
    return base64.urlsafe_b64encode(vault.seal(secret, _proposal(operator_id))).decode()


def proposed(vault: Vault, operator_id: UUID, sealed: str) -> str | None:
    """The secret of a set-up form in base32, or None when it is not one that was proposed to this operator."""
    try:
        secret = vault.open(base64.urlsafe_b64decode(sealed), _proposal(operator_id))
    except (Unreadable, ValueError):
        return None
    return base64.b32encode(secret).decode()


def address(secret: str, email: str) -> str:
    """The otpauth:// address that an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=email, issuer_name=ISSUER)


def begin(
    session: Session, vault: Vault, operator_id: UUID, sealed: str, code: str, *, address: str, now: datetime
) -> list[str]:
    """Make the proposed secret the operator's second factor, in place of one before. Returns the recovery codes.

    Raises Invalid when the code does not fit, and Conflict when the proposal cannot be used.
    """
    operator = _locked(session, operator_id)
    secret = proposed(vault, operator_id, sealed)
    if secret is None:
        raise Conflict("That QR code can no longer be used. Scan the new one.")
    step = _step(secret, code, now)
    if step is None:
        raise Invalid(
            "That code does not fit. Check that the phone's clock is right, and type the code that it shows now.",
            fields={"code": "is not the one that the app shows now"},
        )
    action = "second_factor.set_up" if operator.totp_since is None else "second_factor.replaced"
    operator.totp_secret = vault.seal(base64.b32decode(secret), _stored(operator_id))
    operator.totp_since, operator.totp_step = now, step
    audit.record(session, actor=operator.email, action=action, subject=operator.email, address=address)
    return _new_codes(session, operator_id)


def accepts(session: Session, vault: Vault, operator_id: UUID, typed: str, *, now: datetime) -> bool:
    """Whether this is the app's code of now, used for the first time. From then on nobody can use it again."""
    sealed = session.scalar(select(Operator.totp_secret).where(Operator.id == operator_id))
    if sealed is None:
        return False
    try:
        secret = vault.open(sealed, _stored(operator_id))
    except Unreadable:
        return False  # SECRET_KEY was replaced: a recovery code still works, or an admin resets it
    step = _step(base64.b32encode(secret).decode(), typed, now)
    if step is None:
        return False
    moved = session.scalar(
        update(Operator)
        .where(Operator.id == operator_id, Operator.totp_secret == sealed, Operator.totp_step < step)
        .values(totp_step=step)
        .returning(Operator.id)
    )
    return moved is not None


def redeem(session: Session, operator_id: UUID, typed: str, *, now: datetime) -> bool:
    """Whether this is one of the operator's recovery codes, used for the first time."""
    used = session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.operator_id == operator_id,
            RecoveryCode.code_hash == hash_token(_bare(typed)),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.operator_id)
    )
    return used is not None


def is_code(typed: str) -> bool:
    """Whether this is written like a code of the app; no password is that short."""
    return CODE.fullmatch("".join(typed.split())) is not None


def codes_left(session: Session, operator_id: UUID) -> int:
    """How many recovery codes are unused."""
    unused = select(func.count()).where(RecoveryCode.operator_id == operator_id, RecoveryCode.used_at.is_(None))
    return session.scalar(unused) or 0


def renew_codes(session: Session, operator_id: UUID, *, address: str) -> list[str]:
    """New recovery codes in place of all before. Raises Conflict without a second factor."""
    operator = _locked(session, operator_id)
    if operator.totp_since is None:
        raise Conflict("There is no second factor to recover. Set one up first.")
    email = operator.email
    audit.record(session, actor=email, action="second_factor.codes_renewed", subject=email, address=address)
    return _new_codes(session, operator_id)


def remove(session: Session, operator_id: UUID, *, actor: str, address: str | None = None) -> bool:
    """Take an operator's second factor away, with its recovery codes. Returns whether there was one."""
    operator = _locked(session, operator_id)
    if operator.totp_since is None:
        return False
    since = operator.totp_since.isoformat()
    operator.totp_secret = operator.totp_since = operator.totp_step = None
    session.execute(delete(RecoveryCode).where(RecoveryCode.operator_id == operator_id))
    audit.record(
        session,
        actor=actor,
        action="second_factor.removed",
        subject=operator.email,
        details={"before": {"since": since}, "after": {"since": None}},
        address=address,
    )
    return True


def _step(secret: str, typed: str, now: datetime) -> int | None:
    """The time step that this code belongs to, around now; None when it belongs to none."""
    code = "".join(typed.split())
    if not CODE.fullmatch(code):
        return None
    current = int(now.timestamp()) // STEP
    totp = pyotp.TOTP(secret, interval=STEP)
    fitting = [
        step
        for step in range(current - DRIFT, current + DRIFT + 1)
        if hmac.compare_digest(totp.generate_otp(step), code)
    ]
    return max(fitting, default=None)


def _new_codes(session: Session, operator_id: UUID) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.operator_id == operator_id))
    bare = ["".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    session.execute(
        insert(RecoveryCode), [{"operator_id": operator_id, "code_hash": hash_token(code)} for code in bare]
    )
    return ["-".join(code[at : at + 4] for at in range(0, RECOVERY_LENGTH, 4)) for code in bare]


def _bare(typed: str) -> str:
    """A recovery code as it is hashed, however it was written down."""
    return re.sub(r"[\s-]", "", typed).lower().translate(LOOKALIKES)


def _locked(session: Session, operator_id: UUID) -> Operator:
    return session.get_one(Operator, operator_id, with_for_update=True, populate_existing=True)


def _proposal(operator_id: UUID) -> str:
    return f"proposed second factor of {operator_id}"


def _stored(operator_id: UUID) -> str:
    return f"second factor of {operator_id}"
