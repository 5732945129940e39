"""Reading a generation."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from makegood.errors import NotFound
from makegood.models import Generation


def get(session: Session, generation_id: UUID) -> Generation:
    """The generation as it is in the database now. Raises NotFound."""
    generation = session.get(Generation, generation_id, populate_existing=True)
    if generation is None:
        raise NotFound("There is no such generation.")
    return generation
