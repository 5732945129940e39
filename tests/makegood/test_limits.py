"""Limits: what an operator refunds alone, exact per refund and per day, whoever calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from makegood import ledger, limits, operators, refunds, rooms
from makegood.errors import Conflict, Forbidden, Invalid, MakegoodError, NeedsApproval
from makegood.ids import uuid7
from makegood.limits import Limits
from makegood.models import AuditEntry, Refund, RefundLimit
from makegood.terms import Terms
from tests.making import TERMS, make_customer, make_generation

pytestmark = pytest.mark.usefixtures("balanced_books")

AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
SUPPORT = "support@example.com"
ADMIN = "admin@example.com"
MIGRATIONS = Path(limits.__file__).parents[1] / "migrations" / "sql"
HOLDS = {"support": Limits(50, 120, 0, 20), "admin": Limits(None, None, 1000, 500)}


@pytest.fixture(autouse=True)
def people(session: Session) -> None:
    """One operator of each role; support may refund 50 credits at once and 120 a day."""
    for email, role in ((SUPPORT, "support"), (ADMIN, "admin"), ("viewer@example.com", "viewer")):
        operators.create(session, email, role, "correct horse battery", actor="tests")
    limits.publish(session, HOLDS, based_on=1, note="for the tests", actor="tests")


@pytest.fixture
def customer(session: Session) -> str:
    """Somebody with 10,000 credits."""
    return make_customer(session, 10_000, at=AT)


def refund(session: Session, customer: str, credits: int, actor: str = SUPPORT, **more: Any) -> Refund:
    """A refund of part of a new generation."""
    values = {"reason": "goodwill", "note": "sorry", "idempotency_key": uuid7().hex, "at": AT, **more}
    terms = values.pop("terms", TERMS)
    generation_id: UUID = values.pop("generation_id", None) or make_generation(
        session, customer, credits=1000, at=AT
    )
    return refunds.issue_manual(
        session, generation_id, terms, credits=credits, actor=actor, expected_refunded=0, **values
    )


def refused(session: Session, customer: str, credits: int, actor: str = SUPPORT, **more: Any) -> MakegoodError:
    """What says no to such a refund. No credits move."""
    generation_id = make_generation(session, customer, credits=1000, at=AT)
    before = ledger.balance(session, customer)
    with pytest.raises((NeedsApproval, Forbidden)) as error:
        refund(session, customer, credits, actor, generation_id=generation_id, **more)
    assert ledger.balance(session, customer) == before
    return error.value


def test_a_refund_above_the_limit_needs_a_second_operator(session: Session, customer: str) -> None:
    refund(session, customer, 50)
    error = refused(session, customer, 51)
    assert (error.code, error.details) == ("needs_approval", {"most": 50})
    assert error.message == (
        "Your limit is 50 credits for one refund. A second operator has to approve a refund of 51. "
        "No credits moved."
    )


def test_the_days_refunds_add_up_to_the_days_limit_and_not_one_credit_more(
    session: Session, customer: str
) -> None:
    for credits in (50, 50):
        refund(session, customer, credits)
    assert rooms.room(session, SUPPORT, "support", rooms.REFUND, TERMS.timezone, at=AT).most == 20
    error = refused(session, customer, 21)
    assert "You have given 100 of the 120 credits of your limit today." in error.message
    refund(session, customer, 20)
    assert refused(session, customer, 1).details == {"most": 0}


def test_a_day_is_one_of_the_reporting_time_zone(session: Session, customer: str) -> None:
    terms = Terms(timezone=ZoneInfo("America/New_York"))
    evening = datetime(2026, 11, 16, 4, 59, tzinfo=UTC)
    for _ in range(2):
        refund(session, customer, 50, at=evening, terms=terms)
    refused(session, customer, 50, at=evening, terms=terms)
    refund(session, customer, 50, at=evening + timedelta(minutes=1), terms=terms)


def test_a_double_submit_counts_once_and_is_answered_even_when_nothing_is_left(
    session: Session, customer: str
) -> None:
    refund(session, customer, 50)
    refund(session, customer, 50)
    generation_id = make_generation(session, customer, credits=1000, at=AT)
    last = refund(session, customer, 20, idempotency_key="k", generation_id=generation_id)
    assert refund(session, customer, 20, idempotency_key="k", generation_id=generation_id).id == last.id


def test_each_operator_has_a_limit_of_their_own_and_admins_have_none(session: Session, customer: str) -> None:
    refund(session, customer, 50)
    operators.create(session, "other@example.com", "support", "correct horse battery", actor="tests")
    others = rooms.room(session, "other@example.com", "support", rooms.REFUND, TERMS.timezone, at=AT)
    refund(session, customer, 1000, ADMIN)
    admins = rooms.room(session, ADMIN, "admin", rooms.REFUND, TERMS.timezone, at=AT)
    assert (others.most, admins.most) == (50, None)


def test_a_viewer_and_a_disabled_operator_refund_nothing(session: Session, customer: str) -> None:
    assert refused(session, customer, 1, "viewer@example.com").status == 403
    operators.disable(session, SUPPORT, actor="tests", now=AT)
    assert "disabled" in refused(session, customer, 1).message


def test_what_is_no_operator_has_no_limits(session: Session, customer: str) -> None:
    assert refund(session, customer, 1000, "a command").credits == 1000


def test_new_limits_are_a_new_version_with_author_and_note(session: Session) -> None:
    wanted = HOLDS | {"support": Limits(10, 10, 0, None)}
    assert limits.publish(session, wanted, based_on=2, note=" Too many. ", actor=ADMIN, address="192.0.2.7") == 3
    assert limits.of(session, "support") == Limits(10, 10, 0, None)
    assert [rows[0].version for rows in limits.versions(session)] == [3, 2, 1]
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "limits.changed")).all()[-1]
    assert (entry.actor, entry.address, entry.details["note"]) == (ADMIN, "192.0.2.7", "Too many.")
    assert (entry.details["before"]["support"]["per_day"], entry.details["after"]["support"]["per_day"]) == (
        120,
        10,
    )


def test_limits_that_changed_meanwhile_are_looked_at_again(session: Session) -> None:
    with pytest.raises(Conflict, match="tests changed the limits meanwhile"):
        limits.publish(session, HOLDS, based_on=1, note="x", actor=ADMIN)
    with pytest.raises(Invalid, match="Nothing is different"):
        limits.publish(session, HOLDS, based_on=2, note="x", actor=ADMIN)


def test_limits_are_whole_numbers_and_have_a_reason(session: Session) -> None:
    with pytest.raises(Invalid) as error:
        limits.publish(session, HOLDS | {"support": Limits(-1, 5, 0, 0)}, based_on=2, note=" ", actor=ADMIN)
    assert set(error.value.details["fields"]) == {"support_per_refund", "note"}


def test_a_new_console_is_shipped_with_limits_and_an_upgrade_leaves_those_alone_that_somebody_works_under(
    session: Session,
) -> None:
    def shipped() -> dict[str, tuple[int | None, ...]]:
        rows = session.scalars(select(RefundLimit).where(RefundLimit.version == 1)).all()
        return {row.role: tuple(getattr(row, name) for name in limits.AMOUNTS) for row in rows}

    assert shipped() == {
        "support": (500, 0, 2000, 500, 2000, 0, 0, 200),
        "admin": (None, 5000, 20000, 5000, 20000, 1000, 5000, 500),
    }
    session.execute(text("SET LOCAL session_replication_role = replica"))
    session.execute(update(RefundLimit).values(per_day=7, per_taking=None))
    session.execute(text("SET LOCAL session_replication_role = origin"))
    session.execute(text((MIGRATIONS / "0018_limits.sql").read_text()))
    session.expire_all()
    assert {(amounts[2], amounts[3]) for amounts in shipped().values()} == {(7, None)}
