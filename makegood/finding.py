"""Finding one thing by an exact id that an operator has at hand."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood.models import Customer, Generation

LONGEST = 200


@dataclass(frozen=True)
class Found:
    """A generation or a customer; one of the two is set."""

    generation_id: UUID | None = None
    customer_id: str | None = None


def find(session: Session, wanted: str) -> Found | None:
    """What has this id: a generation (ours, or its provider's job), or a customer (id or e-mail address).

    The newest generation where several carry the same job id. An e-mail address of several customers finds
    none: it is not exact.
    """
    if not 1 <= len(wanted) <= LONGEST or "\0" in wanted:
        return None
    generation_id = _generation(session, wanted)
    if generation_id is not None:
        return Found(generation_id=generation_id)
    customer_id = session.scalar(select(Customer.id).where(Customer.id == wanted))
    if customer_id is None:
        same = session.scalars(
            select(Customer.id).where(func.lower(Customer.email) == wanted.lower()).limit(2)
        ).all()
        customer_id = same[0] if len(same) == 1 else None
    return Found(customer_id=customer_id) if customer_id is not None else None


def _generation(session: Session, wanted: str) -> UUID | None:
    try:
        ours = session.scalar(select(Generation.id).where(Generation.id == UUID(wanted)))
    except ValueError:
        ours = None
    if ours is not None:
        return ours
    return session.scalar(
        select(Generation.id).where(Generation.provider_job_id == wanted).order_by(Generation.id.desc()).limit(1)
    )
