from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import logins, operators, passwords, sessions, throttles
from makegood.errors import Conflict, Invalid, NotFound, Throttled
from makegood.models import AuditEntry, Operator, OperatorSession

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PASSWORD = "correct horse battery staple"


def add(session: Session, email: str = "ana@example.com", role: str = "support") -> Operator:
    return operators.create(session, email, role, PASSWORD, actor="tests")


def log_in(session: Session, password: str = PASSWORD, old_token: str = "") -> str | None:
    browser = logins.Browser("192.0.2.1", "Firefox", old_token)
    admitted = logins.log_in(session, "ana@example.com", password, browser=browser, now=NOW)
    assert admitted is None or not admitted.needs_code
    return admitted and admitted.token


def actions(session: Session) -> list[tuple[str, str, str | None]]:
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    return [(entry.action, entry.actor, entry.address) for entry in entries]


def test_an_operator_is_known_by_a_lower_case_address_and_a_hash(session: Session) -> None:
    operator = add(session, " Ana@Example.COM ")
    assert operator.email == "ana@example.com"
    assert operator.password_hash.startswith("$argon2id$")
    assert logins.authenticate(session, "ANA@example.com", PASSWORD) is operator


@pytest.mark.parametrize(
    "email", ["", "ana", "@", "a@", "a b@c", "ana@exa\x00mple.com", "ana@b@c", "anä@x.de", "a" * 65 + "@x.de"]
)
def test_what_is_no_address_is_refused(session: Session, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        add(session, email)
    assert list(refused.value.details["fields"]) == ["email"]


def test_an_unknown_role_is_refused(session: Session) -> None:
    with pytest.raises(Invalid, match="viewer, support, admin"):
        add(session, role="root")


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1025, "ü" * 513])
def test_a_password_too_short_or_too_long_is_refused(session: Session, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        operators.create(session, "ana@example.com", "viewer", password, actor="tests")
    assert list(refused.value.details["fields"]) == ["password"]


@pytest.mark.parametrize("password", ["twelve chars", "x" * 1024, "ü" * 512, "with a \x00 in it"])
def test_a_password_of_any_bytes_works(session: Session, password: str) -> None:
    operators.create(session, "ana@example.com", "viewer", password, actor="tests")
    assert logins.authenticate(session, "ana@example.com", password)
    assert not logins.authenticate(session, "ana@example.com", password + "x")


def test_a_password_typed_in_another_unicode_form_is_the_same(session: Session) -> None:
    operators.create(session, "ana@example.com", "viewer", "caf\u00e9 au lait!", actor="tests")
    assert logins.authenticate(session, "ana@example.com", "cafe\u0301 au lait!")


def test_an_address_is_taken_once(session: Session) -> None:
    add(session)
    with pytest.raises(Conflict, match=r"ana@example\.com"):
        add(session, "ANA@example.com")


def test_unknown_disabled_and_mistaken_operators_cost_the_same_hash(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(session)
    add(session, "gone@example.com")
    operators.disable(session, "gone@example.com", actor="tests", now=NOW)
    asked: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            asked.append(str(hash).rsplit("$", 2)[0])
            return super().verify(hash, password)

    cheap = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}
    monkeypatch.setattr(passwords, "HASHER", Counting(**cheap))
    for email, password in (
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("ana@example.com", "wrong wrong wrong"),
        ("ana@example.com", "short"),
        ("ana@example.com", "x" * 1_000_000),
        ("ana@example.com", "\x00"),
    ):
        assert logins.authenticate(session, email, password) is None
    assert asked == ["$argon2id$v=19$m=8,t=1,p=1"] * 7


def test_a_hash_of_other_parameters_is_renewed_at_log_in(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = add(session)
    before = operator.password_hash
    assert logins.authenticate(session, "ana@example.com", PASSWORD)
    assert operator.password_hash == before
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert logins.authenticate(session, "ana@example.com", PASSWORD)
    assert "m=16,t=2,p=1" in operator.password_hash
    assert logins.authenticate(session, "ana@example.com", PASSWORD)


def test_only_a_few_hashes_run_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    add(session)
    monkeypatch.setattr(passwords, "WAIT", 0.01)
    for _ in range(passwords.CONCURRENT):
        passwords._turns.acquire()
    try:
        with pytest.raises(Throttled) as refused:
            logins.authenticate(session, "ana@example.com", PASSWORD)
        assert refused.value.details["retry_after"] > 0
    finally:
        for _ in range(passwords.CONCURRENT):
            passwords._turns.release()
    assert logins.authenticate(session, "ana@example.com", PASSWORD)


def test_log_in_and_log_out_are_audited_with_the_address(session: Session) -> None:
    add(session)
    assert log_in(session, "wrong wrong wrong") is None
    token = log_in(session)
    assert token
    logins.log_out(session, token, address="192.0.2.1", now=NOW)
    logins.log_out(session, token, address="192.0.2.1", now=NOW)
    assert actions(session) == [
        ("operator.created", "tests", None),
        ("login.failed", "stranger", "192.0.2.1"),
        ("login.succeeded", "ana@example.com", "192.0.2.1"),
        ("logout", "ana@example.com", "192.0.2.1"),
    ]


def test_a_password_typed_as_address_is_not_audited(session: Session) -> None:
    logins.log_in(session, "my secret phrase", "", browser=logins.Browser("192.0.2.1"), now=NOW)
    assert session.scalars(select(AuditEntry.subject)).all() == ["no e-mail address"]


def test_a_log_in_ends_the_session_that_the_browser_had(session: Session) -> None:
    add(session)
    first = log_in(session)
    assert first
    second = log_in(session, old_token=first)
    assert second
    assert second != first
    ended = session.scalars(select(OperatorSession.ended_at).order_by(OperatorSession.id)).all()
    assert ended == [NOW, None]


def test_a_log_in_that_succeeds_is_not_counted(session: Session) -> None:
    add(session)
    for _ in range(throttles.LOGINS_PER_EMAIL.attempts + 2):
        throttles.count_login(session, "ana@example.com", "192.0.2.1", now=NOW)
        assert log_in(session)


@pytest.mark.parametrize("change", ["disable", "set_password"])
def test_a_password_changed_while_its_hash_runs_starts_no_session(
    database: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    engine = create_engine(database)
    with Session(engine) as session, session.begin():
        add(session)
    matches = passwords.matches

    def slow(stored: str | None, password: str) -> bool:
        answer = matches(stored, password)
        with Session(engine) as other, other.begin():
            if change == "disable":
                operators.disable(other, "ana@example.com", actor="tests", now=NOW)
            else:
                operators.set_password(other, "ana@example.com", "another good password", actor="tests", now=NOW)
        return answer

    monkeypatch.setattr(passwords, "matches", slow)
    with Session(engine) as session, session.begin():
        assert log_in(session) is None
        assert session.scalars(select(OperatorSession)).all() == []
    engine.dispose()


def test_a_new_password_ends_all_sessions(session: Session) -> None:
    add(session)
    token = log_in(session)
    assert token
    operators.set_password(session, "ana@example.com", "another good password", actor="tests", now=NOW)
    assert sessions.end(session, token, now=NOW) is None
    assert not logins.authenticate(session, "ana@example.com", PASSWORD)
    assert logins.authenticate(session, "ana@example.com", "another good password")


def test_a_disabled_operator_is_shut_out_until_enabled(session: Session) -> None:
    add(session)
    token = log_in(session)
    assert token
    operators.disable(session, "ana@example.com", actor="tests", now=NOW)
    operators.disable(session, "ana@example.com", actor="tests", now=NOW)
    assert sessions.end(session, token, now=NOW) is None
    assert not logins.authenticate(session, "ana@example.com", PASSWORD)
    operators.enable(session, "ana@example.com", actor="tests")
    assert logins.authenticate(session, "ana@example.com", PASSWORD)
    assert [action for action, _, _ in actions(session)] == [
        "operator.created",
        "login.succeeded",
        "operator.disabled",
        "operator.enabled",
    ]


def test_operators_are_listed_by_address(session: Session) -> None:
    add(session, "zoe@example.com")
    add(session, "bea@example.com")
    assert [operator.email for operator in operators.listed(session)] == [
        "bea@example.com",
        "zoe@example.com",
    ]


def test_an_unknown_operator_cannot_be_changed(session: Session) -> None:
    with pytest.raises(NotFound):
        operators.disable(session, "nobody@example.com", actor="tests", now=NOW)


def active_admins(session: Session) -> list[str]:
    asked = select(Operator.email).where(Operator.role == "admin", Operator.disabled_at.is_(None))
    return list(session.scalars(asked.order_by(Operator.email)))


def test_a_role_changes_at_once_and_the_audit_log_has_both(session: Session) -> None:
    add(session)
    operators.set_role(session, "ana@example.com", "viewer", actor="bea@example.com", address="192.0.2.1")
    operators.set_role(session, "ana@example.com", "viewer", actor="bea@example.com")
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "operator.role_changed")).one()
    assert entry.details == {"before": {"role": "support"}, "after": {"role": "viewer"}}
    assert (entry.actor, entry.address) == ("bea@example.com", "192.0.2.1")
    with pytest.raises(Invalid):
        operators.set_role(session, "ana@example.com", "root", actor="bea@example.com")


def test_nobody_changes_their_own_role_or_shuts_themselves_out(session: Session) -> None:
    add(session, role="admin")
    add(session, "bea@example.com", role="admin")
    with pytest.raises(Conflict, match="your own role"):
        operators.set_role(session, "ana@example.com", "viewer", actor="ana@example.com")
    with pytest.raises(Conflict, match="cannot disable yourself"):
        operators.disable(session, "ana@example.com", actor="ana@example.com", now=NOW)
    assert active_admins(session) == ["ana@example.com", "bea@example.com"]


def test_the_last_active_admin_stays_one(session: Session) -> None:
    add(session, role="admin")
    add(session, "gone@example.com", role="admin")
    operators.disable(session, "gone@example.com", actor="tests", now=NOW)
    for change in (
        lambda: operators.disable(session, "ana@example.com", actor="tests", now=NOW),
        lambda: operators.set_role(session, "ana@example.com", "support", actor="tests"),
    ):
        with pytest.raises(Conflict, match="last active admin"):
            change()
        assert active_admins(session) == ["ana@example.com"]
    assert "operator.role_changed" not in [action for action, _, _ in actions(session)]
    operators.enable(session, "gone@example.com", actor="tests")
    operators.disable(session, "ana@example.com", actor="tests", now=NOW)
    assert active_admins(session) == ["gone@example.com"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operators SET disabled_at = now()",
        "UPDATE operators SET role = 'viewer'",
        "DELETE FROM operators",
        "TRUNCATE operators CASCADE",
    ],
)
def test_the_database_itself_keeps_an_admin(session: Session, statement: str) -> None:
    add(session, role="admin")
    add(session, "bea@example.com", role="admin")
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(text(statement))
    assert len(active_admins(session)) == 2


