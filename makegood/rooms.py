"""Rooms: what an operator may still give and take alone, in credits; beyond it a second operator has to approve.

Whatever moves credits by hand asks here, for whoever's e-mail acts, so that no caller can forget to. The
operator's row is locked first, before any generation or balance, so that the sum of a day is exact however much an
operator sends at once. A day is one of the reporting time zone. What a second operator approved counts for the one
who approved it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from makegood import limits, permissions
from makegood.calendars import local_day, start_of
from makegood.errors import Forbidden, NeedsApproval
from makegood.models import Approval, BulkRefund, CreditAdjustment, Operator, Refund, Reversal
from makegood.terms import Terms

During = Callable[[InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]], ColumnElement[bool]]
Sums = Callable[[str, During], list[Select[tuple[int]]]]


@dataclass(frozen=True)
class Purpose:
    """What credits are moved for: the limits of one and of a day, what the role must allow, how it is said.

    `sums` makes the queries that add up to what an operator used of the day's limit.
    """

    one: str
    day: str
    action: str
    noun: str
    done: str
    sums: Sums


@dataclass(frozen=True)
class Room:
    """What an operator may move alone now: the limits of one and of the day (None: none), and the day's sum."""

    of_one: int | None
    of_day: int | None
    used_today: int

    @property
    def left_today(self) -> int | None:
        """Credits that today's limit leaves; None without one."""
        return None if self.of_day is None else max(0, self.of_day - self.used_today)

    @property
    def most(self) -> int | None:
        """The most at once; None: any."""
        return min((bound for bound in (self.of_one, self.left_today) if bound is not None), default=None)

    def holds(self, credits: int) -> bool:
        """Whether so many credits may be moved alone."""
        return self.most is None or credits <= self.most


def _given(email: str, during: During) -> list[Select[tuple[int]]]:
    """Refunds and adjustments of their own, and those that they approved."""
    refunds = _total(Refund.credits, Refund.origin == "manual", Refund.actor == email, during(Refund.issued_at))
    adjustments = _total(
        CreditAdjustment.credits,
        CreditAdjustment.credits > 0,
        CreditAdjustment.actor == email,
        during(CreditAdjustment.adjusted_at),
    )
    kinds = Approval.kind.in_(("refund", "adjustment"))
    return [
        refunds.where(~_approved(Refund.id)),
        adjustments.where(~_approved(CreditAdjustment.id)),
        _decided(email, during).where(kinds, Approval.credits > 0),
    ]


def _taken(email: str, during: During) -> list[Select[tuple[int]]]:
    """Adjustments that took and reversals of their own, and those that they approved."""
    adjustments = _total(
        -CreditAdjustment.credits,
        CreditAdjustment.credits < 0,
        CreditAdjustment.actor == email,
        during(CreditAdjustment.adjusted_at),
    )
    reversals = _total(Reversal.credits, Reversal.actor == email, during(Reversal.reversed_at))
    return [
        adjustments.where(~_approved(CreditAdjustment.id)),
        reversals.where(~_approved(Reversal.id)),
        _decided(email, during).where(Approval.credits < 0),
    ]


def _in_bulk(email: str, during: During) -> list[Select[tuple[int]]]:
    """What they confirmed alone, as far as it went where it has ended, and what they approved."""
    confirmed = case((BulkRefund.state == "finished", BulkRefund.credits_refunded), else_=BulkRefund.credits)
    alone = and_(BulkRefund.approver.is_(None), BulkRefund.state.not_in(("waiting", "refused")))
    return [
        _total(confirmed, alone, BulkRefund.actor == email, during(BulkRefund.created_at)),
        _decided(email, during).where(Approval.kind == "bulk_refund"),
    ]


REFUND = Purpose("per_refund", "per_day", "refund", "refund", "given", _given)
GIFT = Purpose("per_adjustment", "per_day", "adjust_credits", "adjustment", "given", _given)
TAKING = Purpose("per_taking", "per_taking_day", "adjust_credits", "adjustment", "taken", _taken)
REVERSAL = Purpose("per_taking", "per_taking_day", "reverse_refund", "reversal", "taken", _taken)
BULK = Purpose("per_bulk", "per_bulk_day", "bulk_refund", "bulk refund", "refunded in bulk", _in_bulk)


def room(session: Session, email: str, role: str, purpose: Purpose, timezone: ZoneInfo, *, at: datetime) -> Room:
    """What this operator may still move alone for that purpose on the day of `at`."""
    bounds = limits.of(session, role)
    used = used_on_the_day(session, email, purpose, timezone, at=at)
    return Room(getattr(bounds, purpose.one), getattr(bounds, purpose.day), used)


def used_on_the_day(session: Session, email: str, purpose: Purpose, timezone: ZoneInfo, *, at: datetime) -> int:
    """Credits that count against an operator's limit of the day: their own, and those they approved."""
    day = local_day(at, timezone)
    start, end = start_of(day, timezone), start_of(day + timedelta(days=1), timezone)
    sums = purpose.sums(email, lambda moment: and_(moment >= start, moment < end))
    total = sum((one.scalar_subquery() for one in sums[1:]), start=sums[0].scalar_subquery())
    return int(session.scalar(select(total)) or 0)


def lock(session: Session, actor: str) -> Operator | None:
    """The operator with this e-mail, locked until the transaction ends; None for an actor that is no operator.

    Take it before any other lock. Raises Forbidden for one who was disabled.
    """
    operator = session.scalar(
        select(Operator)
        .where(Operator.email == actor)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if operator is not None and operator.disabled_at is not None:
        raise Forbidden("This operator is disabled. No credits moved.")
    return operator


def allow(operator: Operator | None, purpose: Purpose) -> None:
    """Whether the role of a locked operator allows it at all. Raises Forbidden."""
    if operator is not None and not permissions.may(operator, purpose.action):
        raise Forbidden(f"Your role does not allow {purpose.noun}s. No credits moved.")


def check(
    session: Session,
    operator: Operator | None,
    credits: int,
    purpose: Purpose,
    terms: Terms,
    *,
    at: datetime,
    approves: bool = False,
) -> None:
    """Whether a locked operator may move so many credits (above zero) alone. Who is no operator has no limits.

    Who `approves` what another asked for has to be within their own limits too, but for an admin, above whom there
    is nobody: it takes two either way. Raises Forbidden (the role does nothing of it) and NeedsApproval.
    """
    allow(operator, purpose)
    if operator is None or (approves and operator.role == "admin"):
        return
    now = room(session, operator.email, operator.role, purpose, terms.timezone, at=at)
    if now.holds(credits):
        return
    if now.of_one is not None and credits > now.of_one:
        why = f"Your limit is {now.of_one:,} credits for one {purpose.noun}"
    else:
        why = f"You have {purpose.done} {now.used_today:,} of the {now.of_day:,} credits of your limit today"
    article = "an" if purpose.noun[0] in "aeiou" else "a"
    raise NeedsApproval(
        f"{why}. A second operator has to approve {article} {purpose.noun} of {credits:,}. No credits moved.",
        most=now.most,
    )


def _total(
    amount: ColumnElement[int] | InstrumentedAttribute[int], *which: ColumnElement[bool]
) -> Select[tuple[int]]:
    return select(func.coalesce(func.sum(amount), 0)).where(*which)


def _approved(result: InstrumentedAttribute[object]) -> ColumnElement[bool]:
    return select(Approval.id).where(Approval.result_id == result).exists()


def _decided(email: str, during: During) -> Select[tuple[int]]:
    return _total(
        func.abs(Approval.credits),
        Approval.state == "approved",
        Approval.decided_by == email,
        during(Approval.decided_at),
    )
