from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import operators, sessions
from makegood.ids import hash_token
from makegood.models import Operator, OperatorSession

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
IDLE = timedelta(minutes=30)
LIFETIME = timedelta(hours=12)
SECOND = timedelta(seconds=1)


@pytest.fixture
def operator(session: Session) -> Operator:
    return operators.create(session, "ana@example.com", "support", "a long enough one", actor="tests")


def start(session: Session, operator: Operator, user_agent: str = "Firefox") -> str:
    return sessions.start(session, operator.id, address="192.0.2.1", user_agent=user_agent, now=NOW)


def find(
    session: Session, token: str, after: timedelta, *, activity: bool = True, idle: timedelta = IDLE
) -> sessions.Found | None:
    return sessions.find(session, token, idle=idle, lifetime=LIFETIME, now=NOW + after, activity=activity)


def seen(session: Session) -> timedelta:
    moment = session.scalar(select(OperatorSession.seen_at))
    assert moment
    return moment - NOW


def test_a_session_is_found_by_its_token_alone(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    found = find(session, token, SECOND)
    assert found
    assert (found.operator_id, found.email, found.role) == (operator.id, "ana@example.com", "support")
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "x" * 43, "\x00", "é" * 43, token + "\n"):
        assert find(session, wrong, SECOND) is None


def test_the_token_itself_is_not_stored(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    row = session.scalars(select(OperatorSession)).one()
    assert len(token) == 43
    assert row.token_hash == hash_token(token)
    assert token.encode() not in row.token_hash


def test_tokens_never_repeat(session: Session, operator: Operator) -> None:
    assert len({start(session, operator) for _ in range(50)}) == 50


def test_a_session_ends_when_idle(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    assert find(session, token, IDLE - SECOND, activity=False)
    assert find(session, token, IDLE, activity=False) is None


def test_activity_moves_the_idle_limit(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    assert find(session, token, IDLE - SECOND)
    assert find(session, token, 2 * IDLE - 2 * SECOND)


def test_a_poll_does_not_move_the_idle_limit(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    for minute in range(1, 30):
        assert find(session, token, timedelta(minutes=minute), activity=False)
    assert seen(session) == timedelta(0)
    assert find(session, token, IDLE, activity=False) is None


def test_activity_is_written_once_a_minute(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    find(session, token, timedelta(seconds=59))
    assert seen(session) == timedelta(0)
    find(session, token, timedelta(seconds=60))
    assert seen(session) == timedelta(seconds=60)
    find(session, token, timedelta(seconds=100))
    assert seen(session) == timedelta(seconds=60)


def test_a_short_idle_limit_still_moves_with_activity(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    for step in range(1, 30):
        assert find(session, token, step * timedelta(seconds=20), idle=timedelta(minutes=1))


def test_a_session_ends_with_its_lifetime_however_active(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    for minute in range(20, 12 * 60, 20):
        assert find(session, token, timedelta(minutes=minute))
    assert find(session, token, LIFETIME - SECOND)
    assert find(session, token, LIFETIME) is None


def test_an_ended_session_stays_ended(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    assert sessions.end(session, token, now=NOW) == operator.id
    assert find(session, token, SECOND) is None
    assert sessions.end(session, token, now=NOW) is None


def test_ending_a_hostile_token_is_nothing(session: Session) -> None:
    assert sessions.end(session, "\x00' OR 1=1 --", now=NOW) is None


def test_all_sessions_of_one_operator_end_and_no_others(session: Session, operator: Operator) -> None:
    other = operators.create(session, "bea@example.com", "viewer", "a long enough one", actor="tests")
    kept = start(session, other)
    tokens = [start(session, operator) for _ in range(3)]
    assert sessions.end_all(session, operator.id, now=NOW) == 3
    assert [find(session, token, SECOND) for token in tokens] == [None] * 3
    assert find(session, kept, SECOND)


def test_a_disabled_operator_has_no_session_even_if_its_row_runs(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    operator.disabled_at = NOW
    session.flush()
    assert find(session, token, SECOND) is None


def test_a_new_role_counts_at_once(session: Session, operator: Operator) -> None:
    token = start(session, operator)
    operator.role = "viewer"
    session.flush()
    found = find(session, token, SECOND)
    assert found
    assert found.role == "viewer"


def test_a_hostile_user_agent_is_kept_short_and_printable(session: Session, operator: Operator) -> None:
    start(session, operator, user_agent="Fire\x00fox\x1b[31m" + "x" * 5000)
    kept = session.scalars(select(OperatorSession.user_agent)).one()
    assert kept.startswith("Firefox[31mxxx")
    assert len(kept) == 300
