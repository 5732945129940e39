"""Taking back an import that was a mistake, as long as nothing rests on its lines."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from makegood.bills import imports
from makegood.errors import Conflict
from makegood.models import Bill, BillLine


def withdraw(session: Session, bill_id: UUID, *, actor: str, address: str | None = None) -> Bill:
    """Remove the lines that an import brought. Its row stays, with its audit entry.

    Raises NotFound, and Conflict while it is under way, or when one of its lines was accepted.
    """
    bill = imports.get(session, bill_id, lock=True)
    if bill.state not in ("done", "failed"):
        raise Conflict("Only an import that has ended can be withdrawn. Reload the page to see its state.")
    own = BillLine.bill_id == bill.id
    count = session.scalar(select(func.count()).where(own))
    gone = session.execute(delete(BillLine).where(own, BillLine.accepted_at.is_(None)))
    if gone.rowcount != count:  # type: ignore[attr-defined]
        raise Conflict(
            "Some of its lines were accepted, and recorded costs rest on them, so it cannot be withdrawn. Nothing "
            "was removed. Import what corrects it instead."
        )
    bill.state, bill.problem, bill.finished_at = "withdrawn", None, datetime.now(UTC)
    session.flush()
    imports.record(session, bill, "bill.withdrawn", actor, address)
    return bill
