"""Invitations: who gets in by a link, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from makegood import invitations, logins, operators
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import AuditEntry, Invitation, Operator

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ANA, ZOE, PASSWORD = "ana@example.com", "zoe@example.com", "a good long password"


def send(session: Session, email: str = ZOE, role: str = "support", actor: str = ANA) -> str:
    return invitations.send(session, email, role, actor=actor, now=NOW)[1]


def accept(session: Session, token: str, after: timedelta = timedelta(days=6)) -> Operator:
    return invitations.accept(session, token, PASSWORD, now=NOW + after, address="192.0.2.1")


def test_who_was_invited_becomes_an_operator_with_their_own_password(session: Session) -> None:
    token = send(session, " Zoe@Example.com ")
    operator = accept(session, token)
    assert (operator.email, operator.role) == (ZOE, "support")
    assert logins.authenticate(session, ZOE, PASSWORD) is operator
    entries = session.execute(select(AuditEntry.action, AuditEntry.actor).order_by(AuditEntry.id)).all()
    assert [tuple(entry) for entry in entries] == [
        ("operator.invited", ANA),
        ("operator.created", ZOE),
        ("operator.invitation_accepted", ZOE),
    ]


def test_a_link_works_once(session: Session) -> None:
    token = send(session)
    accept(session, token)
    with pytest.raises(NotFound, match="used, withdrawn or has expired"):
        accept(session, token)


def test_a_link_ends_after_seven_days_or_when_withdrawn_or_sent_anew(session: Session) -> None:
    first = send(session)
    with pytest.raises(NotFound):
        accept(session, first, timedelta(days=7))
    second = send(session)
    with pytest.raises(NotFound):
        accept(session, first)
    (invitation,) = invitations.listed(session, now=NOW)
    invitations.withdraw(session, invitation.id, actor=ANA, now=NOW)
    with pytest.raises(NotFound):
        accept(session, second)
    with pytest.raises(NotFound):
        invitations.withdraw(session, invitation.id, actor=ANA, now=NOW)
    assert session.scalars(select(Operator)).all() == []


@pytest.mark.parametrize("token", ["", "x" * 43, "\x00", "é", "' OR 1=1 --"])
def test_a_link_that_was_never_sent_is_nothing(session: Session, token: str) -> None:
    send(session)
    with pytest.raises(NotFound):
        accept(session, token)


@pytest.mark.parametrize("change", ["disabled", "demoted"])
def test_links_of_somebody_who_may_invite_no_more_do_not_work(session: Session, change: str) -> None:
    for email in (ANA, "bea@example.com"):
        operators.create(session, email, "admin", PASSWORD, actor="tests")
    token = send(session)
    if change == "disabled":
        operators.disable(session, ANA, actor="tests", now=NOW)
    else:
        operators.set_role(session, ANA, "support", actor="tests")
    with pytest.raises(NotFound):
        accept(session, token)
    assert invitations.listed(session, now=NOW) == []


def test_the_link_itself_is_not_stored(session: Session) -> None:
    token = send(session)
    assert token.encode() not in session.scalars(select(Invitation.token_hash)).one()


def test_an_operator_is_not_invited_again_and_nonsense_is_refused(session: Session) -> None:
    operators.create(session, ZOE, "viewer", PASSWORD, actor="tests")
    with pytest.raises(Conflict, match="already an operator"):
        send(session)
    with pytest.raises(Invalid):
        send(session, "zoe")
    with pytest.raises(Invalid):
        send(session, "new@example.com", "root")


def test_a_password_that_is_too_short_leaves_the_link_as_it_was(session: Session) -> None:
    token = send(session)
    with pytest.raises(Invalid), session.begin_nested():
        invitations.accept(session, token, "short", now=NOW, address="192.0.2.1")
    assert accept(session, token)


def test_of_many_who_open_one_link_at_the_same_time_one_becomes_the_operator(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        token = send(session)

    def attempt(number: int) -> str:
        try:
            with Session(engine) as session, session.begin():
                return invitations.accept(
                    session, token, f"{PASSWORD} {number}", now=NOW, address="192.0.2.1"
                ).email
        except (NotFound, Conflict) as refused:
            return refused.code

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(attempt, range(5))) == ["not_found"] * 4 + [ZOE]
    with Session(engine) as session:
        assert len(session.scalars(select(Operator)).all()) == 1
