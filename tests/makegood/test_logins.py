"""Logging in with a code, proving it again, and changing one's own password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import logins, operators, second_factor, sessions, throttles
from makegood.errors import Invalid, Throttled
from makegood.models import AuditEntry, LoginChallenge, Operator, OperatorSession
from makegood.secrets_at_rest import Vault

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
VAULT = Vault("a secret key of at least 32 characters")
ANA, PASSWORD, ADDRESS = "ana@example.com", "correct horse battery staple", "192.0.2.1"


@pytest.fixture
def ana(session: Session) -> Operator:
    return operators.create(session, ANA, "support", PASSWORD, actor="tests")


@pytest.fixture
def phone(session: Session, ana: Operator) -> pyotp.TOTP:
    """The phone with Ana's second factor."""
    sealed = second_factor.propose(VAULT, ana.id)
    phone = pyotp.TOTP(second_factor.proposed(VAULT, ana.id, sealed) or "")
    second_factor.begin(session, VAULT, ana.id, sealed, phone.at(NOW), address=ADDRESS, now=NOW)
    return phone


def first_step(session: Session, now: datetime = LATER) -> str:
    admitted = logins.log_in(session, ANA, PASSWORD, browser=logins.Browser(ADDRESS), now=now)
    assert admitted
    assert admitted.needs_code
    return admitted.token


def second_step(
    session: Session, token: str, typed: str, now: datetime = LATER, old_token: str = ""
) -> str | None:
    browser = logins.Browser(ADDRESS, "Firefox", old_token)
    return logins.log_in_with_code(session, VAULT, token, typed, browser=browser, now=now)


def started(session: Session) -> int:
    return len(session.scalars(select(OperatorSession.id)).all())


def actions(session: Session) -> list[str]:
    return [entry.action for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]


def test_a_password_alone_opens_nothing_where_a_code_is_to_follow(session: Session, phone: pyotp.TOTP) -> None:
    token = first_step(session)
    assert started(session) == 0
    everything = timedelta(days=9)
    assert sessions.find(session, token, idle=everything, lifetime=everything, now=LATER, activity=True) is None
    assert second_step(session, token, phone.at(LATER))
    assert started(session) == 1
    assert actions(session)[-1] == "login.succeeded"


def test_a_challenge_is_used_once_and_ten_minutes_long(session: Session, phone: pyotp.TOTP) -> None:
    token = first_step(session)
    too_late = LATER + timedelta(minutes=10)
    assert logins.challenged(session, token, now=too_late) is None
    assert second_step(session, token, phone.at(too_late), too_late) is None
    assert second_step(session, token, phone.at(LATER))
    soon = LATER + timedelta(seconds=60)
    assert second_step(session, token, phone.at(soon), soon) is None
    assert started(session) == 1


def test_a_code_of_one_log_in_does_not_do_for_the_next(session: Session, phone: pyotp.TOTP) -> None:
    assert second_step(session, first_step(session), phone.at(LATER))
    assert second_step(session, first_step(session), phone.at(LATER)) is None
    assert actions(session)[-1] == "login.code_failed"


@pytest.mark.parametrize("change", ["disabled", "new password"])
def test_what_ends_sessions_ends_a_log_in_halfway(
    session: Session, ana: Operator, phone: pyotp.TOTP, change: str
) -> None:
    token = first_step(session)
    if change == "disabled":
        operators.disable(session, ANA, actor="tests", now=LATER)
    else:
        operators.set_password(session, ANA, "another good password", actor="tests", now=LATER)
    assert logins.challenged(session, token, now=LATER) is None
    assert second_step(session, token, phone.at(LATER)) is None
    assert started(session) == 0


def test_a_recovery_code_logs_in_and_the_audit_log_says_so(
    session: Session, ana: Operator, phone: pyotp.TOTP
) -> None:
    code = second_factor.renew_codes(session, ana.id, address=ADDRESS)[0]
    assert second_step(session, first_step(session), code)
    assert second_step(session, first_step(session), code) is None
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "login.succeeded")).one()
    assert entry.details == {"second_factor": "recovery code"}


def test_a_second_step_ends_the_session_that_the_browser_had(
    session: Session, ana: Operator, phone: pyotp.TOTP
) -> None:
    old = sessions.start(session, ana.id, address=ADDRESS, user_agent="", now=NOW)
    assert second_step(session, first_step(session), phone.at(LATER), old_token=old)
    assert sessions.end(session, old, now=LATER) is None


def test_guesses_at_codes_are_few_in_five_minutes_and_in_a_day(session: Session, ana: Operator) -> None:
    now = datetime(2026, 5, 4, tzinfo=UTC)
    counted = 0
    for minutes in range(0, 24 * 60, 5):
        for _ in range(20):
            try:
                throttles.count_proof(session, throttles.CODES, ana.id, now=now + timedelta(minutes=minutes))
            except Throttled:
                break
            counted += 1
        assert counted <= 10 * (minutes // 5 + 1)
    assert counted == 50


def test_it_is_proved_again_by_password_or_by_code(session: Session, ana: Operator, phone: pyotp.TOTP) -> None:
    def prove(typed: str, now: datetime) -> bool:
        return logins.confirm(session, VAULT, found(session), ANA, typed, address=ADDRESS, now=now)

    sessions.start(session, ana.id, address=ADDRESS, user_agent="", now=NOW)
    assert not prove("000000", LATER)
    assert not prove("wrong wrong wrong", LATER)
    assert confirmed(session) == NOW
    assert prove(phone.at(LATER), LATER)
    assert confirmed(session) == LATER
    assert not prove(phone.at(LATER), LATER), "a code works once here too"
    assert prove(PASSWORD, LATER)
    ana.disabled_at = LATER
    session.flush()
    assert not prove(PASSWORD, LATER)


def found(session: Session) -> UUID:
    return session.scalars(select(OperatorSession.id)).one()


def confirmed(session: Session) -> datetime:
    return session.scalars(select(OperatorSession.confirmed_at)).one()


def test_a_new_password_takes_the_present_one_and_ends_the_other_sessions(session: Session, ana: Operator) -> None:
    tokens = [sessions.start(session, ana.id, address=ADDRESS, user_agent="", now=NOW) for _ in range(3)]
    kept = session.scalars(select(OperatorSession.id).order_by(OperatorSession.id)).first()
    assert kept

    def change(current: str, new: str) -> None:
        logins.change_password(session, kept, ANA, current, new, address=ADDRESS, now=LATER)

    with pytest.raises(Invalid, match="present password is wrong"):
        change("wrong wrong wrong", "another good password")
    with pytest.raises(Invalid, match="at least 12"):
        change(PASSWORD, "short")
    assert logins.authenticate(session, ANA, PASSWORD)
    change(PASSWORD, "another good password")
    assert not logins.authenticate(session, ANA, PASSWORD)
    assert logins.authenticate(session, ANA, "another good password")
    assert [sessions.end(session, token, now=LATER) for token in tokens] == [ana.id, None, None]


def test_log_ins_without_their_code_are_forgotten(session: Session, phone: pyotp.TOTP) -> None:
    first_step(session)
    assert logins.clean(session, before=LATER) == 0
    assert logins.clean(session, before=LATER + timedelta(days=1)) == 1
    assert session.scalars(select(LoginChallenge)).all() == []
