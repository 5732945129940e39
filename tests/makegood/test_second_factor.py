"""Codes of the authenticator app, recovery codes, and the sealed secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from makegood import operators, second_factor
from makegood.errors import Conflict, Invalid
from makegood.ids import uuid7
from makegood.models import AuditEntry, Operator, RecoveryCode
from makegood.secrets_at_rest import Unreadable, Vault

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
STEP = timedelta(seconds=30)
VAULT = Vault("a secret key of at least 32 characters")
ANA, ADDRESS = "ana@example.com", "192.0.2.1"


def add(session: Session) -> UUID:
    return operators.create(session, ANA, "admin", "correct horse battery", actor="tests").id


def begin(session: Session, operator_id: UUID, now: datetime = NOW) -> tuple[pyotp.TOTP, list[str]]:
    """Set up a second factor as the form does. Returns the phone, and the recovery codes."""
    sealed = second_factor.propose(VAULT, operator_id)
    secret = second_factor.proposed(VAULT, operator_id, sealed)
    assert secret
    phone = pyotp.TOTP(secret)
    return phone, second_factor.begin(session, VAULT, operator_id, sealed, phone.at(now), address=ADDRESS, now=now)


def accepts(session: Session, operator_id: UUID, code: str, now: datetime) -> bool:
    return second_factor.accepts(session, VAULT, operator_id, code, now=now)


def test_a_code_works_once_and_none_before_it_any_more(session: Session) -> None:
    ana = add(session)
    phone, _ = begin(session, ana)
    assert not accepts(session, ana, phone.at(NOW), NOW), "the code of the set-up was used there"
    later = NOW + 3 * STEP
    code = phone.at(later)
    assert accepts(session, ana, f" {code[:3]} {code[3:]} ", later)
    assert not accepts(session, ana, code, later)
    assert not accepts(session, ana, phone.at(later - STEP), later)
    assert accepts(session, ana, phone.at(later + STEP), later), "a phone half a minute ahead"


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phone_may_be_half_a_minute_off(session: Session, steps: int, right: bool) -> None:
    ana = add(session)
    phone, _ = begin(session, ana, NOW - timedelta(hours=1))
    assert accepts(session, ana, phone.at(NOW + steps * STEP), NOW) is right


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "\x00", "0" * 10_000])
def test_what_is_no_code_is_wrong(session: Session, typed: str) -> None:
    ana = add(session)
    begin(session, ana)
    assert not accepts(session, ana, typed, NOW + 9 * STEP)
    assert not second_factor.redeem(session, ana, typed, now=NOW)


def test_without_a_second_factor_no_code_is_right(session: Session) -> None:
    ana = add(session)
    assert not accepts(session, ana, "000000", NOW)
    with pytest.raises(Conflict):
        second_factor.renew_codes(session, ana, address=ADDRESS)
    assert not second_factor.remove(session, ana, actor="tests")


def test_a_wrong_code_sets_nothing_up(session: Session) -> None:
    ana = add(session)
    sealed = second_factor.propose(VAULT, ana)
    with pytest.raises(Invalid):
        second_factor.begin(session, VAULT, ana, sealed, "000000x", address=ADDRESS, now=NOW)
    assert session.get_one(Operator, ana).totp_secret is None


@pytest.mark.parametrize("forge", [lambda sealed: "", lambda sealed: sealed[:-4] + "AAAA", lambda sealed: "%%%é"])
def test_a_proposal_that_we_did_not_make_is_refused(session: Session, forge: Callable[[str], str]) -> None:
    ana = add(session)
    with pytest.raises(Conflict):
        second_factor.begin(
            session, VAULT, ana, forge(second_factor.propose(VAULT, ana)), "000000", address=ADDRESS, now=NOW
        )


def test_a_proposal_to_somebody_else_is_refused(session: Session) -> None:
    assert second_factor.proposed(VAULT, uuid7(), second_factor.propose(VAULT, uuid7())) is None


def test_ten_recovery_codes_work_once_each_however_they_are_typed(session: Session) -> None:
    ana = add(session)
    _, codes = begin(session, ana)
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}", code) for code in codes)
    typed = codes[0].upper().replace("-", "  ").replace("0", "O").replace("1", "I")
    assert second_factor.redeem(session, ana, typed, now=NOW)
    assert not second_factor.redeem(session, ana, codes[0], now=NOW)
    assert second_factor.codes_left(session, ana) == 9
    renewed = second_factor.renew_codes(session, ana, address=ADDRESS)
    assert not second_factor.redeem(session, ana, codes[1], now=NOW)
    assert second_factor.redeem(session, ana, renewed[1], now=NOW)


def test_codes_of_another_operator_are_wrong(session: Session) -> None:
    ana = add(session)
    bea = operators.create(session, "bea@example.com", "viewer", "correct horse battery", actor="tests").id
    phone, codes = begin(session, ana)
    begin(session, bea)
    assert not accepts(session, bea, phone.at(NOW + 9 * STEP), NOW + 9 * STEP)
    assert not second_factor.redeem(session, bea, codes[0], now=NOW)


def test_the_database_alone_holds_neither_secret_nor_codes(session: Session) -> None:
    ana = add(session)
    phone, codes = begin(session, ana)
    stored = session.get_one(Operator, ana).totp_secret
    assert stored
    assert phone.byte_secret() not in stored
    assert not {code.replace("-", "").encode() for code in codes} & set(
        session.scalars(select(RecoveryCode.code_hash))
    )


def test_a_secret_in_another_row_or_under_another_key_is_no_use(session: Session) -> None:
    ana = add(session)
    bea = operators.create(session, "bea@example.com", "viewer", "correct horse battery", actor="tests").id
    phone, codes = begin(session, ana)
    later = NOW + 9 * STEP
    begin(session, bea)
    session.get_one(Operator, bea).totp_secret = session.get_one(Operator, ana).totp_secret
    session.flush()
    assert not accepts(session, bea, phone.at(later), later)
    other = Vault("another secret key of 32 characters!")
    assert not second_factor.accepts(session, other, ana, phone.at(later), now=later)
    assert second_factor.redeem(session, ana, codes[0], now=later), "recovery codes need no key"


def test_a_seal_is_bound_to_its_purpose_and_never_the_same_twice() -> None:
    sealed = VAULT.seal(b"secret", "one")
    assert VAULT.open(sealed, "one") == b"secret"
    assert VAULT.seal(b"secret", "one") != sealed
    for wrong, purpose in ((sealed, "two"), (sealed[:-1], "one"), (b"\x02" + sealed[1:], "one"), (b"", "one")):
        with pytest.raises(Unreadable):
            VAULT.open(wrong, purpose)


def test_removing_takes_the_codes_away_and_is_audited_with_what_was(session: Session) -> None:
    ana = add(session)
    phone, codes = begin(session, ana)
    assert second_factor.remove(session, ana, actor="bea@example.com", address=ADDRESS)
    assert not accepts(session, ana, phone.at(NOW + 9 * STEP), NOW + 9 * STEP)
    assert not second_factor.redeem(session, ana, codes[0], now=NOW)
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "second_factor.removed")).one()
    assert entry.details == {"before": {"since": NOW.isoformat()}, "after": {"since": None}}
    assert phone.secret not in str([entry.details for entry in session.scalars(select(AuditEntry))])


@pytest.mark.parametrize("means", ["app", "recovery"])
def test_of_many_who_use_one_code_at_the_same_time_one_gets_in(engine: Engine, means: str) -> None:
    with Session(engine) as session, session.begin():
        ana = add(session)
        phone, codes = begin(session, ana)
    later, together = NOW + 9 * STEP, Barrier(6)

    def attempt(_: int) -> bool:
        with Session(engine) as session, session.begin():
            session.execute(select(func.now()))
            together.wait(10)
            if means == "app":
                return accepts(session, ana, phone.at(later), later)
            return second_factor.redeem(session, ana, codes[3], now=later)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 5 + [True]
