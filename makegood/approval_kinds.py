"""The kinds of requests: what each is about, who may decide it, and what carrying it out means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from makegood.models import Approval
from makegood.terms import Terms

CarryOut = Callable[[Session, Approval, str, Terms, datetime, str | None], UUID | None]
Dropped = Callable[[Session, Approval], None]


@dataclass(frozen=True)
class Kind:
    """A kind of request. `about` is the first word of its subjects, as in the audit log; `action` is what the role
    of who decides must allow.

    `carry_out(session, approval, approver, terms, at, address)` does what was asked for and returns the id of what
    it made, if it made one thing; what it raises leaves the request waiting. The address is the approver's, and
    stands in the entry that says who approved. `dropped(session, approval)` hears of one that was rejected,
    withdrawn or expired. `unmoved` is what a refusal says is as it was.
    """

    name: str
    about: str
    action: str
    carry_out: CarryOut
    dropped: Dropped | None = None
    unmoved: str = "No credits moved."

    def subject_of(self, identifier: UUID | str | int) -> str:
        """How a request names what it is about."""
        return f"{self.about}:{identifier}"

    def identifier_of(self, approval: Approval) -> str:
        """The id of what a request is about."""
        return approval.subject.removeprefix(f"{self.about}:")

    def waiting(self, session: Session, identifier: UUID | str | int, *, at: datetime) -> Approval | None:
        """The request of this kind about it that waits at this instant."""
        query = select(Approval).where(
            Approval.kind == self.name,
            Approval.subject == self.subject_of(identifier),
            waits(at),
        )
        return session.scalar(query.execution_options(populate_existing=True))


def waits(at: datetime) -> ColumnElement[bool]:
    """The condition of requests that can still be decided: one that has expired waits no more, though its state
    says so only when a worker comes by."""
    return and_(Approval.state == "pending", Approval.expires_at > at)


KINDS: dict[str, Kind] = {}
"""By their names."""


def register(kind: Kind) -> Kind:
    """Make a kind known under its name."""
    KINDS[kind.name] = kind
    return kind
