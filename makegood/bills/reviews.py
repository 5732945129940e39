"""Lines about jobs that we do not know: they adjust nothing, an operator marks them as reviewed with a note."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from makegood import audit, json_body
from makegood.bills import comparison, imports
from makegood.bills.acceptance import CHANGED, MOST
from makegood.bills.comparison import Scope
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import BillLine

LONGEST_NOTE = 1000


def line(session: Session, line_id: UUID) -> BillLine:
    """One line. Raises NotFound."""
    found = session.scalar(
        select(BillLine).where(BillLine.id == line_id).execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("There is no such line of a bill.")
    return found


def review(session: Session, line_id: UUID, note: str, *, actor: str, address: str | None = None) -> BillLine:
    """Mark one line as reviewed. Raises NotFound, Invalid (the note), and Conflict when it was reviewed already or
    belongs to a generation by now."""
    line(session, line_id)
    if not _mark(session, [line_id], note, actor):
        raise Conflict("This line was reviewed or matched meanwhile. Reload the page to see it.")
    _record(session, f"bill_line:{line_id}", note, 1, actor, address)
    return line(session, line_id)


def review_all(
    session: Session, bill_id: UUID, note: str, *, typed: str, actor: str, address: str | None = None
) -> int:
    """Mark all unknown lines of a bill, at most MOST at once; `typed` is their count as the operator typed it.
    Raises NotFound, Invalid (the note, the count) and Conflict when there are none."""
    scope = Scope.of(imports.get(session, bill_id))
    ids = [row.id for row in comparison.waiting(session, scope, "unknown", MOST)]
    if not ids:
        raise Conflict(CHANGED)
    if typed.strip().replace(",", "") != str(len(ids)):
        problem = f"must be {len(ids)}, the number of lines"
        raise Invalid("Nothing was marked: the count is not right.", fields={"typed": problem})
    if _mark(session, ids, note, actor) != len(ids):
        raise Conflict(CHANGED)
    _record(session, f"bill:{bill_id}", note, len(ids), actor, address)
    return len(ids)


def _mark(session: Session, ids: list[UUID], note: str, actor: str) -> int:
    written = note.strip()
    if not 1 <= len(written) <= LONGEST_NOTE or not json_body.is_plain(written):
        problem = f"must have 1 to {LONGEST_NOTE:,} characters"
        raise Invalid("Nothing was marked: the note is not valid.", fields={"note": problem})
    marked: int = session.execute(
        update(BillLine)
        .where(BillLine.id.in_(ids), BillLine.generation_id.is_(None), BillLine.reviewed_at.is_(None))
        .values(reviewed_at=datetime.now(UTC), reviewed_by=actor, note=written)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    return marked


def _record(session: Session, subject: str, note: str, count: int, actor: str, address: str | None) -> None:
    details = {"lines": count, "note": note.strip(), "before": "open", "after": "reviewed"}
    audit.record(session, actor=actor, action="bill.reviewed", subject=subject, details=details, address=address)
