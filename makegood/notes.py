"""Notes on customers: what operators wrote down, newest first, never changed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit, customers
from makegood.errors import Invalid
from makegood.ids import uuid7
from makegood.models import CustomerNote

MAX_LENGTH = 2000
SHOWN = 20


def add(
    session: Session,
    customer_id: str,
    body: str,
    *,
    actor: str,
    idempotency_key: str,
    address: str | None = None,
) -> CustomerNote:
    """Write a note. A form that is sent twice writes one, and gets the first. Raises NotFound and Invalid."""
    customers.get(session, customer_id)
    written = body.strip()
    if not written:
        raise Invalid("The note is empty. Nothing was saved.", fields={"body": "write what happened"})
    if len(written) > MAX_LENGTH or "\0" in written:
        limit = f"must be at most {MAX_LENGTH} characters of text"
        raise Invalid("The note is too long. Nothing was saved.", fields={"body": limit})
    row = insert(CustomerNote).values(
        id=uuid7(), customer_id=customer_id, body=written, actor=actor, idempotency_key=idempotency_key
    )
    new: CustomerNote | None = session.scalar(
        row.on_conflict_do_nothing(index_elements=["customer_id", "idempotency_key"]).returning(CustomerNote)
    )
    if new is not None:
        audit.record(
            session,
            actor=actor,
            action="note.written",
            subject=f"customer:{customer_id}",
            details={"before": None, "after": written},
            address=address,
        )
        return new
    return session.scalars(
        select(CustomerNote).where(
            CustomerNote.customer_id == customer_id, CustomerNote.idempotency_key == idempotency_key
        )
    ).one()


def listed(
    session: Session, customer_id: str, *, before: UUID | None = None, limit: int = SHOWN
) -> list[CustomerNote]:
    """A customer's notes, newest first; `before` is the note with which the newer ones ended."""
    query = select(CustomerNote).where(CustomerNote.customer_id == customer_id)
    if before is not None:
        query = query.where(CustomerNote.id < before)
    return list(session.scalars(query.order_by(CustomerNote.id.desc()).limit(limit)))