def test_two_admins_who_shut_each_other_out_at_the_same_time_do_not_both_succeed(engine: Engine) -> None:
    emails = ["ana@example.com", "bea@example.com"]
    with Session(engine) as session, session.begin():
        for email in emails:
            add(session, email, role="admin")
    together = Barrier(2)

    def shut_out(email: str) -> str:
        try:
            with Session(engine) as session, session.begin():
                session.execute(text("SELECT 1"))
                together.wait(10)
                if email == emails[0]:
                    operators.disable(session, email, actor="tests", now=NOW)
                else:
                    operators.set_role(session, email, "viewer", actor="tests")
                return "done"
        except Conflict as refused:
            return refused.message

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            first, second = sorted(pool.map(shut_out, emails))
        with Session(engine) as session, session.begin():
            assert len(active_admins(session)) == 1
            for email in emails:
                operators.enable(session, email, actor="tests")
                operators.set_role(session, email, "admin", actor="tests")
        assert "last active admin" in first
        assert second == "done"


def test_a_transaction_with_an_old_snapshot_cannot_look_past_the_other_admin(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        add(session, role="admin")
        add(session, "bea@example.com", role="admin")
    old = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    old.execute(text("SELECT count(*) FROM operators"))
    with Session(engine) as session, session.begin():
        operators.disable(session, "ana@example.com", actor="tests", now=NOW)
    with old, pytest.raises(IntegrityError, match="read committed"):
        old.execute(text("UPDATE operators SET role = 'viewer' WHERE email = 'bea@example.com'"))


def test_a_reset_of_the_second_factor_ends_all_sessions(session: Session) -> None:
    operator = add(session)
    token = log_in(session)
    assert token
    assert not operators.reset_second_factor(session, "ana@example.com", actor="tests", now=NOW)
    assert sessions.end(session, token, now=NOW)
    operator.totp_secret, operator.totp_since, operator.totp_step = b"sealed", NOW, 1
    token = sessions.start(session, operator.id, address="192.0.2.1", user_agent="", now=NOW)
    assert operators.reset_second_factor(session, "ana@example.com", actor="tests", now=NOW)
    assert sessions.end(session, token, now=NOW) is None
