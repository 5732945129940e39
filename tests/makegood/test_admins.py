"""What lets somebody do more than before takes two admins, where there are two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import admin_approvals, admins, approvals, audit_log, invitations, limit_approvals, limits, operators
from makegood.errors import Conflict, Forbidden, NeedsApproval, NotFound
from makegood.limits import Limits
from makegood.models import Alert, Approval, AuditEntry, Operator
from tests.making import TERMS

ANA, BEN, SUE = "ana@example.com", "ben@example.com", "sue@example.com"
SHIPPED_HIGHER = {"support": Limits(600, 2000, 0, 200), "admin": Limits(None, None, 1000, 500)}


@pytest.fixture(autouse=True)
def people(session: Session) -> None:
    """Two admins and one of support, and limits that are known."""
    for email, role in ((ANA, "admin"), (BEN, "admin"), (SUE, "support")):
        operators.create(session, email, role, "correct horse battery", actor="tests")
    start = {"support": Limits(500, 2000, 0, 200), "admin": Limits(None, None, 1000, 500)}
    limits.publish(session, start, based_on=1, note="for the tests", actor="tests")


def now() -> datetime:
    return datetime.now(UTC)


def change(session: Session, wanted: dict[str, Limits], based_on: int = 2) -> int | Approval:
    """Ana changes the limits."""
    return limit_approvals.change(session, wanted, based_on=based_on, note="busier", actor=ANA, at=now())


def asked(made: object) -> Approval:
    assert isinstance(made, Approval)
    return made


def approve(session: Session, approval: Approval, actor: str = BEN) -> Approval:
    return approvals.approve(session, approval.id, actor=actor, terms=TERMS, at=now())


def leave_alone(session: Session) -> None:
    """Ben has not been an admin for more than seven days."""
    operator = session.scalars(select(Operator).where(Operator.email == BEN)).one()
    operator.disabled_at = now() - admins.REMEMBERED
    session.flush()


def test_a_higher_limit_holds_when_a_second_admin_approves_it(session: Session) -> None:
    request = asked(change(session, SHIPPED_HIGHER))
    assert limits.of(session, "support").per_refund == 500
    [change_] = audit_log.changes(request.details)
    assert (change_.name, change_.before, change_.after) == ("support per_refund", 500, 600)
    for nobody in (ANA, SUE):
        with pytest.raises(Forbidden, match=r"Nothing changed\.$"):
            approve(session, request, nobody)
    with pytest.raises(Conflict, match=r"waits for approval\. Nothing changed\.$"):
        change(session, SHIPPED_HIGHER | {"support": Limits(700, 2000, 0, 200)})
    assert limits.of(session, "support").per_refund == 500
    assert approve(session, request).state == "approved"
    assert limits.of(session, "support").per_refund == 600
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "limits.changed")).all()[-1]
    assert (entry.actor, entry.details["approved_by"]) == (ANA, BEN)


@pytest.mark.parametrize(
    ("was", "amount", "raised"),
    [(500, 501, True), (500, None, True), (500, 499, False), (None, 10**12, False), (None, None, False)],
)
def test_no_limit_is_the_highest(was: int | None, amount: int | None, raised: bool) -> None:
    before, after = ({role: dict.fromkeys(limits.AMOUNTS, 7) for role in limits.ROLES} for _ in range(2))
    for name in ("per_day", "confirm_from"):
        assert limits.raises(before | {"admin": before["admin"] | {name: was}},
                             after | {"admin": after["admin"] | {name: amount}}) is raised  # fmt: skip


def test_a_lower_limit_needs_nobody(session: Session) -> None:
    assert change(session, SHIPPED_HIGHER | {"support": Limits(1, 1, 0, 1)}) == 3


def test_what_was_asked_for_is_not_published_over_limits_that_came_since(session: Session) -> None:
    request = asked(change(session, SHIPPED_HIGHER))
    limits.publish(session, SHIPPED_HIGHER | {"support": Limits(1, 1, 0, 1)}, based_on=2, note="less", actor=BEN)
    assert limit_approvals.changed(session, request)
    with pytest.raises(Conflict, match="changed the limits meanwhile"):
        approve(session, request)
    assert limits.of(session, "support").per_refund == 1


def test_the_only_admin_raises_limits_alone_and_an_alert_says_so(session: Session) -> None:
    leave_alone(session)
    assert change(session, SHIPPED_HIGHER) == 3
    [alert] = session.scalars(select(Alert))
    assert (alert.kind, alert.subject) == (limits.RAISED_ALONE, "limits:3")
    assert alert.message.startswith(f"{ANA} raised the limits alone")


@pytest.mark.parametrize("gone", ["disabled", "support"])
def test_nobody_becomes_the_only_admin_by_shutting_the_other_one_out(session: Session, gone: str) -> None:
    if gone == "disabled":
        operators.disable(session, BEN, actor=ANA, now=now())
    else:
        operators.set_role(session, BEN, gone, actor=ANA)
    asked(change(session, SHIPPED_HIGHER))
    assert limits.of(session, "support").per_refund == 500
    assert not admins.others(session, ANA, at=now() + admins.REMEMBERED + timedelta(minutes=1))


def test_a_request_that_moves_no_credits_does_not_speak_of_them(session: Session) -> None:
    request = asked(admin_approvals.change_role(session, SUE, "admin", actor=ANA, at=now()))
    with pytest.raises(Conflict, match=r"has expired\. Nothing changed\."):
        approvals.approve(session, request.id, actor=BEN, terms=TERMS, at=now() + approvals.LIFETIME)
    operators.set_role(session, ANA, "support", actor=BEN)
    with pytest.raises(Conflict, match=r"may not do this any more\. Nothing changed\."):
        approve(session, request)
    approvals.withdraw(session, request.id, actor=ANA, at=now())
    with pytest.raises(Conflict, match=r"has withdrawn this\. Nothing changed\."):
        approve(session, request)


def test_somebody_becomes_an_admin_when_a_second_one_approves_it(session: Session) -> None:
    request = asked(admin_approvals.change_role(session, SUE, "admin", actor=ANA, at=now()))
    assert request.note == f"Make {SUE} an admin"
    assert not admins.is_one(session, SUE)
    approve(session, request)
    assert admins.is_one(session, SUE)
    made = admin_approvals.change_role(session, SUE, "viewer", actor=ANA, at=now())
    assert isinstance(made, Operator)
    with pytest.raises(NeedsApproval):
        operators.set_role(session, SUE, "admin", actor=ANA)


def test_a_disabled_admin_is_let_in_when_a_second_one_approves_it(session: Session) -> None:
    operators.create(session, "old@example.com", "admin", "correct horse battery", actor="tests")
    operators.disable(session, "old@example.com", actor=BEN, now=now())
    request = asked(admin_approvals.enable(session, "old@example.com", actor=ANA, at=now()))
    assert not admins.is_one(session, "old@example.com")
    approve(session, request)
    assert admins.is_one(session, "old@example.com")


def test_an_admin_is_not_invited_past_the_other_one(session: Session) -> None:
    with pytest.raises(Conflict, match="It takes two admins"):
        invitations.send(session, "new@example.com", "admin", actor=ANA, now=now())
    leave_alone(session)
    invitations.send(session, "new@example.com", "admin", actor=ANA, now=now())


def test_an_admin_whom_the_only_one_invited_does_not_become_one_beside_another(session: Session) -> None:
    leave_alone(session)
    tokens = {
        role: invitations.send(session, f"{role}@example.org", role, actor=ANA, now=now())[1]
        for role in ("support", "admin")
    }
    assert [one.role for one in invitations.listed(session, now=now())] == ["admin", "support"]
    operators.create(session, "eve@example.com", "admin", "correct horse battery", actor="command line")
    with pytest.raises(NotFound, match=r"it takes two to make one\. Ask to be invited as support"):
        accept(session, tokens["admin"])
    assert not admins.is_one(session, "admin@example.org")
    assert [one.role for one in invitations.listed(session, now=now())] == ["support"]
    assert accept(session, tokens["support"]).role == "support"


def test_the_only_admin_invites_another_one(session: Session) -> None:
    leave_alone(session)
    token = invitations.send(session, "new@example.com", "admin", actor=ANA, now=now())[1]
    assert accept(session, token).role == "admin"


def accept(session: Session, token: str) -> Operator:
    return invitations.accept(session, token, "correct horse battery", now=now(), address="192.0.2.1")


def test_the_command_line_asks_nobody(session: Session) -> None:
    operators.set_role(session, SUE, "admin", actor="command line")
    assert limits.publish(session, SHIPPED_HIGHER, based_on=2, note="x", actor="command line") == 3
    assert session.scalars(select(Alert)).all() == []


def test_a_request_to_make_an_admin_holds_only_as_long_as_nothing_changed_about_them(session: Session) -> None:
    request = asked(admin_approvals.change_role(session, SUE, "admin", actor=ANA, at=now()))
    [change_] = audit_log.changes(request.details)
    assert (change_.name, change_.before, change_.after) == ("role", "support", "admin")

    operators.set_role(session, SUE, "admin", actor="cli")
    with pytest.raises(Forbidden, match="about you"):
        approve(session, request, SUE)
    operators.set_role(session, SUE, "viewer", actor=ANA)
    with pytest.raises(Conflict, match="was changed since"):
        approve(session, request)
    assert request.state == "pending"
    assert session.scalars(select(Operator.role).where(Operator.email == SUE)).one() == "viewer"
